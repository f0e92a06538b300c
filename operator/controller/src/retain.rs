//! Retain: cuts what would take data along that `deletionPolicy: Retain` is to keep.
//!
//! Needs a client. It comes before everything else and asks nothing of the rest of the resource: whoever
//! wants `Retain` is about to delete something, often because the rest cannot be carried out. What it
//! writes are single fields, and the same ones that credentials and apply would write later.

use kube::Client;
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use lotoai_api::LotoAI;
use lotoai_plan::retention::ties;
use lotoai_plan::{ObjectId, Observed, owned_kinds};
use snafu::{ResultExt, Snafu};

use crate::apply::{FIELD_MANAGER, is_refusal};
use crate::error::chain;
use crate::object::show;

/// Why an object could not be kept from going with the resource.
#[derive(Debug, Snafu)]
#[snafu(display("failed to keep {} from going with the resource", show(id)))]
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

/// Cuts all ties that can be cut, and returns whether it cut any: then what was read is of before.
///
/// # Errors
/// At the first write that fails for a reason that is not its own. One that the cluster refuses is
/// none: the status names what still goes with the resource, and the next pass tries again.
pub async fn retain(client: &Client, loto: &LotoAI, observed: &Observed) -> Result<bool, Error> {
    let mut cut_any = false;
    if loto.spec.paused {
        return Ok(cut_any);
    }
    let namespace = loto.namespace().unwrap_or_default();
    let kinds = owned_kinds();
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    for tie in ties(loto, observed) {
        let id = tie.object;
        let kind = kinds.iter().find(|kind| kind.resource.kind == id.kind);
        let (Some(kind), Some(cut)) = (kind, tie.cut) else {
            continue;
        };
        let api: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), &namespace, &kind.resource);
        match api
            .patch_metadata(&id.name, &params, &Patch::Merge(&cut))
            .await
        {
            Ok(_) => {
                tracing::info!(object = show(&id), "kept from going with the resource");
                cut_any = true;
            }
            Err(source) if is_refusal(&source) => {
                let error = Error {
                    id,
                    source: Box::new(source),
                };
                tracing::warn!(error = %chain(&error), "a write was refused");
            }
            other => {
                other.context(Snafu { id })?;
            }
        }
    }
    Ok(cut_any)
}
