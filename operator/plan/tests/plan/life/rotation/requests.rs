//! What a request of `spec.credentials.rotate` comes to, and which is refused.

use super::{World, ask, live, values};

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
        (
            "clickhouse-replication",
            "set spec.suspend, delete the Secret",
        ),
        ("rabbitmq-cookie", "set spec.suspend, delete the Secret"),
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
fn the_key_of_a_qdrant_that_is_external_is_yours_to_change() {
    let mut world = World::up("external-qdrant");
    ask(&mut world, "rag-server-qdrant", "1");
    let validated = lotoai_plan::validate(&world.lotoai, &world.observed, &world.env);
    let faults = validated.unwrap_err();
    let message = &faults[0].message;
    assert!(message.contains("a Secret of yours"), "{message}");
}
