//! The Service that the operator asks through when only some addresses are let in.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use lotoai_api::Component;

use super::{PROBE, PROBE_PORT};
use crate::graph::Node;
use crate::labels;
use crate::platform::Platform;

pub(super) fn probe(platform: &Platform) -> Service {
    let node = Node::Component(Component::Traefik);
    Service {
        metadata: platform.metadata(platform.object_name(PROBE), node),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(labels::selector(platform, node)),
            ports: Some(vec![ServicePort {
                name: Some("https".to_owned()),
                port: 443,
                protocol: Some("TCP".to_owned()),
                target_port: Some(IntOrString::Int(i32::from(PROBE_PORT))),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}
