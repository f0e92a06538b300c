//! StatefulSet of postgres.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Container, ExecAction, Lifecycle, LifecycleHandler};
use lotoai_api::{Component, Store};

use crate::components::shared::authorities;
use crate::components::shared::config::{
    config_map_volume, empty_dir, mount, mount_read_only, secret_volume,
};
use crate::components::shared::pod::{container, exec_probe, set_probes, template};
use crate::components::shared::workload::{self, DATA};
use crate::credentials::PASSWORD;
use crate::graph::Node;
use crate::platform::Platform;

const UID: i64 = 999;
/// Recovery after a crash replays at most `max_wal_size`.
const START_SECONDS: i32 = 300;

pub(super) fn build(platform: &Platform) -> StatefulSet {
    let node = Node::Component(Component::Postgres);
    let (tls, tls_mount) = authorities::certificate(platform, Component::Postgres);
    let mut container = Container {
        command: Some(vec!["sh".to_owned(), "/etc/lotoai/start.sh".to_owned()]),
        volume_mounts: Some(vec![
            mount(DATA, "/var/lib/postgresql"),
            mount_read_only("config", "/etc/lotoai"),
            mount_read_only("admin", "/etc/lotoai-admin"),
            tls_mount,
            mount("run", "/var/run/postgresql"),
            mount("tmp", "/tmp"),
        ]),
        // SIGTERM alone would wait for every client to leave; SIGINT ends their sessions and
        // shuts down cleanly, so that the next start need not recover.
        lifecycle: Some(Lifecycle {
            pre_stop: Some(LifecycleHandler {
                exec: Some(ExecAction {
                    command: Some(["sh", "-c", "kill -INT 1"].map(str::to_owned).to_vec()),
                }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        ..container(platform, node)
    };
    let probe = exec_probe(&["pg_isready", "-q", "-h", "127.0.0.1", "-p", "5432"]);
    set_probes(&mut container, &probe, &probe, START_SECONDS);
    let admin = platform.admin_secret(Store::Postgres);
    let volumes = vec![
        config_map_volume(platform, node),
        secret_volume("admin", &admin, &[PASSWORD]),
        tls,
        empty_dir("run", "16Mi"),
        empty_dir("tmp", "256Mi"),
    ];
    let template = template(platform, node, UID, container, volumes);
    let storage = platform.spec.data.postgres.volume();
    workload::stateful_set(platform, Component::Postgres, template, Some(&storage))
}
