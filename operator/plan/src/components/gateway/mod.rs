//! gateway: public APIs and the web client.

mod config;
mod deployment;

use crate::platform::Platform;
use crate::resources::{Prepared, ResourceSet};

/// Objects of its own.
#[must_use]
pub fn build(platform: &Platform) -> ResourceSet<Prepared> {
    ResourceSet {
        config_maps: config::build(platform).into_iter().collect(),
        deployments: vec![deployment::build(platform)],
        ..ResourceSet::default()
    }
}
