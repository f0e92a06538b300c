//! What is in a namespace, without what changes by itself.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt;
use kube::api::{ApiResource, DynamicObject, ListParams};
use lotoai_plan::labels;
use lotoai_plan::tls::life::PAIR;
use serde_json::{Value, json};

use crate::world::{World, kinds};

/// Everything that carries the platform's labels.
pub(crate) async fn objects(world: &World) -> Vec<(ApiResource, DynamicObject)> {
    let ours = ListParams::default().labels(&labels::owned_by_selector("demo"));
    let mut all = Vec::new();
    for kind in kinds() {
        let list = world.dynamic(&kind).list(&ours).await.unwrap();
        all.extend(list.into_iter().map(|object| (kind.clone(), object)));
    }
    all
}

/// An object without what the API server and controllers write.
pub(crate) fn lasting(object: &DynamicObject) -> Value {
    let mut value = serde_json::to_value(object).unwrap();
    value.as_object_mut().unwrap().remove("status");
    let metadata = value["metadata"].as_object_mut().unwrap();
    for field in ["managedFields", "resourceVersion", "generation"] {
        metadata.remove(field);
    }
    if let Some(annotations) = metadata.get_mut("annotations") {
        // The controller of Deployments is not there, but its annotation may be.
        let annotations = annotations.as_object_mut().unwrap();
        annotations.remove("deployment.kubernetes.io/revision");
    }
    value
}

/// Objects and status of a platform.
pub(crate) type State = BTreeMap<String, Value>;

/// The state, in which one object that was deleted and made again is the same.
pub(crate) async fn state(world: &World) -> State {
    let mut state: State = objects(world)
        .await
        .iter()
        .map(|(kind, object)| {
            let mut value = lasting(object);
            let metadata = value["metadata"].as_object_mut().unwrap();
            for field in ["uid", "creationTimestamp"] {
                metadata.remove(field);
            }
            (format!("{}/{}", kind.kind, object.name_any()), value)
        })
        .collect();
    let mut status = serde_json::to_value(world.status().await).unwrap();
    for condition in status["conditions"].as_array_mut().unwrap() {
        condition
            .as_object_mut()
            .unwrap()
            .remove("lastTransitionTime");
    }
    state.insert("LotoAI/demo".to_owned(), status);
    without_identities(&mut state);
    state
}

/// A Job's pods are told apart by its UID.
fn without_identities(state: &mut State) {
    for value in state.values_mut() {
        for map in [
            "/spec/selector/matchLabels",
            "/spec/template/metadata/labels",
        ] {
            if let Some(map) = value.pointer_mut(map).and_then(Value::as_object_mut) {
                map.retain(|key, _| !key.ends_with("controller-uid"));
            }
        }
    }
}

/// The same without what differs between two platforms of one specification: names and UIDs,
/// addresses, and all that comes of chance.
pub(crate) async fn anonymous(world: &World) -> State {
    let uid = world.lotos().get("demo").await.unwrap().uid().unwrap();
    let state = state(world).await.into_iter().map(|(name, value)| {
        let value = without_chance(&name, value).to_string();
        let value = value.replace(&world.namespace, "…").replace(&uid, "…");
        // A Job's name ends with a digest of what its pod gets.
        let Some(job) = name.strip_prefix("Job/") else {
            return (name, serde_json::from_str(&value).unwrap());
        };
        let (task, _) = job.rsplit_once('-').unwrap();
        let value = value.replace(job, task);
        (format!("Job/{task}"), serde_json::from_str(&value).unwrap())
    });
    state.collect()
}

fn without_chance(name: &str, mut value: Value) -> Value {
    // The ConfigMap holds the authority's certificate.
    let is_drawn = name.starts_with("Secret/") || name == "ConfigMap/demo-ca";
    if is_drawn && let Some(data) = value.get_mut("data").and_then(Value::as_object_mut) {
        data.values_mut().for_each(|value| *value = json!("…"));
    }
    if let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) {
        spec.retain(|key, _| !key.starts_with("clusterIP"));
    }
    let ports = value.pointer_mut("/spec/ports");
    for port in ports.and_then(Value::as_array_mut).into_iter().flatten() {
        port.as_object_mut().unwrap().remove("nodePort");
    }
    // Digests of all the rest of it, and of a certificate and its key.
    if let Some(annotations) = value.pointer_mut("/metadata/annotations") {
        let annotations = annotations.as_object_mut().unwrap();
        annotations.remove(labels::APPLIED);
        annotations.remove(PAIR);
    }
    if let Some(annotations) = value.pointer_mut("/spec/template/metadata/annotations") {
        annotations[labels::CONFIG_HASH] = json!("…");
        if let Some(hash) = annotations.get_mut(labels::ADMINISTRATOR_HASH) {
            *hash = json!("…");
        }
    }
    value
}

/// What is in one state and not in the other, for people.
pub(crate) fn difference(one: &State, other: &State) -> String {
    let names: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let different = names
        .into_iter()
        .filter(|name| one.get(*name) != other.get(*name));
    let show =
        |value: Option<&Value>| value.map_or_else(|| "not there".to_owned(), Value::to_string);
    different
        .map(|name| {
            format!(
                "{name}:\n  {}\n  {}\n",
                show(one.get(name)),
                show(other.get(name))
            )
        })
        .collect()
}
