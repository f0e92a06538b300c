//! What of a watch is news, and what it misses.

use std::time::Duration;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{DeleteParams, Patch, PatchParams};
use lotoai_operator::watch::fingerprint;
use lotoai_testing::Fault;
use serde_json::{Value, json};

use crate::proxy::proxied_with;
use crate::world::{Answering, DEADLINE, World, wait_for};

/// Writes as somebody, and says what the autoscaler looks like then.
async fn after(world: &World, by: &str, status: bool, change: Value) -> u64 {
    let api = world.api::<HorizontalPodAutoscaler>();
    let by = PatchParams {
        field_manager: Some(by.to_owned()),
        ..PatchParams::default()
    };
    let (name, change) = ("demo-model-server", Patch::Merge(change));
    let written = match status {
        true => api.patch_status(name, &by, &change).await,
        false => api.patch(name, &by, &change).await,
    };
    written.unwrap();
    fingerprint(&api.get_metadata(name).await.unwrap().metadata)
}

/// Autoscalers have no generation, so the API server's notes on who wrote what must do.
#[tokio::test]
async fn the_status_of_an_autoscaler_is_no_news_and_its_spec_is() {
    let spec = json!({
        "url": "https://lotoai.localhost",
        "components": { "model-server": { "autoscaling": { "maxReplicas": 5 } } },
    });
    let Some(world) = World::new("news", &spec, Answering).await else {
        return;
    };
    world.pass().await.unwrap();
    let controller = "kube-controller-manager";
    let counts =
        |wanted: i32| json!({ "status": { "currentReplicas": 2, "desiredReplicas": wanted } });
    let before = after(&world, controller, true, counts(2)).await;
    assert_eq!(after(&world, controller, true, counts(3)).await, before);
    let more = json!({ "spec": { "maxReplicas": 9 } });
    let altered = after(&world, "somebody", false, more).await;
    assert_ne!(altered, before);
    let label = json!({ "metadata": { "labels": { "team": "web" } } });
    assert_ne!(after(&world, "somebody", false, label).await, altered);
}

/// The only object of its kind, so that no other one of the list wakes the platform.
#[tokio::test]
async fn what_was_deleted_while_a_watch_was_away_comes_back_soon() {
    let spec = json!({
        "url": "https://lotoai.localhost",
        "edge": {
            "ingress": { "className": "nginx" },
            "fromNamespaces": { "kubernetes.io/metadata.name": "infra" },
        },
    });
    let Some((world, proxy, _)) = proxied_with("missed", &spec).await else {
        return;
    };
    world
        .operating(async {
            proxy.set(Some(Fault::Expired("ingresses")));
            wait_for("the watch is away", DEADLINE, async || proxy.failed() >= 4).await;
            let ingresses = world.api::<Ingress>();
            ingresses
                .delete("demo-edge", &DeleteParams::default())
                .await
                .unwrap();
            // Without a list that is told the next look would be minutes away.
            wait_for("it is back", Duration::from_secs(40), async || {
                ingresses.get_opt("demo-edge").await.unwrap().is_some()
            })
            .await;
            proxy.set(None);
        })
        .await;
}
