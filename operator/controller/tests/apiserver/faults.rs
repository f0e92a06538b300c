//! The running operator through an API server that fails: whatever fails, the platform is as it
//! should be within a minute after that ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Patch, PatchParams};
use lotoai_plan::labels;
use serde_json::json;

use crate::proxy::{Fault, Proxy};
use crate::server::{self, OPERATOR};
use crate::world::{Answering, DEADLINE, World, context, wait_for};

/// A platform whose operator reaches the API server through a proxy, and the file with its token.
async fn proxied(namespace: &str) -> Option<(World, Proxy, PathBuf)> {
    let world = World::demo(namespace).await?;
    let server = server::shared()?;
    let token = server.file(&format!("{namespace}.token"), OPERATOR);
    let proxy = Proxy::start(server).await;
    let context = Arc::new(context(&proxy.client(&token), Answering));
    Some((World { context, ..world }, proxy, token))
}

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
async fn converged(world: &World) {
    wait_for("convergence", DEADLINE, async || {
        let service = world.api::<Service>().get("demo-gateway").await.unwrap();
        let selector = service.spec.unwrap().selector.unwrap();
        selector[labels::NAME] != "wrong" && world.is_up().await
    })
    .await;
}

/// Lets a fault be met this often while there is work, ends it, and expects the work done.
async fn survives(namespace: &str, fault: Fault, times: usize) {
    let Some((world, proxy, _)) = proxied(namespace).await else {
        return;
    };
    world
        .operating(async {
            proxy.set(Some(fault));
            disturb(&world).await;
            wait_for("the fault is met", DEADLINE, async || {
                proxy.failed() >= times
            })
            .await;
            proxy.set(None);
            converged(&world).await;
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
            converged(&world).await;
        })
        .await;
}

#[tokio::test]
async fn a_ready_platform_is_left_in_peace() {
    const STILL: Duration = Duration::from_secs(20);
    let Some((world, proxy, _)) = proxied("still").await else {
        return;
    };
    world
        .operating(async {
            // What the last changes woke comes to its end first.
            let mut writes = proxy.writes().len();
            let mut since = std::time::Instant::now();
            wait_for("a pause", DEADLINE, async || {
                let now = proxy.writes().len();
                if now != writes {
                    (writes, since) = (now, std::time::Instant::now());
                }
                since.elapsed() > Duration::from_secs(2)
            })
            .await;
            let before = world.versions().await;
            let started = std::time::Instant::now();
            wait_for("the sample ends", DEADLINE, async || {
                let all = proxy.writes();
                assert_eq!(all.len(), writes, "written: {:?}", &all[writes..]);
                started.elapsed() > STILL
            })
            .await;
            assert_eq!(world.versions().await, before);
        })
        .await;
}
