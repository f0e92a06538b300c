//! Deployment of the gateway.

use k8s_openapi::api::apps::v1::Deployment;
use lotoai_api::Component;

use crate::components::shared::ours::{Extra, pod};
use crate::components::shared::workload;
use crate::credentials::{KEY, TOKEN};
use crate::env::{secret_var, upload_limit, var};
use crate::graph::Node;
use crate::platform::Platform;

pub(super) fn build(platform: &Platform) -> Deployment {
    let mut env = vec![
        var("PUBLIC_URL", &platform.url.url),
        secret_var("SESSION_KEY", &platform.session_secret(), KEY),
    ];
    if platform.topology.probe_has_token() {
        let secret = platform.edge_secret(Node::Operator, Component::Traefik);
        env.push(secret_var("PROBE_TOKEN", &secret, TOKEN));
    }
    env.extend(upload_limit(platform, "UPLOAD_MAX_BYTES"));
    let extra = Extra {
        env,
        ..Extra::default()
    };
    workload::deployment(
        platform,
        Component::Gateway,
        pod(platform, Component::Gateway, extra),
    )
}
