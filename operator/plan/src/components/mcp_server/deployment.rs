//! Deployment of mcp-server.

use k8s_openapi::api::apps::v1::Deployment;
use lotoai_api::Component;

use crate::components::shared::config::{config_map_volume, mount_read_only};
use crate::components::shared::ours::{Extra, pod};
use crate::components::shared::workload;
use crate::graph::Node;
use crate::platform::Platform;

pub(super) fn build(platform: &Platform) -> Deployment {
    let extra = Extra {
        volumes: vec![config_map_volume(
            platform,
            Node::Component(Component::McpServer),
        )],
        mounts: vec![mount_read_only("config", "/etc/lotoai")],
        ..Extra::default()
    };
    workload::deployment(
        platform,
        Component::McpServer,
        pod(platform, Component::McpServer, extra),
    )
}
