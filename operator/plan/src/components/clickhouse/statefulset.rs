//! StatefulSet of clickhouse.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Container, VolumeMount};
use lotoai_api::Component;

use super::cluster;
use super::config::SERVER_FILE;
use crate::components::shared::authorities;
use crate::components::shared::config::{
    config_map_volume, empty_dir, mount, mount_read_only, rendered_name, secret_volume,
};
use crate::components::shared::pod::{container, https_probe, set_probes, start_seconds, template};
use crate::components::shared::workload::{self, DATA};
use crate::env::var;
use crate::graph::Node;
use crate::platform::Platform;

const UID: i64 = 101;
const START_SECONDS: i32 = 180;

pub(super) fn build(platform: &Platform) -> StatefulSet {
    let node = Node::Component(Component::Clickhouse);
    let (tls, tls_mount) = authorities::certificate(platform, Component::Clickhouse);
    // Or the entry point would write a user into the directory that we mount read-only.
    let mut environment = vec![var("CLICKHOUSE_SKIP_USER_SETUP", "1")];
    environment.extend(cluster::environment(platform));
    let mut mounts = vec![
        mount(DATA, "/var/lib/clickhouse"),
        VolumeMount {
            // One file: the image keeps files of its own beside it.
            sub_path: Some(SERVER_FILE.to_owned()),
            ..mount_read_only("config", "/etc/clickhouse-server/config.d/lotoai.xml")
        },
        mount_read_only("users", "/etc/clickhouse-server/users.d"),
        tls_mount,
        mount("log", "/var/log/clickhouse-server"),
        mount("tmp", "/tmp"),
    ];
    let mut volumes = vec![
        config_map_volume(platform, node),
        secret_volume("users", &rendered_name(platform, node), &[]),
        tls,
        empty_dir("log", "256Mi"),
        empty_dir("tmp", "256Mi"),
    ];
    if !platform.members(Component::Clickhouse).is_empty() {
        let (volume, mount) = authorities::of_the_platform(platform);
        volumes.push(volume);
        mounts.push(mount);
    }
    let mut container = Container {
        env: Some(environment),
        volume_mounts: Some(mounts),
        ..container(platform, node)
    };
    let probe = https_probe("/ping", 8443);
    let start = start_seconds(platform, Component::Clickhouse, START_SECONDS);
    set_probes(&mut container, &probe, &probe, start);
    let template = template(platform, node, UID, container, volumes);
    let storage = platform.spec.data.clickhouse.volume();
    workload::stateful_set(platform, Component::Clickhouse, template, Some(&storage))
}
