//! StatefulSet of keycloak. Its state is in postgres; it needs no volume.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Container, EnvVar};
use lotoai_api::{Component, Store};

use crate::components::shared::authorities;
use crate::components::shared::config::{empty_dir, mount};
use crate::components::shared::pod::{container, https_probe, set_probes, template};
use crate::components::shared::resources::memory_limit_mib;
use crate::components::shared::workload;
use crate::credentials::{PASSWORD, USERNAME};
use crate::env::{POSTGRES_CHECKED, field_var, secret_var, var};
use crate::graph::Node;
use crate::platform::Platform;
use crate::tls;

const UID: i64 = 1000;
/// Port of health and metrics; no Service exposes it.
const MANAGEMENT_PORT: u16 = 9000;
/// The first start makes its schema and may rebuild the server for its options.
const START_SECONDS: i32 = 420;
/// How long a server of several still answers when it is told to end, so that nobody who signs in is
/// sent to one that does not. With the 10 s that it then gives what is under way it is shorter than the
/// pod's grace.
const SHUTDOWN_DELAY: &str = "5s";

pub(super) fn build(platform: &Platform) -> StatefulSet {
    let node = Node::Component(Component::Keycloak);
    let mut volumes = vec![empty_dir("tmp", "256Mi"), empty_dir("data", "256Mi")];
    let mut mounts = vec![mount("tmp", "/tmp"), mount("data", "/opt/keycloak/data")];
    let own = authorities::certificate(platform, Component::Keycloak);
    for (volume, mount) in authorities::volumes(platform, node).chain([own]) {
        volumes.push(volume);
        mounts.push(mount);
    }
    let mut container = Container {
        command: Some(
            ["/opt/keycloak/bin/kc.sh", "start"]
                .map(str::to_owned)
                .to_vec(),
        ),
        env: Some(environment(platform)),
        volume_mounts: Some(mounts),
        ..container(platform, node)
    };
    // The published image rebuilds itself under /opt/keycloak/lib when it starts with options that
    // it was not built for (the database, health, metrics).
    if let Some(security) = &mut container.security_context {
        security.read_only_root_filesystem = Some(false);
    }
    // The management port speaks what the main port speaks.
    let live = https_probe("/health/live", MANAGEMENT_PORT);
    let ready = https_probe("/health/ready", MANAGEMENT_PORT);
    set_probes(&mut container, &live, &ready, START_SECONDS);
    let template = template(platform, node, UID, container, volumes);
    workload::stateful_set(platform, Component::Keycloak, template, None)
}

fn environment(platform: &Platform) -> Vec<EnvVar> {
    let node = Node::Component(Component::Keycloak);
    let database = platform.edge_secret(node, Component::Postgres);
    let admin = platform.admin_secret(Store::Keycloak);
    // The rest of the limit is metaspace, code and threads.
    let heap = memory_limit_mib(platform, Component::Keycloak) * 3 / 7;
    let mut variables = vec![
        var("KC_DB", "postgres"),
        var("KC_DB_URL", database_url(platform)),
        secret_var("KC_DB_USERNAME", &database, USERNAME),
        secret_var("KC_DB_PASSWORD", &database, PASSWORD),
        var("KC_DB_POOL_MAX_SIZE", "10"),
        // Issuer and links carry the public address whoever asks; our own workloads may ask
        // through the Service.
        var("KC_HOSTNAME", &platform.url.url),
        var("KC_HOSTNAME_BACKCHANNEL_DYNAMIC", "true"),
        var("KC_PROXY_HEADERS", "xforwarded"),
        var("KC_HTTP_ENABLED", "false"),
        var("KC_HTTPS_PORT", "8443"),
        var("KC_HTTPS_CERTIFICATE_FILE", tls::certificate_file()),
        var("KC_HTTPS_CERTIFICATE_KEY_FILE", tls::key_file()),
        var("KC_HTTPS_CERTIFICATES_RELOAD_PERIOD", "1m"),
        // Whom it trusts, beside the well-known authorities, when it tells that a session ended.
        var("KC_TRUSTSTORE_PATHS", tls::bundle_file()),
        var("KC_HEALTH_ENABLED", "true"),
        var("KC_METRICS_ENABLED", "true"),
        secret_var("KC_BOOTSTRAP_ADMIN_USERNAME", &admin, USERNAME),
        secret_var("KC_BOOTSTRAP_ADMIN_PASSWORD", &admin, PASSWORD),
        var("JAVA_OPTS_KC_HEAP", format!("-Xms64m -Xmx{heap}m")),
    ];
    variables.extend(cache(platform));
    variables
}

/// Several servers find each other through a table of their database, and keep each other's
/// sessions in memory.
fn cache(platform: &Platform) -> Vec<EnvVar> {
    if platform.scale(Component::Keycloak).most() < 2 {
        return vec![var("KC_CACHE", "local")];
    }
    vec![
        var("KC_CACHE", "ispn"),
        var("KC_CACHE_STACK", "jdbc-ping"),
        // Each server makes a certificate, and they know each other's through the database.
        var("KC_CACHE_EMBEDDED_MTLS_ENABLED", "true"),
        field_var("POD_IP", "status.podIP"),
        // Or it would look for an address of a private network, which a pod need not have.
        var("JAVA_OPTS_APPEND", "-Djgroups.bind.address=$(POD_IP)"),
        var("KC_SHUTDOWN_DELAY", SHUTDOWN_DELAY),
    ]
}

/// Where the database is, in the words of its Java driver.
fn database_url(platform: &Platform) -> String {
    let Some(external) = platform.topology.external(Store::Postgres) else {
        let postgres = platform.component_name(Component::Postgres);
        let bundle = tls::bundle_file();
        return format!(
            "jdbc:postgresql://{postgres}:5432/keycloak{POSTGRES_CHECKED}&sslrootcert={bundle}"
        );
    };
    let mut url = external.url.clone();
    url.set_path(&platform.topology.account(Store::Postgres, "keycloak"));
    let checked = url.query() == Some("sslmode=verify-full");
    match (authorities::file(platform, Store::Postgres), checked) {
        (Some(file), _) => {
            url.query_pairs_mut().append_pair("sslrootcert", &file);
        }
        // Or the driver would look for a file in the home directory.
        (None, true) => {
            let factory = "org.postgresql.ssl.DefaultJavaSSLFactory";
            url.query_pairs_mut().append_pair("sslfactory", factory);
        }
        (None, false) => {}
    }
    let url = url.as_str().trim_start_matches("postgres");
    format!("jdbc:postgresql{url}")
}
