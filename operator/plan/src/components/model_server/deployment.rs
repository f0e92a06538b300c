//! Deployment of model-server.

use k8s_openapi::api::apps::v1::Deployment;
use lotoai_api::Component;

use crate::components::shared::ours::{Extra, pod};
use crate::components::shared::workload;
use crate::platform::Platform;

pub(super) fn build(platform: &Platform) -> Deployment {
    let template = pod(platform, Component::ModelServer, Extra::default());
    workload::deployment(platform, Component::ModelServer, template)
}
