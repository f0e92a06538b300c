//! postgres: conversations, decisions and identity.

mod config;
mod statefulset;

pub(crate) use config::Sizes;

use crate::platform::Platform;
use crate::resources::{Prepared, ResourceSet};

/// Objects of its own.
#[must_use]
pub fn build(platform: &Platform) -> ResourceSet<Prepared> {
    ResourceSet {
        config_maps: vec![config::build(platform)],
        stateful_sets: vec![statefulset::build(platform)],
        ..ResourceSet::default()
    }
}
