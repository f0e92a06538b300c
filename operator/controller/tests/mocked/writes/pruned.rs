//! What is deleted.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use lotoai_operator::apply::Cache;
use lotoai_operator::object::Existing;
use lotoai_operator::prune;
use lotoai_plan::{ObjectId, labels};
use serde_json::json;

use super::{OWNER, UID, meta};
use crate::server::{refusal, serve};

/// Prunes, and the names of what was deleted, whatever it came to.
async fn pruned(
    client: &Client,
    existing: &Existing,
    wanted: &HashSet<ObjectId>,
) -> (Result<(), prune::Error>, Vec<String>) {
    let mut pruned = Vec::new();
    let cache = Cache::default();
    let outcome = prune::prune(client, OWNER, existing, wanted, &cache, &mut pruned).await;
    (outcome, pruned.into_iter().map(|id| id.name).collect())
}

#[tokio::test]
async fn prune_deletes_only_orphans_that_the_platform_owns() {
    let (client, log) = serve(|_| (200, json!({ "kind": "Status", "status": "Success" })));
    let mut existing = Existing::default();
    existing.extend(
        "ConfigMap",
        [
            meta("wanted", UID),
            meta("orphan", UID),
            meta("foreign", "somebody-else"),
        ],
    );
    // A kind outside of the list is never deleted, whatever its owner.
    existing.extend("PersistentVolumeClaim", [meta("data", UID)]);
    // Nor is a store that another operator runs, although somebody took its labels.
    existing.extend("Cluster", [meta("store", UID)]);
    // Neither are a credential and what stands for data, although their kind is in the list.
    let precious = [("credential", labels::CREDENTIAL), ("data", labels::DATA)];
    existing.extend(
        "ConfigMap",
        precious.map(|(name, label)| ObjectMeta {
            labels: Some([(label.to_owned(), "true".to_owned())].into()),
            ..meta(name, UID)
        }),
    );
    let wanted = HashSet::from([ObjectId {
        kind: "ConfigMap".to_owned(),
        name: "wanted".to_owned(),
    }]);
    let (outcome, pruned) = pruned(&client, &existing, &wanted).await;
    outcome.unwrap();
    assert_eq!(pruned, ["orphan"]);
    let calls = log.calls();
    assert_eq!(calls.len(), 1);
    let preconditions = json!({ "uid": "uid-of-orphan", "resourceVersion": "7" });
    assert_eq!(calls[0].body["preconditions"], preconditions);
}

#[tokio::test]
async fn prune_takes_an_object_that_is_gone_for_deleted() {
    for code in [404, 409] {
        let (client, _) = serve(move |_| refusal(code, "gone"));
        let mut existing = Existing::default();
        existing.extend("ConfigMap", [meta("orphan", UID)]);
        let (outcome, pruned) = pruned(&client, &existing, &HashSet::new()).await;
        outcome.unwrap();
        assert!(pruned.is_empty());
    }
}

#[tokio::test]
async fn a_deletion_that_is_refused_is_told_and_the_others_are_tried() {
    let done = AtomicUsize::new(0);
    let (client, log) = serve(move |_| match done.fetch_add(1, Ordering::Relaxed) {
        1 => refusal(403, "Forbidden"),
        _ => (200, json!({ "kind": "Status", "status": "Success" })),
    });
    let mut existing = Existing::default();
    existing.extend(
        "ConfigMap",
        ["orphan-a", "orphan-b", "orphan-c"].map(|it| meta(it, UID)),
    );
    let (outcome, pruned) = pruned(&client, &existing, &HashSet::new()).await;
    let asked = log.summary(&["DELETE"]);
    let asked: Vec<_> = asked.iter().map(|it| it.replace("DELETE ", "")).collect();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert_eq!(pruned, [&*asked[0], &*asked[2]]);
    let error = lotoai_operator::error::chain(&outcome.unwrap_err());
    let told = format!("failed to delete ConfigMap/{}", asked[1]);
    assert!(error.contains(&told), "{error}");
}
