//! qdrant: passages and their vectors, when rag-server does not keep them itself.

mod statefulset;

use lotoai_api::Component;

use crate::platform::Platform;
use crate::resources::{Prepared, ResourceSet};

/// Objects of its own.
#[must_use]
pub fn build(platform: &Platform) -> ResourceSet<Prepared> {
    ResourceSet {
        stateful_sets: vec![statefulset::build(platform)],
        ..ResourceSet::default()
    }
}

/// How a collection is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// On how many peers each point lies.
    pub replication_factor: i32,
    /// How many parts points are divided into.
    pub shards: i32,
}

/// The layout of the platform's collection. In a cluster of ours every peer has everything: any one
/// may be lost, and the collection of a company fits a peer many times.
#[must_use]
pub fn layout(platform: &Platform) -> Layout {
    match &platform.spec.rag.vector_store.external {
        Some(external) => Layout {
            replication_factor: external.replication_factor,
            shards: external.shards,
        },
        None => Layout {
            replication_factor: platform.scale(Component::Qdrant).least(),
            shards: 1,
        },
    }
}
