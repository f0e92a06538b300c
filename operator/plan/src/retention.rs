//! What would be deleted with a resource that is to keep its data, and how it is cut loose.
//!
//! The cluster deletes by what stands on the objects, whatever the spec says, and a change of the policy
//! may not stand there yet: nothing is planned of a resource that cannot be carried out, a gate holds a
//! workload as a whole, and Kubernetes lets go of a volume claim only while its pod runs. So the objects
//! are asked, never the spec alone (ADR 0017).

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube_core::Resource;
use lotoai_api::spec::DeletionPolicy;
use lotoai_api::{Component, LotoAI};
use serde_json::{Value, json};

use crate::labels;
use crate::names::certificate_secret;
use crate::observed::Observed;
use crate::resources::ObjectId;

/// A message names this many objects before it only counts.
const NAMED: usize = 3;

/// What holds data to a resource that goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Tie {
    /// What would go, or the StatefulSet that would take its volumes along.
    pub object: ObjectId,
    /// The merge patch that cuts it; nothing where only Kubernetes does: at a volume claim.
    pub cut: Option<Value>,
}

/// All ties of a resource that is to keep its data; none of one that is not.
#[must_use]
pub fn ties(lotoai: &LotoAI, observed: &Observed) -> Vec<Tie> {
    if lotoai.spec.deletion_policy == DeletionPolicy::Delete {
        return Vec::new();
    }
    let uid = lotoai.metadata.uid.as_deref().unwrap_or_default();
    let platform = lotoai.metadata.name.as_deref().unwrap_or_default();
    let goes = |metadata: &ObjectMeta| is_owned_by(metadata, uid);
    let sets = observed.stateful_sets.values();
    let sets: Vec<_> = sets.filter(|set| goes(&set.metadata)).collect();
    let mut ties: Vec<Tie> = sets
        .iter()
        .filter(|set| takes_volumes(set))
        .map(|set| tie(*set, Some(let_volumes_stay())))
        .collect();
    let stores = observed.clusters.values();
    ties.extend(
        stores
            .filter(|store| goes(&store.metadata))
            .map(|store| tie(store, Some(disown(&store.metadata)))),
    );
    let secrets = observed.secrets.values();
    ties.extend(
        secrets
            .filter(|secret| goes(&secret.metadata) && outlives(platform, &secret.metadata))
            .map(|secret| tie(secret, Some(disown(&secret.metadata)))),
    );
    let claims = observed.claims.values();
    ties.extend(
        claims
            .filter(|claim| {
                let mut sets = sets.iter().filter_map(|set| set.metadata.uid.as_deref());
                goes(&claim.metadata) || sets.any(|set| is_owned_by(&claim.metadata, set))
            })
            .map(|claim| tie::<PersistentVolumeClaim>(claim, None)),
    );
    ties
}

fn tie<K: Resource<DynamicType = ()>>(object: &K, cut: Option<Value>) -> Tie {
    let name = object.meta().name.as_deref().unwrap_or_default();
    Tie {
        object: ObjectId::new(&K::kind(&()), name),
        cut,
    }
}

fn is_owned_by(metadata: &ObjectMeta, uid: &str) -> bool {
    let mut owners = metadata.owner_references.iter().flatten();
    owners.any(|owner| owner.uid == uid)
}

fn takes_volumes(set: &StatefulSet) -> bool {
    let policy = set
        .spec
        .as_ref()
        .and_then(|spec| spec.persistent_volume_claim_retention_policy.as_ref());
    policy.is_some_and(|policy| policy.when_deleted.as_deref() == Some("Delete"))
}

/// Whether it is a credential that must outlive the resource. Certificates that servers show open
/// nothing that stays.
fn outlives(platform: &str, secret: &ObjectMeta) -> bool {
    let is_credential = secret
        .labels
        .as_ref()
        .is_some_and(|labels| labels.contains_key(labels::CREDENTIAL));
    let mut certificates = Component::ALL
        .into_iter()
        .map(|component| certificate_secret(platform, component));
    is_credential && certificates.all(|name| secret.name.as_ref() != Some(&name))
}

fn let_volumes_stay() -> Value {
    json!({ "spec": { "persistentVolumeClaimRetentionPolicy": { "whenDeleted": "Retain" } } })
}

/// Takes the owner from an object that nobody has changed since it was read.
fn disown(metadata: &ObjectMeta) -> Value {
    json!({ "metadata": {
        "resourceVersion": metadata.resource_version, "ownerReferences": null,
        "annotations": BTreeMap::from(labels::KEPT_BY_ARGO_CD),
    } })
}

/// The policy by which everything would go that is there, and why it is not that of the spec.
pub(crate) fn in_force(lotoai: &LotoAI, observed: &Observed) -> (DeletionPolicy, Option<String>) {
    let ties = ties(lotoai, observed);
    // What is to go may bear that already, and nobody is told that it stays.
    if lotoai.spec.deletion_policy == DeletionPolicy::Delete || !ties.is_empty() {
        let said = (!ties.is_empty()).then(|| told(lotoai, &ties));
        return (DeletionPolicy::Delete, said);
    }
    (DeletionPolicy::Retain, None)
}

fn told(lotoai: &LotoAI, ties: &[Tie]) -> String {
    let names: Vec<String> = ties
        .iter()
        .take(NAMED)
        .map(|tie| format!("{}/{}", tie.object.kind, tie.object.name))
        .collect();
    let more = match ties.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let next = if lotoai.spec.paused {
        "; nothing is changed while spec.paused is true"
    } else if ties.iter().all(|tie| tie.cut.is_some()) {
        ""
    } else if lotoai.spec.suspend {
        "; Kubernetes lets go of a claim only while its pod runs: set spec.suspend to false until then"
    } else {
        "; Kubernetes lets go of a claim while its pod runs"
    };
    format!(
        "deletionPolicy Retain is not in force yet: {}{more} would still be deleted with the \
         resource, so delete nothing before status.deletionPolicy is Retain{next}",
        names.join(", ")
    )
}
