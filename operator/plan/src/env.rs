//! Environment from edges: the table "Environment from an edge" of `docs/ARCHITECTURE.md`.

use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, SecretKeySelector};
use lotoai_api::spec::ExternalIdentity;
use lotoai_api::{Component, Store};

use crate::components::clickhouse::CLUSTER;
use crate::components::shared::authorities;
use crate::components::shared::resources::amount;
use crate::credentials::{API_KEY, CLIENT_SECRET, PASSWORD, TOKEN, USERNAME};
use crate::graph::{CredentialKind, Edge, Node, Protocol};
use crate::platform::Platform;
use crate::rotation::{
    STANDBY_PASSWORD, STANDBY_TOKEN, STANDBY_USERNAME, has_second_administrator,
};
use crate::tls;

/// Realm of the platform in Keycloak.
pub const REALM: &str = "lotoai";
/// Audience that every access token carries.
pub const AUDIENCE: &str = "lotoai";
/// Bucket of documents.
pub const BUCKET: &str = "documents";
/// Region that the object store answers to.
pub const REGION: &str = "us-east-1";
/// Virtual host of the platform in RabbitMQ.
pub const VHOST: &str = "lotoai";
/// Database of usage in ClickHouse.
pub const USAGE_DATABASE: &str = "lotoai";
/// Collection of passages in Qdrant.
pub const COLLECTION: &str = "passages";
/// End of an address of PostgreSQL: speak TLS only, and check who answers.
pub const POSTGRES_CHECKED: &str = "?sslmode=verify-full";
/// Seconds between SIGTERM and the end of a workload, 5 s shorter than the pod's grace. The gateway's
/// answers have all of it but the last 5 s.
const DRAIN_SECONDS: &str = "35";

/// End of the name of a variable with another value that is valid too.
pub const STANDBY: &str = "_STANDBY";

/// A variable with a value.
#[must_use]
pub fn var(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(value.into()),
        value_from: None,
    }
}

/// A variable from a Secret.
#[must_use]
pub fn secret_var(name: &str, secret: &str, key: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: secret.to_owned(),
                key: key.to_owned(),
                optional: None,
            }),
            ..EnvVarSource::default()
        }),
    }
}

/// A variable from a field of the pod, for example `status.podIP`.
#[must_use]
pub fn field_var(name: &str, path: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: path.to_owned(),
                ..ObjectFieldSelector::default()
            }),
            ..EnvVarSource::default()
        }),
    }
}

/// `x-y` as part of a variable's name: `X_Y`.
#[must_use]
pub fn upper(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

/// Address of a component inside the cluster.
#[must_use]
pub fn address(platform: &Platform, scheme: &str, component: Component, port: u16) -> String {
    format!("{scheme}://{}:{port}", platform.component_name(component))
}

/// The largest document that the resource allows, in bytes; the workloads' own limit when it says
/// none.
#[must_use]
pub fn upload_limit(platform: &Platform, name: &str) -> Option<EnvVar> {
    let size = platform.spec.edge.max_upload_size.as_deref()?;
    Some(var(name, (amount(size) / 1000).to_string()))
}

/// For how many days usage is kept; the workloads' own number when the resource says none.
#[must_use]
pub fn usage_retention(platform: &Platform) -> Option<EnvVar> {
    let days = platform.spec.gateway.usage_retention_days?;
    Some(var("USAGE_RETENTION_DAYS", days.to_string()))
}

/// What every one of our workloads gets.
#[must_use]
pub fn common(platform: &Platform) -> Vec<EnvVar> {
    let mut variables = vec![
        var("PLATFORM", platform.name.as_str()),
        var("DRAIN_SECONDS", DRAIN_SECONDS),
    ];
    if let Some(endpoint) = &platform.otlp_endpoint {
        variables.push(var("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint));
    }
    variables
}

/// Where an edge leads: the component's Service, or the external server that stands for it. `path`
/// begins with a slash or is empty.
fn target(platform: &Platform, scheme: &str, edge: &Edge, path: &str) -> String {
    match platform.topology.outside(edge.to) {
        None => {
            let checked = match edge.protocol {
                Protocol::Postgres => POSTGRES_CHECKED,
                _ => "",
            };
            let address = address(platform, scheme, edge.to, edge.port);
            format!("{address}{path}{checked}")
        }
        Some((_, external)) => {
            let mut url = external.address(edge).clone();
            url.set_path(path);
            url.as_str().trim_end_matches('/').to_owned()
        }
    }
}

/// Tokens of those who may call the component.
#[must_use]
pub fn callers(platform: &Platform, component: Component) -> Vec<EnvVar> {
    platform
        .topology
        .edges_to(component)
        .filter(|edge| edge.credential == CredentialKind::Token)
        .flat_map(|edge| {
            let secret = platform.edge_secret(edge.from, component);
            let name = format!("CALLER_TOKEN_{}", upper(&edge.from.name()));
            let standby = is_made_anew(platform, &secret)
                .then(|| secret_var(&format!("{name}{STANDBY}"), &secret, STANDBY_TOKEN));
            [Some(secret_var(&name, &secret, TOKEN)), standby]
        })
        .flatten()
        .collect()
}

/// What a node needs to reach those it calls.
#[must_use]
pub fn from_edges(platform: &Platform, node: Node) -> Vec<EnvVar> {
    let topology = &platform.topology;
    let mut variables: Vec<EnvVar> = topology
        .edges_from(node)
        .flat_map(|edge| from_edge(platform, edge))
        .collect();
    for edge in topology.edges_from(node) {
        let Some(store) = edge.credential.store() else {
            continue;
        };
        let prefix = match (store, edge.from) {
            (Store::Keycloak, Node::Component(_)) => "OIDC".to_owned(),
            _ => upper(store.name()),
        };
        if let Some(file) = authorities::file(platform, store) {
            variables.push(var(&format!("{prefix}_CA_FILE"), file));
        }
        let path_style = topology.external(store).is_none_or(|to| to.path_style);
        if !path_style {
            variables.push(var(&format!("{prefix}_PATH_STYLE"), "false"));
        }
    }
    let mut edges = topology.edges_from(node);
    if edges.any(|edge| edge.credential == CredentialKind::Token) {
        variables.push(var("TLS_CA_FILE", tls::bundle_file()));
    }
    variables
}

/// The certificate that one of our workloads shows.
#[must_use]
pub fn certificate() -> [EnvVar; 2] {
    [
        var("TLS_CERT_FILE", tls::certificate_file()),
        var("TLS_KEY_FILE", tls::key_file()),
    ]
}

/// What the caller of one edge needs. The proxy needs nothing: its routes are configuration.
#[must_use]
pub fn from_edge(platform: &Platform, edge: &Edge) -> Vec<EnvVar> {
    match edge.credential {
        CredentialKind::None => Vec::new(),
        CredentialKind::Token => token(platform, edge),
        CredentialKind::ApiKey(store) => {
            let secret = platform.edge_secret(edge.from, edge.to);
            store_variables(platform, edge, store, "", &secret)
        }
        CredentialKind::Admin(store) => admin(platform, edge, store),
        CredentialKind::Account(store, account) => {
            let secret = platform.edge_secret(edge.from, edge.to);
            store_variables(platform, edge, store, account, &secret)
        }
        CredentialKind::Given(store) => {
            store_variables(platform, edge, store, "", &platform.admin_secret(store))
        }
    }
}

fn token(platform: &Platform, edge: &Edge) -> Vec<EnvVar> {
    let prefix = upper(edge.to.name());
    let path = if edge.to == Component::McpServer {
        "/mcp"
    } else {
        ""
    };
    let url = address(platform, "https", edge.to, edge.port);
    vec![
        var(&format!("{prefix}_URL"), format!("{url}{path}")),
        secret_var(
            &format!("{prefix}_TOKEN"),
            &platform.edge_secret(edge.from, edge.to),
            TOKEN,
        ),
    ]
}

fn account_variables(prefix: &str, secret: &str) -> [EnvVar; 2] {
    [
        secret_var(&format!("{prefix}_USERNAME"), secret, USERNAME),
        secret_var(&format!("{prefix}_PASSWORD"), secret, PASSWORD),
    ]
}

fn store_variables(
    platform: &Platform,
    edge: &Edge,
    store: Store,
    account: &str,
    secret: &str,
) -> Vec<EnvVar> {
    let at = |scheme, path: &str| target(platform, scheme, edge, path);
    let topology = &platform.topology;
    match store {
        Store::Postgres => {
            let database = format!("/{}", topology.account(store, account));
            let mut variables = vec![var("POSTGRES_URL", at("postgres", &database))];
            variables.extend(account_variables("POSTGRES", secret));
            variables
        }
        Store::Rabbitmq => {
            let host = format!("/{}", topology.virtual_host());
            let mut variables = vec![var("RABBITMQ_URL", at("amqps", &host))];
            variables.extend(account_variables("RABBITMQ", secret));
            variables
        }
        Store::S3 => {
            let mut variables = vec![
                var("S3_URL", at("https", "")),
                var("S3_BUCKET", topology.bucket()),
                var("S3_REGION", topology.region()),
            ];
            variables.extend(account_variables("S3", secret));
            variables
        }
        Store::Clickhouse => {
            let mut variables = vec![
                var("CLICKHOUSE_URL", at("https", "")),
                var(
                    "CLICKHOUSE_DATABASE",
                    topology.account(store, USAGE_DATABASE),
                ),
            ];
            variables.extend(account_variables("CLICKHOUSE", secret));
            if !platform.members(Component::Clickhouse).is_empty() {
                variables.push(var("CLICKHOUSE_CLUSTER", CLUSTER));
            }
            variables
        }
        Store::Qdrant => vec![
            var("QDRANT_URL", at("https", "")),
            var("QDRANT_COLLECTION", topology.collection()),
            secret_var("QDRANT_API_KEY", secret, API_KEY),
        ],
        Store::Keycloak => match &platform.spec.identity.external {
            None => managed_identity(platform, edge, secret),
            Some(issuer) => external_identity(issuer, secret),
        },
    }
}

/// The managed Keycloak: browsers go to its public address, the gateway to its Service.
fn managed_identity(platform: &Platform, edge: &Edge, secret: &str) -> Vec<EnvVar> {
    let realm = format!("/realms/{REALM}");
    let mut variables = vec![
        var("OIDC_ISSUER", format!("{}{realm}", platform.url.url)),
        var("OIDC_INTERNAL_URL", target(platform, "https", edge, &realm)),
        var("OIDC_AUDIENCE", AUDIENCE),
        secret_var("OIDC_CLIENT_ID", secret, USERNAME),
        secret_var("OIDC_CLIENT_SECRET", secret, PASSWORD),
    ];
    if is_made_anew(platform, secret) {
        let name = format!("OIDC_CLIENT_SECRET{STANDBY}");
        variables.push(secret_var(&name, secret, STANDBY_PASSWORD));
    }
    variables
}

/// Whether a Secret holds two credentials.
#[must_use]
pub fn is_made_anew(platform: &Platform, secret: &str) -> bool {
    let held = platform.held.get(secret);
    held.is_some_and(|held| held.has_standby)
}

/// The issuer as it stands in the resource: tokens name it letter by letter.
fn external_identity(issuer: &ExternalIdentity, secret: &str) -> Vec<EnvVar> {
    vec![
        var("OIDC_ISSUER", &issuer.issuer_url),
        var("OIDC_AUDIENCE", issuer.audience()),
        var("OIDC_CLIENT_ID", &issuer.client_id),
        secret_var("OIDC_CLIENT_SECRET", secret, CLIENT_SECRET),
        var("OIDC_SCOPES", issuer.scopes.join(" ")),
        var("OIDC_GROUPS_CLAIM", &issuer.groups_claim),
        // Empty: nobody.
        var(
            "OIDC_ADMIN_GROUP",
            issuer.admin_group.as_deref().unwrap_or_default(),
        ),
    ]
}

/// The administrator's way into a store.
fn admin(platform: &Platform, edge: &Edge, store: Store) -> Vec<EnvVar> {
    let scheme = match store {
        Store::Postgres => "postgres",
        // The management API, where it is RabbitMQ.
        Store::Rabbitmq | Store::S3 | Store::Keycloak | Store::Clickhouse | Store::Qdrant => {
            "https"
        }
    };
    let database = if store == Store::Postgres {
        "/postgres"
    } else {
        ""
    };
    let prefix = upper(store.name());
    let url = target(platform, scheme, edge, database);
    let mut variables = vec![var(&format!("{prefix}_URL"), url)];
    if store == Store::S3 {
        variables.push(var("S3_REGION", platform.topology.region()));
    }
    let secret = platform.admin_secret(store);
    variables.extend(account_variables(&prefix, &secret));
    if is_made_anew(platform, &secret) {
        if has_second_administrator(store) {
            let name = format!("{prefix}_USERNAME{STANDBY}");
            variables.push(secret_var(&name, &secret, STANDBY_USERNAME));
        }
        let name = format!("{prefix}_PASSWORD{STANDBY}");
        variables.push(secret_var(&name, &secret, STANDBY_PASSWORD));
    }
    variables
}
