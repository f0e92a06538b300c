//! How a document is taken, however its bytes arrive: the same checks, the same object, and the
//! same row with the same event.

use bytes::Bytes;
use lotoai_contracts::events::DocumentUploaded;
use lotoai_policy::documents::readers_of;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::upload::{Description, TextCheck, empty, too_large};
use crate::failure::Failure;
use crate::objects::{Objects, Upload};
use crate::state::AppState;
use crate::store::{Change, Document, NewDocument, StoreError, Upserted};

/// A file whose bytes are on their way to the object store.
pub struct Receiving {
    check: TextCheck,
    hash: Sha256,
    size: u64,
    max: u64,
    upload: Upload,
}

/// A file whose bytes are in the object store, and that no row points to yet. Dropped, it is taken
/// back.
pub struct Received {
    size: u64,
    content_hash: String,
    upload: Upload,
}

/// What taking a document came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Taken {
    /// The same content is there already, and good; its bytes are not needed again.
    Same(Document),
    /// It will be indexed.
    Stored(Document),
}

impl Receiving {
    /// Begins with a file of at most `max` bytes.
    pub fn begin(objects: &Objects, max: u64) -> Self {
        Self {
            check: TextCheck::default(),
            hash: Sha256::new(),
            size: 0,
            max,
            upload: objects.begin(),
        }
    }

    /// Key of the object that is being written.
    pub fn key(&self) -> &str {
        self.upload.key()
    }

    /// Takes more bytes.
    ///
    /// # Errors
    /// 413 when they are too many, 415 when they are no text, 503 when the object store is away.
    pub async fn push(&mut self, bytes: Bytes) -> Result<(), Failure> {
        self.size += bytes.len() as u64;
        if self.size > self.max {
            return Err(too_large(self.max));
        }
        self.check.push(&bytes)?;
        self.hash.update(&bytes);
        self.upload.write(bytes).await
    }

    /// Completes the object.
    ///
    /// # Errors
    /// 400 when it is empty, 415 when its last character is cut off, 503 when the object store is
    /// away.
    pub async fn end(self) -> Result<Received, Failure> {
        let Self {
            check,
            hash,
            size,
            mut upload,
            ..
        } = self;
        if size == 0 {
            return Err(empty());
        }
        check.end()?;
        upload.finish().await?;
        Ok(Received {
            size,
            content_hash: hex::encode(hash.finalize()),
            upload,
        })
    }
}

impl Received {
    /// The row of it, and the object that the row will point to.
    pub fn into_document(self, owner: &str, description: Description) -> (NewDocument, Upload) {
        let new = NewDocument {
            id: Uuid::now_v7(),
            owner: owner.to_owned(),
            groups: readers_of(&description.knowledge_base),
            knowledge_base: description.knowledge_base,
            name: description.name,
            media_type: description.media_type,
            size: i64::try_from(self.size).unwrap_or(i64::MAX),
            content_hash: self.content_hash,
            object_key: self.upload.key().to_owned(),
        };
        (new, self.upload)
    }
}

/// Stores the row of a document with its event, as a part of `change`.
///
/// # Errors
/// When the database fails.
pub async fn take(change: &mut Change, new: &NewDocument) -> Result<Taken, StoreError> {
    let (document, replaced) = match change.upsert_document(new).await? {
        Upserted::Same(document) => return Ok(Taken::Same(document)),
        Upserted::Stored(document, replaced) => (document, replaced),
    };
    if let Some(key) = &replaced {
        change.discard_object(key).await?;
    }
    change.emit(&uploaded(&document)).await?;
    Ok(Taken::Stored(document))
}

/// Wakes those who go on with a document whose row was committed.
pub fn announce(state: &AppState) {
    state.events.now();
    state.discarded.now();
    metrics::counter!("lotoai_gateway_documents_uploaded_total").increment(1);
}

/// The event that lets a document be indexed.
pub fn uploaded(document: &Document) -> DocumentUploaded {
    DocumentUploaded {
        document_id: document.id.to_string(),
        content_hash: document.content_hash.clone(),
        name: document.name.clone(),
        object_key: document.object_key.clone(),
        media_type: document.media_type.clone(),
        size: document.size.unsigned_abs(),
        knowledge_base: document.knowledge_base.clone(),
        owner: document.owner.clone(),
        groups: document.groups.clone(),
    }
}
