//! StatefulSet of minio.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Container;
use lotoai_api::{Component, Store};

use crate::components::shared::config::{empty_dir, mount};
use crate::components::shared::pod::{container, http_probe, set_probes, template};
use crate::components::shared::workload::{self, DATA};
use crate::credentials::{PASSWORD, USERNAME};
use crate::env::{REGION, secret_var, var};
use crate::graph::Node;
use crate::platform::Platform;

const UID: i64 = 1000;
const START_SECONDS: i32 = 120;

pub(super) fn build(platform: &Platform) -> StatefulSet {
    let node = Node::Component(Component::Minio);
    let admin = platform.admin_secret(Store::S3);
    let mut container = Container {
        command: Some(vec![
            "minio".to_owned(),
            "server".to_owned(),
            drives(platform),
        ]),
        env: Some(vec![
            // Where it looks for its own configuration; the root file system is read-only.
            var("HOME", "/tmp"),
            // The console would listen on a port of its own choice.
            var("MINIO_BROWSER", "off"),
            var("MINIO_REGION", REGION),
            secret_var("MINIO_ROOT_USER", &admin, USERNAME),
            secret_var("MINIO_ROOT_PASSWORD", &admin, PASSWORD),
        ]),
        volume_mounts: Some(vec![mount(DATA, "/data"), mount("tmp", "/tmp")]),
        ..container(platform, node)
    };
    let live = http_probe("/minio/health/live", 9000);
    let ready = http_probe("/minio/health/ready", 9000);
    set_probes(&mut container, &live, &ready, START_SECONDS);
    let template = template(
        platform,
        node,
        UID,
        container,
        vec![empty_dir("tmp", "256Mi")],
    );
    let storage = platform.spec.data.object_storage.volume();
    workload::stateful_set(platform, Component::Minio, template, Some(&storage))
}

/// The drive of one server, or of all of them: each spreads every object over them.
fn drives(platform: &Platform) -> String {
    let count = platform.members(Component::Minio).len();
    if count == 0 {
        return "/data".to_owned();
    }
    let name = platform.component_name(Component::Minio);
    let domain = platform.member_domain(Component::Minio);
    let last = count - 1;
    format!("http://{name}-{{0...{last}}}.{domain}:9000/data")
}
