//! Who is let in at every moment of a rotation, and that a check of it notices who is not.

use lotoai_api::Store;
use lotoai_plan::rotation::edges;
use lotoai_plan::{Node, graph::CredentialKind};

use super::World;

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
        let caller = platform.node_name(edge.from);
        let of = |owner: &str| {
            let prefix = format!("{owner}-");
            let pods = world.started.iter();
            let own = |name: &str| {
                let number = name.strip_prefix(&prefix);
                number.is_some_and(|number| number.parse::<u32>().is_ok())
            };
            pods.filter(|(name, _)| own(name))
                .map(|(name, (_, env))| (name.clone(), env.clone()))
                .collect::<Vec<_>>()
        };
        for (pod, env) in of(&caller) {
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
