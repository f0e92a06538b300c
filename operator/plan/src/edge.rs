//! What the edge waits for outside of the platform's own pods: a certificate that cert-manager
//! issues, and a Gateway that takes the route.

use lotoai_api::reasons;

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
    certificate(platform, observed).or_else(|| route(platform, observed))
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

/// The Gateway that does not take the route.
fn route(platform: &Platform, observed: &Observed) -> Option<Wait> {
    platform.spec.edge.gateway_api.as_ref()?;
    let name = platform.edge_name();
    let parents = observed
        .routes
        .get(&name)
        .and_then(|route| route.status.as_ref())
        .map(|status| status.parents.as_slice())
        .unwrap_or_default();
    let message = if parents.is_empty() {
        format!("no Gateway has looked at HTTPRoute {name} yet; check edge.gatewayAPI.parentRefs")
    } else {
        let (parent, refusal) = parents
            .iter()
            .flat_map(|parent| parent.conditions.iter().map(move |c| (parent, c)))
            .find(|(_, condition)| {
                ["Accepted", "ResolvedRefs"].contains(&condition.type_.as_str())
                    && condition.status == "False"
            })?;
        format!(
            "Gateway {} does not take HTTPRoute {name}: {}",
            parent.parent_ref.name, refusal.message
        )
    };
    Some(Wait {
        reason: reasons::ROUTE_NOT_ACCEPTED,
        message: format!(
            "{message}; see  kubectl -n {} describe httproute {name}",
            platform.namespace
        ),
        object: ObjectId::new("HTTPRoute", &name),
    })
}
