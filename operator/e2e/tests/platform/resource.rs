//! The resource: what it tells, what it refuses, what it costs.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use lotoai_e2e::Platform;
use serde_json::{Value, json};

use crate::cluster::{
    OPERATOR_NAMESPACE, Seen, objects, operator_metric, secrets, transient_kinds,
};
use crate::support::{
    NAME, NAMESPACE, component, condition, pods, ready, run, wait_for, wait_ready,
};

/// Idle memory that the whole platform may use.
const MEMORY_LIMIT: u64 = 4 << 30;

#[test]
fn the_status_tells_the_truth() {
    run(|| async {
        let (platform, client) = ready().await;
        let object = serde_json::to_value(platform.resources().get(NAME).await.unwrap()).unwrap();
        assert_eq!(condition(&object, "Ready"), "True");
        let status = &object["status"];
        assert_eq!(
            status["url"].as_str().unwrap().trim_end_matches('/'),
            client.url()
        );
        let (ready, all) = status["componentsReady"]
            .as_str()
            .unwrap()
            .split_once('/')
            .unwrap();
        assert_eq!(ready, all);
        assert_eq!(
            status["components"].as_array().unwrap().len().to_string(),
            all
        );
    });
}

#[test]
fn a_broken_field_is_refused_with_the_fix() {
    run(|| async {
        let (platform, _) = ready().await;
        let resources = platform.resources();
        let cases: [(&str, Value, &str); 5] = [
            (
                "a URL without https",
                json!({"url": "http://lotoai.localhost"}),
                "https",
            ),
            ("a wrong type", json!({"url": 7}), "url"),
            (
                "an unknown profile",
                json!({"url": "https://a.example", "profile": "Huge"}),
                "profile",
            ),
            (
                "a tool that is two things",
                json!({"url": "https://a.example", "mcp": {"tools": [{
                    "name": "both", "description": "d",
                    "http": {"url": "https://a.example/x"}, "script": {"source": "true"},
                }]}}),
                "script",
            ),
            (
                "a role with an undeclared provider",
                json!({"url": "https://a.example", "agents": {"roles": [{
                    "name": "r", "description": "d", "prompt": "p",
                    "models": [{"provider": "nobody", "model": "m"}],
                }]}}),
                "provider",
            ),
        ];
        for (name, spec, hint) in cases {
            let object: DynamicObject = serde_json::from_value(json!({
                "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI",
                "metadata": {"name": "broken", "namespace": NAMESPACE}, "spec": spec,
            }))
            .unwrap();
            let error = resources
                .create(&PostParams::default(), &object)
                .await
                .expect_err(name);
            let text = error.to_string();
            assert!(text.contains(hint), "{name}: {hint:?} is not in {text}");
        }
        let strict = PatchParams {
            field_validation: Some(kube::api::ValidationDirective::Strict),
            ..Default::default()
        };
        let patch = Patch::Merge(json!({"spec": {"colour": "blue"}}));
        let error = resources
            .patch(NAME, &strict, &patch)
            .await
            .expect_err("an unknown field");
        assert!(error.to_string().contains("colour"), "{error}");
    });
}

#[test]
fn the_idle_platform_is_small() {
    run(|| async {
        let (platform, _) = ready().await;
        let nodes: Api<Node> = Api::all(platform.kube.clone());
        let mut memory: BTreeMap<String, u64> = BTreeMap::new();
        for node in nodes.list(&ListParams::default()).await.unwrap() {
            let path = format!(
                "/api/v1/nodes/{}/proxy/stats/summary",
                node.metadata.name.unwrap()
            );
            let request = http::Request::get(path).body(Vec::new()).unwrap();
            let summary: Value = platform.kube.request(request).await.unwrap();
            for pod in summary["pods"].as_array().unwrap() {
                let namespace = pod["podRef"]["namespace"].as_str().unwrap_or_default();
                if [NAMESPACE, OPERATOR_NAMESPACE].contains(&namespace) {
                    for container in pod["containers"].as_array().into_iter().flatten() {
                        *memory
                            .entry(container["name"].as_str().unwrap().to_owned())
                            .or_default() +=
                            container["memory"]["workingSetBytes"].as_u64().unwrap_or(0);
                    }
                }
            }
        }
        for (container, bytes) in &memory {
            println!("memory {container:<28} {:>6} MiB", bytes >> 20);
        }
        let total: u64 = memory.values().sum();
        println!("memory {:<28} {:>6} MiB", "all", total >> 20);
        assert!(memory.len() >= 15, "{memory:?}");
        assert!(memory.contains_key("operator"), "{memory:?}");
        assert!(total <= MEMORY_LIMIT, "{} MiB", total >> 20);
    });
}

#[test]
fn kubectl_get_shows_what_the_documentation_says() {
    run(|| async {
        let (platform, client) = ready().await;
        let path = format!("/apis/lotoai.dev/v1alpha1/namespaces/{NAMESPACE}/lotoais/{NAME}");
        // What `kubectl get` asks for.
        let request = http::Request::get(path)
            .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
            .body(Vec::new())
            .unwrap();
        let table: Value = platform.kube.request(request).await.unwrap();
        let columns = table["columnDefinitions"].as_array().unwrap();
        let names = |wide: bool| -> Vec<&str> {
            columns
                .iter()
                .filter(|column| wide || column["priority"] == 0)
                .map(|column| column["name"].as_str().unwrap())
                .collect()
        };
        let narrow = ["Name", "Ready", "Components", "URL", "Message", "Age"];
        assert_eq!(names(false), narrow);
        for name in ["Profile", "Version"] {
            assert!(
                names(true).contains(&name),
                "{name} is missing with -o wide"
            );
        }
        let cell = |name: &str| {
            let index = columns.iter().position(|column| column["name"] == name);
            table["rows"][0]["cells"][index.unwrap()]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        assert_eq!(cell("Ready"), "True");
        assert_eq!(cell("Components"), "14/14");
        assert_eq!(cell("URL").trim_end_matches('/'), client.url());
        assert!(
            cell("Message").contains(client.url()),
            "{}",
            cell("Message")
        );
        assert!(!cell("Age").is_empty());
    });
}

#[test]
fn a_second_pass_writes_nothing() {
    run(|| async {
        let (platform, _) = ready().await;
        // A new operator may have something to send.
        pass(&platform).await;
        let sent = applied(&platform).await;
        let before = versions(&platform).await;
        let resource = pass(&platform).await;
        assert_eq!(versions(&platform).await, before);
        assert_eq!(applied(&platform).await, sent, "objects were sent again");
        let now = platform.resources().get(NAME).await.unwrap();
        assert_eq!(
            now.metadata.resource_version, resource,
            "the status was written again"
        );
    });
}

async fn versions(platform: &Platform) -> Vec<Seen> {
    let mut kinds = transient_kinds();
    kinds.push(secrets());
    let seen = objects(platform, &kinds).await.unwrap();
    assert!(seen.len() > 50, "{seen:?}");
    seen
}

async fn applied(platform: &Platform) -> f64 {
    let metric = "lotoai_operator_objects_total";
    operator_metric(platform, metric, "outcome=\"applied\"")
        .await
        .unwrap()
}

/// Wakes the operator and waits until a pass is over. Returns the resource's version as it was
/// when the pass began.
async fn pass(platform: &Platform) -> Option<String> {
    let metric = "lotoai_operator_reconciliations_total";
    let applied = "outcome=\"applied\"";
    let before = operator_metric(platform, metric, applied).await.unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let patch = json!({"metadata": {"annotations": {
        "example.com/looked-at": now.as_nanos().to_string(),
    }}});
    let patched = platform
        .resources()
        .patch(NAME, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .unwrap();
    wait_for(
        "a pass of the operator",
        Duration::from_secs(60),
        async || {
            let now = operator_metric(platform, metric, applied).await?;
            if now > before {
                Ok(())
            } else {
                Err(format!("{now} passes"))
            }
        },
    )
    .await;
    patched.metadata.resource_version
}

/// Nothing can be scheduled, and the orchestrator's pod goes: no question is answered, and the
/// resource says so until it is over.
#[test]
fn ready_is_false_while_no_question_is_answered() {
    if std::env::var_os("LOTOAI_E2E_INSTANCE").is_none() {
        println!(
            "SKIPPED ready_is_false_while_no_question_is_answered: this cluster's nodes are not \
             ours to close"
        );
        return;
    }
    run(|| async {
        let (platform, client) = ready().await;
        let nodes: Api<Node> = Api::all(platform.kube.clone());
        let listed = nodes.list(&ListParams::default()).await.unwrap();
        let names: Vec<String> = listed
            .items
            .into_iter()
            .filter_map(|node| node.metadata.name)
            .collect();
        for name in &names {
            nodes.cordon(name).await.unwrap();
        }
        // The nodes are opened again whatever happens here, or no later test could pass.
        let outcome = AssertUnwindSafe(outage(&platform)).catch_unwind().await;
        for name in &names {
            nodes.uncordon(name).await.unwrap();
        }
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
        wait_ready(&platform, Duration::from_secs(180)).await;
        let answer = client.ask("lotoai", "Hello?").await.unwrap();
        assert!(!answer.text.trim().is_empty(), "{answer:?}");
    });
}

/// Ends the orchestrator's pod and waits until the resource is not Ready.
async fn outage(platform: &Platform) {
    let api: Api<Pod> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    for pod in pods(platform).await {
        if component(&pod) == "orchestrator" {
            let name = pod.metadata.name.unwrap();
            let at_once = DeleteParams::default().grace_period(1);
            api.delete(&name, &at_once).await.unwrap();
        }
    }
    let begun = Instant::now();
    let resources = platform.resources();
    // The probe asks every 30 s and gives up on an answer after 10 s.
    let message = wait_for(
        "the resource to be not Ready",
        Duration::from_secs(90),
        async || {
            let object = resources.get(NAME).await.map_err(|e| e.to_string())?;
            let object = serde_json::to_value(&object).map_err(|e| e.to_string())?;
            if condition(&object, "Ready") == "False" {
                Ok(object["status"]["conditions"].to_string())
            } else {
                Err(object["status"]["conditions"].to_string())
            }
        },
    )
    .await;
    println!(
        "not Ready {:.0} s after the orchestrator's pod went",
        begun.elapsed().as_secs_f64()
    );
    assert!(message.contains("orchestrator"), "{message}");
}
