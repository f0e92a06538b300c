//! `provision.yaml`: what there must be in a store, from the edges that end at it.

use k8s_openapi::api::core::v1::ConfigMap;
use lotoai_api::Store;
use serde_json::{Value, json};

use crate::components::shared::config::config_map;
use crate::env::{AUDIENCE, BUCKET, REALM, USAGE_DATABASE, VHOST, upper};
use crate::graph::{CredentialKind, EDGES, Node};
use crate::platform::Platform;

/// An account that the Job makes.
pub(super) struct Account {
    /// Whose it is.
    pub(super) node: Node,
    /// Its name in the store.
    pub(super) username: &'static str,
}

impl Account {
    /// Variable with its password.
    pub(super) fn password_env(&self) -> String {
        format!("PASSWORD_{}", upper(self.username))
    }
}

/// The accounts of a store.
pub(super) fn accounts(store: Store) -> impl Iterator<Item = (Account, lotoai_api::Component)> {
    EDGES.iter().filter_map(move |edge| match edge.credential {
        CredentialKind::Account(of, username) if of == store => Some((
            Account {
                node: edge.from,
                username,
            },
            edge.to,
        )),
        _ => None,
    })
}

pub(super) fn build(platform: &Platform, store: Store) -> ConfigMap {
    let value = match store {
        Store::Postgres => json!({ "databases": list(store, |account| json!({
            "database": account.username,
            "username": account.username,
            "password_env": account.password_env(),
        })) }),
        Store::Rabbitmq => json!({ "vhost": VHOST, "users": list(store, |account| json!({
            "username": account.username,
            "password_env": account.password_env(),
            "publish": publishes(account),
            "queue": account.username,
        })) }),
        Store::S3 => json!({ "users": list(store, |account| json!({
            "username": account.username,
            "password_env": account.password_env(),
            "bucket": BUCKET,
            "access": access(account),
        })) }),
        Store::Clickhouse => json!({ "users": list(store, |account| json!({
            "database": USAGE_DATABASE,
            "username": account.username,
            "password_env": account.password_env(),
        })) }),
        Store::Keycloak => keycloak(platform),
    };
    // Serialising JSON values as YAML cannot fail.
    let text = serde_yaml_ng::to_string(&value).unwrap_or_default();
    config_map(
        platform,
        Node::Provision(store),
        &[("provision.yaml", text)],
    )
}

fn list(store: Store, entry: impl Fn(&Account) -> Value) -> Vec<Value> {
    accounts(store)
        .map(|(account, _)| entry(&account))
        .collect()
}

/// Analytics only reads events.
fn publishes(account: &Account) -> bool {
    account.username != "analytics"
}

/// The gateway stores and deletes documents; everybody else only reads them.
fn access(account: &Account) -> &'static str {
    if account.username == "gateway" {
        "read-write"
    } else {
        "read"
    }
}

fn keycloak(platform: &Platform) -> Value {
    let user = &platform.spec.identity.first_user;
    json!({
        "realm": REALM,
        "audience": AUDIENCE,
        "public_url": platform.url.url,
        "clients": list(Store::Keycloak, |account| json!({
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
