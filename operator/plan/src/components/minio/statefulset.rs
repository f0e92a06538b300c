//! StatefulSet of minio.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Container;
use lotoai_api::{Component, Store};

use crate::components::shared::authorities::{self, certificate_as};
use crate::components::shared::config::{empty_dir, mount};
use crate::components::shared::pod::{container, https_probe, set_probes, template};
use crate::components::shared::workload::{self, DATA};
use crate::credentials::{PASSWORD, USERNAME};
use crate::env::{REGION, secret_var, var};
use crate::graph::Node;
use crate::platform::Platform;
use crate::tls::{self, OWN};

const UID: i64 = 1000;
const START_SECONDS: i32 = 120;
/// How long a server goes on calling another one at the address that it had. A server that was lost comes
/// back under a new one, and MinIO's own 30 s are as long as nothing is written once the next one is
/// lost, with all of them running.
const ADDRESS_TTL: &str = "5s";

pub(super) fn build(platform: &Platform) -> StatefulSet {
    let node = Node::Component(Component::Minio);
    let admin = platform.admin_secret(Store::S3);
    let mut volumes = vec![empty_dir("tmp", "256Mi")];
    let mut mounts = vec![mount(DATA, "/data"), mount("tmp", "/tmp")];
    let own = certificate_as(platform, Component::Minio, ["public.crt", "private.key"]);
    for (volume, mount) in authorities::volumes(platform, node).chain([own]) {
        volumes.push(volume);
        mounts.push(mount);
    }
    let mut env = vec![
        // Where it looks for its own configuration; the root file system is read-only.
        var("HOME", "/tmp"),
        // The console would listen on a port of its own choice.
        var("MINIO_BROWSER", "off"),
        var("MINIO_REGION", REGION),
        // Whom it trusts when its servers call each other.
        var("SSL_CERT_FILE", tls::bundle_file()),
        secret_var("MINIO_ROOT_USER", &admin, USERNAME),
        secret_var("MINIO_ROOT_PASSWORD", &admin, PASSWORD),
    ];
    // One alone calls nobody.
    if !platform.members(Component::Minio).is_empty() {
        env.push(var("MINIO_DNS_CACHE_TTL", ADDRESS_TTL));
    }
    let mut container = Container {
        command: Some(vec![
            "minio".to_owned(),
            "server".to_owned(),
            format!("--certs-dir={OWN}"),
            drives(platform),
        ]),
        env: Some(env),
        volume_mounts: Some(mounts),
        ..container(platform, node)
    };
    let live = https_probe("/minio/health/live", 9000);
    let ready = https_probe("/minio/health/ready", 9000);
    set_probes(&mut container, &live, &ready, START_SECONDS);
    let template = template(platform, node, UID, container, volumes);
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
    format!("https://{name}-{{0...{last}}}.{domain}:9000/data")
}
