//! The diagrams of the wiring: one for the documentation, one of a given platform.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lotoai_api::{Component, versions};

use super::{EDGES, Edge, Node, Outside, Protocol, exporters, outside};
use crate::platform::Platform;

impl Protocol {
    /// Name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Https => "HTTPS",
            Self::Http => "HTTP",
            Self::Grpc => "gRPC",
            Self::Postgres => "PostgreSQL",
            Self::Amqps => "AMQPS",
            Self::S3 => "S3",
            Self::Oidc => "OIDC",
            Self::Cluster => "plain cluster",
            Self::ClusterTls => "cluster",
        }
    }
}

/// The whole graph as a Mermaid flow chart. Of what lies outside it has the collector of telemetry, to
/// which the same pods send on every platform that has one.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("flowchart LR\n");
    edges(&mut text, EDGES);
    for from in exporters() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {} -.->|OTLP| collector", from.name());
    }
    text
}

/// The graph of one platform as a Mermaid flow chart: its components with their versions, and what
/// its configuration lets them reach outside.
#[must_use]
pub fn mermaid_of(platform: &Platform) -> String {
    let mut text = String::from("flowchart LR\n");
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "  subgraph platform[\"{}/{}\"]",
        platform.namespace, platform.name
    );
    let topology = &platform.topology;
    for component in topology.components() {
        let version = versions::tag(platform.image(Node::Component(component)));
        let _ = writeln!(text, "    {component}[\"{component} {version}\"]");
    }
    text.push_str("  end\n");
    let elsewhere = |component: &Component| !topology.has(Node::Component(*component));
    for component in Component::ALL.into_iter().filter(elsewhere) {
        let place = match topology.outside(component) {
            Some((_, external)) => {
                let (host, port) = external.host_and_port();
                format!("{host}:{port}")
            }
            // The vectors are in rag-server.
            None if component == Component::Qdrant => continue,
            None => "a controller of the cluster".to_owned(),
        };
        let _ = writeln!(text, "  {component}([\"{component}: {place}\"])");
    }
    if let Some(metrics) = &platform.spec.observability.metrics {
        let from = &metrics.external;
        let pods = if from.from_pods.is_empty() {
            "all pods".to_owned()
        } else {
            format!("pods {}", selector(&from.from_pods))
        };
        let namespaces = selector(&from.from_namespaces);
        let _ = writeln!(
            text,
            "  {}([\"scraper: {pods} of namespaces {namespaces}\"])",
            Node::Scraper.name()
        );
    }
    edges(&mut text, topology.edges());
    for outside in outside(platform) {
        let Outside {
            from,
            protocol,
            id,
            title,
            ..
        } = outside;
        let _ = writeln!(
            text,
            "  {} -->|{protocol}| {id}([\"{title}\"])",
            from.name()
        );
    }
    text
}

fn edges(text: &mut String, all: &[Edge]) {
    for edge in all {
        let arrow = match edge.from {
            Node::Provision(_) | Node::Scraper => "-.->",
            Node::Anyone | Node::Operator | Node::Component(_) => "-->",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  {} {arrow}|{} {}| {}",
            edge.from.name(),
            edge.protocol.name(),
            edge.port,
            edge.to
        );
    }
}

/// Labels as people write them on a command line.
fn selector(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join(",")
}
