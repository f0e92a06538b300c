//! The diagrams of the wiring: one for the documentation, one of a given platform.

use std::fmt::Write as _;

use lotoai_api::spec::ProviderKind;
use lotoai_api::{Component, versions};
use url::Url;

use super::{EDGES, Edge, Node, Protocol};
use crate::components::shared::network_policy::is_ours;
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

/// The whole graph as a Mermaid flow chart.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("flowchart LR\n");
    edges(&mut text, EDGES);
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
    edges(&mut text, topology.edges());
    for outside in outside(platform) {
        let Outside {
            from,
            protocol,
            id,
            title,
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
            Node::Provision(_) => "-.->",
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

/// What a component reaches that is no part of the platform.
struct Outside {
    from: Node,
    protocol: &'static str,
    id: String,
    title: String,
}

/// Model providers, hosts of tools and the collector.
fn outside(platform: &Platform) -> Vec<Outside> {
    let mut all = Vec::new();
    for provider in &platform.spec.agents.providers {
        let place = match (&provider.base_url, provider.kind) {
            (Some(url), _) => host(url),
            (None, ProviderKind::OpenAI) => "OpenAI".to_owned(),
            (None, ProviderKind::Anthropic) => "Anthropic".to_owned(),
            (None, ProviderKind::XAI) => "xAI".to_owned(),
            (None, ProviderKind::OpenAICompatible) => continue,
        };
        all.push(Outside {
            from: Node::Component(Component::Agents),
            protocol: protocol(provider.base_url.as_deref()),
            id: format!("provider-{}", provider.name),
            title: format!("provider {}: {place}", provider.name),
        });
    }
    for tool in &platform.spec.mcp.tools {
        let Some(http) = tool
            .http
            .as_ref()
            .filter(|http| !is_ours(platform, &http.url))
        else {
            continue;
        };
        all.push(Outside {
            from: Node::Component(Component::McpServer),
            protocol: protocol(Some(&http.url)),
            id: format!("tool-{}", tool.name),
            title: format!("tool {}: {}", tool.name, host(&http.url)),
        });
    }
    if let Some(collector) = &platform.otlp_endpoint {
        let ours = Node::pods().filter(|node| node.is_ours());
        all.extend(ours.map(|from| Outside {
            from,
            protocol: "OTLP",
            id: "collector".to_owned(),
            title: format!("collector: {}", host(collector)),
        }));
    }
    all
}

/// A provider without an address of its own is reached over HTTPS.
fn protocol(url: Option<&str>) -> &'static str {
    match url {
        Some(url) if url.starts_with("http://") => "HTTP",
        _ => "HTTPS",
    }
}

/// Host and port of an address; checked before, so the address as it stands is never seen.
fn host(url: &str) -> String {
    let parsed = Url::parse(url).ok();
    let parts = parsed
        .as_ref()
        .and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
    parts.map_or_else(|| url.to_owned(), |(host, port)| format!("{host}:{port}"))
}
