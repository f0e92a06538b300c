//! What the controller asks through the public URL, and what came of it.

use crate::components::{traefik, workload_kind};
use crate::graph::Node;
use crate::platform::Platform;
use lotoai_api::Component;

/// Where and as whom to ask. Both calls go to `edge_host:edge_port` with the public host as server
/// name and `Host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeQuestion {
    /// Public base URL without a trailing slash.
    pub url: String,
    /// Name that the operator reaches the edge under: that of its Service, or the public host when
    /// a controller of the cluster is the edge.
    pub edge_host: String,
    /// HTTPS port there.
    pub edge_port: u16,
    /// Path of the token endpoint, for the client credentials grant; none where the credential is
    /// the token itself.
    pub token_path: Option<&'static str>,
    /// Path of the question.
    pub path: &'static str,
    /// Model to ask: it answers from a passage built into the platform.
    pub model: &'static str,
    /// Secret with `username` (client id) and `password` (client secret), or with `token`.
    pub credential_secret: String,
    /// Secret with the certificate: `ca.crt`, else `tls.crt`, is to be trusted when it is ours.
    pub tls_secret: String,
    /// Whether the certificate is the operator's own, so that no public root vouches for it.
    pub self_signed: bool,
}

/// What the message of a failed question says of a Secret that holds nobody who has signed the
/// certificate of the edge.
pub const UNTRUSTED: &str = "vouches for the certificate that the edge shows";

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
    let (edge_host, edge_port) = edge(platform);
    ProbeQuestion {
        url: platform.url.url.clone(),
        edge_host,
        edge_port,
        token_path: (!platform.topology.probe_has_token())
            .then_some("/realms/lotoai/protocol/openid-connect/token"),
        path: "/v1/chat/completions",
        model: "probe",
        credential_secret: platform.edge_secret(Node::Operator, Component::Traefik),
        tls_secret: platform.tls_secret(),
        self_signed: platform.spec.edge.tls.is_self_signed(),
    }
}

/// The command that tells more of a question that failed with this message: it looks at the first
/// part on the way that may be to blame.
#[must_use]
pub fn next_command(platform: &Platform, message: &str) -> String {
    let ns = &platform.namespace;
    let has = |component| platform.topology.has(Node::Component(component));
    let logs = |component| {
        let kind = workload_kind(platform, component).kind().to_lowercase();
        let name = platform.component_name(component);
        format!("kubectl -n {ns} logs {kind}/{name} --tail=50")
    };
    let was_answered = message.contains(": HTTP ") || message.contains("the answer");
    if message.contains(UNTRUSTED) {
        format!("kubectl -n {ns} describe secret {}", platform.tls_secret())
    } else if message.contains("from the identity provider") && has(Component::Keycloak) {
        logs(Component::Keycloak)
    } else if was_answered {
        logs(Component::Gateway)
    } else if has(Component::Traefik) {
        logs(Component::Traefik)
    } else {
        let kind = match platform.spec.edge.gateway_api {
            Some(_) => "httproute",
            None => "ingress",
        };
        format!("kubectl -n {ns} describe {kind} {}", platform.edge_name())
    }
}

/// Our own proxy is asked in the cluster, where no name server outside is needed. Where somebody
/// else's stands is known to the name of the public host only.
fn edge(platform: &Platform) -> (String, u16) {
    if !platform.topology.has(Node::Component(Component::Traefik)) {
        return (platform.url.host.clone(), platform.url.port);
    }
    let service = if traefik::is_guarded(platform) {
        platform.object_name(traefik::PROBE)
    } else {
        platform.component_name(Component::Traefik)
    };
    (format!("{service}.{}.svc", platform.namespace), 443)
}
