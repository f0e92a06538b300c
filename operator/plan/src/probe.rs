//! What the controller asks through the public URL, and what came of it.

use crate::graph::Node;
use crate::platform::Platform;
use lotoai_api::Component;

/// Where and as whom to ask. Both calls go to `service_host:service_port` with the public host as
/// server name and `Host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeQuestion {
    /// Public base URL without a trailing slash.
    pub url: String,
    /// Name of the edge's Service, reachable from the operator.
    pub service_host: String,
    /// HTTPS port of that Service.
    pub service_port: u16,
    /// Path of the token endpoint, for the client credentials grant.
    pub token_path: &'static str,
    /// Path of the question.
    pub path: &'static str,
    /// Model to ask: it answers from a passage built into the platform.
    pub model: &'static str,
    /// Secret with `username` (client id) and `password` (client secret).
    pub credential_secret: String,
    /// Secret with the certificate: `ca.crt`, else `tls.crt`, is to be trusted when it is ours.
    pub tls_secret: String,
    /// Whether the certificate is the operator's own, so that no public root vouches for it.
    pub self_signed: bool,
}

/// What came of the question.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ProbeOutcome {
    /// Not asked yet, or not since the operator's start.
    #[default]
    Pending,
    /// Answered, with a citation.
    Answered,
    /// Not answered.
    Failed {
        /// The first hop that failed and how, for people.
        message: String,
    },
}

/// Describes the probe question of a platform.
#[must_use]
pub fn probe_question(platform: &Platform) -> ProbeQuestion {
    ProbeQuestion {
        url: platform.url.url.clone(),
        service_host: format!(
            "{}.{}.svc",
            platform.component_name(Component::Traefik),
            platform.namespace
        ),
        service_port: 443,
        token_path: "/realms/lotoai/protocol/openid-connect/token",
        path: "/v1/chat/completions",
        model: "probe",
        credential_secret: platform.edge_secret(Node::Operator, Component::Traefik),
        tls_secret: platform.tls_secret(),
        self_signed: platform.spec.edge.tls.secret_name.is_none(),
    }
}
