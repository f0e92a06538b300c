//! TLS inside the platform: who has a certificate, for which names, who trusts the authority, and
//! where pods find both.
//!
//! When a certificate or the authority is due is decided in [`life`]; the controller signs, and
//! checks an authority that the resource names.

pub mod life;
pub mod path;

use std::iter;

use lotoai_api::Component;

use crate::credentials::Credentials;
use crate::graph::{Node, Protocol, ports};
use crate::platform::Platform;

/// Key of a certificate, and name of its file.
pub const CERTIFICATE: &str = "tls.crt";
/// Key of the private key of a certificate, and name of its file.
pub const PRIVATE_KEY: &str = "tls.key";
/// Key of the authorities that vouch for a certificate, and name of their file.
pub const AUTHORITY: &str = "ca.crt";
/// Key of the authority that signs next.
pub const NEXT_CERTIFICATE: &str = "next.crt";
/// Key of its private key.
pub const NEXT_PRIVATE_KEY: &str = "next.key";
/// Key of the roots of those that signed before, as long as something may bear their signature.
pub const PREVIOUS_CERTIFICATE: &str = "previous.crt";

/// Field of the resource that names the Secret with its authority.
pub const AUTHORITY_FIELD: &str = "spec.tls.authoritySecretName";

/// Where pods find the authorities of the platform, and of external servers. Beside `/etc/lotoai`
/// and not in it: that is a mounted volume itself in some pods.
pub const AUTHORITIES: &str = "/etc/lotoai-ca";
/// Where a pod finds its certificate.
pub const OWN: &str = "/etc/lotoai-tls";

/// Life of a certificate inside the platform, in days.
pub const SERVER_DAYS: u16 = 90;
/// Life of the certificate of an edge that nobody gave one, in days.
pub const EDGE_DAYS: u16 = 365;
/// Life of the authority, in days.
pub const AUTHORITY_DAYS: u16 = 3650;

/// File with the authorities of the platform.
#[must_use]
pub fn bundle_file() -> String {
    format!("{AUTHORITIES}/platform/{AUTHORITY}")
}

/// File with a pod's certificate.
#[must_use]
pub fn certificate_file() -> String {
    format!("{OWN}/{CERTIFICATE}")
}

/// File with the private key of a pod's certificate.
#[must_use]
pub fn key_file() -> String {
    format!("{OWN}/{PRIVATE_KEY}")
}

/// Whether the component shows a certificate of the platform's authority to those who call it. The
/// proxy shows the one of the public address.
///
/// All of them [but two](follows) take a renewed one from its files, so that it restarts nobody.
#[must_use]
pub const fn serves(component: Component) -> bool {
    !matches!(component, Component::Traefik) && !ports(component).is_empty()
}

/// Whether the component takes a renewed certificate from its files. Qdrant does so for HTTP but not
/// for gRPC, and ClickHouse for its clients but not between its Keepers, so their pods restart one
/// after the other.
#[must_use]
pub fn follows(platform: &Platform, component: Component) -> bool {
    let is_read_once = match component {
        Component::Qdrant => true,
        Component::Clickhouse => !platform.members(component).is_empty(),
        _ => false,
    };
    serves(component) && !is_read_once
}

/// Names under which a component is called: those of its Service, of each of its servers where
/// they call each other, and of the pod itself.
#[must_use]
pub fn names(platform: &Platform, component: Component) -> Vec<String> {
    let namespace = &platform.namespace;
    let service = platform.component_name(component);
    let mut hosts = vec![format!("{service}.{namespace}")];
    hosts.extend(platform.members(component));
    let domains = ["", ".svc", ".svc.cluster.local"];
    let qualified = hosts
        .iter()
        .flat_map(|host| domains.map(|domain| format!("{host}{domain}")));
    let itself = ["localhost", "127.0.0.1"].map(str::to_owned);
    iter::once(service).chain(qualified).chain(itself).collect()
}

/// What the authority's Secret is for, and whose the authority is.
#[must_use]
pub fn purpose(platform: &Platform) -> String {
    let purpose = "authority of the certificates inside the platform";
    match &platform.spec.tls.authority_secret_name {
        Some(given) => format!("{purpose}, given in Secret {given}"),
        None => purpose.to_owned(),
    }
}

/// Whether a node calls a server with a certificate of the platform's authority.
#[must_use]
pub fn trusts(platform: &Platform, node: Node) -> bool {
    let topology = &platform.topology;
    let mut edges = topology.edges_from(node);
    edges.any(|edge| {
        let checks = match edge.protocol {
            // Whose servers trust the authority among themselves is its builder's to say.
            Protocol::ClusterTls => false,
            other => other.is_tls(),
        };
        checks && topology.has(Node::Component(edge.to))
    })
}

/// The roots of all authorities that vouch for a certificate of the platform now, each once and the
/// oldest first: so that the text stays the same when the next one begins to sign, or one below a
/// root is renewed.
#[must_use]
pub fn bundle(platform: &Platform, credentials: &Credentials) -> String {
    let secret = platform.authority_secret();
    let held = |key| credentials.text(&secret, key);
    let current = [CERTIFICATE, NEXT_CERTIFICATE].map(|key| path::root(held(key)));
    path::joined(
        path::blocks(held(PREVIOUS_CERTIFICATE))
            .into_iter()
            .chain(current),
    )
}
