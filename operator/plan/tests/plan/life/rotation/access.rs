//! Who is let in at every moment of a rotation, and that a check of it notices who is not.

use std::collections::BTreeMap;

use lotoai_api::Store;
use lotoai_plan::graph::{CredentialKind, Edge};
use lotoai_plan::rotation::edges;
use lotoai_plan::{Node, Platform};

use super::World;

/// What a pod began with.
type Environment = BTreeMap<String, String>;

/// The variables with which a component signs in to a store.
fn variables(from: Node, to: &str) -> [String; 2] {
    let prefix = match (from.name().as_str(), to) {
        ("keycloak", _) => "KC_DB".to_owned(),
        (_, "minio") => "S3".to_owned(),
        (_, store) => store.to_uppercase(),
    };
    [format!("{prefix}_USERNAME"), format!("{prefix}_PASSWORD")]
}

/// Nobody is turned away: whatever a pod began with is accepted where it calls.
pub(super) fn everybody_is_let_in(world: &World) {
    let platform = world.platform();
    for edge in edges(&platform.topology) {
        if edge.from == Node::Operator {
            probe_is_let_in(world, &platform, edge);
            continue;
        }
        let of = |owner: &str| pods(world, owner);
        for (pod, env) in of(&platform.node_name(edge.from)) {
            match edge.credential {
                CredentialKind::Account(Store::Keycloak, client) => {
                    let known = &world.accounts[&Store::Keycloak][client];
                    let names = ["OIDC_CLIENT_SECRET", "OIDC_CLIENT_SECRET_STANDBY"];
                    let knows = names.iter().any(|name| env.get(*name) == Some(known));
                    assert!(knows, "{pod} does not know the secret of {client}");
                }
                CredentialKind::Account(store, _) => {
                    let [username, password] = variables(edge.from, edge.to.name());
                    let (username, password) = (&env[&username], &env[&password]);
                    let known = world.accounts[&store].get(username);
                    assert_eq!(known, Some(password), "{pod} as {username} in {store:?}");
                }
                CredentialKind::ApiKey(_) => {
                    for (callee, known) in of(&platform.component_name(edge.to)) {
                        let shown = &env["QDRANT_API_KEY"];
                        assert!(
                            takes(&known, shown),
                            "{callee} does not take the key of {pod}"
                        );
                    }
                }
                _ => {
                    let variable = edge.to.name().to_uppercase().replace('-', "_");
                    let token = &env[&format!("{variable}_TOKEN")];
                    for (callee, known) in of(&platform.component_name(edge.to)) {
                        let mut known = known
                            .iter()
                            .filter(|(name, _)| name.starts_with("CALLER_TOKEN_"));
                        let found = known.any(|(_, known)| known == token);
                        assert!(found, "{callee} does not know the token of {pod}");
                    }
                }
            }
        }
    }
}

/// What the pods of an object began with.
fn pods(world: &World, owner: &str) -> Vec<(String, Environment)> {
    let prefix = format!("{owner}-");
    let own = |name: &str| {
        let number = name.strip_prefix(&prefix);
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let started = world.started.iter();
    started
        .filter(|(name, _)| own(name))
        .map(|(name, (_, env))| (name.clone(), env.clone()))
        .collect()
}

/// Whether a server of Qdrant that began with this takes a key.
pub(super) fn takes(server: &Environment, key: &str) -> bool {
    let names = ["QDRANT__SERVICE__API_KEY", "QDRANT__SERVICE__ALT_API_KEY"];
    names
        .iter()
        .any(|name| server.get(*name).is_some_and(|known| known == key))
}

/// The operator, which has no pod here, asks with what its Secret holds: with either secret of its
/// client, or with the token in use.
fn probe_is_let_in(world: &World, platform: &Platform, edge: &Edge) {
    let secret = platform.edge_secret(edge.from, edge.to);
    if let CredentialKind::Account(store, client) = edge.credential {
        let known = &world.accounts[&store][client];
        let mut held = ["password", "standby-password"].into_iter();
        let knows = held.any(|key| world.secret(&secret, key).as_ref() == Some(known));
        assert!(knows, "the operator does not know the secret of {client}");
        return;
    }
    let token = world.secret(&secret, "token");
    for (pod, env) in pods(world, "demo-gateway") {
        let mut names = ["PROBE_TOKEN", "PROBE_TOKEN_STANDBY"].into_iter();
        let knows = names.any(|name| env.get(name) == token.as_ref());
        assert!(knows, "{pod} does not know the operator's token");
    }
}

/// Every replica opens what every other one seals.
pub(super) fn sessions_go_on(world: &World) {
    let pods = world.started.iter();
    let gateways: Vec<_> = pods
        .filter(|(name, _)| name.starts_with("demo-gateway-"))
        .map(|(_, (_, env))| env)
        .collect();
    for seals in &gateways {
        let key = &seals["SESSION_KEY"];
        for opens in &gateways {
            let names = ["SESSION_KEY", "SESSION_KEY_STANDBY"];
            assert!(names.iter().any(|name| opens.get(*name) == Some(key)));
        }
    }
}

#[test]
#[should_panic(expected = "demo-gateway-0 does not know the secret of lotoai-web")]
fn a_client_secret_that_changes_too_early_would_be_noticed() {
    let mut world = World::up("minimal");
    let accounts = world.accounts.get_mut(&Store::Keycloak).unwrap();
    accounts.insert("lotoai-web".to_owned(), "new".to_owned());
    everybody_is_let_in(&world);
}

#[test]
#[should_panic(expected = "the operator does not know the secret of lotoai-probe")]
fn a_secret_of_the_probe_that_changes_too_early_would_be_noticed() {
    let mut world = World::up("minimal");
    let accounts = world.accounts.get_mut(&Store::Keycloak).unwrap();
    accounts.insert("lotoai-probe".to_owned(), "new".to_owned());
    everybody_is_let_in(&world);
}

#[test]
#[should_panic(expected = "demo-gateway-0 does not know the operator's token")]
fn a_token_of_the_probe_that_goes_too_early_would_be_noticed() {
    let mut world = World::up("external-oidc");
    let (_, environment) = world.started.get_mut("demo-gateway-0").unwrap();
    environment.remove("PROBE_TOKEN");
    everybody_is_let_in(&world);
}

#[test]
#[should_panic(expected = "demo-qdrant-0 does not take the key of demo-rag-server-0")]
fn a_key_that_goes_too_early_would_be_noticed() {
    let mut world = World::up("qdrant");
    let (_, environment) = world.started.get_mut("demo-qdrant-0").unwrap();
    environment.remove("QDRANT__SERVICE__API_KEY");
    everybody_is_let_in(&world);
}

#[test]
#[should_panic(expected = "demo-gateway-0 as gateway in Postgres")]
fn an_account_that_goes_too_early_would_be_noticed() {
    let mut world = World::up("minimal");
    let accounts = world.accounts.get_mut(&Store::Postgres);
    accounts.unwrap().remove("gateway");
    everybody_is_let_in(&world);
}

#[test]
#[should_panic(expected = "demo-orchestrator-0 does not know the token of demo-gateway-0")]
fn a_token_that_goes_too_early_would_be_noticed() {
    let mut world = World::up("minimal");
    let (_, environment) = world.started.get_mut("demo-orchestrator-0").unwrap();
    environment.retain(|name, _| !name.starts_with("CALLER_TOKEN_"));
    everybody_is_let_in(&world);
}
