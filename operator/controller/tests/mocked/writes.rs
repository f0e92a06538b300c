//! One stage at a time.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::ApiResource;
use kube::{Client, Resource};
use lotoai_api::{LotoAI, LotoAIStatus};
use lotoai_operator::apply::{self, Cache, Owner};
use lotoai_operator::object::{Desired, Existing};
use lotoai_operator::{prune, report};
use lotoai_plan::{ObjectId, PlannedObject, labels};
use rstest::rstest;
use serde_json::{Value, json};

use crate::server::{Call, refusal, serve};

pub(crate) const UID: &str = "uid-of-demo";
const OWNER: Owner<'_> = Owner {
    namespace: "default",
    uid: UID,
};

pub(crate) fn desired<K: Resource<DynamicType = ()>>(name: &str, held: bool) -> Desired {
    let resource = ApiResource::erase::<K>(&());
    let body = json!({
        "apiVersion": resource.api_version, "kind": resource.kind,
        "metadata": { "name": name },
    });
    Desired {
        planned: PlannedObject {
            resource,
            name: name.to_owned(),
            body,
        },
        held,
        wake: None,
    }
}

pub(crate) fn meta(name: &str, owner: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        uid: Some(format!("uid-of-{name}")),
        resource_version: Some("7".to_owned()),
        owner_references: Some(vec![OwnerReference {
            uid: owner.to_owned(),
            ..OwnerReference::default()
        }]),
        ..ObjectMeta::default()
    }
}

/// Nothing exists; every write succeeds.
pub(crate) fn accepting(call: &Call) -> (u16, Value) {
    if call.method == "GET" {
        return refusal(404, "NotFound");
    }
    let mut body = call.body.clone();
    let name = call.path.rsplit('/').next().unwrap();
    body["metadata"]["uid"] = json!(format!("uid-of-{name}"));
    body["metadata"]["resourceVersion"] = json!("7");
    (200, body)
}

/// Applies what a platform of which nothing is known yet asks for.
async fn first(
    client: &Client,
    existing: &Existing,
    objects: &[Desired],
) -> Result<(), apply::Error> {
    again(client, existing, &Cache::default(), objects).await
}

pub(crate) async fn again(
    client: &Client,
    existing: &Existing,
    cache: &Cache,
    objects: &[Desired],
) -> Result<(), apply::Error> {
    let sent = &mut Vec::new();
    apply::apply(client, OWNER, existing, cache, objects, &depends, sent).await
}

/// Deployments wait for a ConfigMap with the same last letter.
fn depends(object: &Desired, refused: &Desired) -> bool {
    let (object, refused) = (object.id(), refused.id());
    let same = object.name.chars().last() == refused.name.chars().last();
    object.kind == "Deployment" && refused.kind == "ConfigMap" && same
}

#[tokio::test]
async fn objects_are_applied_in_order_and_held_ones_are_not() {
    let (client, log) = serve(accepting);
    let objects = [
        desired::<ConfigMap>("demo-a", false),
        desired::<Deployment>("demo-b", false),
        desired::<Deployment>("demo-c", true),
        desired::<Job>("demo-d", false),
    ];
    first(&client, &Existing::default(), &objects)
        .await
        .unwrap();
    assert_eq!(
        log.summary(&["PATCH"]),
        ["PATCH demo-a", "PATCH demo-b", "PATCH demo-d"]
    );
    for call in log.calls().iter().filter(|call| call.method == "PATCH") {
        assert_eq!(call.query, "&force=true&fieldManager=lotoai-operator");
    }
}

#[tokio::test]
async fn a_foreign_object_is_refused_before_anything_is_written() {
    for with_labels in [true, false] {
        let (client, log) = serve(move |call| {
            if call.method == "GET" && call.path.ends_with("/demo-b") && !with_labels {
                return (200, json!({ "metadata": meta("demo-b", "somebody-else") }));
            }
            accepting(call)
        });
        let mut existing = Existing::default();
        if with_labels {
            existing.extend("Deployment", [meta("demo-b", "somebody-else")]);
        }
        let objects = [
            desired::<ConfigMap>("demo-a", false),
            desired::<Deployment>("demo-b", false),
        ];
        let error = first(&client, &existing, &objects).await.unwrap_err();
        assert!(error.is_foreign());
        let text = error.to_string();
        assert!(
            text.contains("Deployment/demo-b") && text.contains("delete or rename it"),
            "{text}"
        );
        assert_eq!(
            log.summary(&["PATCH", "POST", "PUT", "DELETE"]),
            [""; 0],
            "nothing is written"
        );
    }
}

#[tokio::test]
async fn an_untouched_object_is_not_sent_again_but_a_touched_one_is() {
    let (client, log) = serve(accepting);
    let (cache, objects) = (Cache::default(), [desired::<ConfigMap>("demo-a", false)]);
    again(&client, &Existing::default(), &cache, &objects)
        .await
        .unwrap();
    let mut existing = Existing::default();
    existing.extend("ConfigMap", [meta("demo-a", UID)]);
    again(&client, &existing, &cache, &objects).await.unwrap();
    assert_eq!(
        log.summary(&["PATCH"]).len(),
        1,
        "same body, same resourceVersion"
    );

    let mut touched = meta("demo-a", UID);
    touched.resource_version = Some("8".to_owned());
    existing.extend("ConfigMap", [touched]);
    again(&client, &existing, &cache, &objects).await.unwrap();
    assert_eq!(log.summary(&["PATCH"]).len(), 2);

    cache.forget_platform(UID);
    let mut applied = meta("demo-a", UID);
    applied.resource_version = Some("7".to_owned());
    existing.extend("ConfigMap", [applied]);
    again(&client, &existing, &cache, &objects).await.unwrap();
    assert_eq!(
        log.summary(&["PATCH"]).len(),
        3,
        "nothing is known of a platform that was gone"
    );
}

#[tokio::test]
async fn a_sleeping_workload_is_woken_once_with_its_template_and_by_a_name_of_its_own() {
    // Every write makes another version.
    let versions = AtomicUsize::new(7);
    let (client, log) = serve(move |call| {
        let (status, mut body) = accepting(call);
        if call.method == "PATCH" {
            let version = versions.fetch_add(1, Ordering::Relaxed);
            body["metadata"]["resourceVersion"] = json!(version.to_string());
        }
        (status, body)
    });
    let mut existing = Existing::default();
    existing.extend("Deployment", [meta("demo-a", UID)]);
    let cache = Cache::default();
    let mut objects = [desired::<Deployment>("demo-a", false)];
    again(&client, &existing, &cache, &objects).await.unwrap();
    objects[0].wake = Some(2);
    objects[0].planned.body["spec"] = json!({ "template": "new" });
    again(&client, &existing, &cache, &objects).await.unwrap();
    let calls = log.calls();
    let writes: Vec<_> = calls.iter().filter(|call| call.method == "PATCH").collect();
    assert_eq!(writes.len(), 4, "{writes:?}");
    let by: Vec<_> = writes
        .iter()
        .filter_map(|write| write.query.rsplit('=').next())
        .collect();
    let (operator, waker) = ("lotoai-operator", "lotoai-operator-scale");
    assert_eq!(by, [operator, operator, waker, operator]);
    // No pod starts before the template is the new one.
    let spec = |number: usize| &writes[number].body["spec"];
    assert_eq!(*spec(1), json!({ "template": "new", "replicas": 0 }));
    assert_eq!(*spec(2), json!({ "replicas": 2 }));
    assert_eq!(*spec(3), json!({ "template": "new" }));
    // Somebody may have woken it since it was read.
    let version = |number: usize| &writes[number].body["metadata"]["resourceVersion"];
    assert_eq!(*version(1), "7");
    assert_eq!(*version(2), "8");
    assert_eq!(*version(3), Value::Null);
}

#[tokio::test]
async fn a_job_that_exists_is_left_alone() {
    let (client, log) = serve(accepting);
    let mut existing = Existing::default();
    existing.extend("Job", [meta("demo-provision", UID)]);
    let objects = [desired::<Job>("demo-provision", false)];
    first(&client, &existing, &objects).await.unwrap();
    assert_eq!(log.summary(&["PATCH"]), [""; 0]);
}

/// Everything is accepted but writes of this object.
fn accepting_but(
    name: &'static str,
    code: u16,
    reason: &'static str,
) -> impl Fn(&Call) -> (u16, Value) {
    move |call| match call.method == "PATCH" && call.path.ends_with(name) {
        true => refusal(code, reason),
        false => accepting(call),
    }
}

fn a_config_for_one_of_two() -> [Desired; 3] {
    [
        desired::<ConfigMap>("demo-config-a", false),
        desired::<Deployment>("demo-a", false),
        desired::<Deployment>("demo-b", false),
    ]
}

#[rstest]
#[case::by_a_quota_or_a_policy(403, "exceeded quota")]
#[case::by_a_rule_of_its_kind(422, "Invalid value")]
#[case::by_a_webhook_of_its_own_code(400, "admission webhook denied the request")]
#[case::by_a_webhook_that_is_away(500, "failed calling webhook")]
#[tokio::test]
async fn a_refused_object_holds_up_what_depends_on_it_and_nothing_else(
    #[case] code: u16,
    #[case] reason: &'static str,
) {
    let (client, log) = serve(accepting_but("/demo-config-a", code, reason));
    let error = first(&client, &Existing::default(), &a_config_for_one_of_two())
        .await
        .unwrap_err();
    let written = log.summary(&["PATCH"]);
    assert_eq!(written, ["PATCH demo-config-a", "PATCH demo-b"]);
    let text = lotoai_operator::error::chain(&error);
    let expected = format!(
        "failed to apply ConfigMap/demo-config-a: {reason}; for this waits: Deployment/demo-a"
    );
    assert_eq!(text, expected);
}

#[rstest]
#[case::that_is_slow("context deadline exceeded", 2)]
#[case::whose_node_is_gone("dial tcp 10.96.0.7:443: i/o timeout", 2)]
#[case::that_is_away("dial tcp 10.96.0.7:443: connect: connection refused", 4)]
#[tokio::test]
async fn a_webhook_without_an_answer_does_not_take_its_time_of_every_object(
    #[case] end: &str,
    #[case] asked: usize,
) {
    let address = "https://policy.example.svc:443/validate?timeout=10s";
    let message =
        format!("failed calling webhook \"policy\": failed to call webhook: Post {address}: {end}");
    let (client, log) = serve(move |call| match call.method.as_str() {
        "PATCH" => refusal(500, &message),
        _ => accepting(call),
    });
    let objects =
        ["demo-a", "demo-b", "demo-c", "demo-d"].map(|it| desired::<ConfigMap>(it, false));
    let error = first(&client, &Existing::default(), &objects)
        .await
        .unwrap_err();
    assert_eq!(log.summary(&["PATCH"]).len(), asked);
    let text = lotoai_operator::error::chain(&error);
    let waits = text.contains("; for this waits: ConfigMap/demo-c, ConfigMap/demo-d");
    assert_eq!(waits, asked == 2, "{text}");
}

#[tokio::test]
async fn every_refused_object_is_named() {
    let (client, log) = serve(|call| match call.method == "PATCH" {
        true => refusal(403, "denied"),
        false => accepting(call),
    });
    let objects = [
        desired::<ConfigMap>("demo-a", false),
        desired::<ConfigMap>("demo-b", false),
    ];
    let error = first(&client, &Existing::default(), &objects)
        .await
        .unwrap_err();
    assert_eq!(log.summary(&["PATCH"]).len(), 2);
    let text = lotoai_operator::error::chain(&error);
    let expected =
        "failed to apply ConfigMap/demo-a: denied; failed to apply ConfigMap/demo-b: denied";
    assert_eq!(text, expected);
}

#[tokio::test]
async fn a_message_names_the_first_of_many_refused_objects() {
    let (client, _) = serve(|call| match call.method == "PATCH" {
        true => refusal(403, "denied"),
        false => accepting(call),
    });
    let objects: Vec<Desired> = (0..8)
        .map(|number| desired::<ConfigMap>(&format!("demo-{number}"), false))
        .collect();
    let error = first(&client, &Existing::default(), &objects)
        .await
        .unwrap_err();
    let text = lotoai_operator::error::chain(&error);
    assert!(
        text.ends_with("ConfigMap/demo-4: denied and 3 more"),
        "{text}"
    );
}

#[rstest]
#[case::an_unknown_token(401, "Unauthorized")]
#[case::a_newer_object(409, "Conflict")]
#[case::a_server_with_a_fault(500, "InternalError")]
#[tokio::test]
async fn what_would_meet_every_write_stops_at_the_first(
    #[case] code: u16,
    #[case] reason: &'static str,
) {
    let (client, log) = serve(accepting_but("/demo-config-a", code, reason));
    let error = first(&client, &Existing::default(), &a_config_for_one_of_two())
        .await
        .unwrap_err();
    assert_eq!(log.summary(&["PATCH"]), ["PATCH demo-config-a"]);
    let text = lotoai_operator::error::chain(&error);
    assert!(
        text.contains("ConfigMap/demo-config-a") && text.contains(reason),
        "{text}"
    );
}

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
    assert_eq!(calls[0].body["preconditions"]["uid"], "uid-of-orphan");
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
async fn what_was_deleted_before_a_failure_is_told() {
    let done = AtomicUsize::new(0);
    let (client, log) = serve(move |_| match done.fetch_add(1, Ordering::Relaxed) {
        0 => (200, json!({ "kind": "Status", "status": "Success" })),
        _ => refusal(403, "Forbidden"),
    });
    let mut existing = Existing::default();
    existing.extend(
        "ConfigMap",
        ["orphan-a", "orphan-b", "orphan-c"].map(|it| meta(it, UID)),
    );
    let (outcome, pruned) = pruned(&client, &existing, &HashSet::new()).await;
    let error = lotoai_operator::error::chain(&outcome.unwrap_err());
    let asked = log.summary(&["DELETE"]);
    assert_eq!(
        asked.len(),
        2,
        "nothing is tried after a refusal: {asked:?}"
    );
    assert_eq!(asked[0], format!("DELETE {}", pruned[0]));
    assert_eq!(pruned.len(), 1);
    assert!(!error.contains(&pruned[0]), "{error}");
}

fn loto(status: Option<LotoAIStatus>) -> LotoAI {
    let mut loto: LotoAI = serde_json::from_value(json!({
        "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI",
        "metadata": { "name": "demo", "namespace": "default", "uid": UID, "generation": 3 },
        "spec": { "url": "https://lotoai.localhost" },
    }))
    .unwrap();
    loto.status = status;
    loto
}

#[tokio::test]
async fn a_status_is_written_once() {
    let (client, log) = serve(|call| (200, call.body.clone()));
    let status = LotoAIStatus {
        url: Some("https://lotoai.localhost".to_owned()),
        ..Default::default()
    };
    assert!(
        !report::write(&client, &loto(Some(status.clone())), &status)
            .await
            .unwrap()
    );
    assert!(log.calls().is_empty());

    let (client, log) = serve(|call| {
        let mut body = serde_json::to_value(loto(None)).unwrap();
        body["status"] = call.body["status"].clone();
        (200, body)
    });
    assert!(report::write(&client, &loto(None), &status).await.unwrap());
    let calls = log.calls();
    assert_eq!(calls.len(), 1);
    assert!(
        calls[0].path.ends_with("/lotoais/demo/status"),
        "{}",
        calls[0].path
    );
    assert!(
        calls[0]
            .query
            .contains("fieldManager=lotoai-operator-status"),
        "{}",
        calls[0].query
    );
    assert_eq!(calls[0].body["metadata"]["uid"], UID);
}

#[tokio::test]
async fn a_resource_that_is_gone_needs_no_status() {
    let (client, _) = serve(|_| refusal(404, "NotFound"));
    assert!(
        !report::write(
            &client,
            &loto(None),
            &LotoAIStatus {
                url: Some(String::new()),
                ..Default::default()
            }
        )
        .await
        .unwrap()
    );
}
