//! clickhouse: usage.

mod cluster;
mod config;
mod statefulset;

use crate::credentials::Credentials;
use crate::platform::Platform;
use crate::resources::{Prepared, ResourceSet};

pub use cluster::CLUSTER;

/// Objects of its own.
#[must_use]
pub fn build(platform: &Platform, credentials: &Credentials) -> ResourceSet<Prepared> {
    ResourceSet {
        secrets: vec![config::users(platform, credentials)],
        config_maps: vec![config::server(platform)],
        stateful_sets: vec![statefulset::build(platform)],
        ..ResourceSet::default()
    }
}
