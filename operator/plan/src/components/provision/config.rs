//! `provision.yaml`: what there must be in a store, from the edges that end at it.

use k8s_openapi::api::core::v1::ConfigMap;
use lotoai_api::{Component, Store};
use serde_json::{Value, json};

use crate::components::clickhouse::CLUSTER;
use crate::components::shared::config::config_map;
use crate::env::{AUDIENCE, REALM, USAGE_DATABASE, upper};
use crate::graph::{CredentialKind, Node};
use crate::platform::Platform;

/// An account that the Job makes.
pub(super) struct Account {
    /// Whose it is.
    pub(super) node: Node,
    /// Its name in the table of edges.
    pub(super) name: &'static str,
    /// Its name in the store.
    pub(super) username: String,
}

impl Account {
    /// Variable with its password.
    pub(super) fn password_env(&self) -> String {
        format!("PASSWORD_{}", upper(self.name))
    }
}

/// The accounts of a store.
pub(super) fn accounts(
    platform: &Platform,
    store: Store,
) -> impl Iterator<Item = (Account, lotoai_api::Component)> {
    let topology = &platform.topology;
    let edges = topology.edges().iter();
    edges.filter_map(move |edge| match edge.credential {
        CredentialKind::Account(of, name) if of == store => Some((
            Account {
                node: edge.from,
                name,
                username: topology.account(store, name),
            },
            edge.to,
        )),
        _ => None,
    })
}

pub(super) fn build(platform: &Platform, store: Store) -> ConfigMap {
    let topology = &platform.topology;
    let list = |entry: &dyn Fn(&Account) -> Value| list(platform, store, entry);
    let mut value = match store {
        Store::Postgres => json!({ "databases": list(&|account| json!({
            "database": account.username,
            "username": account.username,
            "password_env": account.password_env(),
        })) }),
        Store::Rabbitmq => {
            json!({ "vhost": topology.virtual_host(), "users": list(&|account| json!({
            "username": account.username,
            "password_env": account.password_env(),
            "publish": publishes(account),
            "queue": account.name,
        })) })
        }
        Store::S3 => json!({ "users": list(&|account| json!({
            "username": account.username,
            "password_env": account.password_env(),
            "bucket": topology.bucket(),
            "access": access(account),
        })) }),
        Store::Clickhouse => clickhouse(
            json!({ "users": list(&|account| json!({
            "database": topology.account(store, USAGE_DATABASE),
            "username": account.username,
            "password_env": account.password_env(),
        })) }),
            platform,
        ),
        Store::Keycloak => keycloak(platform),
        // No Job prepares it.
        Store::Qdrant => json!({}),
    };
    if topology.external(store).is_some() {
        match store {
            // Others have databases there too: those who share the server, or the operator that
            // runs it, whose standby servers rewind through the administrator's database.
            Store::Postgres => value["shared"] = true.into(),
            Store::S3 => value["buckets"] = json!([topology.bucket()]),
            Store::Rabbitmq | Store::Keycloak | Store::Clickhouse | Store::Qdrant => {}
        }
    }
    // Serialising JSON values as YAML cannot fail.
    let text = serde_yaml_ng::to_string(&value).unwrap_or_default();
    config_map(
        platform,
        Node::Provision(store),
        &[("provision.yaml", text)],
    )
}

fn list(platform: &Platform, store: Store, entry: &dyn Fn(&Account) -> Value) -> Vec<Value> {
    accounts(platform, store)
        .map(|(account, _)| entry(&account))
        .collect()
}

/// Analytics only reads events.
fn publishes(account: &Account) -> bool {
    account.name != "analytics"
}

/// The gateway stores and deletes documents; everybody else only reads them.
fn access(account: &Account) -> &'static str {
    if account.name == "gateway" {
        "read-write"
    } else {
        "read"
    }
}

/// In a cluster the Job makes databases on every server.
fn clickhouse(mut value: Value, platform: &Platform) -> Value {
    if !platform.members(Component::Clickhouse).is_empty() {
        value["cluster"] = CLUSTER.into();
    }
    value
}

fn keycloak(platform: &Platform) -> Value {
    let user = platform.spec.identity.first_user();
    json!({
        "realm": REALM,
        "audience": AUDIENCE,
        "public_url": platform.url.url,
        "clients": list(platform, Store::Keycloak, &|account| json!({
            "client_id": account.username,
            "secret_env": account.password_env(),
        })),
        "first_user": {
            "username": user.username.as_str(),
            "email": user.email,
            "password_env": FIRST_USER_PASSWORD,
        },
    })
}

/// Variable with the first user's password.
pub(super) const FIRST_USER_PASSWORD: &str = "PASSWORD_FIRST_USER";
