//! Deployment of agents.

use k8s_openapi::api::apps::v1::Deployment;
use lotoai_api::Component;

use super::config::key_variable;
use crate::components::shared::config::{config_map_volume, mount_read_only};
use crate::components::shared::ours::{Extra, pod};
use crate::components::shared::workload;
use crate::env::secret_var;
use crate::graph::Node;
use crate::platform::Platform;

pub(super) fn build(platform: &Platform) -> Deployment {
    let keys = platform
        .spec
        .agents
        .providers
        .iter()
        .filter_map(|provider| {
            let reference = provider.api_key_secret_ref.as_ref()?;
            Some(secret_var(
                &key_variable(provider),
                &reference.name,
                &reference.key,
            ))
        });
    let extra = Extra {
        env: keys.collect(),
        volumes: vec![config_map_volume(
            platform,
            Node::Component(Component::Agents),
        )],
        mounts: vec![mount_read_only("config", "/etc/lotoai")],
    };
    workload::deployment(
        platform,
        Component::Agents,
        pod(platform, Component::Agents, extra),
    )
}
