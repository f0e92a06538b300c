//! rabbitmq: events.

mod config;
mod statefulset;

use crate::platform::Platform;
use crate::resources::{Prepared, ResourceSet};

/// Objects of its own.
#[must_use]
pub fn build(platform: &Platform) -> ResourceSet<Prepared> {
    ResourceSet {
        secrets: vec![config::build(platform)],
        stateful_sets: vec![statefulset::build(platform)],
        ..ResourceSet::default()
    }
}
