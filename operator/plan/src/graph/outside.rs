//! Edges out of the platform, to what only its configuration names: model providers, hosts of tools
//! and the collector of telemetry.

use lotoai_api::Component;
use lotoai_api::spec::{HttpTool, Provider, ProviderKind, Tool};
use url::Url;

use super::Node;
use crate::platform::Platform;

/// An edge whose end is no part of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// Who calls.
    pub from: Node,
    /// What is spoken, for people.
    pub protocol: &'static str,
    /// Name of its end in a diagram, for example `provider-openai`.
    pub id: String,
    /// Its end, for people.
    pub title: String,
    /// Port there.
    pub port: u16,
    /// Its address; none where the workload knows it by itself.
    pub address: Option<Url>,
    /// Whether whoever listens behind that address does so at its port, so that a policy may hold the
    /// edge to both. Of a provider and a tool nobody knows: a Service may lead from 80 to 8080.
    pub same_port: bool,
}

/// All of them, for one platform.
#[must_use]
pub fn outside(platform: &Platform) -> Vec<Outside> {
    let providers = platform.spec.agents.providers.iter().filter_map(provider);
    let tools = platform.spec.mcp.tools.iter().filter_map(|declared| {
        let http = declared.http.as_ref()?;
        if is_ours(platform, &http.url) {
            return None;
        }
        Some(tool(declared, http, port_of(&http.url)?))
    });
    providers.chain(tools).chain(collector(platform)).collect()
}

/// The nodes that send telemetry to a collector where there is one.
pub fn exporters() -> impl Iterator<Item = Node> {
    Node::pods().filter(|node| node.is_ours())
}

fn provider(provider: &Provider) -> Option<Outside> {
    let place = match (&provider.base_url, provider.kind) {
        (Some(url), _) => host(url),
        (None, ProviderKind::OpenAI) => "OpenAI".to_owned(),
        (None, ProviderKind::Anthropic) => "Anthropic".to_owned(),
        (None, ProviderKind::XAI) => "xAI".to_owned(),
        (None, ProviderKind::OpenAICompatible) => return None,
    };
    Some(Outside {
        from: Node::Component(Component::Agents),
        protocol: protocol(provider.base_url.as_deref()),
        id: format!("provider-{}", provider.name),
        title: format!("provider {}: {place}", provider.name),
        port: match &provider.base_url {
            Some(url) => port_of(url)?,
            None => 443,
        },
        address: provider.base_url.as_deref().and_then(parse),
        same_port: false,
    })
}

fn tool(tool: &Tool, http: &HttpTool, port: u16) -> Outside {
    Outside {
        from: Node::Component(Component::McpServer),
        protocol: protocol(Some(&http.url)),
        id: format!("tool-{}", tool.name),
        title: format!("tool {}: {}", tool.name, host(&http.url)),
        port,
        address: parse(&http.url),
        same_port: false,
    }
}

fn collector(platform: &Platform) -> Vec<Outside> {
    let endpoint = platform.otlp_endpoint.as_deref();
    let Some(address) = endpoint.and_then(parse) else {
        return Vec::new();
    };
    let Some(port) = address.port_or_known_default() else {
        return Vec::new();
    };
    exporters()
        .filter(|from| platform.topology.has(*from))
        .map(|from| Outside {
            from,
            protocol: "OTLP",
            id: "collector".to_owned(),
            title: format!("collector: {}", host(address.as_str())),
            port,
            address: Some(address.clone()),
            same_port: true,
        })
        .collect()
}

/// Whether an address is that of one of the platform's own Services, which the edges cover.
fn is_ours(platform: &Platform, url: &str) -> bool {
    let url = parse(url);
    let host = url.as_ref().and_then(Url::host_str);
    Component::ALL
        .into_iter()
        .any(|component| host == Some(platform.component_name(component).as_str()))
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
    let parsed = parse(url);
    let parts = parsed
        .as_ref()
        .and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
    parts.map_or_else(|| url.to_owned(), |(host, port)| format!("{host}:{port}"))
}

fn port_of(url: &str) -> Option<u16> {
    parse(url)?.port_or_known_default()
}

fn parse(url: &str) -> Option<Url> {
    Url::parse(url).ok()
}
