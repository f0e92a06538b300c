//! Services, from the ports of the graph.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use lotoai_api::Component;
use lotoai_api::spec::ServiceType;

use crate::components::traefik;
use crate::graph::{Node, Port, peer_ports, ports};
use crate::labels;
use crate::platform::Platform;

/// Service `<platform>-<component>`.
#[must_use]
pub fn build(platform: &Platform, component: Component) -> Service {
    let node = Node::Component(component);
    let edge = component == Component::Traefik;
    let type_ = if edge {
        platform.spec.edge.service.type_
    } else {
        ServiceType::ClusterIP
    };
    let service_ports = ports(component)
        .iter()
        .map(|port| service_port(platform, edge, *port));
    Service {
        metadata: platform.metadata(platform.component_name(component), node),
        spec: Some(ServiceSpec {
            type_: Some(type_.as_str().to_owned()),
            external_traffic_policy: (edge && traefik::keeps_addresses(platform))
                .then(|| "Local".to_owned()),
            selector: Some(labels::selector(platform, node)),
            ports: Some(service_ports.collect()),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// Headless Service that gives each pod of a component a name, by which they find each other; none
/// for a component that needs no such names.
#[must_use]
pub fn members(platform: &Platform, component: Component) -> Option<Service> {
    if platform.members(component).is_empty() {
        return None;
    }
    let node = Node::Component(component);
    let ports = peer_ports(component)
        .iter()
        .map(|port| service_port(platform, false, *port));
    Some(Service {
        metadata: platform.metadata(platform.members_name(component), node),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            selector: Some(labels::selector(platform, node)),
            ports: Some(ports.collect()),
            // They find each other before they are ready.
            publish_not_ready_addresses: Some(true),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    })
}

fn service_port(platform: &Platform, edge: bool, port: Port) -> ServicePort {
    let service = &platform.spec.edge.service;
    let fixed = edge && port.name == "https" && service.type_ == ServiceType::NodePort;
    ServicePort {
        name: Some(port.name.to_owned()),
        // Controllers of the cluster that lead to it look here, or at the name. Those that lead to
        // the proxy may ask it questions of their own by this.
        app_protocol: (port.name == "https" && !edge).then(|| "https".to_owned()),
        port: i32::from(port.service),
        protocol: Some("TCP".to_owned()),
        target_port: Some(IntOrString::Int(i32::from(port.number))),
        node_port: service.https_node_port.filter(|_| fixed),
    }
}
