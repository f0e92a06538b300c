//! Deployment of rag-ingest.

use k8s_openapi::api::apps::v1::Deployment;
use lotoai_api::Component;

use crate::components::shared::ours::{Extra, pod};
use crate::components::shared::workload;
use crate::env::{upload_limit, var};
use crate::platform::Platform;

pub(super) fn build(platform: &Platform) -> Deployment {
    let chunk = &platform.spec.rag.chunk;
    let mut env = vec![
        var("CHUNK_MAX_CHARACTERS", chunk.max_characters.to_string()),
        var(
            "CHUNK_OVERLAP_CHARACTERS",
            chunk.overlap_characters.to_string(),
        ),
    ];
    env.extend(upload_limit(platform, "MAX_DOCUMENT_BYTES"));
    let extra = Extra {
        env,
        ..Extra::default()
    };
    let template = pod(platform, Component::RagIngest, extra);
    let mut deployment = workload::deployment(platform, Component::RagIngest, template);
    if let Some(spec) = &mut deployment.spec {
        // Two consumers at once could do "deleted" before "uploaded" of one document.
        spec.strategy = Some(workload::recreate());
    }
    deployment
}
