//! Rows of documents.

use lotoai_contracts::events::DocumentDeleted;
use lotoai_policy::documents::Visible;
use serde::Serialize;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::document_steps::{DocumentStep, Noted, steps};
use super::{Change, Store, StoreError, rfc3339, within};

/// A document as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Document {
    /// Identity.
    pub id: Uuid,
    /// Name as uploaded.
    pub name: String,
    /// Media type.
    pub media_type: String,
    /// Bytes.
    pub size: i64,
    /// Knowledge base.
    pub knowledge_base: String,
    /// `uploaded`, `indexing`, `indexed` or `failed`.
    pub status: String,
    /// Step of ingestion, while indexing or where it failed.
    pub step: Option<String>,
    /// Units done in the step.
    pub done: i32,
    /// Units in all; 0 = not known.
    pub total: i32,
    /// The steps that were heard of since it was uploaded, in their order.
    pub steps: Vec<DocumentStep>,
    /// Chunks, once indexed.
    pub chunks: Option<i32>,
    /// Why it failed.
    pub error: Option<DocumentError>,
    /// RFC 3339.
    pub created_at: String,
    /// Who uploaded it.
    #[serde(skip)]
    pub owner: String,
    /// Who else may read it.
    #[serde(skip)]
    pub groups: Vec<String>,
    /// Hash of the current content.
    #[serde(skip)]
    pub content_hash: String,
    /// Where the current content is.
    #[serde(skip)]
    pub object_key: String,
}

/// Why a document failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DocumentError {
    /// Stable code.
    pub code: String,
    /// Sentence with the fix.
    pub message: String,
}

/// A document to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDocument {
    /// Identity, if it is new.
    pub id: Uuid,
    /// Who uploads it.
    pub owner: String,
    /// Who else may read it.
    pub groups: Vec<String>,
    /// Knowledge base.
    pub knowledge_base: String,
    /// Cleaned name.
    pub name: String,
    /// Media type.
    pub media_type: String,
    /// Bytes.
    pub size: i64,
    /// Lower-case hex SHA-256.
    pub content_hash: String,
    /// Where the bytes are.
    pub object_key: String,
}

/// What storing a document came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Upserted {
    /// The same content is there already, and good.
    Same(Document),
    /// It is new, or its content is; the second is the key of the content that it replaces.
    Stored(Document, Option<String>),
}

macro_rules! columns {
    () => {
        concat!(
            "id, name, media_type, size, knowledge_base, status, step, done, total, chunks,
             error_code, error_message, owner, groups, content_hash, object_key, ",
            rfc3339!("created_at"),
            ", steps, ",
            rfc3339!("steps_ended_at")
        )
    };
}

/// Whether a document may be indexed again: it failed, or nothing was heard of it for longer than
/// ingestion ever waits (25 minutes), so that its event or its report is lost.
macro_rules! may_be_retried {
    () => {
        "(status = 'failed' or status in ('uploaded', 'indexing')
          and updated_at < now() - interval '30 minutes')"
    };
}

fn document(row: &PgRow) -> Document {
    let code: Option<String> = row.get(10);
    let message: Option<String> = row.get(11);
    let status: String = row.get(5);
    let Json(noted): Json<Noted> = row.get(17);
    Document {
        id: row.get(0),
        name: row.get(1),
        media_type: row.get(2),
        size: row.get(3),
        knowledge_base: row.get(4),
        steps: steps(&noted, row.get(18), status == "indexed"),
        status,
        step: row.get(6),
        done: row.get(7),
        total: row.get(8),
        chunks: row.get(9),
        error: code.map(|code| DocumentError {
            code,
            message: message.unwrap_or_default(),
        }),
        owner: row.get(12),
        groups: row.get(13),
        content_hash: row.get(14),
        object_key: row.get(15),
        created_at: row.get(16),
    }
}

impl Store {
    /// The documents that are `visible`, newest first, after `after`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn documents(
        &self,
        visible: &Visible,
        knowledge_base: Option<&str>,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<Document>, StoreError> {
        let statement = sqlx::query(concat!(
            "select ",
            columns!(),
            " from documents
              where (owner = $1 or groups && $2 or $3) and id < $4
                and ($5::text is null or knowledge_base = $5)
              order by id desc limit $6"
        ))
        .bind(&visible.readable.subject)
        .bind(&visible.readable.groups)
        .bind(visible.all)
        .bind(after.unwrap_or(Uuid::max()))
        .bind(knowledge_base)
        .bind(limit)
        .fetch_all(&self.pool);
        let rows = within("list documents", statement).await?;
        Ok(rows.iter().map(document).collect())
    }

    /// A document that is `visible`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn document(
        &self,
        visible: &Visible,
        id: Uuid,
    ) -> Result<Option<Document>, StoreError> {
        let statement = sqlx::query(concat!(
            "select ",
            columns!(),
            " from documents where id = $4 and (owner = $1 or groups && $2 or $3)"
        ))
        .bind(&visible.readable.subject)
        .bind(&visible.readable.groups)
        .bind(visible.all)
        .bind(id)
        .fetch_optional(&self.pool);
        let row = within("read a document", statement).await?;
        Ok(row.as_ref().map(document))
    }
}

impl Change {
    /// Stores an upload: a new document, new content of one, or nothing if it is the same.
    /// A failed or forgotten document is stored again even with the same content: that is the
    /// retry.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn upsert_document(&mut self, new: &NewDocument) -> Result<Upserted, StoreError> {
        let insert = sqlx::query(concat!(
            "insert into documents (id, owner, groups, knowledge_base, name, media_type, size,
                                    content_hash, object_key)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             on conflict (owner, knowledge_base, name) do nothing
             returning ",
            columns!()
        ))
        .bind(new.id)
        .bind(&new.owner)
        .bind(&new.groups)
        .bind(&new.knowledge_base)
        .bind(&new.name)
        .bind(&new.media_type)
        .bind(new.size)
        .bind(&new.content_hash)
        .bind(&new.object_key)
        .fetch_optional(&mut *self.tx);
        if let Some(row) = within("store a document", insert).await? {
            return Ok(Upserted::Stored(document(&row), None));
        }
        let select = sqlx::query(concat!(
            "select ",
            columns!(),
            ", ",
            may_be_retried!(),
            " from documents where owner = $1 and knowledge_base = $2 and name = $3 for update"
        ))
        .bind(&new.owner)
        .bind(&new.knowledge_base)
        .bind(&new.name)
        .fetch_one(&mut *self.tx);
        let row = within("lock a document", select).await?;
        let (existing, retry): (_, bool) = (document(&row), row.get(19));
        if existing.content_hash == new.content_hash && !retry {
            return Ok(Upserted::Same(existing));
        }
        let row = within("replace a document", self.replace(existing.id, new)).await?;
        Ok(Upserted::Stored(document(&row), Some(existing.object_key)))
    }

    async fn replace(&mut self, id: Uuid, new: &NewDocument) -> Result<PgRow, sqlx::Error> {
        sqlx::query(concat!(
            "update documents set groups = $2, media_type = $3, size = $4, content_hash = $5,
                    object_key = $6, status = 'uploaded', step = null, done = 0, total = 0,
                    chunks = null, error_code = null, error_message = null, steps = '{}',
                    steps_ended_at = null, updated_at = now()
             where id = $1 returning ",
            columns!()
        ))
        .bind(id)
        .bind(&new.groups)
        .bind(&new.media_type)
        .bind(new.size)
        .bind(&new.content_hash)
        .bind(&new.object_key)
        .fetch_one(&mut *self.tx)
        .await
    }

    /// Takes a failed or forgotten document back to `uploaded`; `None` when it is neither.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn retry_document(&mut self, id: Uuid) -> Result<Option<Document>, StoreError> {
        let statement = sqlx::query(concat!(
            "update documents set status = 'uploaded', step = null, done = 0, total = 0,
                    error_code = null, error_message = null, steps = '{}',
                    steps_ended_at = null, updated_at = now()
             where id = $1 and ",
            may_be_retried!(),
            " returning ",
            columns!()
        ))
        .bind(id)
        .fetch_optional(&mut *self.tx);
        let row = within("retry a document", statement).await?;
        Ok(row.as_ref().map(document))
    }

    /// Deletes a document, notes its content as discarded, and tells those who have its chunks;
    /// says whether there was one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_document(&mut self, id: Uuid) -> Result<bool, StoreError> {
        let statement = sqlx::query("delete from documents where id = $1 returning object_key")
            .bind(id)
            .fetch_optional(&mut *self.tx);
        let Some(row) = within("delete a document", statement).await? else {
            return Ok(false);
        };
        self.discard_object(row.get(0)).await?;
        self.emit(&DocumentDeleted {
            document_id: id.to_string(),
        })
        .await?;
        Ok(true)
    }
}
