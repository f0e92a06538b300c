//! Deployment of traefik.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Container;
use lotoai_api::Component;

use crate::components::shared::authorities;
use crate::components::shared::config::{
    config_map_volume, empty_dir, mount, mount_read_only, secret_volume,
};
use crate::components::shared::pod::{admin_port, container, http_probe, set_probes, template};
use crate::components::shared::workload;
use crate::graph::{Node, TRAEFIK_ADMIN_PORT};
use crate::platform::Platform;

const UID: i64 = 65532;
const START_SECONDS: i32 = 60;

pub(super) fn build(platform: &Platform) -> Deployment {
    let node = Node::Component(Component::Traefik);
    let mut volumes = vec![
        config_map_volume(platform, node),
        secret_volume("tls", &platform.tls_secret(), &["tls.crt", "tls.key"]),
        empty_dir("tmp", "64Mi"),
    ];
    let mut mounts = vec![
        mount_read_only("config", "/etc/traefik"),
        mount_read_only("tls", "/etc/traefik-tls"),
        mount("tmp", "/tmp"),
    ];
    for (volume, mount) in authorities::volumes(platform, node) {
        volumes.push(volume);
        mounts.push(mount);
    }
    let mut container = Container {
        command: Some(
            ["traefik", "--configFile=/etc/traefik/traefik.yaml"]
                .map(str::to_owned)
                .to_vec(),
        ),
        volume_mounts: Some(mounts),
        ..container(platform, node)
    };
    let ports = container.ports.get_or_insert_default();
    ports.push(admin_port(TRAEFIK_ADMIN_PORT));
    let probe = http_probe("/ping", TRAEFIK_ADMIN_PORT);
    set_probes(&mut container, &probe, &probe, START_SECONDS);
    let template = template(platform, node, UID, container, volumes);
    workload::deployment(platform, Component::Traefik, template)
}
