//! All that a platform has in a cluster, to compare two moments.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, ListParams};
use lotoai_e2e::Platform;
use lotoai_plan::{labels, owned_kinds};
use serde_json::Value;

/// Every object of a platform by kind and name, without what servers and controllers write.
pub(crate) type State = BTreeMap<String, Value>;

/// The objects that bear the platform's name as the operator writes it.
pub(crate) async fn state(platform: &Platform) -> Result<State, String> {
    let ours = format!("{}={}", labels::INSTANCE, platform.name);
    let ours = ListParams::default().labels(&ours);
    let mut state = State::new();
    for kind in owned_kinds().into_iter().filter(|kind| !kind.optional) {
        let kind = kind.resource;
        let api: Api<DynamicObject> =
            Api::namespaced_with(platform.kube.clone(), &platform.namespace, &kind);
        let list = api.list(&ours).await.map_err(|error| error.to_string())?;
        for object in list {
            let name = format!("{}/{}", kind.kind, object.name_any());
            let value = serde_json::to_value(&object).map_err(|error| error.to_string())?;
            state.insert(name, lasting(value));
        }
    }
    Ok(state)
}

/// An object without what changes by itself.
pub(crate) fn lasting(mut object: Value) -> Value {
    object.as_object_mut().unwrap().remove("status");
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.remove("managedFields");
    metadata.remove("resourceVersion");
    object
}

/// What was there is there, is the same object, and holds the same credential.
pub(crate) fn assert_kept(what: &str, before: &State, now: &State, may_go: impl Fn(&str) -> bool) {
    for (name, object) in before {
        let Some(now) = now.get(name) else {
            assert!(may_go(name), "{what}: {name} is gone");
            continue;
        };
        let uid = &object["metadata"]["uid"];
        assert_eq!(&now["metadata"]["uid"], uid, "{what}: {name}");
        if object["metadata"]["labels"][labels::CREDENTIAL].is_string() {
            // Not to be shown.
            let is_same = now["data"] == object["data"];
            assert!(is_same, "{what}: {name} holds another credential");
        }
    }
}
