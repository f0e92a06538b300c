//! What is cut loose from a resource that is to keep its data, and what the cluster does not let go.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use lotoai_api::LotoAI;
use lotoai_operator::report::withdraw;
use lotoai_operator::retain::retain;
use lotoai_plan::{Observed, labels};
use serde_json::{Value, json};

use crate::server::{Call, refusal, serve};

const UID: &str = "uid-of-demo";

fn loto(spec: Value, status: Value) -> LotoAI {
    let mut spec = spec;
    spec["url"] = json!("https://lotoai.localhost");
    serde_json::from_value(json!({
        "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI",
        "metadata": {
            "name": "demo", "namespace": "default", "uid": UID, "resourceVersion": "7",
        },
        "spec": spec, "status": status,
    }))
    .unwrap()
}

/// A StatefulSet that takes its volumes along, and a credential that goes.
fn tied() -> Observed {
    let owner = json!([{ "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI", "name": "demo", "uid": UID }]);
    let set: StatefulSet = serde_json::from_value(json!({
        "metadata": { "name": "demo-postgres", "uid": "set", "ownerReferences": owner },
        "spec": {
            "selector": {}, "template": {},
            "persistentVolumeClaimRetentionPolicy": { "whenDeleted": "Delete" },
        },
    }))
    .unwrap();
    let secret: Secret = serde_json::from_value(json!({ "metadata": {
        "name": "demo-postgres-admin", "resourceVersion": "5", "ownerReferences": owner,
        "labels": { labels::CREDENTIAL: "true" },
    } }))
    .unwrap();
    Observed {
        stateful_sets: BTreeMap::from([("demo-postgres".to_owned(), set)]),
        secrets: BTreeMap::from([("demo-postgres-admin".to_owned(), secret)]),
        ..Observed::default()
    }
}

fn taken(call: &Call) -> (u16, Value) {
    let body = json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
        "metadata": { "name": call.path.rsplit('/').next() },
    });
    (200, body)
}

#[tokio::test]
async fn single_fields_are_written_and_only_of_a_resource_that_is_to_keep_its_data() {
    let (client, log) = serve(taken);
    let keeps = loto(json!({}), json!({}));
    assert!(retain(&client, &keeps, &tied()).await.unwrap());
    assert_eq!(
        log.summary(&["PATCH"]),
        ["PATCH demo-postgres", "PATCH demo-postgres-admin"]
    );
    let bodies: Vec<Value> = log.calls().into_iter().map(|call| call.body).collect();
    let policy = json!({ "persistentVolumeClaimRetentionPolicy": { "whenDeleted": "Retain" } });
    let disowned = json!({
        "resourceVersion": "5", "ownerReferences": null,
        "annotations": BTreeMap::from(labels::KEPT_BY_ARGO_CD),
    });
    assert_eq!(
        bodies,
        [json!({ "spec": policy }), json!({ "metadata": disowned })]
    );

    for spec in [
        json!({ "deletionPolicy": "Delete" }),
        json!({ "paused": true }),
    ] {
        let (client, log) = serve(taken);
        let other = loto(spec, json!({}));
        assert!(!retain(&client, &other, &tied()).await.unwrap());
        assert!(log.calls().is_empty());
    }
}

/// A policy of the cluster that refuses one object keeps no other one tied.
#[tokio::test]
async fn what_is_refused_stops_nothing_else() {
    let keeps = loto(json!({}), json!({}));
    let (client, log) = serve(|call| {
        if call.path.contains("statefulsets") {
            refusal(403, "Forbidden")
        } else {
            taken(call)
        }
    });
    assert!(retain(&client, &keeps, &tied()).await.unwrap());
    assert_eq!(log.calls().len(), 2);
    let (client, log) = serve(|_| refusal(422, "Invalid"));
    assert!(!retain(&client, &keeps, &tied()).await.unwrap());
    assert_eq!(log.calls().len(), 2);
    // What the next object would meet as well ends it, and so does one that somebody has changed.
    for (code, reason) in [(409, "Conflict"), (401, "Unauthorized")] {
        let (client, log) = serve(move |_| refusal(code, reason));
        let error = retain(&client, &keeps, &tied()).await.unwrap_err();
        assert!(
            error.to_string().contains("StatefulSet/demo-postgres"),
            "{error}"
        );
        assert_eq!(log.calls().len(), 1);
    }
}

#[tokio::test]
async fn only_a_word_that_was_given_and_is_broken_is_taken_back() {
    let said = json!({ "deletionPolicy": "Retain", "url": "https://lotoai.localhost" });
    let deletes = json!({ "deletionPolicy": "Delete" });
    for (spec, status) in [
        (json!({}), said.clone()),
        (deletes.clone(), json!({})),
        (deletes.clone(), deletes.clone()),
    ] {
        let (client, log) = serve(taken);
        assert!(withdraw(&client, &loto(spec, status)).await.unwrap());
        assert!(log.calls().is_empty());
    }
    let breaks = loto(deletes.clone(), said.clone());
    let body = serde_json::to_value(&breaks).unwrap();
    assert_eq!(body["status"]["deletionPolicy"], "Retain");
    let (gone, _) = serve(|_| refusal(404, "NotFound"));
    assert!(!withdraw(&gone, &breaks).await.unwrap(), "it is not there");

    let (client, log) = serve(move |call| {
        let mut body = body.clone();
        body["status"] = call.body["status"].clone();
        (200, body)
    });
    assert!(withdraw(&client, &breaks).await.unwrap());
    let calls = log.calls();
    assert_eq!(calls.len(), 1);
    let sent = &calls[0].body;
    assert_eq!(sent["metadata"]["resourceVersion"], "7", "of nothing newer");
    assert_eq!(sent["status"]["deletionPolicy"], "Delete");
    assert_eq!(sent["status"]["url"], said["url"], "the rest stays");
}
