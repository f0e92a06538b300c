//! Prune: deletes what the platform owns but no longer asks for.
//!
//! Needs a client. An object goes only when it carries the platform's labels (it would not be in
//! `existing` otherwise), is owned by the platform's UID, and is not desired. Desired counts also
//! when a gate still holds it. Volume claims and credentials are never looked at here: the kinds
//! come from the one list of owned kinds, which has neither.

use std::collections::HashSet;

use kube::Client;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Preconditions};
use snafu::Snafu;

use crate::apply::{Cache, Owner};
use crate::metrics;
use crate::object::{Existing, Id, owned_by};

/// Why an object could not be deleted.
#[derive(Debug, Snafu)]
#[snafu(display("failed to delete {id}"))]
pub struct Error {
    id: Id,
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

/// Deletes the orphans among `existing` and returns which they were.
///
/// # Errors
/// At the first deletion that is refused. One that is gone already, or was replaced by another
/// object in the meantime, is no error.
pub async fn prune(
    client: &Client,
    owner: Owner<'_>,
    kinds: &[ApiResource],
    existing: &Existing,
    desired: &HashSet<Id>,
    cache: &Cache,
) -> Result<Vec<Id>, Error> {
    let mut pruned = Vec::new();
    for (id, meta) in existing.iter() {
        let Some(resource) = kinds.iter().find(|kind| kind.kind == id.kind) else { continue };
        let orphan = owned_by(meta, owner.uid)
            && !desired.contains(id)
            && meta.deletion_timestamp.is_none();
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
                tracing::info!(object = %id, "deleted an object that is no longer wanted");
                metrics::pruned(&id.kind);
                pruned.push(id.clone());
            }
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => {}
            Err(source) => return Err(Error { id: id.clone(), source: Box::new(source) }),
        }
        if let Some(uid) = &meta.uid {
            cache.forget(uid);
        }
    }
    Ok(pruned)
}
