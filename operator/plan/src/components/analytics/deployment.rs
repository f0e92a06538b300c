//! Deployment of analytics.

use k8s_openapi::api::apps::v1::Deployment;
use lotoai_api::Component;

use crate::components::shared::ours::{Extra, pod};
use crate::components::shared::workload;
use crate::env::usage_retention;
use crate::platform::Platform;

pub(super) fn build(platform: &Platform) -> Deployment {
    let extra = Extra {
        env: usage_retention(platform).into_iter().collect(),
        ..Extra::default()
    };
    let template = pod(platform, Component::Analytics, extra);
    workload::deployment(platform, Component::Analytics, template)
}
