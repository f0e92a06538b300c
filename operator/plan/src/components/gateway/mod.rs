//! gateway: public APIs and the web client.

mod deployment;

use crate::platform::Platform;
use crate::resources::{Prepared, ResourceSet};

/// Objects of its own.
#[must_use]
pub fn build(platform: &Platform) -> ResourceSet<Prepared> {
    ResourceSet {
        deployments: vec![deployment::build(platform)],
        ..ResourceSet::default()
    }
}
