//! Several servers of ClickHouse: each has all rows, and a Keeper of its own inside, which agrees
//! with the others on what was written. It was that or three more pods with three more volumes.

use std::fmt::Write as _;

use k8s_openapi::api::core::v1::EnvVar;
use lotoai_api::Component;

use crate::credentials::KEY;
use crate::env::{field_var, secret_var, var};
use crate::platform::Platform;
use crate::tls;

/// Name of the cluster in `ON CLUSTER`.
pub const CLUSTER: &str = "lotoai";

/// Ids of Keepers are these digits and the number of the pod: an id is never 0.
const KEEPER_ID: &str = "1";
/// Label that every pod of a StatefulSet has with its number.
const POD_INDEX: &str = "metadata.labels['apps.kubernetes.io/pod-index']";

/// The part of the server's configuration that makes it one of several; empty for one server.
///
/// Users are kept in Keeper too, so that a server that begins anew has them. Port 9000 is a name only:
/// by it a server knows itself in the list, and nobody listens there.
pub(super) fn xml(platform: &Platform) -> String {
    let members = platform.members(Component::Clickhouse);
    if members.is_empty() {
        return String::new();
    }
    let (mut raft, mut keepers, mut replicas) = (String::new(), String::new(), String::new());
    for (number, host) in members.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(
            raft,
            "
      <server>
        <id>{KEEPER_ID}{number}</id>
        <hostname>{host}</hostname>
        <port>9234</port>
      </server>"
        );
        let _ = write!(
            keepers,
            "
    <node>
      <host>{host}</host>
      <port>9281</port>
      <secure>1</secure>
    </node>"
        );
        let _ = write!(
            replicas,
            "
        <replica>
          <host>{host}</host>
          <port>9000</port>
        </replica>"
        );
    }
    format!(
        "  <keeper_server>
    <tcp_port_secure>9281</tcp_port_secure>
    <server_id from_env=\"KEEPER_SERVER_ID\"/>
    <log_storage_path>/var/lib/clickhouse/coordination/log</log_storage_path>
    <snapshot_storage_path>/var/lib/clickhouse/coordination/snapshots</snapshot_storage_path>
    <coordination_settings>
      <operation_timeout_ms>10000</operation_timeout_ms>
      <session_timeout_ms>30000</session_timeout_ms>
      <raft_logs_level>warning</raft_logs_level>
    </coordination_settings>
    <raft_configuration>
      <secure>true</secure>{raft}
    </raft_configuration>
  </keeper_server>
  <zookeeper>{keepers}
  </zookeeper>
  <remote_servers replace=\"replace\">
    <{CLUSTER}>
      <shard>
        <internal_replication>true</internal_replication>{replicas}
      </shard>
    </{CLUSTER}>
  </remote_servers>
  <macros>
    <cluster>{CLUSTER}</cluster>
    <shard>1</shard>
    <replica from_env=\"POD_NAME\"/>
  </macros>
  <distributed_ddl>
    <path>/clickhouse/task_queue/ddl</path>
  </distributed_ddl>
  <interserver_http_host from_env=\"INTERSERVER_HOST\"/>
  <interserver_https_port>9010</interserver_https_port>
  <interserver_http_credentials>
    <user>replica</user>
    <password from_env=\"INTERSERVER_PASSWORD\"/>
  </interserver_http_credentials>
  <user_directories replace=\"replace\">
    <users_xml>
      <path>users.xml</path>
    </users_xml>
    <replicated>
      <zookeeper_path>/clickhouse/access</zookeeper_path>
    </replicated>
  </user_directories>
"
    )
}

/// Whom a server trusts when it calls another one, inside of the configuration of TLS; empty for one
/// server, which calls nobody.
pub(super) fn client_xml(platform: &Platform) -> String {
    if platform.members(Component::Clickhouse).is_empty() {
        return String::new();
    }
    let authorities = tls::bundle_file();
    format!(
        "    <client>
      <caConfig>{authorities}</caConfig>
      <loadDefaultCAFile>false</loadDefaultCAFile>
      <verificationMode>strict</verificationMode>
      <disableProtocols>sslv2,sslv3,tlsv1,tlsv1_1</disableProtocols>
      <invalidCertificateHandler>
        <name>RejectCertificateHandler</name>
      </invalidCertificateHandler>
    </client>
"
    )
}

/// What a server is told about itself; nothing when it is the only one.
pub(super) fn environment(platform: &Platform) -> Vec<EnvVar> {
    if platform.members(Component::Clickhouse).is_empty() {
        return Vec::new();
    }
    let domain = platform.member_domain(Component::Clickhouse);
    vec![
        field_var("POD_NAME", "metadata.name"),
        field_var("POD_INDEX", POD_INDEX),
        var("KEEPER_SERVER_ID", format!("{KEEPER_ID}$(POD_INDEX)")),
        var("INTERSERVER_HOST", format!("$(POD_NAME).{domain}")),
        secret_var("INTERSERVER_PASSWORD", &platform.replication_secret(), KEY),
    ]
}
