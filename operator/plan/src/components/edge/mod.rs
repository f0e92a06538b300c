//! The edge outside of our own pods: certificate, Ingress and route.

mod certificate;
mod ingress;
mod route;

use lotoai_api::Component;

use crate::env::REALM;
use crate::graph::Node;
use crate::platform::Platform;
use crate::resources::{Prepared, ResourceSet};

/// Objects of the edge, beside those of Traefik.
#[must_use]
pub fn build(platform: &Platform) -> ResourceSet<Prepared> {
    let edge = &platform.spec.edge;
    let issued = edge.tls.cert_manager.as_ref();
    let ingress = edge.ingress.as_ref();
    let gateway = edge.gateway_api.as_ref();
    ResourceSet {
        certificates: issued
            .map(|issued| certificate::build(platform, issued))
            .into_iter()
            .collect(),
        ingresses: ingress
            .map(|given| ingress::build(platform, given))
            .into_iter()
            .collect(),
        http_routes: gateway
            .map(|given| route::build(platform, given))
            .into_iter()
            .collect(),
        ..ResourceSet::default()
    }
}

/// Port of the components behind the edge.
const PORT: i32 = 8080;

/// Paths and who serves them, the longest first. Only the platform's own realm is public:
/// administrators are in another one.
fn paths(platform: &Platform) -> impl Iterator<Item = (String, Component)> {
    [
        (format!("/realms/{REALM}"), Component::Keycloak),
        ("/resources".to_owned(), Component::Keycloak),
        ("/".to_owned(), Component::Gateway),
    ]
    .into_iter()
    .filter(|(_, component)| platform.topology.has(Node::Component(*component)))
}
