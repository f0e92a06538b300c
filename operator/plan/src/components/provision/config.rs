//! `provision.yaml`: what there must be in a store, from the edges that end at it.

use k8s_openapi::api::core::v1::ConfigMap;
use lotoai_api::{Component, Store};
use serde_json::{Value, json};

use crate::components::clickhouse::CLUSTER;
use crate::components::shared::config::config_map;
use crate::credentials::{PASSWORD, first_username};
use crate::env::{AUDIENCE, REALM, STANDBY, USAGE_DATABASE, address, is_made_anew, upper};
use crate::graph::{CredentialKind, Node};
use crate::platform::Platform;
use crate::rotation::{STANDBY_PASSWORD, second};

/// Whose account it is that the Job makes.
pub(super) struct Account {
    /// Whose it is.
    pub(super) node: Node,
    /// Its name in the table of edges.
    pub(super) name: &'static str,
    /// Its name in the store, whichever account signs in; also that of what it owns.
    pub(super) owner: String,
    /// Who may sign in: one, or two during a rotation.
    pub(super) logins: Vec<Login>,
    /// Who may not sign in any more.
    retired: Vec<String>,
}

/// A name in the store and where its password is.
pub(super) struct Login {
    username: String,
    /// Variable with its password.
    pub(super) password_env: String,
    /// Key of the account's Secret.
    pub(super) key: &'static str,
}

impl Account {
    fn new(
        platform: &Platform,
        node: Node,
        to: Component,
        store: Store,
        name: &'static str,
    ) -> Self {
        let owner = platform.topology.account(store, name);
        let variable = format!("PASSWORD_{}", upper(name));
        let held = platform.held.get(&platform.edge_secret(node, to));
        let used = held.and_then(|held| held.username.clone());
        let mut logins = vec![Login {
            username: used.unwrap_or_else(|| owner.clone()),
            password_env: variable.clone(),
            key: PASSWORD,
        }];
        let standby = held.and_then(|held| held.standby.clone());
        logins.extend(standby.map(|username| Login {
            username,
            password_env: format!("{variable}{STANDBY}"),
            key: STANDBY_PASSWORD,
        }));
        let retired = [owner.clone(), second(store, &owner)]
            .into_iter()
            .filter(|name| logins.iter().all(|login| login.username != *name))
            .collect();
        Self {
            node,
            name,
            owner,
            logins,
            retired,
        }
    }
}

/// The accounts of a store.
pub(super) fn accounts(
    platform: &Platform,
    store: Store,
) -> impl Iterator<Item = (Account, Component)> {
    let edges = platform.topology.edges().iter();
    edges.filter_map(move |edge| match edge.credential {
        CredentialKind::Account(of, name) if of == store => Some((
            Account::new(platform, edge.from, edge.to, store, name),
            edge.to,
        )),
        _ => None,
    })
}

pub(super) fn build(platform: &Platform, store: Store) -> ConfigMap {
    let topology = &platform.topology;
    let list = |entry: &dyn Fn(&Account, &Login) -> Value| list(platform, store, entry);
    let retired = || -> Vec<String> {
        accounts(platform, store)
            .flat_map(|(account, _)| account.retired)
            .collect()
    };
    let mut value = match store {
        Store::Postgres => json!({ "databases": databases(platform) }),
        Store::Rabbitmq => {
            json!({ "vhost": topology.virtual_host(), "users": list(&|account, login| json!({
            "username": login.username,
            "password_env": login.password_env,
            "publish": publishes(account),
            "queue": account.name,
        })), "retired": retired() })
        }
        Store::S3 => json!({ "users": list(&|account, login| json!({
            "username": login.username,
            "password_env": login.password_env,
            "bucket": topology.bucket(),
            "access": access(account),
        })), "retired": retired() }),
        Store::Clickhouse => clickhouse(
            json!({ "users": list(&|_, login| json!({
            "database": topology.account(store, USAGE_DATABASE),
            "username": login.username,
            "password_env": login.password_env,
        })), "retired": retired() }),
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

/// One entry for everybody who may sign in.
fn list(
    platform: &Platform,
    store: Store,
    entry: &dyn Fn(&Account, &Login) -> Value,
) -> Vec<Value> {
    let mut entries = Vec::new();
    for (account, _) in accounts(platform, store) {
        entries.extend(account.logins.iter().map(|login| entry(&account, login)));
    }
    entries
}

/// A database belongs to one role, in whose name everybody who may sign in works.
fn databases(platform: &Platform) -> Vec<Value> {
    let entry = |account: Account| {
        let logins = account
            .logins
            .iter()
            .map(|login| json!({ "username": login.username, "password_env": login.password_env }));
        json!({
            "database": account.owner,
            "owner": account.owner,
            "logins": logins.collect::<Vec<_>>(),
            "retired": account.retired,
        })
    };
    accounts(platform, Store::Postgres)
        .map(|(account, _)| entry(account))
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

/// In a cluster the Job makes databases on every server, and asks each while its administrators take
/// turns.
fn clickhouse(mut value: Value, platform: &Platform) -> Value {
    let members = platform.members(Component::Clickhouse);
    if members.is_empty() {
        return value;
    }
    value["cluster"] = CLUSTER.into();
    if is_made_anew(platform, &platform.admin_secret(Store::Clickhouse)) {
        let servers = members.iter().map(|host| format!("https://{host}:8443"));
        value["servers"] = servers.collect::<Vec<_>>().into();
    }
    value
}

fn keycloak(platform: &Platform) -> Value {
    let user = platform.spec.identity.first_user();
    json!({
        "realm": REALM,
        "audience": AUDIENCE,
        "public_url": platform.url.url,
        "back_channel_logout_url": session_notices(platform),
        "clients": list(platform, Store::Keycloak, &|_, login| json!({
            "client_id": login.username,
            "secret_env": login.password_env,
        })),
        "first_user": {
            "username": first_username(platform),
            "email": user.email,
            "password_env": FIRST_USER_PASSWORD,
        },
    })
}

/// Where the gateway hears that a session ended.
fn session_notices(platform: &Platform) -> Option<String> {
    let edge = platform.topology.session_notices()?;
    let gateway = address(platform, "https", edge.to, edge.port);
    Some(format!("{gateway}/auth/back-channel-logout"))
}

/// Variable with the first user's password.
pub(super) const FIRST_USER_PASSWORD: &str = "PASSWORD_FIRST_USER";
