//! What a pass reads.

use kube::Client;
use lotoai_api::LotoAI;
use lotoai_operator::apply::Cache;
use lotoai_operator::dereference::{Error, dereference};
use lotoai_operator::object::Existing;
use lotoai_plan::{ObjectId, Observed};
use serde_json::{Value, json};

use crate::restarted;
use crate::server::{Call, refusal, serve};

fn demo() -> LotoAI {
    serde_json::from_value(json!({
        "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI",
        "metadata": { "name": "demo", "namespace": "default", "uid": "u" },
        "spec": { "url": "https://lotoai.localhost" },
    }))
    .unwrap()
}

/// What a pass of a process reads that has applied nothing yet.
async fn read(client: &Client) -> Result<(Observed, Existing), Error> {
    dereference(client, &demo(), &Cache::default()).await
}

pub(crate) fn empty_list() -> (u16, Value) {
    let list = json!({ "kind": "List", "apiVersion": "v1", "metadata": {}, "items": [] });
    (200, list)
}

fn is_optional(call: &Call) -> bool {
    let optional = [
        "/certificates",
        "/httproutes",
        "/backendtlspolicies",
        "/clusters",
    ];
    optional.iter().any(|kind| call.path.ends_with(kind))
}

#[tokio::test]
async fn a_kind_that_the_cluster_lacks_is_missing_and_no_failure() {
    let (client, _) = serve(|call| match is_optional(call) {
        true => refusal(404, "NotFound"),
        false => empty_list(),
    });
    let (observed, _) = read(&client).await.unwrap();
    let missing: Vec<_> = observed.missing_kinds.into_iter().collect();
    assert_eq!(
        missing,
        ["BackendTLSPolicy", "Certificate", "Cluster", "HTTPRoute"]
    );
}

#[tokio::test]
async fn any_other_refusal_of_an_optional_kind_is_a_failure() {
    let (client, _) = serve(|call| match is_optional(call) {
        true => refusal(403, "Forbidden"),
        false => empty_list(),
    });
    let error = read(&client).await.unwrap_err().to_string();
    assert!(error.contains("failed to list objects of kind"), "{error}");
}

#[tokio::test]
async fn objects_of_an_optional_kind_are_read_with_what_is_said_of_them() {
    let (client, _) = serve(|call| match call.path.ends_with("/certificates") {
        true => {
            let certificate = json!({
                "apiVersion": "cert-manager.io/v1", "kind": "Certificate",
                "metadata": { "name": "demo-edge-tls", "uid": "c" },
                "spec": { "secretName": "demo-edge-tls" },
                "status": { "conditions": [
                    { "type": "Ready", "status": "False", "message": "issuing" },
                ], "revision": 1 },
            });
            let list = json!({
                "kind": "CertificateList", "apiVersion": "cert-manager.io/v1", "metadata": {},
                "items": [certificate],
            });
            (200, list)
        }
        false => empty_list(),
    });
    let (observed, existing) = read(&client).await.unwrap();
    let status = observed.certificates["demo-edge-tls"].status.as_ref();
    assert_eq!(status.unwrap().conditions[0].message, "issuing");
    assert!(observed.missing_kinds.is_empty());
    assert!(existing.iter().any(|(id, _)| id.kind == "Certificate"));
}

#[tokio::test]
async fn what_gateways_say_of_a_policy_is_read() {
    let (client, _) = serve(|call| match call.path.ends_with("/backendtlspolicies") {
        true => {
            let policy = json!({
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": "BackendTLSPolicy",
                "metadata": { "name": "demo-gateway", "uid": "p" },
                "spec": { "targetRefs": [] },
                "status": { "ancestors": [{
                    "ancestorRef": { "name": "public", "kind": "Gateway" },
                    "controllerName": "example.com/x",
                    "conditions": [
                        { "type": "Accepted", "status": "False", "message": "no authority" },
                    ],
                }] },
            });
            let list = json!({
                "kind": "BackendTLSPolicyList", "apiVersion": "gateway.networking.k8s.io/v1",
                "metadata": {}, "items": [policy],
            });
            (200, list)
        }
        false => empty_list(),
    });
    let (observed, existing) = read(&client).await.unwrap();
    let status = observed.backend_tls_policies["demo-gateway"]
        .status
        .as_ref();
    let word = &status.unwrap().ancestors[0];
    assert_eq!(word.gateway.name, "public");
    assert_eq!(word.conditions[0].message, "no authority");
    assert!(existing.iter().any(|(id, _)| id.kind == "BackendTLSPolicy"));
}

/// Pages of ConfigMaps, one object each. The last one says that there is no more, or nothing.
fn in_pages(call: &Call) -> (u16, Value) {
    if !call.path.ends_with("/configmaps") {
        return empty_list();
    }
    let (name, next) = match call.query.split("continue=").nth(1) {
        None => ("a", json!("b")),
        Some("b") => ("b", json!("c")),
        Some(_) => ("c", json!("")),
    };
    let list = json!({
        "kind": "ConfigMapList", "apiVersion": "v1", "metadata": { "continue": next },
        "items": [{ "metadata": { "name": name, "uid": name } }],
    });
    (200, list)
}

#[tokio::test]
async fn every_list_is_read_page_by_page() {
    let (client, log) = serve(in_pages);
    let (_, existing) = read(&client).await.unwrap();
    for name in ["a", "b", "c"] {
        let id = ObjectId::new("ConfigMap", name);
        assert!(existing.get(&id).is_some(), "{name}");
    }
    let calls = log.calls();
    let maps: Vec<_> = calls
        .iter()
        .filter(|call| call.path.ends_with("/configmaps"))
        .map(|call| call.query.split("continue=").nth(1))
        .collect();
    assert_eq!(maps, [None, Some("b"), Some("c")]);
    for call in calls {
        assert!(call.query.contains("limit=100"), "{call:?}");
        assert!(call.query.contains("labelSelector="), "{call:?}");
    }
}

#[tokio::test]
async fn a_page_that_is_refused_is_a_failure() {
    let (client, _) = serve(|call| match call.query.contains("continue=c") {
        true => refusal(410, "Expired"),
        false => in_pages(call),
    });
    let error = read(&client).await.unwrap_err().to_string();
    assert!(
        error.contains("failed to list objects of kind ConfigMap"),
        "{error}"
    );
}

/// What is asked of pods beside a Job that is complete, or is not.
async fn asked_of_pods(complete: bool) -> Vec<String> {
    let (client, log) = serve(move |call| {
        if !call.path.ends_with("/jobs") {
            return empty_list();
        }
        let job = json!({
            "metadata": { "name": "demo-provision-s3-1", "uid": "j" },
            "spec": { "template": { "spec": { "containers": [] } } },
            "status": { "succeeded": i32::from(complete) },
        });
        let list = json!({
            "kind": "JobList", "apiVersion": "batch/v1", "metadata": {}, "items": [job],
        });
        (200, list)
    });
    read(&client).await.unwrap();
    let calls = log.calls().into_iter();
    let pods = calls.filter(|call| call.path.ends_with("/pods"));
    pods.map(|call| call.query).collect()
}

#[tokio::test]
async fn pods_that_ended_are_read_of_jobs_that_are_not_complete_only() {
    let asked = asked_of_pods(true).await;
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].contains("status.phase%21%3DFailed"), "{asked:?}");
    let asked = asked_of_pods(false).await;
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[1].contains("status.phase%3DFailed"), "{asked:?}");
    assert!(
        asked[1].contains("batch.kubernetes.io%2Fjob-name"),
        "{asked:?}"
    );
}

/// A StatefulSet without its pod, made long ago.
fn without_pods(call: &Call) -> (u16, Value) {
    if !call.path.ends_with("/statefulsets") {
        return empty_list();
    }
    let set = json!({
        "metadata": {
            "name": "demo-postgres", "uid": "p", "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "replicas": 1, "serviceName": "demo-postgres", "selector": {},
            "template": { "metadata": {}, "spec": { "containers": [] } },
        },
        "status": { "replicas": 0 },
    });
    let list = json!({
        "kind": "StatefulSetList", "apiVersion": "apps/v1", "metadata": {}, "items": [set],
    });
    (200, list)
}

fn is_about_events(call: &Call) -> bool {
    call.path.ends_with("/events")
}

#[tokio::test]
async fn events_are_read_of_what_lacks_pods_only() {
    let (client, log) = serve(|_| empty_list());
    read(&client).await.unwrap();
    assert!(!log.calls().iter().any(is_about_events));

    let (client, log) = serve(|call| match is_about_events(call) {
        true => {
            let event = json!({
                "metadata": { "name": "e" }, "involvedObject": { "uid": "p" },
                "reason": "FailedCreate", "message": "exceeded quota",
            });
            let list = json!({
                "kind": "EventList", "apiVersion": "v1", "metadata": {}, "items": [event],
            });
            (200, list)
        }
        false => without_pods(call),
    });
    let (observed, _) = read(&client).await.unwrap();
    let reason = observed.events["e"].reason.as_deref();
    assert_eq!(reason, Some("FailedCreate"));
    let calls = log.calls();
    let asked: Vec<_> = calls.iter().filter(|call| is_about_events(call)).collect();
    assert_eq!(asked.len(), 1);
    assert!(
        asked[0].query.contains("involvedObject.uid%3Dp"),
        "{}",
        asked[0].query
    );
}

#[tokio::test]
async fn a_role_that_knows_nothing_of_events_is_no_failure() {
    let (client, _) = serve(|call| match is_about_events(call) {
        true => refusal(403, "Forbidden"),
        false => without_pods(call),
    });
    let (observed, _) = read(&client).await.unwrap();
    assert!(observed.events.is_empty());
    let (client, _) = serve(|call| match is_about_events(call) {
        true => refusal(500, "InternalError"),
        false => without_pods(call),
    });
    read(&client).await.unwrap_err();
}

/// A Deployment with what the API server notes of its writers.
fn with_managed_fields(call: &Call) -> (u16, Value) {
    if !call.path.ends_with("/deployments") {
        return empty_list();
    }
    let entry = |manager: &str, operation: &str| {
        json!({
            "manager": manager, "operation": operation, "apiVersion": "apps/v1",
            "fieldsType": "FieldsV1", "fieldsV1": { "f:spec": {} },
        })
    };
    let deployment = json!({
        "metadata": {
            "name": "demo-gateway", "uid": "uid-of-demo-gateway", "resourceVersion": "7",
            "managedFields": [
                entry("kubectl-edit", "Update"), entry("lotoai-operator", "Update"),
                entry("lotoai-operator", "Apply"),
            ],
        },
        "spec": {
            "selector": {}, "template": { "metadata": {}, "spec": { "containers": [] } },
        },
    });
    let list = json!({
        "kind": "DeploymentList", "apiVersion": "apps/v1", "metadata": {}, "items": [deployment],
    });
    (200, list)
}

#[tokio::test]
async fn of_managed_fields_only_those_of_our_applies_are_kept_until_this_process_applies() {
    let cache = Cache::default();
    for kept in [1, 0] {
        let (client, _) = serve(with_managed_fields);
        let (observed, existing) = dereference(&client, &demo(), &cache).await.unwrap();
        let in_full = &observed.deployments["demo-gateway"].metadata;
        assert_eq!(in_full.managed_fields, None);
        let id = ObjectId::new("Deployment", "demo-gateway");
        let entries = existing.get(&id).unwrap().managed_fields.iter().flatten();
        let operations: Vec<_> = entries.map(|entry| entry.operation.as_deref()).collect();
        assert_eq!(operations, vec![Some("Apply"); kept]);
        restarted::apply_one(&cache, "u", "demo-gateway").await;
    }
}
