//! Credentials that are made anew while they are used.

use std::collections::BTreeMap;

use lotoai_api::Store;
use lotoai_plan::rotation::{self, Step, edges};
use lotoai_plan::{Node, graph::CredentialKind};

use super::world::World;

fn ask(world: &mut World, name: &str, request: &str) {
    let rotate = &mut world.lotoai.spec.credentials.rotate;
    rotate.insert(name.to_owned(), request.to_owned());
}

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
fn everybody_is_let_in(world: &World) {
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
fn sessions_go_on(world: &World) {
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

/// The secret part of every credential that can be made anew, by Secret.
fn values(world: &World) -> BTreeMap<String, String> {
    let platform = world.platform();
    edges(&platform.topology)
        .map(|edge| {
            let name = platform.edge_secret(edge.from, edge.to);
            let value = world
                .secret(&name, "password")
                .or_else(|| world.secret(&name, "token"));
            (name, value.unwrap())
        })
        .collect()
}

/// Passes of an operator that is killed after so many writes of each kind, until nothing is left.
fn live(world: &mut World, most: usize) -> usize {
    for passes in 0..2000 {
        let wrote = world.operator(most);
        everybody_is_let_in(world);
        let wrote = wrote + world.rotate(most);
        everybody_is_let_in(world);
        world.kubelet();
        everybody_is_let_in(world);
        sessions_go_on(world);
        if wrote == 0 {
            return passes;
        }
    }
    panic!("never at rest");
}

#[test]
fn every_credential_is_made_anew_and_nobody_is_turned_away() {
    for fixture in [
        "minimal",
        "high-availability",
        "external",
        "delegated-postgres",
        "ingress",
    ] {
        let mut world = World::up(fixture);
        let before = values(&world);
        for request in ["2026-11-26", "2026-12-26", "2027-01-26"] {
            let old = values(&world);
            ask(&mut world, "all", request);
            live(&mut world, usize::MAX);
            let new = values(&world);
            assert!(
                new.iter().all(|(name, value)| old[name] != *value),
                "{fixture}"
            );
            let known: Vec<_> = world.accounts.values().flat_map(BTreeMap::values).collect();
            assert!(
                old.values().all(|old| !known.contains(&old)),
                "{fixture}: still valid"
            );
            for name in new.keys() {
                let secret = &world.observed.secrets[name];
                let annotations = secret.metadata.annotations.as_ref().unwrap();
                assert_eq!(annotations[rotation::REQUEST], request);
                assert!(!annotations.contains_key(rotation::STATE));
                let data = secret.data.as_ref().unwrap();
                assert!(
                    data.keys().all(|key| !key.starts_with("standby-")),
                    "{name}"
                );
            }
            let status = world.report();
            assert_eq!(status.condition("Reconciling"), None);
        }
        assert!(!before.is_empty());
    }
}

#[test]
fn a_pod_restarts_once_for_each_step_that_concerns_it() {
    let mut world = World::up("minimal");
    ask(&mut world, "all", "1");
    live(&mut world, usize::MAX);
    // Called by others: learns their new tokens, uses its own new ones, forgets the old tokens.
    assert_eq!(world.starts["demo-orchestrator-0"], 3);
    // Calls only.
    assert_eq!(world.starts["demo-rag-ingest-0"], 1);
    assert_eq!(world.starts["demo-keycloak-0"], 1);
    // A store restarts for nobody.
    assert_eq!(world.starts.get("demo-postgres-0"), None);
}

#[test]
fn one_credential_alone_restarts_its_caller_alone() {
    let mut world = World::up("minimal");
    let before = values(&world);
    ask(&mut world, "gateway-postgres", "leaked");
    live(&mut world, usize::MAX);
    let starts: Vec<_> = world.starts.iter().collect();
    assert_eq!(starts, [(&"demo-gateway-0".to_owned(), &1)]);
    let changed: Vec<_> = values(&world)
        .into_iter()
        .filter(|(name, value)| before[name] != *value)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(changed, ["demo-gateway-postgres"]);
    let postgres = &world.accounts[&Store::Postgres];
    let names: Vec<_> = postgres.keys().map(String::as_str).collect();
    assert_eq!(names, ["gateway-b", "keycloak", "orchestrator"]);
}

#[test]
fn an_operator_that_is_killed_at_any_write_turns_nobody_away() {
    for most in [1, 3] {
        let mut world = World::up("minimal");
        let old = values(&world);
        ask(&mut world, "all", "1");
        live(&mut world, most);
        let new = values(&world);
        assert!(new.iter().all(|(name, value)| old[name] != *value));
    }
}

#[test]
fn a_request_that_is_there_already_or_taken_back_changes_nothing() {
    let mut world = World::up("minimal");
    ask(&mut world, "all", "1");
    live(&mut world, usize::MAX);
    let before = values(&world);
    assert_eq!(live(&mut world, usize::MAX), 0);
    world.lotoai.spec.credentials.rotate.clear();
    assert_eq!(live(&mut world, usize::MAX), 0);
    assert_eq!(values(&world), before);
}

#[test]
fn a_new_platform_answers_the_request_that_it_is_made_with() {
    let mut world = World::up("minimal");
    world.observed = crate::common::provided();
    ask(&mut world, "all", "1");
    world.settle();
    assert!(
        values(&world)
            .values()
            .all(|value| value.starts_with("first-"))
    );
}

#[test]
fn the_old_one_stays_until_the_last_pod_that_has_it_is_gone() {
    let mut world = World::up("minimal");
    ask(&mut world, "gateway-postgres", "1");
    let draining = world.observed.pods["demo-gateway-0"].clone();
    let mut steps = Vec::new();
    for _ in 0..10 {
        world.operator(usize::MAX);
        let (platform, set, _) = world.plan();
        steps.extend(
            rotation::next(&platform, &set, &world.observed, world.now)
                .into_iter()
                .map(|change| change.step),
        );
        world.rotate(usize::MAX);
        world.kubelet();
        world
            .observed
            .pods
            .insert("draining".to_owned(), draining.clone());
    }
    assert_eq!(steps, [Step::Introduce, Step::Promote]);
    let status = world.report();
    let mut credentials = status.credentials.iter();
    let found = credentials
        .find(|one| one.secret == "demo-gateway-postgres")
        .unwrap();
    assert_eq!(found.rotation.as_deref(), Some("1"));
    assert_eq!(
        found.message,
        "the new one comes into use: waits for gateway"
    );
    let reconciling = status.condition("Reconciling").unwrap();
    assert_eq!(reconciling.reason, "Rotating");
    assert_eq!(
        reconciling.message,
        "Secret demo-gateway-postgres: the new one comes into use: waits for gateway"
    );
    assert_eq!(status.condition("Ready").unwrap().status, "True");
    world.observed.pods.remove("draining");
    world.settle();
    assert_eq!(world.report().condition("Reconciling"), None);
}

#[test]
fn a_job_that_still_runs_holds_every_step_back() {
    let mut world = World::up("minimal");
    let (_, set, _) = world.plan();
    let name = set.job_name("provision-postgres").unwrap().to_owned();
    world.observed.jobs.get_mut(&name).unwrap().status = None;
    ask(&mut world, "gateway-postgres", "1");
    assert_eq!(world.rotate(usize::MAX), 0);
    world.kubelet();
    assert_eq!(world.rotate(usize::MAX), 1);
}

#[test]
fn a_suspended_platform_rotates_when_it_runs_again() {
    let mut world = World::up("minimal");
    let before = values(&world);
    world.lotoai.spec.suspend = true;
    world.settle();
    ask(&mut world, "all", "1");
    world.settle();
    assert_eq!(values(&world), before);
    world.lotoai.spec.suspend = false;
    world.settle();
    assert!(
        values(&world)
            .iter()
            .all(|(name, value)| before[name] != *value)
    );
}

#[test]
fn what_cannot_be_made_anew_is_refused_by_name() {
    let world = World::up("external-oidc");
    for (key, why) in [
        ("gateway-keycloak", "a Secret of yours"),
        ("minio-admin", "set spec.suspend, delete the Secret"),
        ("clickhouse-admin", "set spec.suspend, delete the Secret"),
        ("rabbitmq-cookie", "set spec.suspend, delete the Secret"),
        ("operator-traefik", "no credential of this name"),
        ("rag-server-qdrant", "no credential of this name"),
        ("nobody", "no credential of this name"),
    ] {
        let mut lotoai = world.lotoai.clone();
        let rotate = &mut lotoai.spec.credentials.rotate;
        rotate.insert(key.to_owned(), "1".to_owned());
        let faults = lotoai_plan::validate(&lotoai, &world.observed, &world.env).unwrap_err();
        assert_eq!(faults[0].field, format!("spec.credentials.rotate[{key}]"));
        let message = &faults[0].message;
        assert!(message.contains("gateway-postgres"), "{message}");
        assert!(message.contains(why), "{key}: {message}");
    }
}

#[test]
fn the_gateway_knows_both_secrets_of_its_client_while_keycloak_learns_the_new_one() {
    let mut world = World::up("minimal");
    let secret = |world: &World, key| world.secret("demo-gateway-keycloak", key);
    let old = secret(&world, "password").unwrap();
    ask(&mut world, "gateway-keycloak", "1");
    let mut seen = Vec::new();
    for _ in 0..20 {
        world.operator(usize::MAX);
        world.rotate(usize::MAX);
        world.kubelet();
        everybody_is_let_in(&world);
        let known = world.accounts[&Store::Keycloak]["lotoai-web"] == old;
        let (_, env) = &world.started["demo-gateway-0"];
        seen.push((known, env.contains_key("OIDC_CLIENT_SECRET_STANDBY")));
    }
    seen.dedup();
    assert_eq!(
        seen,
        [(true, false), (true, true), (false, true), (false, false)]
    );
    assert_eq!(secret(&world, "username").as_deref(), Some("lotoai-web"));
    assert_eq!(secret(&world, "standby-username"), None);
    assert_eq!(world.starts["demo-gateway-0"], 3);
    assert_eq!(world.starts.get("demo-keycloak-0"), None);
}

#[test]
fn the_key_of_sessions_opens_for_a_day_what_it_sealed() {
    let mut world = World::up("minimal");
    let key = |world: &World, key| world.secret("demo-gateway-session", key);
    let old = key(&world, "key");
    ask(&mut world, "gateway-session", "1");
    live(&mut world, usize::MAX);
    assert_ne!(key(&world, "key"), old);
    assert_eq!(key(&world, "standby-key"), old);
    // It is in use, and nobody waits for anything.
    let told = |world: &mut World| {
        let status = world.report();
        let mut all = status.credentials.iter();
        let found = all
            .find(|one| one.secret == "demo-gateway-session")
            .unwrap();
        (found.rotation.clone().unwrap(), found.message.clone())
    };
    assert_eq!(told(&mut world), ("1".to_owned(), String::new()));
    assert_eq!(world.report().condition("Reconciling"), None);
    // Others go their way meanwhile.
    let before = values(&world);
    ask(&mut world, "all", "2");
    live(&mut world, usize::MAX);
    assert!(
        values(&world)
            .iter()
            .all(|(name, value)| before[name] != *value)
    );
    assert_eq!(key(&world, "standby-key"), old);
    // Whoever asks again is told until when.
    ask(&mut world, "gateway-session", "2");
    live(&mut world, usize::MAX);
    let (request, message) = told(&mut world);
    assert_eq!(request, "1");
    assert!(
        message.starts_with("is made anew after 2026-11-23T10:00:00Z"),
        "{message}"
    );
    world
        .lotoai
        .spec
        .credentials
        .rotate
        .remove("gateway-session");
    world.now = "2026-11-23T09:59:59Z".parse().unwrap();
    assert_eq!(live(&mut world, usize::MAX), 0);
    world.now = "2026-11-23T10:00:00Z".parse().unwrap();
    live(&mut world, usize::MAX);
    assert_eq!(key(&world, "standby-key"), None);
    let (_, env) = &world.started["demo-gateway-0"];
    assert!(!env.contains_key("SESSION_KEY_STANDBY"));
}

#[test]
fn all_does_not_mean_the_key_of_sessions() {
    let mut world = World::up("minimal");
    let before = world.secret("demo-gateway-session", "key");
    ask(&mut world, "all", "1");
    live(&mut world, usize::MAX);
    assert_eq!(world.secret("demo-gateway-session", "key"), before);
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

#[test]
fn administrators_get_a_new_password_and_their_servers_do_not_notice() {
    let mut world = World::up("minimal");
    let before = world.administrators.clone();
    let stores = [Store::Postgres, Store::Rabbitmq, Store::Keycloak];
    assert!(before.keys().eq(&stores));
    for store in stores {
        ask(&mut world, &format!("{}-admin", store.component()), "1");
    }
    live(&mut world, usize::MAX);
    for (store, old) in &before {
        let new = &world.administrators[store];
        assert_ne!(new, old);
        let secret = format!("demo-{}-admin", store.component());
        assert_eq!(world.secret(&secret, "password").as_ref(), Some(new));
        assert_eq!(world.secret(&secret, "standby-password"), None);
    }
    assert_eq!(world.starts, BTreeMap::new());
    assert_eq!(world.report().condition("Reconciling"), None);
    // Asked for together with everything else too.
    let before = world.administrators.clone();
    ask(&mut world, "all", "2");
    for name in ["postgres-admin", "rabbitmq-admin", "keycloak-admin"] {
        world.lotoai.spec.credentials.rotate.remove(name);
    }
    live(&mut world, 1);
    let mut all = before.iter();
    assert!(all.all(|(store, old)| world.administrators[store] != *old));
}

#[test]
#[should_panic(expected = "the administrator of Postgres is refused")]
fn an_administrator_whose_password_is_unknown_would_be_noticed() {
    let mut world = World::up("minimal");
    world
        .administrators
        .insert(Store::Postgres, "another".to_owned());
    ask(&mut world, "gateway-postgres", "1");
    live(&mut world, usize::MAX);
}
