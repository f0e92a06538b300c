//! What there is to see of a platform at the moment when a long test fails. What the run writes down
//! at its end shows what the tests after it have made of the cluster.

use std::any::Any;
use std::panic::{AssertUnwindSafe, resume_unwind};

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, ListParams, LogParams};
use kube::{Client, ResourceExt as _};
use lotoai_e2e::Platform;

use crate::cluster::is_ready;

/// Lines of the log of a pod that is not ready.
const TAIL: i64 = 20;
/// Events that are shown, the latest ones.
const EVENTS: usize = 25;

/// Why a test failed, to go on with when everything is cleared up.
pub(crate) type Failure = Box<dyn Any + Send>;

/// Runs `work`. When it fails, what these namespaces hold is printed at once.
pub(crate) async fn caught(
    kube: &Client,
    namespaces: &[&str],
    work: LocalBoxFuture<'_, ()>,
) -> Result<(), Failure> {
    let outcome = AssertUnwindSafe(work).catch_unwind().await;
    if outcome.is_err() {
        for namespace in namespaces {
            println!("-- what there is in {namespace}");
            if let Err(error) = print(kube, namespace).await {
                println!("  it cannot be read: {error}");
            }
        }
    }
    outcome
}

/// The same for a test that has nothing to clear up.
pub(crate) async fn told(kube: &Client, namespaces: &[&str], work: LocalBoxFuture<'_, ()>) {
    if let Err(failure) = caught(kube, namespaces, work).await {
        resume_unwind(failure);
    }
}

async fn print(kube: &Client, namespace: &str) -> Result<(), kube::Error> {
    let all = ListParams::default();
    let of = Platform {
        kube: kube.clone(),
        namespace: namespace.to_owned(),
        name: String::new(),
    };
    for object in of.resources().list(&all).await? {
        println!("  LotoAI {}", object.name_any());
        let status = &object.data["status"];
        for condition in status["conditions"].as_array().into_iter().flatten() {
            println!(
                "    {}={} {}: {}",
                condition["type"], condition["status"], condition["reason"], condition["message"]
            );
        }
        for part in status["components"].as_array().into_iter().flatten() {
            if part["message"].is_string() {
                println!(
                    "    {} {}: {}",
                    part["name"], part["ready"], part["message"]
                );
            }
        }
    }
    let pods: Api<Pod> = Api::namespaced(kube.clone(), namespace);
    for pod in pods.list(&all).await? {
        println!("  Pod {}", line(&pod));
        let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
        if is_ready(&pod) || phase == Some("Succeeded") {
            continue;
        }
        let end = LogParams {
            tail_lines: Some(TAIL),
            ..LogParams::default()
        };
        // A container that has not started has no log.
        for line in pods
            .logs(&pod.name_any(), &end)
            .await
            .unwrap_or_default()
            .lines()
        {
            println!("    | {line}");
        }
    }
    let events: Api<Event> = Api::namespaced(kube.clone(), namespace);
    let warnings = ListParams::default().fields("type=Warning");
    let mut warnings = events.list(&warnings).await?.items;
    warnings.sort_by_key(|event| event.metadata.creation_timestamp.clone());
    for event in warnings.iter().rev().take(EVENTS) {
        let about = &event.involved_object;
        println!(
            "  Warning {} {}: {}: {}",
            about.kind.as_deref().unwrap_or_default(),
            about.name.as_deref().unwrap_or_default(),
            event.reason.as_deref().unwrap_or_default(),
            event.message.as_deref().unwrap_or_default()
        );
    }
    Ok(())
}

/// A pod on a line.
fn line(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let containers = status.container_statuses.unwrap_or_default();
    let restarts: i32 = containers.iter().map(|one| one.restart_count).sum();
    let states: Vec<String> = containers
        .into_iter()
        .filter_map(|one| {
            let state = one.state?;
            let waiting = state.waiting.and_then(|it| it.reason);
            waiting.or_else(|| state.terminated.and_then(|it| it.reason))
        })
        .collect();
    let leaving = pod.metadata.deletion_timestamp.is_some();
    format!(
        "{} {} ready: {} restarts: {restarts}{} {}",
        pod.name_any(),
        status.phase.unwrap_or_default(),
        is_ready(pod),
        if leaving { " on its way out" } else { "" },
        states.join(", ")
    )
}
