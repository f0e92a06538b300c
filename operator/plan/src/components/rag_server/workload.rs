//! What runs rag-server, by where its vectors are.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use lotoai_api::Component;

use crate::components::qdrant;
use crate::components::shared::config::mount;
use crate::components::shared::ours::{Extra, pod};
use crate::components::shared::workload::{self, DATA};
use crate::env::var;
use crate::platform::Platform;

/// StatefulSet: its old pod ends before the new one opens the vector store.
pub(super) fn embedded(platform: &Platform) -> StatefulSet {
    let extra = Extra {
        mounts: vec![mount(DATA, "/var/lib/rag")],
        ..Extra::default()
    };
    let template = pod(platform, Component::RagServer, extra);
    let storage = platform.spec.rag.volume();
    workload::stateful_set(platform, Component::RagServer, template, Some(&storage))
}

/// Deployment: whatever it keeps is in Qdrant.
pub(super) fn with_qdrant(platform: &Platform) -> Deployment {
    let layout = qdrant::layout(platform);
    let extra = Extra {
        env: vec![
            var(
                "QDRANT_REPLICATION_FACTOR",
                layout.replication_factor.to_string(),
            ),
            var("QDRANT_SHARDS", layout.shards.to_string()),
        ],
        ..Extra::default()
    };
    let template = pod(platform, Component::RagServer, extra);
    workload::deployment(platform, Component::RagServer, template)
}
