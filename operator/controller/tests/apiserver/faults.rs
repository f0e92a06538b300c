//! The running operator through an API server that fails: whatever fails, the platform is as it
//! should be within a minute after that ends.

use std::time::Duration;

use axum::http::StatusCode;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Patch, PatchParams};
use lotoai_operator::client::SILENCE;
use lotoai_plan::labels;
use lotoai_testing::Fault;
use serde_json::json;

use crate::proxy::proxied;
use crate::world::{DEADLINE, World, is_soak, wait_for};

/// Alters a child and the resource, past the proxy.
async fn disturb(world: &World) {
    let altered = json!({ "spec": { "selector": { labels::NAME: "wrong" } } });
    let by = PatchParams {
        field_manager: Some("somebody".to_owned()),
        ..PatchParams::default()
    };
    world
        .api::<Service>()
        .patch("demo-gateway", &by, &Patch::Merge(altered))
        .await
        .unwrap();
    let chunk = json!({ "rag": { "chunk": { "maxCharacters": 700 } } });
    world.change(&chunk).await;
}

/// The child is restored, and the status is about the changed resource.
async fn converged(world: &World, limit: Duration) {
    wait_for("convergence", limit, async || {
        let service = world.api::<Service>().get("demo-gateway").await.unwrap();
        let selector = service.spec.unwrap().selector.unwrap();
        selector[labels::NAME] != "wrong" && world.is_up().await
    })
    .await;
}

/// Lets a fault be met this often while there is work, ends it, and expects the work done within a minute.
async fn survives(namespace: &str, fault: Fault, times: usize) {
    survives_within(namespace, fault, times, DEADLINE).await;
}

/// The same where both take longer.
async fn survives_within(namespace: &str, fault: Fault, times: usize, limit: Duration) {
    let Some((world, proxy, _)) = proxied(namespace).await else {
        return;
    };
    world
        .operating(async {
            proxy.set(Some(fault));
            disturb(&world).await;
            wait_for("the fault is met", limit, async || proxy.failed() >= times).await;
            proxy.set(None);
            converged(&world, limit).await;
        })
        .await;
}

#[tokio::test]
async fn a_storm_of_conflicts() {
    survives("fault-409", Fault::Conflicts, 6).await;
}

#[tokio::test]
async fn too_many_requests() {
    let fault = Fault::Refused(StatusCode::TOO_MANY_REQUESTS, Some(1));
    survives("fault-429", fault, 30).await;
}

#[tokio::test]
async fn internal_errors() {
    let fault = Fault::Refused(StatusCode::INTERNAL_SERVER_ERROR, None);
    survives("fault-500", fault, 30).await;
}

#[tokio::test]
async fn a_server_that_is_away() {
    let fault = Fault::Refused(StatusCode::SERVICE_UNAVAILABLE, None);
    survives("fault-503", fault, 30).await;
}

#[tokio::test]
async fn watches_that_are_cut() {
    survives("fault-watches", Fault::CutWatches, 20).await;
}

#[tokio::test]
async fn slow_answers() {
    survives("fault-slow", Fault::Delay(Duration::from_millis(500)), 10).await;
}

#[tokio::test]
async fn an_expired_token() {
    let Some((world, proxy, token)) = proxied("fault-401").await else {
        return;
    };
    world
        .operating(async {
            proxy.set(Some(Fault::OnlyToken("renewed".to_owned())));
            disturb(&world).await;
            wait_for("the token is refused", DEADLINE, async || {
                proxy.failed() >= 10
            })
            .await;
            std::fs::write(&token, "renewed").unwrap();
            converged(&world, DEADLINE).await;
        })
        .await;
}

/// The watches tell of the work, and the requests of its pass hang.
#[tokio::test]
async fn requests_that_hang() {
    survives("fault-silence", Fault::Silence { watches: false }, 1).await;
}

/// Dead watches show later than dead requests, so this takes minutes.
#[tokio::test]
async fn watches_that_hang() {
    if !is_soak() {
        println!("SKIPPED watches_that_hang: it takes minutes; `make soak` runs it");
        return;
    }
    let fault = Fault::Silence { watches: true };
    survives_within("fault-watches-silence", fault, 20, SILENCE + DEADLINE).await;
}
