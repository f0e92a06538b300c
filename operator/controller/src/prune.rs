//! Prune: deletes what the platform owns but no longer asks for.
//!
//! Needs a client. An object goes only when it carries the platform's labels (it would not be in
//! `existing` otherwise), is owned by the platform's UID, and is not desired. Desired counts also
//! when a gate still holds it. Volume claims are not among the kinds; credentials and what
//! asks another operator for a store are passed over: all of them hold what cannot be made again.

use std::collections::HashSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, Preconditions};
use lotoai_plan::{ObjectId, OwnedKind, labels, owned_kinds};
use snafu::Snafu;

use crate::apply::{Cache, Owner};
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
/// At the first deletion that is refused. One that is gone already, or was replaced by another
/// object in the meantime, is no error.
pub async fn prune(
    client: &Client,
    owner: Owner<'_>,
    existing: &Existing,
    desired: &HashSet<ObjectId>,
    cache: &Cache,
    pruned: &mut Vec<ObjectId>,
) -> Result<(), Error> {
    let kinds = owned_kinds();
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
            resource_version: None,
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
                return Err(Error {
                    id: id.clone(),
                    source: Box::new(source),
                });
            }
        }
        cache.forget(owner, meta);
    }
    Ok(())
}
