//! What stays of a deleted platform, what goes with it, and what is none of its business.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolume, PersistentVolumeClaim, Pod, Secret, Service,
};
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, PostParams};
use lotoai_e2e::Platform;
use lotoai_local::Instance;
use lotoai_plan::labels;
use serde_json::{Value, json};

use crate::state::{lasting, state};
use crate::support::wait_for;

/// How long a platform may take until all of it is gone: pods drain, and volumes go after them.
const GONE_LIMIT: Duration = Duration::from_secs(180);

/// A volume of a platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    /// Its claim.
    pub(crate) claim: String,
    uid: String,
    /// The volume itself.
    name: String,
}

/// The volumes that a platform has claimed.
pub(crate) async fn volumes(platform: &Platform) -> Vec<Volume> {
    let claims = claims(platform).await.unwrap().into_iter();
    let volumes = claims.map(|claim| Volume {
        claim: claim.name_any(),
        uid: claim.uid().unwrap(),
        name: claim.spec.unwrap().volume_name.unwrap(),
    });
    volumes.collect()
}

async fn claims(platform: &Platform) -> Result<Vec<PersistentVolumeClaim>, String> {
    let api: Api<PersistentVolumeClaim> =
        Api::namespaced(platform.kube.clone(), &platform.namespace);
    let list = api.list(&of(platform)).await;
    list.map(|list| list.items)
        .map_err(|error| error.to_string())
}

fn of(platform: &Platform) -> ListParams {
    ListParams::default().labels(&format!("{}={}", labels::INSTANCE, platform.name))
}

/// Whether each claim of a platform goes with it.
pub(crate) async fn claims_are_owned(platform: &Platform) -> Result<bool, String> {
    let claims = claims(platform).await?;
    let mut owned = claims
        .iter()
        .map(|claim| !claim.owner_references().is_empty());
    Ok(!claims.is_empty() && owned.all(|owned| owned))
}

/// Where a volume is on this machine.
fn directory(instance: &Instance, volume: &Volume) -> Option<PathBuf> {
    let all = std::fs::read_dir(instance.state_dir().join("volumes")).unwrap();
    let mut paths = all.map(|entry| entry.unwrap().path());
    paths.find(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(&volume.name))
    })
}

/// Panics unless each volume is there and holds something.
pub(crate) fn assert_filled(instance: &Instance, volumes: &[Volume]) {
    assert!(!volumes.is_empty());
    for volume in volumes {
        let path = directory(instance, volume).unwrap_or_else(|| panic!("{volume:?} is nowhere"));
        let count = std::fs::read_dir(&path).unwrap().count();
        assert!(count > 0, "{} is empty", path.display());
    }
}

/// Identity and content of each Secret of a platform that outlives it.
pub(crate) async fn kept_secrets(platform: &Platform) -> BTreeMap<String, Value> {
    let state = state(platform).await.unwrap().into_iter();
    let kept = state.filter(|(name, object)| {
        let metadata = &object["metadata"];
        name.starts_with("Secret/")
            && metadata["labels"][labels::CREDENTIAL].is_string()
            && metadata["ownerReferences"].is_null()
    });
    kept.map(|(name, object)| {
        let identity = object["metadata"]["uid"].clone();
        (name, json!([identity, object["data"]]))
    })
    .collect()
}

/// Panics unless both hold the same, without showing what.
pub(crate) fn assert_same(before: &BTreeMap<String, Value>, now: &BTreeMap<String, Value>) {
    let names = |all: &BTreeMap<String, Value>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(now), names(before));
    for (name, content) in before {
        assert!(now[name] == *content, "{name} is another one");
    }
}

/// Waits until nothing is left of a platform, in the cluster and on this machine, but what others
/// have made to look like it.
pub(crate) async fn wait_gone(
    platform: &Platform,
    instance: &Instance,
    before: &[Volume],
    beside: &Bystanders,
) {
    let pods: Api<Pod> = Api::namespaced(platform.kube.clone(), &platform.namespace);
    let volumes: Api<PersistentVolume> = Api::all(platform.kube.clone());
    wait_for("nothing to be left", GONE_LIMIT, async || {
        let mut left: Vec<String> = state(platform).await?.into_keys().collect();
        left.retain(|name| !beside.have(name));
        let all = pods.list(&of(platform)).await;
        let all = all.map_err(|error| error.to_string())?.items;
        left.extend(all.iter().map(|pod| format!("Pod/{}", pod.name_any())));
        let claims = claims(platform).await?;
        left.extend(
            claims
                .iter()
                .map(|claim| format!("claim {}", claim.name_any())),
        );
        for volume in before {
            let found = volumes.get_opt(&volume.name).await;
            if found.map_err(|error| error.to_string())?.is_some() {
                left.push(format!("volume {}", volume.name));
            }
            if let Some(path) = directory(instance, volume) {
                left.push(path.display().to_string());
            }
        }
        if left.is_empty() {
            Ok(())
        } else {
            Err(left.join(", "))
        }
    })
    .await;
}

/// Objects of somebody else, in the namespace of a platform and with names and labels like its own.
pub(crate) struct Bystanders {
    platform: Platform,
    made: Vec<(ApiResource, String, Value)>,
}

impl Bystanders {
    /// Makes them.
    pub(crate) async fn beside(platform: &Platform) -> Self {
        let mut made = Vec::new();
        for (kind, object) in look_alikes(&platform.name) {
            let object: DynamicObject = serde_json::from_value(object).unwrap();
            let api = Self::api(platform, &kind);
            let object = api.create(&PostParams::default(), &object).await.unwrap();
            let name = object.name_any();
            made.push((kind, name, lasting(serde_json::to_value(&object).unwrap())));
        }
        Self {
            platform: platform.clone(),
            made,
        }
    }

    fn api(platform: &Platform, kind: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(platform.kube.clone(), &platform.namespace, kind)
    }

    /// Whether an object, by kind and name, is one of them.
    pub(crate) fn have(&self, object: &str) -> bool {
        let mut made = self.made.iter();
        made.any(|(kind, name, _)| object == format!("{}/{name}", kind.kind))
    }

    /// Panics when somebody has touched one, and removes them.
    pub(crate) async fn assert_untouched(self) {
        for (kind, name, before) in self.made {
            let api = Self::api(&self.platform, &kind);
            let now = api.get(&name).await;
            let now = now.unwrap_or_else(|error| panic!("{} {name}: {error}", kind.kind));
            let now = lasting(serde_json::to_value(&now).unwrap());
            assert_eq!(now, before, "{} {name}", kind.kind);
            api.delete(&name, &DeleteParams::default()).await.unwrap();
        }
    }
}

/// What a platform of this name could be mistaken in: some bear its name, some its labels as well.
fn look_alikes(platform: &str) -> Vec<(ApiResource, Value)> {
    let name = format!("{platform}-own-{}", std::process::id());
    let ours = json!(labels::owned_by(platform));
    let metadata = |name: &str, labels: &Value| json!({ "name": name, "labels": labels });
    let none = Value::Null;
    let labelled = format!("{name}-labelled");
    let claim = json!({
        "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Mi" } },
    });
    vec![
        (
            ApiResource::erase::<ConfigMap>(&()),
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(&name, &none),
                "data": { "of": "somebody" },
            }),
        ),
        (
            ApiResource::erase::<ConfigMap>(&()),
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(&labelled, &ours),
                "data": { "of": "somebody" },
            }),
        ),
        (
            ApiResource::erase::<Secret>(&()),
            json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": metadata(&labelled, &ours),
                "data": { "of": "c29tZWJvZHk=" },
            }),
        ),
        (
            ApiResource::erase::<Service>(&()),
            json!({
                "apiVersion": "v1", "kind": "Service", "metadata": metadata(&labelled, &ours),
                "spec": { "ports": [{ "port": 80 }] },
            }),
        ),
        (
            ApiResource::erase::<PersistentVolumeClaim>(&()),
            json!({
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "metadata": metadata(&format!("data-{name}-0"), &none), "spec": claim,
            }),
        ),
    ]
}
