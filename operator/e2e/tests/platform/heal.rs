//! Pods die; the platform answers again without help.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams};
use lotoai_e2e::{Platform, PublicClient};
use serde_json::Value;

use crate::cluster::{
    OPERATOR_NAMESPACE, component_ready, is_ready, operator_metric, operator_pods,
};
use crate::support::{
    NAME, NAMESPACE, component, condition, index, pods, ready_with_corpus, run, wait_for,
    wait_ready,
};

/// How long a new pod may take until it is ready.
const POD_LIMIT: Duration = Duration::from_secs(180);
/// How long the platform may take until it answers as before.
const ANSWER_LIMIT: Duration = Duration::from_secs(180);

#[test]
fn every_pod_may_be_deleted() {
    run(|| async {
        let (platform, client) = ready_with_corpus().await;
        let components: BTreeSet<String> = pods(&platform).await.iter().map(component).collect();
        assert!(components.len() >= 13, "{components:?}");
        for name in &components {
            let begun = Instant::now();
            replace_pod(&platform, name).await;
            wait_settled(&platform, name).await;
            let ready = begun.elapsed().as_secs_f64();
            wait_fact(&client, name).await;
            check(&client, name).await;
            println!(
                "deleted the pod of {name}: ready after {ready:.0} s, answered after {:.0} s",
                begun.elapsed().as_secs_f64()
            );
        }
        wait_ready(&platform, ANSWER_LIMIT).await;
    });
}

#[test]
fn the_operators_pod_may_be_deleted() {
    run(|| async {
        let (platform, client) = ready_with_corpus().await;
        let old = operator_pods(&platform).await.unwrap().remove(0);
        let (name, uid) = (old.metadata.name.unwrap(), old.metadata.uid);
        let api: Api<Pod> = Api::namespaced(platform.kube.clone(), OPERATOR_NAMESPACE);
        api.delete(&name, &DeleteParams::default()).await.unwrap();
        wait_for("a new pod of the operator", POD_LIMIT, async || {
            let now = operator_pods(&platform).await?;
            let is_new = |pod: &Pod| pod.metadata.uid != uid && is_ready(pod);
            if now.len() == 1 && now.iter().all(is_new) {
                Ok(())
            } else {
                Err(format!("{} pods", now.len()))
            }
        })
        .await;
        // A new process begins at zero: whatever it counts, it did itself.
        for (metric, label) in [
            ("lotoai_operator_reconciliations_total", "applied"),
            ("lotoai_operator_probes_total", "answered"),
            ("lotoai_operator_platform_ready", "platform"),
        ] {
            let wanted = format!("{metric} of the new operator");
            wait_for(&wanted, Duration::from_secs(120), async || {
                let count = operator_metric(&platform, metric, label).await?;
                if count >= 1.0 {
                    Ok(())
                } else {
                    Err(count.to_string())
                }
            })
            .await;
        }
        // What the old process applied is not applied again, but for what changed meanwhile.
        let metric = "lotoai_operator_objects_total";
        let sent = operator_metric(&platform, metric, "applied").await.unwrap();
        assert!(sent <= 10.0, "{sent} objects were applied again");
        wait_ready(&platform, ANSWER_LIMIT).await;
        wait_fact(&client, "operator").await;
    });
}

/// Deletes the pod of a component and waits until another one is ready in its place.
pub(crate) async fn replace_pod(platform: &Platform, name: &str) {
    let api: Api<Pod> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    let old = pods(platform)
        .await
        .into_iter()
        .find(|pod| component(pod) == name)
        .unwrap_or_else(|| panic!("{name} has no pod"));
    let (pod_name, uid) = (old.metadata.name.unwrap(), old.metadata.uid);
    api.delete(&pod_name, &DeleteParams::default())
        .await
        .unwrap();
    wait_for(&format!("a new pod of {name}"), POD_LIMIT, async || {
        let now = pods(platform).await;
        let mine: Vec<&Pod> = now.iter().filter(|pod| component(pod) == name).collect();
        // The old pod may still drain; it gets no new requests.
        let is_old_gone = mine
            .iter()
            .filter(|pod| pod.metadata.uid == uid)
            .all(|pod| pod.metadata.deletion_timestamp.is_some());
        let is_new = mine
            .iter()
            .any(|pod| pod.metadata.uid != uid && is_ready(pod));
        if is_old_gone && is_new {
            Ok(())
        } else {
            Err(format!("{} pods", mine.len()))
        }
    })
    .await;
}

/// Waits until the resource's status says that the component has all its pods.
pub(crate) async fn wait_settled(platform: &Platform, name: &str) {
    let resources = platform.resources();
    wait_for(
        &format!("the status to say that {name} is ready"),
        POD_LIMIT,
        async || {
            let object = resources.get(NAME).await.map_err(|e| e.to_string())?;
            let object = serde_json::to_value(&object).map_err(|e| e.to_string())?;
            let ready = component_ready(&object, name);
            let is_whole = ready
                .split_once('/')
                .is_some_and(|(ready, wanted)| ready == wanted && wanted != "0");
            if is_whole && condition(&object, "Degraded") != "True" {
                Ok(())
            } else {
                Err(format!("{ready}, {}", object["status"]["conditions"]))
            }
        },
    )
    .await;
}

/// Waits until a question about a document is answered from it.
async fn wait_fact(client: &PublicClient, after: &str) {
    let question = "How often must the coffee machine be descaled?";
    wait_answer(client, "lotoai", question, after, |text, _| {
        text.contains("Friday")
    })
    .await;
}

/// What the component itself is for works again.
async fn check(client: &PublicClient, name: &str) {
    match name {
        "postgres" | "rabbitmq" | "minio" | "rag-ingest" | "rag-server" => {
            let run = std::process::id();
            let text = format!("# Locker {run}\n\nAfter {name} locker {run} holds the umbrella.\n");
            index(client, &format!("heal-{name}-{run}.md"), &text).await;
        }
        "clickhouse" | "analytics" => {
            let question = "How many requests has the platform served today?";
            wait_answer(client, "lotoai", question, name, |_, lotoai| {
                lotoai["decision"]["route"] == "tool"
                    && lotoai["decision"]["target"] == "platform_usage"
                    && lotoai["tool_calls"][0]["is_error"] == false
            })
            .await;
        }
        "model-server" | "agents" => {
            let question = "Write one sentence that welcomes a new colleague.";
            wait_answer(client, "writer", question, name, |text, _| {
                !text.trim().is_empty()
            })
            .await;
        }
        _ => {}
    }
}

/// Asks until the answer is right.
async fn wait_answer(
    client: &PublicClient,
    model: &str,
    question: &str,
    after: &str,
    is_right: impl Fn(&str, &Value) -> bool,
) {
    wait_for(
        &format!("{question:?} to be answered after {after}"),
        ANSWER_LIMIT,
        async || {
            let answer = client.ask(model, question).await;
            let answer = answer.map_err(|error| error.to_string())?;
            if is_right(&answer.text, &answer.lotoai) {
                Ok(())
            } else {
                Err(format!("{answer:?}"))
            }
        },
    )
    .await;
}
