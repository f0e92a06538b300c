//! What the operator itself proves itself with, when it asks whether the platform answers.

use lotoai_api::Store;

use super::{World, access::everybody_is_let_in, ask, live};

#[test]
fn the_secret_of_the_probes_client_is_made_anew_and_nothing_restarts() {
    let mut world = World::up("minimal");
    let secret = |world: &World, key| world.secret("demo-operator-traefik", key);
    let old = secret(&world, "password").unwrap();
    ask(&mut world, "operator-traefik", "1");
    let mut seen = Vec::new();
    for _ in 0..10 {
        world.operator(usize::MAX);
        world.rotate(usize::MAX);
        everybody_is_let_in(&world);
        world.kubelet();
        everybody_is_let_in(&world);
        let known = world.accounts[&Store::Keycloak]["lotoai-probe"] == old;
        seen.push((known, secret(&world, "standby-password").is_some()));
    }
    seen.dedup();
    // The operator knows both before Keycloak takes the new one, and until it has.
    assert_eq!(seen, [(true, true), (false, true), (false, false)]);
    assert_eq!(secret(&world, "username").as_deref(), Some("lotoai-probe"));
    assert_eq!(secret(&world, "standby-username"), None);
    assert!(world.starts.is_empty(), "{:?}", world.starts);
    assert_eq!(world.report().condition("Reconciling"), None);
}

#[test]
fn the_gateway_takes_two_tokens_of_the_operator_while_one_is_made_anew() {
    let mut world = World::up("external-oidc");
    let token = |world: &World| world.secret("demo-operator-traefik", "token").unwrap();
    let old = token(&world);
    ask(&mut world, "operator-traefik", "1");
    live(&mut world, 1);
    assert_ne!(token(&world), old);
    let (_, env) = &world.started["demo-gateway-0"];
    assert_eq!(env["PROBE_TOKEN"], token(&world));
    assert!(!env.contains_key("PROBE_TOKEN_STANDBY"));
    let starts: Vec<_> = world.starts.iter().collect();
    assert_eq!(starts, [(&"demo-gateway-0".to_owned(), &3)]);
}
