//! rag-server: the only owner of the vector store.

mod workload;

use crate::components::{WorkloadKind, workload_kind};
use crate::platform::Platform;
use crate::resources::{Prepared, ResourceSet};
use lotoai_api::Component;

/// Objects of its own.
#[must_use]
pub fn build(platform: &Platform) -> ResourceSet<Prepared> {
    match workload_kind(platform, Component::RagServer) {
        WorkloadKind::StatefulSet => ResourceSet {
            stateful_sets: vec![workload::embedded(platform)],
            ..ResourceSet::default()
        },
        WorkloadKind::Deployment => ResourceSet {
            deployments: vec![workload::with_qdrant(platform)],
            ..ResourceSet::default()
        },
    }
}
