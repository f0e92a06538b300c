//! The key that seals the sessions of the gateway.

use super::{World, ask, live, values};

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
