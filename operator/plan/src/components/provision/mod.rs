//! Provision Jobs: users, databases, queues, buckets and clients, in each store. A Job's name ends
//! in a digest of its inputs, so a changed input makes a new Job and the old one is pruned.

mod config;
mod job;

use lotoai_api::Store;

use crate::platform::Platform;
use crate::resources::{Prepared, ResourceSet};

/// Objects of one store's Job.
#[must_use]
pub fn build(platform: &Platform, store: Store) -> ResourceSet<Prepared> {
    ResourceSet {
        config_maps: vec![config::build(platform, store)],
        jobs: vec![job::build(platform, store)],
        ..ResourceSet::default()
    }
}
