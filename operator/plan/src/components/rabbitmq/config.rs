//! Configuration of RabbitMQ. It is a Secret although nothing in it is one: pods of earlier versions
//! look for it there.

use k8s_openapi::api::core::v1::Secret;
use lotoai_api::Component;

use crate::components::shared::config::rendered_secret;
use crate::components::shared::resources::memory_limit_mib;
use crate::graph::Node;
use crate::platform::Platform;
use crate::tls;

/// An absolute watermark: the server would take a share of the node's memory, not of its limit. A
/// consumer may keep a message for a day, as it does while its store is away: after half an hour, which is
/// the default, the message would come back beside itself, and after some rounds go to the dead-letter queue.
fn rabbitmq_conf(platform: &Platform) -> String {
    let watermark = memory_limit_mib(platform, Component::Rabbitmq) * 5 / 8;
    let cluster = cluster_conf(platform);
    let (certificate, key) = (tls::certificate_file(), tls::key_file());
    format!(
        "\
listeners.tcp = none
listeners.ssl.default = 5671
ssl_options.certfile = {certificate}
ssl_options.keyfile = {key}
ssl_options.verify = verify_none
ssl_options.fail_if_no_peer_cert = false
ssl_options.versions.1 = tlsv1.3
ssl_options.versions.2 = tlsv1.2
management.ssl.port = 15671
management.ssl.certfile = {certificate}
management.ssl.keyfile = {key}
management.ssl.versions.1 = tlsv1.3
management.ssl.versions.2 = tlsv1.2
vm_memory_high_watermark.absolute = {watermark}MiB
disk_free_limit.absolute = 200MB
consumer_timeout = 86400000
log.console = true
log.console.level = warning
log.file = false
{cluster}"
    )
}

/// Every server knows all of them by name, and waits for another as long as it takes: one that gave
/// up would go on alone, as a second cluster. Queues may be declared before the last server has
/// joined, so they grow to it later.
fn cluster_conf(platform: &Platform) -> String {
    let members = platform.members(Component::Rabbitmq);
    if members.is_empty() {
        return String::new();
    }
    let nodes: String = members
        .iter()
        .zip(1..)
        .map(|(host, number)| {
            format!("cluster_formation.classic_config.nodes.{number} = rabbit@{host}\n")
        })
        .collect();
    format!(
        "\
cluster_formation.peer_discovery_backend = rabbit_peer_discovery_classic_config
cluster_formation.discovery_retry_limit = infinity
cluster_formation.discovery_retry_interval = 1000
{nodes}\
quorum_queue.continuous_membership_reconciliation.enabled = true
quorum_queue.continuous_membership_reconciliation.target_group_size = {count}
quorum_queue.continuous_membership_reconciliation.auto_remove = false
",
        count = members.len()
    )
}

/// How the servers of a cluster, and the tools in their pods, speak to each other: who calls checks
/// the certificate and the name of the server, and proves itself by the cookie, inside.
fn between_servers() -> String {
    let (certificate, key) = (tls::certificate_file(), tls::key_file());
    let authorities = tls::bundle_file();
    format!(
        "\
[
  {{server, [
    {{certfile, \"{certificate}\"}},
    {{keyfile, \"{key}\"}},
    {{verify, verify_none}}
  ]}},
  {{client, [
    {{cacertfile, \"{authorities}\"}},
    {{verify, verify_peer}}
  ]}}
].
"
    )
}

/// Arguments of the Erlang machine of a server and of each of its tools.
pub(super) fn erlang_arguments() -> String {
    format!("-proto_dist inet_tls -ssl_dist_optfile /etc/lotoai/{BETWEEN_SERVERS}")
}

const BETWEEN_SERVERS: &str = "inter_node_tls.config";

/// The cookie's file must be the user's alone, which no mounted file can be: so it is copied.
/// Erlang sets memory aside for every file that it may open, and some runtimes allow a thousand
/// million of them.
const START_SH: &str = "\
set -eu
ulimit -n 65536 2>/dev/null || true
umask 077
rm -f \"$HOME/.erlang.cookie\"
cp /etc/lotoai-cookie/key \"$HOME/.erlang.cookie\"
chmod 400 \"$HOME/.erlang.cookie\"
exec rabbitmq-server
";

pub(super) fn build(platform: &Platform) -> Secret {
    let conf = rabbitmq_conf(platform);
    let mut files = vec![
        (
            "enabled_plugins",
            "[rabbitmq_management,rabbitmq_prometheus].\n".to_owned(),
        ),
        ("rabbitmq.conf", conf),
        ("start.sh", START_SH.to_owned()),
    ];
    if !platform.members(Component::Rabbitmq).is_empty() {
        files.push((BETWEEN_SERVERS, between_servers()));
    }
    rendered_secret(platform, Node::Component(Component::Rabbitmq), &files)
}
