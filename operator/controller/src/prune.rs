//! Prune: deletes what the platform owns but no longer asks for.
//!
//! Needs a client. An object goes only when it carries the platform's labels (it would not be in
//! `existing` otherwise), is owned by the platform's UID, is not desired, and has not changed since it
//! was read: somebody may have given back a label that keeps it. Desired counts also when a gate still
//! holds it. Volume claims are not among the kinds; credentials and the kinds by which another operator
//! is asked for a store are passed over, whatever their labels: all of them hold what cannot be made
//! again.

use std::collections::HashSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, Preconditions};
use lotoai_plan::{ObjectId, OwnedKind, labels, owned_kinds};
use snafu::Snafu;

use crate::apply::{Cache, Owner};
use crate::error::chain;
use crate::metrics;
use crate::object::{Existing, has_label, owned_by, show};

/// Why an object could not be deleted.
#[derive(Debug, Snafu)]
#[snafu(display("failed to delete {}", show(id)))]
pub struct Error {
    id: ObjectId,
    #[snafu(source(from(kube::Error, Box::new)))]
    source: Box<kube::Error>,
}

impl Error {
    /// What the API server said.
    #[must_use]
    pub fn kube(&self) -> Option<&kube::Error> {
        Some(&self.source)
    }
}

/// What cannot be made again.
fn is_precious(meta: &ObjectMeta) -> bool {
    has_label(meta, labels::CREDENTIAL) || has_label(meta, labels::DATA)
}

/// Deletes the orphans among `existing` and adds each to `pruned` as it goes: what was deleted before
/// a failure is as gone as the rest.
///
/// # Errors
/// The first deletion that is refused, when all the others were tried, or the first that the API server
/// does not answer. One that is gone already, or was changed or replaced by another object in the
/// meantime, is no error: the next pass looks at it.
pub async fn prune(
    client: &Client,
    owner: Owner<'_>,
    existing: &Existing,
    desired: &HashSet<ObjectId>,
    cache: &Cache,
    pruned: &mut Vec<ObjectId>,
) -> Result<(), Error> {
    let mut kinds = owned_kinds();
    kinds.retain(|kind| !kind.delegated);
    let mut refused = None;
    for (id, meta) in existing.iter() {
        let kind = kinds.iter().find(|kind| kind.resource.kind == id.kind);
        let Some(OwnedKind { resource, .. }) = kind else {
            continue;
        };
        let orphan = owned_by(meta, owner.uid)
            && !desired.contains(id)
            && meta.deletion_timestamp.is_none()
            && !is_precious(meta);
        if !orphan {
            continue;
        }
        let params = DeleteParams::background().preconditions(Preconditions {
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
        });
        let api: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), owner.namespace, resource);
        match api.delete(&id.name, &params).await {
            Ok(_) => {
                tracing::info!(
                    object = show(id),
                    "deleted an object that is no longer wanted"
                );
                metrics::pruned(&id.kind);
                pruned.push(id.clone());
            }
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => {}
            Err(source) => {
                let is_answer = matches!(source, kube::Error::Api(_));
                let error = Error {
                    id: id.clone(),
                    source: Box::new(source),
                };
                if !is_answer {
                    return Err(error);
                }
                // An object that may not go has no part in the others.
                tracing::warn!(error = %chain(&error), "a deletion was refused");
                refused.get_or_insert(error);
                continue;
            }
        }
        cache.forget(owner, meta);
    }
    refused.map_or(Ok(()), Err)
}
