//! Credentials of the edges: each is introduced, comes into use and its predecessor goes.

use std::collections::BTreeMap;

use lotoai_api::Store;
use lotoai_plan::rotation::{self, Step};

use super::{World, ask, live, through, values};

#[test]
fn every_credential_is_made_anew_and_nobody_is_turned_away() {
    for fixture in [
        "minimal",
        "high-availability",
        "external",
        "external-oidc",
        "delegated-postgres",
        "ingress",
        "qdrant",
        "qdrant-cluster",
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
            let pods = world.started.values();
            let held: Vec<_> = pods.flat_map(|(_, env)| env.values()).collect();
            assert!(
                old.values().all(|old| !held.contains(&old)),
                "{fixture}: a pod has it still"
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
fn a_token_restarts_who_takes_it_at_each_step_and_who_shows_it_once() {
    let mut world = World::up("minimal");
    ask(&mut world, "mcp-server-analytics", "leaked");
    live(&mut world, usize::MAX);
    let starts: Vec<_> = world.starts.iter().collect();
    let expected = [
        (&"demo-analytics-0".to_owned(), &3),
        (&"demo-mcp-server-0".to_owned(), &1),
    ];
    assert_eq!(starts, expected);
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
fn the_gateway_knows_both_secrets_of_its_client_while_keycloak_learns_the_new_one() {
    let mut world = World::up("minimal");
    let secret = |world: &World, key| world.secret("demo-gateway-keycloak", key);
    let old = secret(&world, "password").unwrap();
    ask(&mut world, "gateway-keycloak", "1");
    let seen = through(&mut world, 20, |world| {
        let known = world.accounts[&Store::Keycloak]["lotoai-web"] == old;
        let (_, env) = &world.started["demo-gateway-0"];
        (known, env.contains_key("OIDC_CLIENT_SECRET_STANDBY"))
    });
    assert_eq!(
        seen,
        [(true, false), (true, true), (false, true), (false, false)]
    );
    assert_eq!(secret(&world, "username").as_deref(), Some("lotoai-web"));
    assert_eq!(secret(&world, "standby-username"), None);
    assert_eq!(world.starts["demo-gateway-0"], 3);
    assert_eq!(world.starts.get("demo-keycloak-0"), None);
}
