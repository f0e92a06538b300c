//! The end of documents that arrive in pieces: they become documents, or expire, or are not wanted
//! any more.

use std::time::Duration;

use serde::Serialize;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{Change, Store, StoreError, rfc3339, within};

/// Parts of an upload that is over are deleted this long after it, when also a writer that had not
/// noticed has put its last one there.
const SETTLED: Duration = Duration::from_secs(60);

/// An upload in the export of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportedUpload {
    /// Identity.
    pub id: Uuid,
    /// Name of the file.
    pub name: String,
    /// Media type.
    pub media_type: String,
    /// Knowledge base.
    pub knowledge_base: String,
    /// What the client sent of the file.
    pub metadata: String,
    /// Bytes in all.
    pub size: i64,
    /// Bytes that are there.
    pub received: i64,
    /// The document that it has become.
    pub document_id: Option<Uuid>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub expires_at: String,
}

/// Ends uploads; what there is of them is deleted later. A document keeps its object.
macro_rules! end_uploads {
    ($which:literal) => {
        concat!(
            "with gone as (delete from uploads where ",
            $which,
            " returning id, object_key, document_id),
             parts as (insert into discarded_uploads (upload_id)
                       select id from gone where document_id is null on conflict do nothing),
             wholes as (insert into discarded_objects (object_key)
                        select object_key from gone
                        where document_id is null and object_key is not null
                        on conflict do nothing)
             select count(*) from gone"
        )
    };
}

impl Store {
    /// Ends an upload of `owner`; says whether there was one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_upload(&self, owner: &str, id: Uuid) -> Result<bool, StoreError> {
        let statement = sqlx::query_scalar::<_, i64>(end_uploads!("id = $1 and owner = $2"))
            .bind(id)
            .bind(owner)
            .fetch_one(&self.pool);
        within("end an upload", statement).await.map(|it| it > 0)
    }

    /// Ends all uploads of a person; says how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn erase_uploads(&self, owner: &str) -> Result<u64, StoreError> {
        let statement = sqlx::query_scalar::<_, i64>(end_uploads!("owner = $1"))
            .bind(owner)
            .fetch_one(&self.pool);
        within("erase uploads", statement)
            .await
            .map(i64::unsigned_abs)
    }

    /// Ends at most `most` uploads that have expired; says how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn expire_uploads(&self, most: i64) -> Result<u64, StoreError> {
        let statement = sqlx::query_scalar::<_, i64>(end_uploads!(
            "id in (select id from uploads
                    where expires_at <= now() and (lease_until is null or lease_until <= now())
                    order by expires_at limit $1 for update skip locked)"
        ))
        .bind(most)
        .fetch_one(&self.pool);
        within("end expired uploads", statement)
            .await
            .map(i64::unsigned_abs)
    }

    /// The uploads of a person after `after`, in the order in which they began.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn every_upload(
        &self,
        owner: &str,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<ExportedUpload>, StoreError> {
        let statement = sqlx::query(concat!(
            "select id, name, media_type, knowledge_base, metadata, size, received, document_id, ",
            rfc3339!("created_at"),
            ", ",
            rfc3339!("expires_at"),
            " from uploads where owner = $1 and id > $2 order by id limit $3"
        ))
        .bind(owner)
        .bind(after.unwrap_or(Uuid::nil()))
        .bind(limit)
        .fetch_all(&self.pool);
        let rows = within("read uploads", statement).await?;
        let upload = |row: &PgRow| ExportedUpload {
            id: row.get(0),
            name: row.get(1),
            media_type: row.get(2),
            knowledge_base: row.get(3),
            metadata: row.get(4),
            size: row.get(5),
            received: row.get(6),
            document_id: row.get(7),
            created_at: row.get(8),
            expires_at: row.get(9),
        };
        Ok(rows.iter().map(upload).collect())
    }
}

impl Change {
    /// Notes the document that an upload has become, whose parts are not needed any more; says
    /// whether the writer still is the writer. If not, the change must not be committed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn close_upload(
        &mut self,
        id: Uuid,
        lease: Uuid,
        document_id: Uuid,
    ) -> Result<bool, StoreError> {
        let close = sqlx::query(
            "update uploads set document_id = $3, object_key = null, lease = null,
                    lease_until = null
             where id = $1 and lease = $2 and document_id is null",
        )
        .bind(id)
        .bind(lease)
        .bind(document_id)
        .execute(&mut *self.tx);
        if within("close an upload", close).await?.rows_affected() == 0 {
            return Ok(false);
        }
        let parts = sqlx::query(
            "with parts as (delete from upload_parts where upload_id = $1)
             insert into discarded_uploads (upload_id) values ($1) on conflict do nothing",
        )
        .bind(id)
        .execute(&mut *self.tx);
        within("discard the parts of an upload", parts)
            .await
            .map(|_| true)
    }

    /// Some uploads that are over, whose parts can be deleted now, locked against other replicas.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock_discarded_uploads(&mut self, limit: i64) -> Result<Vec<Uuid>, StoreError> {
        let statement = sqlx::query_scalar::<_, Uuid>(
            "select upload_id from discarded_uploads
             where discarded_at <= now() - make_interval(secs => $2)
             order by discarded_at limit $1 for update skip locked",
        )
        .bind(limit)
        .bind(SETTLED.as_secs_f64())
        .fetch_all(&mut *self.tx);
        within("read discarded uploads", statement).await
    }

    /// Puts uploads whose parts cannot be deleted now behind all others.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_off_discarded_uploads(&mut self, ids: &[Uuid]) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "update discarded_uploads set discarded_at = now() where upload_id = any($1)",
        )
        .bind(ids)
        .execute(&mut *self.tx);
        within("put off discarded uploads", statement)
            .await
            .map(|_| ())
    }

    /// Forgets uploads whose parts are gone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_discarded_uploads(&mut self, ids: &[Uuid]) -> Result<(), StoreError> {
        let statement = sqlx::query("delete from discarded_uploads where upload_id = any($1)")
            .bind(ids)
            .execute(&mut *self.tx);
        within("forget discarded uploads", statement)
            .await
            .map(|_| ())
    }
}
