//! An upload whose bytes are all there becomes a document.

use lotoai_policy::documents::may_add;
use uuid::Uuid;

use super::{Lease, busy, count, place};
use crate::domain::upload::Description;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::intake::{self, Received, Receiving, Taken};
use crate::state::AppState;
use crate::store::{StoreError, StoredUpload};

/// Why it did not become one.
enum Fault {
    /// The file cannot be taken, and never will be.
    Refused(Failure),
    /// Something was away, or somebody else does it: the bytes are still good.
    Failed(Failure),
}

impl Fault {
    /// What taking a file answers: what is the caller's fault stays so.
    fn of(failure: Failure) -> Self {
        if failure.status.is_client_error() {
            Self::Refused(failure)
        } else {
            Self::Failed(failure)
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// Makes the upload a document, as its owner; gives it as it is then. One that is refused is ended,
/// for nothing that is sent later would mend it.
///
/// # Errors
/// 415 when the file is no text, 403 when the caller may not add to its knowledge base any more, 423
/// when the lease is lost, 429 when too many are put together, 503 when the object store or the
/// database is away.
pub(super) async fn assemble(
    state: &AppState,
    identity: &Identity,
    mut upload: StoredUpload,
    lease: Lease,
) -> Result<StoredUpload, Failure> {
    let _place = place(&state.uploads.assemblers).await?;
    match become_document(state, identity, &upload, lease).await {
        Ok(document_id) => {
            count("finished", 1);
            upload.document_id = Some(document_id);
            Ok(upload)
        }
        Err(Fault::Failed(failure)) => Err(failure),
        Err(Fault::Refused(failure)) => {
            count("refused", 1);
            state.store.end_upload(&upload.owner, upload.id).await?;
            state.discarded.now();
            Err(failure)
        }
    }
}

async fn become_document(
    state: &AppState,
    identity: &Identity,
    upload: &StoredUpload,
    lease: Lease,
) -> Result<Uuid, Fault> {
    // The caller may have left the group since the upload began.
    may_add(identity.who(), &upload.knowledge_base)
        .map_err(|refusal| Fault::Refused(refusal.into()))?;
    let received = put_together(state, upload, lease).await?;
    let description = Description {
        name: upload.name.clone(),
        media_type: upload.media_type.clone(),
        knowledge_base: upload.knowledge_base.clone(),
    };
    let (new, object) = received.into_document(&upload.owner, description);
    let mut change = state.store.begin().await?;
    let (document, is_new) = match intake::take(&mut change, &new).await? {
        Taken::Same(document) => (document, false),
        Taken::Stored(document) => (document, true),
    };
    if !change
        .close_upload(upload.id, lease.id, document.id)
        .await?
    {
        return Err(Fault::Failed(busy()));
    }
    if is_new {
        // As with any upload: an object without a row costs less than a row without its object.
        object.keep();
    }
    change.commit().await?;
    if is_new {
        intake::announce(state);
    }
    Ok(document.id)
}

/// Passes the parts on as the bytes of a document, one at a time.
async fn put_together(
    state: &AppState,
    upload: &StoredUpload,
    lease: Lease,
) -> Result<Received, Fault> {
    let parts = state.store.upload_parts(upload.id).await?;
    let mut receiving = Receiving::begin(&state.objects, state.limits.upload_max_bytes);
    let key = receiving.key().to_owned();
    if !state
        .store
        .assemble_upload(upload.id, lease.id, &key)
        .await?
    {
        return Err(Fault::Failed(busy()));
    }
    for part in parts {
        lease.renew(state).await.map_err(Fault::Failed)?;
        let bytes = state.objects.read(&part.object_key).await;
        let bytes = bytes.map_err(Fault::Failed)?;
        receiving.push(bytes).await.map_err(Fault::of)?;
    }
    lease.renew(state).await.map_err(Fault::Failed)?;
    receiving.end().await.map_err(Fault::of)
}
