//! StatefulSet of rag-server: its old pod ends before the new one opens the vector store.

use k8s_openapi::api::apps::v1::StatefulSet;
use lotoai_api::Component;

use crate::components::shared::config::mount;
use crate::components::shared::ours::{Extra, pod};
use crate::components::shared::workload::{self, DATA};
use crate::platform::Platform;

pub(super) fn build(platform: &Platform) -> StatefulSet {
    let extra = Extra {
        mounts: vec![mount(DATA, "/var/lib/rag")],
        ..Extra::default()
    };
    let template = pod(platform, Component::RagServer, extra);
    let storage = &platform.spec.rag.storage;
    workload::stateful_set(platform, Component::RagServer, template, Some(storage))
}
