//! A process that has just started, before objects that another one has applied.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use lotoai_operator::apply::{self, Cache, Owner};
use lotoai_operator::object::{Desired, Existing};
use lotoai_plan::labels;
use rstest::rstest;
use serde_json::{Map, Value, json};

use crate::server::{Log, serve};
use crate::writes::{UID, accepting, again, desired, meta};

/// Applies one Deployment of a platform.
pub(crate) async fn apply_one(cache: &Cache, platform: &str, name: &str) {
    let owner = Owner {
        namespace: "default",
        uid: platform,
    };
    let (client, _) = serve(accepting);
    let (existing, objects) = (Existing::default(), [desired::<Deployment>(name, false)]);
    let (depends, sent) = (|_: &Desired, _: &Desired| false, &mut Vec::new());
    apply::apply(&client, owner, &existing, cache, &objects, &depends, sent)
        .await
        .unwrap();
}

/// Two objects of a platform.
fn planned() -> [Desired; 2] {
    let mut config = desired::<ConfigMap>("demo-a", false);
    config.planned.body["metadata"]["labels"] = json!({ labels::PART_OF: "lotoai" });
    config.planned.body["data"] = json!({ "one": "1", "two": "2" });
    let mut workload = desired::<Deployment>("demo-b", false);
    workload.planned.body["spec"] = json!({ "replicas": 2, "paused": false });
    [config, workload]
}

/// What the API server notes of an apply of this body without lists.
fn noted(body: &Value) -> Value {
    let Some(fields) = body.as_object() else {
        return json!({});
    };
    let named = ["apiVersion", "kind", "name"];
    let fields = fields
        .iter()
        .filter(|(name, _)| !named.contains(&name.as_str()))
        .map(|(name, value)| (format!("f:{name}"), noted(value)));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// An object as the API server has it after the apply of this body.
fn stored(body: &Value) -> ObjectMeta {
    let name = body["metadata"]["name"].as_str().unwrap();
    let annotations = body["metadata"]["annotations"].clone();
    let ours = json!({
        "manager": "lotoai-operator", "operation": "Apply", "apiVersion": body["apiVersion"],
        "fieldsType": "FieldsV1", "fieldsV1": noted(body),
    });
    ObjectMeta {
        annotations: serde_json::from_value::<Option<BTreeMap<_, _>>>(annotations).unwrap(),
        managed_fields: Some(vec![serde_json::from_value(ours).unwrap()]),
        ..meta(name, UID)
    }
}

/// What is there after a process has applied everything.
async fn applied() -> [ObjectMeta; 2] {
    let (client, log) = serve(accepting);
    let cache = Cache::default();
    again(&client, &Existing::default(), &cache, &planned())
        .await
        .unwrap();
    let calls = log.calls();
    let bodies = calls.iter().filter(|call| call.method == "PATCH");
    let stored: Vec<_> = bodies.map(|call| stored(&call.body)).collect();
    stored.try_into().unwrap()
}

/// Passes of a new process over these objects; all that it sent.
async fn passes(there: [ObjectMeta; 2], planned: &[Desired], passes: usize) -> Log {
    let (client, log) = serve(accepting);
    let [config, workload] = there;
    let mut existing = Existing::default();
    existing.extend("ConfigMap", [config]);
    existing.extend("Deployment", [workload]);
    let cache = Cache::default();
    for _ in 0..passes {
        again(&client, &existing, &cache, planned).await.unwrap();
    }
    log
}

/// The fields of the ConfigMap that are ours.
fn ours(there: &mut [ObjectMeta; 2]) -> &mut Value {
    let entries = there[0].managed_fields.as_mut().unwrap();
    &mut entries[0].fields_v1.as_mut().unwrap().0
}

#[tokio::test]
async fn nothing_is_sent_when_nothing_differs() {
    let log = passes(applied().await, &planned(), 2).await;
    assert_eq!(log.summary(&["PATCH", "POST", "PUT", "DELETE"]), [""; 0]);
}

#[tokio::test]
async fn every_apply_bears_a_digest_of_all_the_rest() {
    let [config, workload] = applied().await;
    let digest = |meta: &ObjectMeta| meta.annotations.as_ref().unwrap()[labels::APPLIED].clone();
    assert_ne!(digest(&config), digest(&workload));
    let [again, _] = applied().await;
    assert_eq!(digest(&config), digest(&again));
}

#[rstest]
#[case::a_value("/f:data", Some("f:two"))]
#[case::all_values("", Some("f:data"))]
#[case::the_digest("/f:metadata", Some("f:annotations"))]
#[case::nothing("", None)]
#[tokio::test]
async fn what_somebody_took_meanwhile_is_sent(#[case] at: &str, #[case] taken: Option<&str>) {
    let mut there = applied().await;
    if let Some(taken) = taken {
        let fields = ours(&mut there).pointer_mut(at).unwrap();
        fields.as_object_mut().unwrap().remove(taken).unwrap();
    }
    // Once: what is sent is known from then on.
    let log = passes(there, &planned(), 2).await;
    let expected: Vec<_> = taken
        .map(|_| "PATCH demo-a".to_owned())
        .into_iter()
        .collect();
    assert_eq!(log.summary(&["PATCH"]), expected);
}

#[tokio::test]
async fn what_others_added_and_the_api_server_filled_in_does_not_count() {
    let mut there = applied().await;
    let others = json!({
        "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1",
        "fieldsType": "FieldsV1", "fieldsV1": { "f:data": { "f:three": {} }, "f:immutable": {} },
    });
    let others = serde_json::from_value(others).unwrap();
    let entries = there[0].managed_fields.as_mut().unwrap();
    entries.insert(0, others);
    let annotations = there[0].annotations.as_mut().unwrap();
    annotations.insert("example.com/foreign".to_owned(), "stays".to_owned());
    let log = passes(there, &planned(), 1).await;
    assert_eq!(log.summary(&["PATCH"]), [""; 0]);
}

#[rstest]
#[case::a_field_less(json!({ "one": "1" }))]
#[case::another_value(json!({ "one": "1", "two": "3" }))]
#[case::a_field_more(json!({ "one": "1", "two": "2", "three": "3" }))]
#[tokio::test]
async fn what_is_planned_otherwise_now_is_sent(#[case] data: Value) {
    let mut planned = planned();
    planned[0].planned.body["data"] = data;
    let log = passes(applied().await, &planned, 1).await;
    assert_eq!(log.summary(&["PATCH"]), ["PATCH demo-a"]);
}

#[tokio::test]
async fn what_an_operator_without_digests_applied_is_sent_once() {
    let there = applied().await.map(|mut meta| {
        meta.annotations = None;
        meta
    });
    let log = passes(there, &planned(), 2).await;
    assert_eq!(
        log.summary(&["PATCH"]),
        ["PATCH demo-a", "PATCH demo-b"],
        "once each"
    );
}

#[tokio::test]
async fn a_process_that_knows_an_object_sends_it_at_every_change() {
    let (client, log) = serve(accepting);
    let (cache, planned) = (Cache::default(), planned());
    let [config, workload] = applied().await;
    for version in ["7", "8"] {
        let mut existing = Existing::default();
        existing.extend("Deployment", [workload.clone()]);
        existing.extend(
            "ConfigMap",
            [ObjectMeta {
                resource_version: Some(version.to_owned()),
                // It is not read any more.
                managed_fields: config.managed_fields.clone().filter(|_| version == "7"),
                ..config.clone()
            }],
        );
        again(&client, &existing, &cache, &planned).await.unwrap();
    }
    assert_eq!(log.summary(&["PATCH"]), ["PATCH demo-a"]);
}
