//! A component whose number of pods follows the load gets a pod under load and gives it back after
//! it. The operator leaves the number alone, and no request fails on the way.
//!
//! An autoscaler waits five minutes before it takes a pod away, so only `make soak` runs it. What it
//! follows is measured by metrics-server, which is in the package-built cluster for this test alone.

use std::panic::resume_unwind;
use std::time::{Duration, Instant};

use futures::future::join_all;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::{Api, Patch, PatchParams};
use lotoai_e2e::{Platform, PublicClient};
use lotoai_local::{Instance, Progress, third_party};
use lotoai_plan::labels;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use crate::cluster::component_ready;
use crate::dump::caught;
use crate::support::{
    NAME, NAMESPACE, component, condition, pods, ready, repeated_during, resource, run, set_spec,
    wait_for, wait_ready,
};

/// The component, its Deployment and its autoscaler.
const GATEWAY: &str = "gateway";
const OBJECT: &str = "demo-gateway";
/// Percent of what a gateway requests, which is 50m. One at rest uses a tenth of it, and two that
/// together use less than that are one too many.
const TARGET: u32 = 100;
/// How many requests there are at once.
const REQUESTS: u32 = 8;
/// From one question to the next, so that the questions alone are no load.
const PACE: Duration = Duration::from_secs(2);
/// How long a change of the resource may take: PostgreSQL restarts for the connections of one more pod.
const LIMIT: Duration = Duration::from_secs(300);
/// How long the load may go on until there is a second pod: it is measured every 15 s, and looked at
/// every 15 s.
const UP_LIMIT: Duration = Duration::from_secs(240);
/// How long both pods are looked at.
const HELD: Duration = Duration::from_secs(60);
/// Owners of what only an autoscaler writes.
const NOBODY: [&str; 0] = [];
/// How long it may take until there is one pod again.
const DOWN_LIMIT: Duration = Duration::from_secs(10 * 60);

#[test]
fn pods_come_with_the_load_and_go_after_it() {
    let test = "pods_come_with_the_load_and_go_after_it";
    let Ok(instance) = std::env::var("LOTOAI_E2E_INSTANCE") else {
        println!("SKIPPED {test}: it needs metrics-server, which the package-built cluster gets");
        return;
    };
    if std::env::var_os("LOTOAI_SOAK").is_none() {
        println!("SKIPPED {test}: `make soak` runs it");
        return;
    }
    let progress = Progress::new();
    // Builds nothing: it is asked for no program.
    let tools = third_party(&progress, &[]).unwrap();
    if !tools.metrics_server.is_file() {
        println!("SKIPPED {test}: metrics-server could not be built");
        return;
    }
    assert_eq!(OBJECT, format!("{NAME}-{GATEWAY}"));
    run(|| async move {
        let instance = Instance::new(&instance).unwrap();
        let (platform, client) = ready().await;
        let work = Box::pin(follows_the_load(&platform, &client, &instance));
        let outcome = caught(&platform.kube, &[NAMESPACE], work).await;
        // Also when it failed: the tests after this one need the platform as it was, and namespaces
        // that can be deleted.
        set_spec(&platform, &json!({ "components": { GATEWAY: null } })).await;
        lotoai_local::remove_metrics(&progress, &instance).unwrap();
        if let Err(failure) = outcome {
            resume_unwind(failure);
        }
        wait_ready(&platform, LIMIT).await;
    });
}

async fn follows_the_load(platform: &Platform, client: &PublicClient, instance: &Instance) {
    lotoai_local::add_metrics(&Progress::new(), instance).unwrap();
    assert_measured(platform, &instance.node()).await;
    let autoscaling = json!({
        "minReplicas": 1, "maxReplicas": 2, "targetCPUUtilization": TARGET,
    });
    let components = json!({ GATEWAY: { "autoscaling": autoscaling } });
    set_spec(platform, &json!({ "components": components })).await;
    wait_ready(platform, LIMIT).await;
    let generation = wait_for("one gateway at rest", DOWN_LIMIT, async || {
        at_rest(platform).await
    })
    .await;

    let grown_and_shrunk = Box::pin(async {
        let begun = Instant::now();
        let batches = repeated_during(grows(platform, generation), async || {
            let requests = (0..REQUESTS).map(|_| client.get("/api/me"));
            for answer in join_all(requests).await {
                answer.unwrap();
            }
        })
        .await;
        let seconds = begun.elapsed().as_secs_f64();
        let each = f64::from(batches * REQUESTS) / seconds;
        println!("{each:.0} requests a second for {seconds:.0} s");
        shrinks(platform, generation).await;
        println!(
            "one gateway again {:.0} s after the load",
            begun.elapsed().as_secs_f64() - seconds
        );
    });
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let answered = repeated_during(grown_and_shrunk, async || {
        pace.tick().await;
        let answer = client.ask("probe", "What does LotoAI answer with?").await;
        answer.unwrap();
    })
    .await;
    println!("{answered} questions answered meanwhile");
}

/// The kubelet tells how much processor time each pod has used, without a failure. That is all that
/// metrics-server knows of.
async fn assert_measured(platform: &Platform, node: &str) {
    let path = format!("/api/v1/nodes/{node}/proxy/metrics/resource");
    // A pod that an earlier test has just made may not be measured yet.
    wait_for("every pod to be measured", LIMIT, async || {
        let request = http::Request::get(&path).body(Vec::new()).unwrap();
        let told = platform.kube.request_text(request).await;
        let told = told.map_err(|error| error.to_string())?;
        if !told.lines().any(|line| line == "resource_scrape_error 0") {
            return Err(told);
        }
        let pods = pods(platform).await;
        let names = pods.iter().filter_map(|pod| pod.metadata.name.as_deref());
        let missing: Vec<&str> = names.filter(|name| used(&told, name) <= 0.0).collect();
        match missing[..] {
            [] => Ok(()),
            _ => Err(format!("{missing:?}")),
        }
    })
    .await;
}

/// Seconds of processor time that the containers of a pod have used.
fn used(told: &str, pod: &str) -> f64 {
    let pod = format!("pod=\"{pod}\"");
    told.lines()
        .filter(|line| line.starts_with("container_cpu_usage_seconds_total{"))
        .filter(|line| line.contains(&pod))
        // After the value comes the time at which it was taken.
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok())
        .sum()
}

/// The generation of the Deployment, when nothing is left to do, and the autoscaler has measured its
/// one pod and wants no more.
async fn at_rest(platform: &Platform) -> Result<i64, String> {
    let object = resource(platform).await?;
    let is = |kind: &str| condition(&object, kind) == "True";
    if !is("Ready") || is("Reconciling") {
        return Err(object["status"]["conditions"].to_string());
    }
    let autoscalers: Api<HorizontalPodAutoscaler> =
        Api::namespaced(platform.kube.clone(), NAMESPACE);
    let autoscaler = autoscalers.get(OBJECT).await;
    let status = autoscaler.map_err(|error| error.to_string())?.status;
    let status = status.unwrap_or_default();
    let mut conditions = status.conditions.iter().flatten();
    let is_active = conditions.any(|one| one.type_ == "ScalingActive" && one.status == "True");
    let seen = deployment(platform).await?;
    if is_active && status.desired_replicas == 1 && asked_and_there(&seen) == (1, 1) {
        Ok(generation(&seen))
    } else {
        Err(format!("{:?}, {status:?}", asked_and_there(&seen)))
    }
}

/// Waits until there is a second gateway, and looks at both for a minute. In between the operator
/// writes the Deployment for a reason of its own.
async fn grows(platform: &Platform, before: i64) {
    wait_for("a second gateway", UP_LIMIT, async || {
        let seen = deployment(platform).await?;
        let told = component_ready(&resource(platform).await?, GATEWAY);
        if asked_and_there(&seen) == (2, 2) && told == "2/2" {
            Ok(())
        } else {
            Err(format!("{:?}, {told}", asked_and_there(&seen)))
        }
    })
    .await;
    let version = label(&deployment(platform).await.unwrap());
    let deployments: Api<Deployment> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    let patch = json!({ "metadata": { "labels": { (labels::VERSION): "somebody-elses" } } });
    let (parameters, patch) = (PatchParams::default(), Patch::Merge(patch));
    let patched = deployments.patch(OBJECT, &parameters, &patch).await;
    assert_ne!(label(&patched.unwrap()), version);
    wait_for("the operator's own label", LIMIT, async || {
        let seen = label(&deployment(platform).await?);
        (seen == version).then_some(()).ok_or(format!("{seen:?}"))
    })
    .await;
    let begun = Instant::now();
    let mut pace = interval(PACE);
    while begun.elapsed() < HELD {
        pace.tick().await;
        let seen = deployment(platform).await.unwrap();
        assert_eq!(asked_and_there(&seen).0, 2);
        // Each change of what it asks for counts, also one that was undone in between.
        assert_eq!(generation(&seen), before + 1);
        assert_eq!(writers(&seen), NOBODY);
    }
}

/// Waits until there is one gateway again.
async fn shrinks(platform: &Platform, before: i64) {
    wait_for("one gateway", DOWN_LIMIT, async || {
        let seen = deployment(platform).await?;
        let pods = pods(platform).await;
        let left = pods.iter().filter(|pod| component(pod) == GATEWAY).count();
        let told = component_ready(&resource(platform).await?, GATEWAY);
        if asked_and_there(&seen) == (1, 1) && left == 1 && told == "1/1" {
            Ok(())
        } else {
            Err(format!("{:?}, {left} pods, {told}", asked_and_there(&seen)))
        }
    })
    .await;
    let seen = deployment(platform).await.unwrap();
    assert_eq!(generation(&seen), before + 2);
    assert_eq!(writers(&seen), NOBODY);
}

async fn deployment(platform: &Platform) -> Result<Deployment, String> {
    let deployments: Api<Deployment> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    let seen = deployments.get(OBJECT).await;
    seen.map_err(|error| error.to_string())
}

/// How many pods it asks for, and how many are ready.
fn asked_and_there(seen: &Deployment) -> (i32, i32) {
    let asked = seen.spec.as_ref().and_then(|spec| spec.replicas);
    let ready = seen
        .status
        .as_ref()
        .and_then(|status| status.ready_replicas);
    (asked.unwrap_or_default(), ready.unwrap_or_default())
}

fn generation(seen: &Deployment) -> i64 {
    seen.metadata.generation.unwrap()
}

fn label(seen: &Deployment) -> Option<String> {
    seen.metadata.labels.as_ref()?.get(labels::VERSION).cloned()
}

/// Whose the number of pods is. What an autoscaler writes goes through the subresource `scale`, whose
/// writes make nobody its owner; every owner is somebody else who writes it.
fn writers(seen: &Deployment) -> Vec<&str> {
    let entries = seen.metadata.managed_fields.iter().flatten();
    let of_number = entries.filter(|entry| {
        let fields = entry.fields_v1.as_ref();
        fields.is_some_and(|fields| fields.0["f:spec"]["f:replicas"].is_object())
    });
    of_number
        .filter_map(|entry| entry.manager.as_deref())
        .collect()
}
