//! Configuration of ClickHouse: the server's in a ConfigMap, the administrator's in a Secret.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use lotoai_api::{Component, Store};

use super::cluster;
use crate::components::shared::config::{config_map, rendered_secret};
use crate::components::shared::resources::memory_limit_mib;
use crate::credentials::{Credentials, PASSWORD, USERNAME, digest};
use crate::graph::Node;
use crate::platform::Platform;
use crate::rotation::{STANDBY_PASSWORD, STANDBY_USERNAME};
use crate::tls;

/// File of the server's configuration.
pub(super) const SERVER_FILE: &str = "lotoai.xml";

/// HTTPS is the only way in; the certificate is read again when its files change. Three quarters of
/// the memory limit are for queries and merges. The server's diaries of itself cost a small node more
/// than all that we ask of it, and the one of queries, which tells who asked what, would fill the volume.
fn server_xml(memory: u128, client: &str, cluster: &str) -> String {
    let (certificate, key) = (tls::certificate_file(), tls::key_file());
    format!(
        "\
<clickhouse>
  <listen_host>0.0.0.0</listen_host>
  <https_port>8443</https_port>
  <http_port remove=\"1\"/>
  <tcp_port remove=\"1\"/>
  <mysql_port remove=\"1\"/>
  <postgresql_port remove=\"1\"/>
  <interserver_http_port remove=\"1\"/>
  <openSSL>
    <server>
      <certificateFile>{certificate}</certificateFile>
      <privateKeyFile>{key}</privateKeyFile>
      <verificationMode>none</verificationMode>
      <disableProtocols>sslv2,sslv3,tlsv1,tlsv1_1</disableProtocols>
    </server>
{client}  </openSSL>
  <logger>
    <level>warning</level>
    <console>1</console>
  </logger>
  <max_server_memory_usage>{memory}</max_server_memory_usage>
  <mark_cache_size>67108864</mark_cache_size>
  <max_concurrent_queries>32</max_concurrent_queries>
  <asynchronous_metric_log remove=\"1\"/>
  <metric_log remove=\"1\"/>
  <query_metric_log remove=\"1\"/>
  <query_thread_log remove=\"1\"/>
  <query_views_log remove=\"1\"/>
  <processors_profile_log remove=\"1\"/>
  <part_log remove=\"1\"/>
  <trace_log remove=\"1\"/>
  <text_log remove=\"1\"/>
  <latency_log remove=\"1\"/>
  <query_log>
    <ttl>event_date + INTERVAL 14 DAY DELETE</ttl>
  </query_log>
{cluster}</clickhouse>
"
    )
}

pub(super) fn server(platform: &Platform) -> ConfigMap {
    let memory = memory_limit_mib(platform, Component::Clickhouse) * (1 << 20) * 3 / 4;
    let files = [(
        SERVER_FILE,
        server_xml(
            memory,
            &cluster::client_xml(platform),
            &cluster::xml(platform),
        ),
    )];
    config_map(platform, Node::Component(Component::Clickhouse), &files)
}

/// The only users are the administrator and, during a rotation, the one that takes turns with it; the
/// provision Job makes the others. Servers read the file again when it changes.
pub(super) fn users(platform: &Platform, credentials: &Credentials) -> Secret {
    let admin = platform.admin_secret(Store::Clickhouse);
    let mut accounts = [(USERNAME, PASSWORD), (STANDBY_USERNAME, STANDBY_PASSWORD)]
        .map(|(username, password)| (credentials.text(&admin, username), password))
        .to_vec();
    accounts.retain(|(username, _)| !username.is_empty());
    // By name, so that nothing changes for the servers when the two change places.
    accounts.sort_unstable();
    let users: String = accounts
        .into_iter()
        .map(|(username, password)| user(username, credentials.text(&admin, password)))
        .collect();
    let text = format!(
        "\
<clickhouse>
  <users>
    <default remove=\"1\"/>
{users}  </users>
</clickhouse>
"
    );
    rendered_secret(
        platform,
        Node::Component(Component::Clickhouse),
        &[("users.xml", text)],
    )
}

fn user(username: &str, password: &str) -> String {
    let hash = digest(password.as_bytes());
    format!(
        "    <{username}>
      <password_sha256_hex>{hash}</password_sha256_hex>
      <networks>
        <ip>::/0</ip>
      </networks>
      <profile>default</profile>
      <quota>default</quota>
      <access_management>1</access_management>
    </{username}>
"
    )
}
