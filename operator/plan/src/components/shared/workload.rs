//! Deployments and StatefulSets around a pod.

use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment, StatefulSet,
    StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec, StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, PodTemplateSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use lotoai_api::Component;
use lotoai_api::spec::{DeletionPolicy, Storage};

use crate::graph::Node;
use crate::labels;
use crate::platform::Platform;

/// Name of every data volume.
pub const DATA: &str = "data";

/// A Deployment that never has fewer pods than wanted while it rolls.
#[must_use]
pub fn deployment(
    platform: &Platform,
    component: Component,
    template: PodTemplateSpec,
) -> Deployment {
    let node = Node::Component(component);
    Deployment {
        metadata: metadata(platform, component),
        spec: Some(DeploymentSpec {
            replicas: platform.written_replicas(component),
            revision_history_limit: Some(2),
            selector: selector(platform, node),
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(IntOrString::Int(1)),
                    max_unavailable: Some(IntOrString::Int(0)),
                }),
            }),
            template,
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

/// The strategy of a Deployment whose old pod must end before the new one starts.
#[must_use]
pub fn recreate() -> DeploymentStrategy {
    DeploymentStrategy {
        type_: Some("Recreate".to_owned()),
        rolling_update: None,
    }
}

/// How long a server of several is ready before the next one is restarted.
const CATCH_UP_SECONDS: i32 = 20;

/// A StatefulSet, each of its pods with a volume if `storage` is given. A pod ends before its
/// successor starts, so that two never write to one volume.
#[must_use]
pub fn stateful_set(
    platform: &Platform,
    component: Component,
    template: PodTemplateSpec,
    storage: Option<&Storage>,
) -> StatefulSet {
    let node = Node::Component(component);
    let name = platform.component_name(component);
    let when_deleted = match platform.spec.deletion_policy {
        DeletionPolicy::Retain => "Retain",
        DeletionPolicy::Delete => "Delete",
    };
    StatefulSet {
        metadata: metadata(platform, component),
        spec: Some(StatefulSetSpec {
            replicas: platform
                .written_replicas(component)
                .or(Some(platform.scale(component).least())),
            revision_history_limit: Some(2),
            selector: selector(platform, node),
            // Pods have names of their own only below a Service without an address.
            service_name: Some(if platform.members(component).is_empty() {
                name
            } else {
                platform.members_name(component)
            }),
            // A server that is ready may yet have to catch up with the others.
            min_ready_seconds: (!platform.members(component).is_empty())
                .then_some(CATCH_UP_SECONDS),
            // With `OrderedReady` a pod that never became ready would block the update that mends
            // it. The field can never change.
            pod_management_policy: Some("Parallel".to_owned()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("RollingUpdate".to_owned()),
                ..StatefulSetUpdateStrategy::default()
            }),
            persistent_volume_claim_retention_policy: storage.map(|_| {
                StatefulSetPersistentVolumeClaimRetentionPolicy {
                    when_deleted: Some(when_deleted.to_owned()),
                    when_scaled: Some("Retain".to_owned()),
                }
            }),
            volume_claim_templates: storage.map(|storage| vec![claim(platform, node, storage)]),
            template,
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

/// Metadata of a workload object. Not in its template: pods would restart.
fn metadata(platform: &Platform, component: Component) -> ObjectMeta {
    let node = Node::Component(component);
    let image = (labels::IMAGE.to_owned(), platform.image(node).to_owned());
    ObjectMeta {
        annotations: Some([image].into()),
        ..platform.metadata(platform.component_name(component), node)
    }
}

/// Selector of the pods of a node.
#[must_use]
pub fn selector(platform: &Platform, node: Node) -> LabelSelector {
    LabelSelector {
        match_labels: Some(labels::selector(platform, node)),
        ..LabelSelector::default()
    }
}

fn claim(platform: &Platform, node: Node, storage: &Storage) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(DATA.to_owned()),
            labels: Some(labels::unversioned(platform, node)),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: storage.storage_class_name.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some(
                    [("storage".to_owned(), Quantity(storage.size.clone()))]
                        .into_iter()
                        .collect(),
                ),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}
