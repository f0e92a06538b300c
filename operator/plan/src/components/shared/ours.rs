//! Pods of our own workloads: all alike but for their edges and a few variables.

use k8s_openapi::api::core::v1::{Container, EnvVar, PodTemplateSpec, Volume, VolumeMount};
use lotoai_api::Component;

use super::authorities;
use super::config::{empty_dir, mount};
use super::pod::{admin_port, container, http_probe, set_probes, template};
use crate::env;
use crate::graph::{ADMIN_PORT, Node};
use crate::platform::Platform;
use crate::tls;

/// User of all our images.
pub const UID: i64 = 65532;
/// A workload waits this long for what it needs before its process is restarted.
const START_SECONDS: i32 = 120;

/// What one of our workloads needs beside its edges.
#[derive(Debug, Default)]
pub struct Extra {
    /// Further variables.
    pub env: Vec<EnvVar>,
    /// Further volumes.
    pub volumes: Vec<Volume>,
    /// Where they and the data volume are mounted.
    pub mounts: Vec<VolumeMount>,
}

/// Pod of one of our workloads.
#[must_use]
pub fn pod(platform: &Platform, component: Component, extra: Extra) -> PodTemplateSpec {
    let node = Node::Component(component);
    let mut variables = env::common(platform);
    variables.extend(env::from_edges(platform, node));
    variables.extend(env::callers(platform, component));
    variables.extend(extra.env);
    let mut mounts = extra.mounts;
    mounts.push(mount("tmp", "/tmp"));
    let mut volumes = extra.volumes;
    volumes.push(empty_dir("tmp", "512Mi"));
    let own = tls::serves(component).then(|| authorities::certificate(platform, component));
    if own.is_some() {
        variables.extend(env::certificate());
    }
    for (volume, mount) in authorities::volumes(platform, node).chain(own) {
        volumes.push(volume);
        mounts.push(mount);
    }
    let mut container = Container {
        env: Some(variables),
        volume_mounts: Some(mounts),
        ..container(platform, node)
    };
    let ports = container.ports.get_or_insert_default();
    ports.push(admin_port(ADMIN_PORT));
    let live = http_probe("/healthz", ADMIN_PORT);
    let ready = http_probe("/readyz", ADMIN_PORT);
    set_probes(&mut container, &live, &ready, START_SECONDS);
    template(platform, node, UID, container, volumes)
}
