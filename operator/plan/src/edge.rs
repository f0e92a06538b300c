//! What the edge waits for outside of the platform's own pods: a certificate that cert-manager
//! issues, and a Gateway that takes the route.

use lotoai_api::reasons;
use lotoai_api::spec::ParentRef;

use crate::kinds::{GatewayRef, GatewayWord};
use crate::observed::Observed;
use crate::platform::Platform;
use crate::resources::ObjectId;

/// Something that others have not done yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// One of [`reasons`].
    pub reason: &'static str,
    /// Who has not done what, for people.
    pub message: String,
    /// The object of ours that waits.
    pub object: ObjectId,
}

/// What the edge waits for, if anything.
#[must_use]
pub fn wait(platform: &Platform, observed: &Observed) -> Option<Wait> {
    certificate(platform, observed)
        .or_else(|| route(platform, observed))
        .or_else(|| backend_tls_policy(platform, observed))
}

/// The certificate that is not there yet. One that the resource names is checked by validation.
#[must_use]
pub fn certificate(platform: &Platform, observed: &Observed) -> Option<Wait> {
    platform.spec.edge.tls.cert_manager.as_ref()?;
    let name = platform.tls_secret();
    let mut keys = ["tls.crt", "tls.key"].iter();
    if keys.all(|key| observed.secret_value(&name, key).is_some()) {
        return None;
    }
    let stated = observed
        .certificates
        .get(&name)
        .and_then(|certificate| certificate.status.as_ref())
        .and_then(|status| status.conditions.iter().find(|c| c.type_ == "Ready"))
        .map(|condition| condition.message.as_str())
        .filter(|message| !message.is_empty())
        .unwrap_or("cert-manager has said nothing about it yet");
    Some(Wait {
        reason: reasons::CERTIFICATE_NOT_READY,
        message: format!(
            "waits for Secret {name} from Certificate {name}: {stated}; see  kubectl -n {} \
             describe certificate {name}",
            platform.namespace
        ),
        object: ObjectId::new("Certificate", &name),
    })
}

/// The Gateway that does not take the route, or has not done so yet.
fn route(platform: &Platform, observed: &Observed) -> Option<Wait> {
    let given = platform.spec.edge.gateway_api.as_ref()?;
    let name = platform.edge_name();
    let words = observed
        .routes
        .get(&name)
        .and_then(|route| route.status.as_ref())
        .map(|status| status.parents.as_slice())
        .unwrap_or_default();
    let takes = |parent: &&ParentRef| {
        let of_it = |word: &&GatewayWord| is_of(platform, &word.gateway, parent);
        words.iter().filter(of_it).any(is_accepted)
    };
    // A Gateway that was a parent once may have its word there still.
    let is_parent = |gateway: &GatewayRef| {
        let mut parents = given.parent_refs.iter();
        parents.any(|parent| is_of(platform, gateway, parent))
    };
    let message = if words.is_empty() {
        format!("no Gateway has looked at HTTPRoute {name} yet; check edge.gatewayAPI.parentRefs")
    } else if let Some((gateway, refusal)) = refusal(words, is_parent) {
        format!("Gateway {gateway} does not take HTTPRoute {name}: {refusal}")
    } else {
        let parent = given.parent_refs.iter().find(|parent| !takes(parent))?;
        format!(
            "Gateway {} has not taken HTTPRoute {name} yet; check edge.gatewayAPI.parentRefs",
            parent.name
        )
    };
    Some(not_accepted(platform, "HTTPRoute", &name, &message))
}

/// The Gateway that refuses how it is to check who is behind the route. Some controllers say nothing
/// of such policies, so that nothing is waited for.
fn backend_tls_policy(platform: &Platform, observed: &Observed) -> Option<Wait> {
    let given = platform.spec.edge.gateway_api.as_ref()?;
    // A policy belongs to a Gateway as a whole, whatever listener of it the route names.
    let is_parent = |gateway: &GatewayRef| {
        let mut parents = given.parent_refs.iter();
        parents.any(|parent| is_at(platform, gateway, parent))
    };
    let mut policies = observed.backend_tls_policies.iter();
    let (name, (gateway, refusal)) = policies.find_map(|(name, policy)| {
        let status = policy.status.as_ref()?;
        Some((name, refusal(&status.ancestors, is_parent)?))
    })?;
    let message = format!("Gateway {gateway} does not take BackendTLSPolicy {name}: {refusal}");
    Some(not_accepted(platform, "BackendTLSPolicy", name, &message))
}

fn not_accepted(platform: &Platform, kind: &str, name: &str, message: &str) -> Wait {
    Wait {
        reason: reasons::ROUTE_NOT_ACCEPTED,
        message: format!(
            "{message}; see  kubectl -n {} describe {} {name}",
            platform.namespace,
            kind.to_lowercase()
        ),
        object: ObjectId::new(kind, name),
    }
}

/// Whether this is what the route names as its parent.
fn is_of(platform: &Platform, gateway: &GatewayRef, parent: &ParentRef) -> bool {
    is_at(platform, gateway, parent) && gateway.section_name == parent.section_name
}

/// Whether this is the Gateway of a parent, be it another listener of it.
fn is_at(platform: &Platform, gateway: &GatewayRef, parent: &ParentRef) -> bool {
    let own = platform.namespace.as_str();
    let namespace = gateway.namespace.as_deref().unwrap_or(own);
    gateway.name == parent.name && namespace == parent.namespace.as_deref().unwrap_or(own)
}

fn is_accepted(word: &GatewayWord) -> bool {
    let mut conditions = word.conditions.iter();
    conditions.any(|condition| condition.type_ == "Accepted" && condition.status == "True")
}

/// The first Gateway that refuses, and why, of those that are meant.
fn refusal(words: &[GatewayWord], is_meant: impl Fn(&GatewayRef) -> bool) -> Option<(&str, &str)> {
    let mut meant = words.iter().filter(|word| is_meant(&word.gateway));
    meant.find_map(|word| {
        let refused = word.conditions.iter().find(|condition| {
            ["Accepted", "ResolvedRefs"].contains(&condition.type_.as_str())
                && condition.status == "False"
        })?;
        Some((word.gateway.name.as_str(), refused.message.as_str()))
    })
}
