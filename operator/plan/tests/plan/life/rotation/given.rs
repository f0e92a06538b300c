//! Credentials that somebody else keeps: they come into use like those that are made anew.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use lotoai_api::Store;
use lotoai_plan::rotation;
use serde_json::json;

use super::{World, ask, live, values};

const FIXTURE: &str = "given-credentials";
/// Each Secret of the fixture that is given, the one that is made of it, and the key.
const GIVEN: [(&str, &str, &str); 5] = [
    (
        "vault-gateway-postgres",
        "demo-gateway-postgres",
        "password",
    ),
    (
        "vault-gateway-orchestrator",
        "demo-gateway-orchestrator",
        "token",
    ),
    (
        "vault-gateway-keycloak",
        "demo-gateway-keycloak",
        "password",
    ),
    ("vault-postgres-admin", "demo-postgres-admin", "password"),
    ("vault-gateway-session", "demo-gateway-session", "key"),
];

/// The sessions' key is another in each round of a test.
const SESSION_KEYS: [&str; 2] = [
    "YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODk=",
    "Zjk4NzY1NDMyMTBlZGNiYWY5ODc2NTQzMjEwZWRjYmE=",
];

/// Somebody changes a Secret that is given.
fn write(world: &mut World, secret: &str, key: &str, value: &str) {
    let secret = world.observed.secrets.get_mut(secret).unwrap();
    let data = secret.data.get_or_insert_default();
    data.insert(key.to_owned(), ByteString(value.as_bytes().to_vec()));
}

/// Takes a credential from a Secret of somebody else, or not any more.
fn give(world: &mut World, name: &str, secret: Option<&str>) {
    let given = &mut world.lotoai.spec.credentials.given;
    match secret {
        Some(secret) => {
            let one = serde_json::from_value(json!({ "name": secret })).unwrap();
            given.insert(name.to_owned(), one);
        }
        None => {
            given.remove(name);
        }
    }
}

fn request(world: &World, secret: &str) -> Option<String> {
    let annotations = world.observed.secrets[secret].metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(rotation::REQUEST).cloned())
}

/// Everything that is given is what is used.
fn all_in_use(world: &World) {
    for (given, used, key) in GIVEN {
        let wanted = world.secret(given, key);
        assert!(wanted.is_some());
        assert_eq!(world.secret(used, key), wanted, "{used}");
        assert_eq!(request(world, used), Some(format!("Secret/{given}")));
    }
    assert_eq!(
        world.administrators.get(&Store::Postgres),
        world.secret("vault-postgres-admin", "password").as_ref()
    );
    assert_eq!(
        world.accounts[&Store::Keycloak].get("lotoai-web"),
        world.secret("vault-gateway-keycloak", "password").as_ref()
    );
    let postgres = &world.accounts[&Store::Postgres];
    let wanted = world.secret("vault-gateway-postgres", "password").unwrap();
    assert!(postgres.values().any(|known| *known == wanted));
}

#[test]
fn a_platform_begins_with_what_is_given() {
    let mut world = World::up(FIXTURE);
    all_in_use(&world);
    assert_eq!(live(&mut world, usize::MAX), 0);
}

#[test]
fn no_object_refers_to_the_secret_of_somebody_else() {
    let (platform, set) = crate::common::objects(FIXTURE);
    for object in set.objects() {
        let text = object.body.to_string();
        assert!(!text.contains("vault-"), "{}", object.name);
    }
    // They are read all the same.
    let read = platform.provided.keys().map(|(secret, _)| secret);
    assert_eq!(read.filter(|name| name.starts_with("vault-")).count(), 5);
}

#[test]
fn a_changed_secret_comes_into_use_and_nobody_is_turned_away() {
    // Also when the operator is killed at every write.
    for most in [usize::MAX, 1] {
        let mut world = World::up(FIXTURE);
        for (round, session_key) in SESSION_KEYS.into_iter().enumerate() {
            let old: Vec<_> = GIVEN
                .iter()
                .map(|(given, _, key)| world.secret(given, key).unwrap())
                .collect();
            for (given, _, key) in GIVEN {
                let value = match key {
                    "key" => session_key.to_owned(),
                    _ => format!("{given}-changed-{round}"),
                };
                write(&mut world, given, key, &value);
            }
            let before = given(&world);
            live(&mut world, most);
            assert_eq!(given(&world), before, "they are never written");
            // The old key of sessions stays for a day.
            world.now += jiff::SignedDuration::from_hours(25);
            live(&mut world, most);
            all_in_use(&world);
            let known: Vec<_> = world.accounts.values().flat_map(BTreeMap::values).collect();
            assert!(old.iter().all(|old| !known.contains(&old)), "still valid");
            for (_, used, _) in GIVEN {
                let data = world.observed.secrets[used].data.as_ref().unwrap();
                assert!(data.keys().all(|key| !key.starts_with("standby-")));
            }
            assert_eq!(world.report().condition("Reconciling"), None);
        }
    }
}

/// The Secrets of somebody else.
fn given(world: &World) -> Vec<k8s_openapi::api::core::v1::Secret> {
    let names = GIVEN.iter().map(|(given, ..)| given);
    names
        .map(|name| world.observed.secrets[*name].clone())
        .collect()
}

#[test]
fn one_changed_secret_restarts_its_user_once() {
    let mut world = World::up(FIXTURE);
    let changed = "a-new-password-of-the-gateway";
    write(&mut world, "vault-gateway-postgres", "password", changed);
    live(&mut world, usize::MAX);
    let starts: Vec<_> = world.starts.iter().collect();
    assert_eq!(starts, [(&"demo-gateway-0".to_owned(), &1)]);
    let (_, env) = &world.started["demo-gateway-0"];
    assert_eq!(env["POSTGRES_PASSWORD"], changed);
    assert_eq!(env["POSTGRES_USERNAME"], "gateway-b");
}

#[test]
fn a_label_on_a_secret_changes_nothing() {
    let mut world = World::up(FIXTURE);
    let secret = world.observed.secrets.get_mut("vault-gateway-postgres");
    let annotations = secret.unwrap().metadata.annotations.get_or_insert_default();
    annotations.insert("reconcile.external-secrets.io/data-hash".into(), "1".into());
    assert_eq!(live(&mut world, usize::MAX), 0);
}

#[test]
fn a_credential_is_made_then_given_and_then_made_again() {
    let mut world = World::up("minimal");
    let used = |world: &World| world.secret("demo-gateway-postgres", "password").unwrap();
    let made = used(&world);
    give(
        &mut world,
        "gateway-postgres",
        Some("vault-gateway-postgres"),
    );
    live(&mut world, usize::MAX);
    let given = world.secret("vault-gateway-postgres", "password").unwrap();
    assert_eq!(used(&world), given);
    assert_ne!(given, made);
    let status = world.report();
    let mut credentials = status.credentials.iter();
    let told = credentials.find(|one| one.secret == "demo-gateway-postgres");
    let told = told.unwrap();
    let rotation = told.rotation.as_deref();
    assert_eq!(rotation, Some("Secret/vault-gateway-postgres"));
    assert_eq!(told.message, "");
    // Taken back: whoever keeps it may give it to others.
    give(&mut world, "gateway-postgres", None);
    live(&mut world, usize::MAX);
    let again = used(&world);
    assert!(again != made && again != given);
    assert_eq!(request(&world, "demo-gateway-postgres"), None);
    assert_eq!(live(&mut world, usize::MAX), 0);
    // And with a request that stood there all the time.
    ask(&mut world, "all", "1");
    live(&mut world, usize::MAX);
    give(
        &mut world,
        "gateway-postgres",
        Some("vault-gateway-postgres"),
    );
    live(&mut world, usize::MAX);
    assert_eq!(used(&world), given);
    give(&mut world, "gateway-postgres", None);
    live(&mut world, usize::MAX);
    assert_ne!(used(&world), given);
    let request = request(&world, "demo-gateway-postgres");
    assert_eq!(request.as_deref(), Some("1"));
}

#[test]
fn what_is_given_and_in_use_already_restarts_nobody() {
    let mut world = World::up("minimal");
    let made = world.secret("demo-gateway-postgres", "password").unwrap();
    write(&mut world, "vault-gateway-postgres", "password", &made);
    give(
        &mut world,
        "gateway-postgres",
        Some("vault-gateway-postgres"),
    );
    assert_eq!(live(&mut world, usize::MAX), 0);
}

#[test]
fn all_does_not_mean_what_is_given() {
    let mut world = World::up(FIXTURE);
    let before = values(&world);
    ask(&mut world, "all", "1");
    live(&mut world, usize::MAX);
    all_in_use(&world);
    let kept: Vec<_> = values(&world)
        .into_iter()
        .filter(|(name, value)| before[name] == *value)
        .map(|(name, _)| name)
        .collect();
    let expected = [
        "demo-gateway-keycloak",
        "demo-gateway-orchestrator",
        "demo-gateway-postgres",
    ];
    assert_eq!(kept, expected);
}

#[test]
fn a_second_change_waits_for_the_end_of_the_first() {
    let mut world = World::up(FIXTURE);
    let secret = "vault-gateway-postgres";
    write(&mut world, secret, "password", "the-first-changed-password");
    assert_eq!(world.rotate(usize::MAX), 1);
    write(
        &mut world,
        secret,
        "password",
        "the-second-changed-password",
    );
    live(&mut world, usize::MAX);
    all_in_use(&world);
    // The key of sessions is forgotten after a day, and is told until then.
    let told = |world: &mut World| {
        let status = world.report();
        let mut all = status.credentials.iter();
        let found = all.find(|one| one.secret == "demo-gateway-session");
        found.unwrap().message.clone()
    };
    for (session_key, message) in SESSION_KEYS.into_iter().zip(["", "is made anew after"]) {
        write(&mut world, "vault-gateway-session", "key", session_key);
        live(&mut world, usize::MAX);
        let told = told(&mut world);
        assert!(told.starts_with(message), "{told}");
        assert_eq!(told.is_empty(), message.is_empty(), "{told}");
    }
    let used = world.secret("demo-gateway-session", "key");
    assert_eq!(used.as_deref(), Some(SESSION_KEYS[0]));
}
