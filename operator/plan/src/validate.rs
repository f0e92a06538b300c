//! From resource to platform: everything that the schema cannot say is checked here, and all
//! faults are told at once.

mod components;
mod edge;
mod external;
mod gateway;
mod given;
mod identity;
mod observability;
mod own;
mod qualified_name;
mod references;
mod rotation;
mod tls;
mod version;

use std::collections::BTreeMap;
use std::str::FromStr as _;

use lotoai_api::spec::LotoAISpec;
use lotoai_api::versions::{self, PROVISION, Source};
use lotoai_api::{Component, LotoAI, PlatformName, reasons};
use url::{Host, Url};

use crate::components::builtin;
use crate::delegated;
use crate::graph::Topology;
use crate::observed::{Observed, OperatorEnv};
use crate::platform::{Platform, PublicUrl};

pub use given::references as given_credentials;
pub use references::{Reference, referenced_secrets, references};

use references::provided;

/// A fault of a resource: where, what, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Path of the field, for example `spec.agents.providers[openai].apiKeySecretRef`.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
    /// One of [`reasons`].
    pub reason: &'static str,
}

impl Invalid {
    fn spec(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
            reason: reasons::INVALID_SPEC,
        }
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Checks a resource against what was read.
///
/// # Errors
/// All faults, in the order of the fields.
pub fn validate(
    lotoai: &LotoAI,
    observed: &Observed,
    env: &OperatorEnv,
) -> Result<Platform, Vec<Invalid>> {
    let mut faults = Vec::new();
    let mut spec = lotoai.spec.clone();
    version::check(lotoai, env, &mut faults);
    let name = platform_name(lotoai, &mut faults);
    let url = public_url(&spec.url, &mut faults);
    edge::check(&spec, observed, &mut faults);
    check_agents(&spec, &mut faults);
    gateway::check(&spec, &mut faults);
    check_mcp(&spec, &mut faults);
    check_chunk(&spec, &mut faults);
    components::check(&spec, &mut faults);
    if let Some(name) = &name {
        components::check_members(&spec, name, observed, &mut faults);
    }
    let own_name = lotoai.metadata.name.as_deref().unwrap_or_default();
    tls::check(&spec, own_name, observed, &mut faults);
    let mut topology = external::topology(&spec, own_name, &mut faults);
    observability::check(&spec, &mut faults);
    if spec.observability.metrics.is_some() {
        topology = topology.scraped();
    }
    faults.extend(delegated::missing(&topology, observed));
    rotation::check(&spec, &topology, &mut faults);
    given::check(&spec, own_name, &topology, observed, &mut faults);
    let images = images(&spec, env, &topology, &mut faults);
    let mut provided = provided(&spec, observed, &mut faults);
    let (Some(name), Some(url), true) = (name, url, faults.is_empty()) else {
        return Err(faults);
    };
    provided.extend(edge::issued(&spec.edge, &name, observed));
    provided.extend(delegated::issued(&topology, observed));
    let mut volumes = volumes(observed);
    volumes.extend(delegated::uids(&topology, observed));
    builtin::fill_in(&mut spec, &name);
    let installed = env.images.get(PROVISION);
    let provision_image = image(
        &spec,
        env,
        PROVISION,
        installed,
        Source::Workload(PROVISION),
    );
    let otlp = spec
        .observability
        .otlp_endpoint
        .clone()
        .or_else(|| env.otlp_endpoint.clone());
    Ok(Platform {
        name,
        namespace: lotoai.metadata.namespace.clone().unwrap_or_default(),
        uid: lotoai.metadata.uid.clone().unwrap_or_default(),
        url,
        topology,
        images,
        provision_image,
        pull_policy: spec.images.pull_policy.unwrap_or(env.pull_policy),
        operator_version: env.version.clone(),
        operator_namespace: env.namespace.clone(),
        otlp_endpoint: otlp,
        provided,
        held: crate::rotation::held(observed),
        volumes,
        spec,
    })
}

fn volumes(observed: &Observed) -> BTreeMap<String, String> {
    let claims = observed.claims.iter();
    claims
        .filter_map(|(name, claim)| Some((name.clone(), claim.metadata.uid.clone()?)))
        .collect()
}

fn platform_name(lotoai: &LotoAI, faults: &mut Vec<Invalid>) -> Option<PlatformName> {
    let name = lotoai.metadata.name.as_deref().unwrap_or_default();
    PlatformName::from_str(name)
        .map_err(|error| faults.push(Invalid::spec("metadata.name", error.to_string())))
        .ok()
}

/// Whether an address holds no user, password, query or fragment.
fn is_bare(url: &Url) -> bool {
    url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}

fn public_url(text: &str, faults: &mut Vec<Invalid>) -> Option<PublicUrl> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| url.scheme() == "https" && url.path() == "/" && is_bare(url));
    let parts = url
        .as_ref()
        .and_then(|url| Some((url, url.host_str()?, url.port_or_known_default()?)));
    let Some((url, host, port)) = parts else {
        // No address here is repeated: it may hold a password or a key, and a status is read by many.
        let message = "this is not https:// and a host; write for example https://ai.example.com";
        faults.push(Invalid::spec("spec.url", message));
        return None;
    };
    if matches!(url.host(), Some(Host::Ipv4(_) | Host::Ipv6(_))) {
        // A client connects to an address as it stands, so that the test question would go past
        // the Service of the edge; and it names no host in its handshake.
        let message = format!(
            "{host} is an IP address, and certificates and the operator's test question go by \
             name; give the address a name and write for example https://ai.example.com"
        );
        faults.push(Invalid::spec("spec.url", message));
        return None;
    }
    Some(PublicUrl {
        // Without a default port: browsers leave it out of an origin, and tokens name the issuer
        // as it stands here.
        url: url.origin().ascii_serialization(),
        host: host.to_owned(),
        port,
    })
}

fn check_agents(spec: &LotoAISpec, faults: &mut Vec<Invalid>) {
    for provider in &spec.agents.providers {
        let field = format!("spec.agents.providers[{}]", provider.name);
        if let Some(base_url) = &provider.base_url
            && Url::parse(base_url).is_err()
        {
            let message = "this is no URL; write for example http://vllm:8000/v1";
            faults.push(Invalid::spec(format!("{field}.baseURL"), message));
        }
    }
    duplicates(
        spec.agents.providers.iter().map(|p| p.name.as_str()),
        "spec.agents.providers",
        faults,
    );
    duplicates(
        spec.agents.roles.iter().map(|r| r.name.as_str()),
        "spec.agents.roles",
        faults,
    );
}

/// The API server refuses duplicates by the schema's list maps; a resource that never passed one
/// (a test, a dry run) is refused here.
fn duplicates<'a>(names: impl Iterator<Item = &'a str>, field: &str, faults: &mut Vec<Invalid>) {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            let message = "this name appears twice; rename one of them";
            faults.push(Invalid::spec(format!("{field}[{name}]"), message));
        }
    }
}

fn check_mcp(spec: &LotoAISpec, faults: &mut Vec<Invalid>) {
    duplicates(
        spec.mcp.tools.iter().map(|t| t.name.as_str()),
        "spec.mcp.tools",
        faults,
    );
    for tool in &spec.mcp.tools {
        let field = format!("spec.mcp.tools[{}]", tool.name);
        if tool.input_schema.get("type").and_then(|t| t.as_str()) != Some("object") {
            faults.push(Invalid::spec(
                format!("{field}.inputSchema"),
                "arguments are an object; add  type: object",
            ));
        }
        let Some(http) = &tool.http else { continue };
        if let Some(message) = fault_of_tool_url(&http.url) {
            faults.push(Invalid::spec(format!("{field}.http.url"), message));
        }
    }
}

fn fault_of_tool_url(text: &str) -> Option<String> {
    let host = text.split(['/', '?', '#']).nth(2).unwrap_or_default();
    match Url::parse(text) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => Some(
            "a URL may not hold a user or password; remove what stands before the @".to_owned(),
        ),
        Ok(_) if !host.contains('{') => None,
        // A password with a slash makes it one that cannot be taken apart.
        _ => Some(
            "this is no URL with a fixed host and without a user or password; {name} may stand in its \
             path and query only"
                .to_owned(),
        ),
    }
}

fn check_chunk(spec: &LotoAISpec, faults: &mut Vec<Invalid>) {
    let chunk = &spec.rag.chunk;
    if chunk.overlap_characters.saturating_mul(2) > chunk.max_characters {
        let message = format!(
            "{} is more than half of maxCharacters {}; lower it",
            chunk.overlap_characters, chunk.max_characters
        );
        faults.push(Invalid::spec("spec.rag.chunk.overlapCharacters", message));
    }
}

fn images(
    spec: &LotoAISpec,
    env: &OperatorEnv,
    topology: &Topology,
    faults: &mut Vec<Invalid>,
) -> BTreeMap<Component, String> {
    for name in spec.images.overrides.keys() {
        if name != PROVISION && name.parse::<Component>().is_err() {
            let message = "no component has this name; remove it";
            faults.push(Invalid::spec(
                format!("spec.images.overrides[{name}]"),
                message,
            ));
        }
    }
    Component::ALL
        .into_iter()
        .map(|component| {
            let name = component.name();
            let image = match topology.delegated(component) {
                // The operator was told about images for its own pods.
                Some(delegated) => image(spec, env, name, None, delegated.operator.image()),
                None => image(spec, env, name, env.images.get(name), component.image()),
            };
            (component, image)
        })
        .collect()
}

/// The resource's own reference, else the operator's, else the table's, the last two moved to the
/// resource's registry.
fn image(
    spec: &LotoAISpec,
    env: &OperatorEnv,
    name: &str,
    installed: Option<&String>,
    source: Source,
) -> String {
    if let Some(reference) = spec.images.overrides.get(name) {
        return reference.clone();
    }
    let reference = installed
        .cloned()
        .unwrap_or_else(|| source.reference(&env.version));
    match &spec.images.registry {
        Some(registry) => versions::relocate(&reference, registry),
        None => reference,
    }
}

#[cfg(test)]
mod tests;
