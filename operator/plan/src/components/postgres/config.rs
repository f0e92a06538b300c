//! Configuration of PostgreSQL, and the script that starts it.

use k8s_openapi::api::core::v1::ConfigMap;
use lotoai_api::Component;

use crate::components::shared::config::config_map;
use crate::components::shared::resources::memory_limit_mib;
use crate::graph::Node;
use crate::platform::Platform;
use crate::tls;

/// Connections for provision Jobs, people and the server itself.
const SPARE_CONNECTIONS: i32 = 30;
/// More than a pod of gateway, orchestrator or Keycloak holds, so that one more may start while a
/// new version rolls out.
const CONNECTIONS_PER_POD: i32 = 10;

/// What follows from the memory limit and from the number of clients: a fifth of the limit is for
/// buffers, the rest for connections.
pub(crate) struct Sizes {
    /// Connections at once.
    pub(crate) connections: i32,
    /// Shared buffers in MiB.
    pub(crate) buffers: u128,
    /// Memory of maintenance in MiB.
    pub(crate) maintenance: u128,
}

impl Sizes {
    pub(crate) fn of(platform: &Platform) -> Self {
        let memory = memory_limit_mib(platform, Component::Postgres);
        let clients = [
            Component::Gateway,
            Component::Orchestrator,
            Component::Keycloak,
        ];
        let pods: i32 = clients
            .into_iter()
            .filter(|client| platform.topology.has(Node::Component(*client)))
            .map(|client| platform.scale(client).most())
            .sum();
        Self {
            connections: SPARE_CONNECTIONS + CONNECTIONS_PER_POD * pods,
            buffers: memory * 3 / 16,
            maintenance: memory * 3 / 32,
        }
    }
}

fn postgresql_conf(platform: &Platform) -> String {
    let Sizes {
        connections,
        buffers,
        maintenance,
    } = Sizes::of(platform);
    let (certificate, key) = (tls::certificate_file(), tls::key_file());
    format!(
        "\
listen_addresses = '*'
port = 5432
unix_socket_directories = '/var/run/postgresql'
hba_file = '/etc/lotoai/pg_hba.conf'
max_connections = {connections}
shared_buffers = {buffers}MB
work_mem = 4MB
maintenance_work_mem = {maintenance}MB
max_wal_size = 512MB
password_encryption = scram-sha-256
ssl = on
ssl_cert_file = '{certificate}'
ssl_key_file = '{key}'
ssl_min_protocol_version = 'TLSv1.2'
logging_collector = off
log_destination = stderr
log_line_prefix = '%m [%p] %u@%d '
log_timezone = UTC
timezone = UTC
"
    )
}

const PG_HBA_CONF: &str = "\
# Everybody proves a password, whatever the way in; over the network there is no way in without TLS.
local   all all scram-sha-256
hostssl all all all scram-sha-256
";

/// The database cluster is made in a directory of its own that gets its name when it is complete,
/// so a start that was cut off leaves nothing half made.
const START_SH: &str = r#"set -eu
data=/var/lib/postgresql/data
if ! test -s "$data/PG_VERSION"; then
  rm -rf "$data.new"
  initdb --pgdata="$data.new" --username=postgres --pwfile=/etc/lotoai-admin/password \
    --auth=scram-sha-256 --encoding=UTF8 --locale=C
  mv "$data.new" "$data"
fi
# The server reads a renewed certificate when it is told to. It will have the number of this shell.
(
  held=$(cat /etc/lotoai-tls/tls.crt)
  while sleep 30; do
    found=$(cat /etc/lotoai-tls/tls.crt)
    if [ "$found" != "$held" ] && kill -HUP $$; then held=$found; fi
  done
) &
exec postgres -D "$data" -c config_file=/etc/lotoai/postgresql.conf
"#;

pub(super) fn build(platform: &Platform) -> ConfigMap {
    let files = [
        ("pg_hba.conf", PG_HBA_CONF.to_owned()),
        ("postgresql.conf", postgresql_conf(platform)),
        ("start.sh", START_SH.to_owned()),
    ];
    config_map(platform, Node::Component(Component::Postgres), &files)
}
