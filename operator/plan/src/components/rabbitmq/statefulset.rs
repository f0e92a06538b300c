//! StatefulSet of rabbitmq.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Container, EnvVar};
use lotoai_api::{Component, Store};

use super::config::erlang_arguments;
use crate::components::shared::authorities;
use crate::components::shared::config::{
    empty_dir, mount, mount_read_only, rendered_name, secret_volume,
};
use crate::components::shared::pod::{container, set_probes, start_seconds, tcp_probe, template};
use crate::components::shared::workload::{self, DATA};
use crate::credentials::{KEY, PASSWORD, USERNAME};
use crate::env::{field_var, secret_var, var};
use crate::graph::Node;
use crate::platform::Platform;

const UID: i64 = 999;
const START_SECONDS: i32 = 180;

pub(super) fn build(platform: &Platform) -> StatefulSet {
    let node = Node::Component(Component::Rabbitmq);
    let (tls, tls_mount) = authorities::certificate(platform, Component::Rabbitmq);
    let mut mounts = vec![
        mount(DATA, "/var/lib/rabbitmq"),
        mount_read_only("config", "/etc/lotoai"),
        mount_read_only("cookie", "/etc/lotoai-cookie"),
        tls_mount,
        mount("log", "/var/log/rabbitmq"),
        mount("tmp", "/tmp"),
    ];
    let mut volumes = vec![
        secret_volume("config", &rendered_name(platform, node), &[]),
        secret_volume("cookie", &platform.cookie_secret(), &[KEY]),
        tls,
        empty_dir("log", "64Mi"),
        empty_dir("tmp", "64Mi"),
    ];
    if !platform.members(Component::Rabbitmq).is_empty() {
        let (volume, mount) = authorities::of_the_platform(platform);
        volumes.push(volume);
        mounts.push(mount);
    }
    let mut container = Container {
        command: Some(vec!["sh".to_owned(), "/etc/lotoai/start.sh".to_owned()]),
        env: Some(environment(platform)),
        volume_mounts: Some(mounts),
        ..container(platform, node)
    };
    // The port opens when the server is up; `rabbitmq-diagnostics` would start a second Erlang
    // machine every few seconds.
    let probe = tcp_probe(5671);
    let start = start_seconds(platform, Component::Rabbitmq, START_SECONDS);
    set_probes(&mut container, &probe, &probe, start);
    let template = template(platform, node, UID, container, volumes);
    let storage = platform.spec.messaging.rabbitmq.volume();
    workload::stateful_set(platform, Component::Rabbitmq, template, Some(&storage))
}

fn environment(platform: &Platform) -> Vec<EnvVar> {
    let admin = platform.admin_secret(Store::Rabbitmq);
    let mut variables = vec![
        var("HOME", "/var/lib/rabbitmq"),
        var("RABBITMQ_CONFIG_FILE", "/etc/lotoai/rabbitmq.conf"),
        var(
            "RABBITMQ_ENABLED_PLUGINS_FILE",
            "/etc/lotoai/enabled_plugins",
        ),
        var("RABBITMQ_LOGS", "-"),
        // This user is made with a new database, and at no other time.
        secret_var("RABBITMQ_DEFAULT_USER", &admin, USERNAME),
        secret_var("RABBITMQ_DEFAULT_PASS", &admin, PASSWORD),
    ];
    if !platform.members(Component::Rabbitmq).is_empty() {
        let domain = platform.member_domain(Component::Rabbitmq);
        // The name that the others know this server by; its data lie under it.
        variables.extend([
            field_var("POD_NAME", "metadata.name"),
            var("RABBITMQ_USE_LONGNAME", "true"),
            var("RABBITMQ_NODENAME", format!("rabbit@$(POD_NAME).{domain}")),
            // What servers say to each other is encrypted, and what tools in the pod say to theirs.
            var("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", erlang_arguments()),
            var("RABBITMQ_CTL_ERL_ARGS", erlang_arguments()),
        ]);
    }
    variables
}
