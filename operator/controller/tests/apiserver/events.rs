//! What `kubectl describe` tells, from a real event store.

use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use serde_json::json;

use crate::world::World;

/// Type and reason of all events so far, in order.
async fn told(world: &World) -> Vec<(String, String)> {
    let events = world.api::<Event>();
    let mut all = events.list(&ListParams::default()).await.unwrap().items;
    // The API server tells of Services, too, when it looks at their addresses.
    all.retain(|event| {
        let about = event.regarding.as_ref();
        about.is_some_and(|about| about.kind.as_deref() == Some("LotoAI"))
    });
    all.sort_by_key(|event| event.event_time.clone());
    all.into_iter()
        .flat_map(|event| {
            let times = event.series.map_or(1, |series| series.count);
            let line = (event.type_.unwrap(), event.reason.unwrap());
            std::iter::repeat_n(line, usize::try_from(times).unwrap())
        })
        .collect()
}

fn count(told: &[(String, String)], reason: &str) -> usize {
    told.iter().filter(|(_, found)| found == reason).count()
}

#[tokio::test]
async fn an_installation_tells_its_story_in_a_few_events() {
    let Some(world) = World::demo("story").await else {
        return;
    };
    world.settle().await;
    let installed = told(&world).await;
    assert!(installed.len() <= 14, "{installed:?}");
    for (reason, times) in [
        ("Progressing", 1),
        ("CredentialsMade", 1),
        ("Started", 4),
        ("Provisioned", 5),
        ("Available", 1),
    ] {
        assert_eq!(count(&installed, reason), times, "{reason}: {installed:?}");
    }
    assert!(
        installed.iter().all(|(type_, _)| type_ == "Normal"),
        "{installed:?}"
    );

    world.pass().await.unwrap();
    assert_eq!(told(&world).await, installed, "nothing happened");

    world.change(&json!({ "paused": true })).await;
    world.pass().await.unwrap();
    world.change(&json!({ "paused": false })).await;
    world.settle().await;
    let all = told(&world).await;
    for reason in ["Paused", "Resumed"] {
        assert_eq!(count(&all, reason), 1, "{all:?}");
    }
    assert!(all.iter().all(|(type_, _)| type_ == "Normal"), "{all:?}");
}
