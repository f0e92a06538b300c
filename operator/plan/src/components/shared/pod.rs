//! Pods: Pod Security `restricted` and more, the same for every component.

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, ExecAction, HTTPGetAction, LocalObjectReference,
    PodSecurityContext, PodSpec, PodTemplateSpec, Probe, SeccompProfile, SecurityContext,
    TCPSocketAction, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use lotoai_api::Component;

use super::{placement, resources};
use crate::graph::{Node, ports};
use crate::labels;
use crate::platform::Platform;

/// Seconds between SIGTERM and SIGKILL.
const GRACE_SECONDS: i64 = 30;
/// The same where answers pass through. They may take 30 s to end after a stop, which becomes known
/// outside within 2 s; those that take longer are told so and stored (`DRAIN_SECONDS`); the rest is
/// for the process itself.
const STREAMING_GRACE_SECONDS: i64 = 40;

/// Seconds between SIGTERM and SIGKILL of a node's pods.
fn grace_seconds(node: Node) -> i64 {
    if node.is_ours() || node == Node::Component(Component::Traefik) {
        STREAMING_GRACE_SECONDS
    } else {
        GRACE_SECONDS
    }
}

/// The port of probes and metrics. By its name those find it who look for metrics.
#[must_use]
pub fn admin_port(number: u16) -> ContainerPort {
    container_port("admin", number)
}

fn container_port(name: &str, number: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(number),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

/// The container of a node: image, resources and security are decided here.
#[must_use]
pub fn container(platform: &Platform, node: Node) -> Container {
    let ports = match node {
        Node::Component(component) => ports(component)
            .iter()
            .map(|port| container_port(port.name, port.number))
            .collect(),
        Node::Provision(_) | Node::Anyone | Node::Operator | Node::Scraper => Vec::new(),
    };
    Container {
        name: node.name(),
        image: Some(platform.image(node).to_owned()),
        image_pull_policy: Some(platform.pull_policy.as_str().to_owned()),
        ports: (!ports.is_empty()).then_some(ports),
        resources: Some(resources::requirements(platform, node)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                ..Capabilities::default()
            }),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            ..SecurityContext::default()
        }),
        // Its last words reach the status of the resource.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

/// The pod of a node around its container.
#[must_use]
pub fn template(
    platform: &Platform,
    node: Node,
    uid: i64,
    container: Container,
    volumes: Vec<Volume>,
) -> PodTemplateSpec {
    let pull_secrets: Vec<_> = platform
        .spec
        .images
        .pull_secrets
        .iter()
        .map(|secret| LocalObjectReference {
            name: secret.name.clone(),
        })
        .collect();
    let mut template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels::recommended(platform, node)),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            automount_service_account_token: Some(false),
            containers: vec![container],
            enable_service_links: Some(false),
            image_pull_secrets: (!pull_secrets.is_empty()).then_some(pull_secrets),
            security_context: Some(PodSecurityContext {
                run_as_non_root: Some(true),
                run_as_user: Some(uid),
                run_as_group: Some(uid),
                fs_group: Some(uid),
                // Or every start walks through all files of the volume.
                fs_group_change_policy: Some("OnRootMismatch".to_owned()),
                seccomp_profile: Some(SeccompProfile {
                    type_: "RuntimeDefault".to_owned(),
                    ..SeccompProfile::default()
                }),
                ..PodSecurityContext::default()
            }),
            service_account_name: Some(platform.node_name(node)),
            termination_grace_period_seconds: Some(grace_seconds(node)),
            volumes: (!volumes.is_empty()).then_some(volumes),
            ..PodSpec::default()
        }),
    };
    placement::place(platform, node, &mut template);
    template
}

/// Asks over HTTP.
#[must_use]
pub fn http_probe(path: &str, port: u16) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::Int(i32::from(port)),
            ..HTTPGetAction::default()
        }),
        ..Probe::default()
    }
}

/// Asks over HTTPS. The kubelet does not check the certificate.
#[must_use]
pub fn https_probe(path: &str, port: u16) -> Probe {
    let mut probe = http_probe(path, port);
    if let Some(action) = &mut probe.http_get {
        action.scheme = Some("HTTPS".to_owned());
    }
    probe
}

/// Opens a connection.
#[must_use]
pub fn tcp_probe(port: u16) -> Probe {
    Probe {
        tcp_socket: Some(TCPSocketAction {
            port: IntOrString::Int(i32::from(port)),
            ..TCPSocketAction::default()
        }),
        ..Probe::default()
    }
}

/// Runs a command in the container.
#[must_use]
pub fn exec_probe(command: &[&str]) -> Probe {
    Probe {
        exec: Some(ExecAction {
            command: Some(command.iter().map(|word| (*word).to_owned()).collect()),
        }),
        ..Probe::default()
    }
}

/// How long the start of a store's server may take, in seconds: `alone` for one, and longer for one
/// of several, which waits for the others as long as their images take to be pulled.
#[must_use]
pub fn start_seconds(platform: &Platform, component: Component, alone: i32) -> i32 {
    const TOGETHER: i32 = 900;
    if platform.members(component).is_empty() {
        alone
    } else {
        TOGETHER
    }
}

/// Gives a container its three probes: `live` must fail for a minute before a restart, `ready` is
/// asked often, and the start may take `start_seconds`.
pub fn set_probes(container: &mut Container, live: &Probe, ready: &Probe, start_seconds: i32) {
    const START_PERIOD: i32 = 2;
    container.startup_probe = Some(Probe {
        period_seconds: Some(START_PERIOD),
        timeout_seconds: Some(3),
        failure_threshold: Some(start_seconds / START_PERIOD),
        ..live.clone()
    });
    container.liveness_probe = Some(Probe {
        period_seconds: Some(15),
        timeout_seconds: Some(5),
        failure_threshold: Some(4),
        ..live.clone()
    });
    container.readiness_probe = Some(Probe {
        period_seconds: Some(5),
        // A busy node is slow to start the probes' processes, and a store that is taken out of
        // its Service for that stops the whole platform.
        timeout_seconds: Some(5),
        failure_threshold: Some(3),
        ..ready.clone()
    });
}
