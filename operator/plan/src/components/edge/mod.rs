//! The edge outside of our own pods: certificate, Ingress and route.

mod backend;
mod certificate;
mod ingress;
mod route;

use lotoai_api::Component;

use crate::env::REALM;
use crate::graph::{Node, ports};
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
        backend_tls_policies: gateway
            .into_iter()
            .flat_map(|_| behind(platform))
            .map(|component| backend::build(platform, component))
            .collect(),
        http_routes: gateway
            .map(|given| route::build(platform, given))
            .into_iter()
            .collect(),
        ..ResourceSet::default()
    }
}

/// Port of a component behind the edge.
fn port(component: Component) -> i32 {
    i32::from(ports(component)[0].service)
}

/// The components behind the edge.
fn behind(platform: &Platform) -> impl Iterator<Item = Component> {
    [Component::Gateway, Component::Keycloak]
        .into_iter()
        .filter(|component| platform.topology.has(Node::Component(*component)))
}

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
