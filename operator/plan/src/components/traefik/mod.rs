//! traefik: TLS, routes, rules by client address and security headers.

mod config;
mod deployment;
mod service;

use lotoai_api::spec::ServiceType;

use crate::platform::Platform;
use crate::resources::{Prepared, ResourceSet};

/// Port on which the operator asks past the list of allowed addresses; only with such a list. No
/// public Service leads to it.
pub const PROBE_PORT: u16 = 8444;
/// Part of the name of the Service with that port.
pub const PROBE: &str = "traefik-probe";

/// Objects of its own.
#[must_use]
pub fn build(platform: &Platform) -> ResourceSet<Prepared> {
    let probe = is_guarded(platform).then(|| service::probe(platform));
    ResourceSet {
        config_maps: vec![config::build(platform)],
        services: probe.into_iter().collect(),
        deployments: vec![deployment::build(platform)],
        ..ResourceSet::default()
    }
}

/// Whether only some addresses are let in, among which the operator's, which changes with its pod,
/// cannot be.
#[must_use]
pub fn is_guarded(platform: &Platform) -> bool {
    let rules = platform.spec.edge.traefik.as_ref();
    rules.is_some_and(|rules| !rules.allowed_cidrs.is_empty())
}

/// Whether requests must arrive with the address of their client: a port of a node otherwise hands
/// them on with the node's own.
#[must_use]
pub fn keeps_addresses(platform: &Platform) -> bool {
    let edge = &platform.spec.edge;
    let rules = edge.traefik.as_ref();
    let by_address = is_guarded(platform) || rules.is_some_and(|rules| rules.rate_limit.is_some());
    by_address && edge.service.type_ != ServiceType::ClusterIP
}
