//! What a gateway is told whose far sides are stand-ins.

use std::net::SocketAddr;

use crate::keys::{AUDIENCE, ISSUER};

/// What the orchestrator of the tests asks for.
const ORCHESTRATOR_TOKEN: &str = "t";
/// Nothing listens there.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:1";

/// Where a gateway serves, and where its far sides are.
pub(crate) struct Sides<'a> {
    /// Address that it serves on.
    pub(crate) listen: SocketAddr,
    /// Address of its health and readiness.
    pub(crate) admin: SocketAddr,
    /// Database, as a URL.
    pub(crate) postgres: &'a str,
    /// Broker, as a URL.
    pub(crate) rabbitmq: &'a str,
    /// Orchestrator, as a URL.
    pub(crate) orchestrator: &'a str,
    /// Server of the realm's keys, as a URL.
    pub(crate) realm: &'a str,
}

/// The variables of such a gateway; everything else is as by default.
pub(crate) fn variables(sides: &Sides<'_>) -> Vec<(&'static str, String)> {
    let fixed = [
        ("POSTGRES_USERNAME", "gateway"),
        ("POSTGRES_PASSWORD", "none"),
        ("RABBITMQ_USERNAME", "gateway"),
        ("RABBITMQ_PASSWORD", "none"),
        ("S3_URL", NOWHERE),
        ("S3_BUCKET", "documents"),
        ("S3_USERNAME", "gateway"),
        ("S3_PASSWORD", "none"),
        ("ORCHESTRATOR_TOKEN", ORCHESTRATOR_TOKEN),
        ("MODEL_SERVER_URL", NOWHERE),
        ("MODEL_SERVER_TOKEN", "none"),
        ("OIDC_ISSUER", ISSUER),
        ("OIDC_AUDIENCE", AUDIENCE),
        ("OIDC_CLIENT_ID", "lotoai-web"),
        ("OIDC_CLIENT_SECRET", "none"),
        ("PUBLIC_URL", "https://ai.example.org"),
        (
            "SESSION_KEY",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        ),
    ];
    let fixed = fixed
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()));
    let own = [
        ("LISTEN", sides.listen.to_string()),
        ("ADMIN_LISTEN", sides.admin.to_string()),
        ("POSTGRES_URL", sides.postgres.to_owned()),
        ("RABBITMQ_URL", sides.rabbitmq.to_owned()),
        ("ORCHESTRATOR_URL", sides.orchestrator.to_owned()),
        (
            "OIDC_INTERNAL_URL",
            format!("{}/realms/lotoai", sides.realm),
        ),
    ];
    fixed.chain(own).collect()
}
