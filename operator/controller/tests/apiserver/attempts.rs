//! A provision Job whose attempt failed, as the kubelet and the Job's controller tell it to a real
//! API server.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::world::{DEADLINE, World, wait_for};

/// The end of its log, as the program writes it.
const LOG: &str = "{\"level\":\"INFO\",\"message\":\"starting provision\"}\n\
                   {\"level\":\"ERROR\",\"message\":\"provision ended with a failure\",\
                   \"reason\":\"AuthFailed\",\"error\":\"password authentication failed\"}\n";

#[tokio::test]
async fn the_last_words_of_an_attempt_are_in_the_status_while_its_job_goes_on() {
    let Some(world) = World::demo("attempts").await else {
        return;
    };
    wait_for("the Job of PostgreSQL", DEADLINE, async || {
        world.pass().await.unwrap();
        world.make_ready(|name| !name.contains("provision")).await;
        job(&world).await.is_some()
    })
    .await;
    let job = job(&world).await.unwrap();
    let name = job.name_any();
    fail(&world, &job).await;
    world.pass().await.unwrap();
    let (status, reason, message) = world.condition("Ready").await;
    assert_eq!((&*status, &*reason), ("False", "AuthFailed"), "{message}");
    let said = format!(
        "provision-postgres: Job {name}: attempt 1 of 7 failed: password authentication failed; see  \
         kubectl -n attempts logs {name}-x"
    );
    assert!(message.starts_with(&said), "{message}");
}

/// The provision Job of PostgreSQL, once it is there.
async fn job(world: &World) -> Option<Job> {
    let jobs = world.api::<Job>().list(&ListParams::default()).await;
    let mut jobs = jobs.unwrap().into_iter();
    jobs.find(|job| job.name_any().starts_with("demo-provision-postgres"))
}

/// Plays the kubelet of a pod of the Job that ended with a failure, and then the Job's controller.
async fn fail(world: &World, job: &Job) {
    let name = job.name_any();
    let pod_name = format!("{name}-x");
    let template = job.spec.clone().unwrap().template;
    let pod = json!({
        "metadata": {
            "name": pod_name,
            "labels": template.metadata.unwrap().labels,
            "ownerReferences": [{
                "apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job.uid(),
            }],
        },
        "spec": {
            "nodeName": "n1", "restartPolicy": "Never",
            "containers": [{ "name": "provision-postgres", "image": "provision:1" }],
        },
    });
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let pods = world.api::<Pod>();
    pods.create(&PostParams::default(), &pod).await.unwrap();
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let ended = json!({
        "phase": "Failed",
        "containerStatuses": [{
            "name": "provision-postgres", "image": "provision:1", "imageID": "", "ready": false,
            "restartCount": 0,
            "state": { "terminated": {
                "exitCode": 1, "reason": "Error", "message": LOG,
                "startedAt": now, "finishedAt": now,
            } },
        }],
    });
    let patch = |status: &Value| Patch::Merge(json!({ "status": status }));
    let params = PatchParams::default();
    let patched = pods.patch_status(&pod_name, &params, &patch(&ended)).await;
    patched.unwrap();
    let counted = json!({ "startTime": now, "failed": 1, "ready": 0 });
    let jobs = world.api::<Job>();
    let patched = jobs.patch_status(&name, &params, &patch(&counted)).await;
    patched.unwrap();
}
