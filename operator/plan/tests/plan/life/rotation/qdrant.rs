//! The key of Qdrant, which takes two at a time and whose peers show it to each other.

use rstest::rstest;

use super::access::takes;
use super::{World, ask, live, through};

const SECRET: &str = "demo-rag-server-qdrant";

fn key(world: &World) -> String {
    world.secret(SECRET, "apiKey").unwrap()
}

#[test]
fn qdrant_takes_both_keys_before_and_until_rag_server_has_the_new_one() {
    let mut world = World::up("qdrant-cluster");
    let old = key(&world);
    ask(&mut world, "rag-server-qdrant", "1");
    let seen = through(&mut world, 20, |world| {
        let (_, server) = &world.started["demo-qdrant-0"];
        let (_, caller) = &world.started["demo-rag-server-0"];
        let both = server.contains_key("QDRANT__SERVICE__ALT_API_KEY");
        (takes(server, &old), both, caller["QDRANT_API_KEY"] == old)
    });
    let expected = [
        (true, false, true),
        (true, true, true),
        (true, true, false),
        (false, false, false),
    ];
    assert_eq!(seen, expected);
    for number in 0..3 {
        assert_eq!(world.starts[&format!("demo-qdrant-{number}")], 3);
    }
    assert_eq!(world.starts["demo-rag-server-0"], 1);
    assert_eq!(world.starts.get("demo-orchestrator-0"), None);
}

#[rstest]
#[case::who_calls("demo-rag-server-0")]
#[case::a_peer("demo-qdrant-0")]
fn the_old_key_stays_until_the_last_pod_that_shows_it_is_gone(#[case] pod: &str) {
    let mut world = World::up("qdrant-cluster");
    let old = key(&world);
    ask(&mut world, "rag-server-qdrant", "1");
    let mut passes = 0;
    while key(&world) == old {
        world.operator(usize::MAX);
        world.rotate(usize::MAX);
        world.kubelet();
        passes += 1;
        assert!(passes < 10, "the new key never came into use");
    }
    // Qdrant takes both, and everybody still shows the old one.
    let draining = world.observed.pods[pod].clone();
    for _ in 0..10 {
        world.operator(usize::MAX);
        world.rotate(usize::MAX);
        world.kubelet();
        let pods = &mut world.observed.pods;
        pods.insert("draining".to_owned(), draining.clone());
    }
    assert_eq!(world.secret(SECRET, "standby-apiKey"), Some(old));
    world.observed.pods.remove("draining");
    world.settle();
    assert_eq!(world.secret(SECRET, "standby-apiKey"), None);
}

#[test]
fn a_key_that_is_given_comes_into_use_the_same_way() {
    let mut world = World::up("qdrant");
    let given = "from-the-vault-of-the-vectors";
    let secret = serde_json::from_value(serde_json::json!({
        "metadata": { "name": "vault" }, "data": { "apiKey": k8s_openapi::ByteString(given.into()) },
    }));
    world
        .observed
        .secrets
        .insert("vault".to_owned(), secret.unwrap());
    let one = serde_json::from_value(serde_json::json!({ "name": "vault" })).unwrap();
    let names = &mut world.lotoai.spec.credentials.given;
    names.insert("rag-server-qdrant".to_owned(), one);
    live(&mut world, 1);
    assert_eq!(key(&world), given);
    let (_, server) = &world.started["demo-qdrant-0"];
    assert_eq!(server["QDRANT__SERVICE__API_KEY"], given);
    assert!(!server.contains_key("QDRANT__SERVICE__ALT_API_KEY"));
}
