//! What is applied, and the stages after it one at a time.

mod pruned;
mod refused;
mod reported;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::ApiResource;
use kube::{Client, Resource};
use lotoai_operator::Error;
use lotoai_operator::apply::{self, Cache, Owner};
use lotoai_operator::error::ErrorClass;
use lotoai_operator::object::{Desired, Existing};
use lotoai_plan::PlannedObject;
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
        assert_eq!(call.query, "&fieldManager=lotoai-operator");
    }
}

#[tokio::test]
async fn only_what_is_ours_already_is_written_with_force() {
    // Somebody took the labels of one of them away, so that it has to be looked up.
    let (client, log) = serve(|call| {
        if call.method == "GET" && call.path.ends_with("/demo-unlabelled") {
            return (200, json!({ "metadata": meta("demo-unlabelled", UID) }));
        }
        accepting(call)
    });
    let mut existing = Existing::default();
    existing.extend("ConfigMap", [meta("demo-labelled", UID)]);
    let objects = ["demo-new", "demo-labelled", "demo-unlabelled"]
        .map(|name| desired::<ConfigMap>(name, false));
    first(&client, &existing, &objects).await.unwrap();
    let calls = log.calls();
    let queries: Vec<_> = calls
        .iter()
        .filter(|call| call.method == "PATCH")
        .map(|call| call.query.as_str())
        .collect();
    let forced = "&force=true&fieldManager=lotoai-operator";
    assert_eq!(queries, ["&fieldManager=lotoai-operator", forced, forced]);
}

/// An API server on which somebody makes `demo-b` after it was looked up.
fn raced(is_made: &AtomicBool, call: &Call) -> (u16, Value) {
    if !call.path.ends_with("/demo-b") {
        return accepting(call);
    }
    match call.method.as_str() {
        "GET" if is_made.load(Ordering::Relaxed) => {
            (200, json!({ "metadata": meta("demo-b", "somebody-else") }))
        }
        "PATCH" if !call.query.contains("force=true") => {
            is_made.store(true, Ordering::Relaxed);
            refusal(409, "Conflict")
        }
        _ => accepting(call),
    }
}

#[tokio::test]
async fn what_somebody_makes_after_the_look_is_refused_and_looked_at_again() {
    let is_made = AtomicBool::new(false);
    let (client, log) = serve(move |call| raced(&is_made, call));
    let objects = [
        desired::<ConfigMap>("demo-a", false),
        desired::<Deployment>("demo-b", false),
        desired::<Deployment>("demo-c", false),
    ];
    let error = first(&client, &Existing::default(), &objects)
        .await
        .unwrap_err();
    let written = ["PATCH demo-a", "PATCH demo-b"];
    assert_eq!(log.summary(&["PATCH"]), written);
    let text = lotoai_operator::error::chain(&error);
    assert!(text.contains("Deployment/demo-b"), "{text}");
    let error = Error::Apply { source: error };
    assert_eq!(error.class(), ErrorClass::Conflict, "repeated soon");

    let error = first(&client, &Existing::default(), &objects)
        .await
        .unwrap_err();
    assert!(error.is_foreign(), "{error}");
    assert!(error.to_string().contains("Deployment/demo-b"), "{error}");
    assert_eq!(log.summary(&["PATCH"]), written, "nothing more is written");
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
