//! Deployment of the gateway.

use k8s_openapi::api::apps::v1::Deployment;
use lotoai_api::Component;

use super::config;
use crate::components::shared::config::{config_map_volume, mount_read_only};
use crate::components::shared::ours::{Extra, pod};
use crate::components::shared::workload;
use crate::credentials::{KEY, TOKEN};
use crate::env::{STANDBY, is_made_anew, secret_var, upload_limit, usage_retention, var};
use crate::graph::Node;
use crate::platform::Platform;
use crate::rotation::{STANDBY_KEY, STANDBY_TOKEN};

pub(super) fn build(platform: &Platform) -> Deployment {
    let sessions = platform.session_secret();
    let mut env = vec![
        var("PUBLIC_URL", &platform.url.url),
        secret_var("SESSION_KEY", &sessions, KEY),
    ];
    if is_made_anew(platform, &sessions) {
        let name = format!("SESSION_KEY{STANDBY}");
        env.push(secret_var(&name, &sessions, STANDBY_KEY));
    }
    if platform.topology.probe_has_token() {
        let secret = platform.edge_secret(Node::Operator, Component::Traefik);
        env.push(secret_var("PROBE_TOKEN", &secret, TOKEN));
        if is_made_anew(platform, &secret) {
            let name = format!("PROBE_TOKEN{STANDBY}");
            env.push(secret_var(&name, &secret, STANDBY_TOKEN));
        }
    }
    env.extend(upload_limit(platform, "UPLOAD_MAX_BYTES"));
    let days = platform.spec.gateway.conversation_retention_days;
    env.extend(days.map(|days| var("CONVERSATION_RETENTION_DAYS", days.to_string())));
    env.extend(usage_retention(platform));
    let limits = platform.spec.gateway.sessions;
    env.extend(limits.into_iter().flat_map(|limits| {
        [
            var("SESSION_IDLE_SECONDS", limits.idle_seconds.to_string()),
            var("SESSION_MAX_SECONDS", limits.max_seconds.to_string()),
        ]
    }));
    let mut extra = Extra {
        env,
        ..Extra::default()
    };
    if let Some(file) = config::file(platform) {
        extra.env.push(var("BUDGETS_FILE", file));
        let node = Node::Component(Component::Gateway);
        extra.volumes.push(config_map_volume(platform, node));
        extra
            .mounts
            .push(mount_read_only("config", config::DIRECTORY));
    }
    workload::deployment(
        platform,
        Component::Gateway,
        pod(platform, Component::Gateway, extra),
    )
}
