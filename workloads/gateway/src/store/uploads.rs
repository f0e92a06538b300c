//! Rows of documents that arrive in pieces.
//!
//! What a row says was received is safe in the object store. Only the request that holds the lease
//! may say more: every change names it, so that a writer whose place was taken, however late it
//! wakes up, changes nothing.

use std::time::Duration;

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{Store, StoreError, within};

/// Most uploads of one person that are neither finished nor expired. With the largest document it
/// bounds what somebody may leave lying about.
pub const MAX_OPEN_UPLOADS: i64 = 50;
/// An upload is kept for this long after its last byte: who closes a laptop in the evening goes on
/// the next day. A finished one tells so for as long.
const KEEP: Duration = Duration::from_secs(24 * 3600);
/// A request that writes says within this that it is still there. Short, because who comes back
/// after a connection was lost waits for it.
const LEASE: Duration = Duration::from_secs(5);
/// Most uploads of one person that are written to at a time, on all replicas. A quarter of the places
/// of one: whoever sends slowly takes no place from others.
const MAX_WRITERS: i64 = 8;

/// What came of the wish to write to an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leased {
    /// Nobody else writes to it now.
    Yes,
    /// Somebody else writes to it, or it is not as it was said to be any more.
    InUse,
    /// Its owner writes to as many others as one may.
    TooMany,
}

/// An upload that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUpload {
    /// Identity.
    pub id: Uuid,
    /// Who uploads.
    pub owner: String,
    /// Knowledge base.
    pub knowledge_base: String,
    /// Cleaned name.
    pub name: String,
    /// Media type.
    pub media_type: String,
    /// `Upload-Metadata` as it was sent.
    pub metadata: String,
    /// Bytes in all.
    pub size: i64,
}

/// An upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredUpload {
    /// Identity.
    pub id: Uuid,
    /// Who uploads.
    pub owner: String,
    /// Knowledge base.
    pub knowledge_base: String,
    /// Cleaned name.
    pub name: String,
    /// Media type.
    pub media_type: String,
    /// `Upload-Metadata` as it was sent.
    pub metadata: String,
    /// Bytes in all.
    pub size: i64,
    /// Bytes that are safe.
    pub received: i64,
    /// Unix seconds at which it expires.
    pub expires_at: i64,
    /// Whether it has.
    pub is_expired: bool,
    /// The document that it has become.
    pub document_id: Option<Uuid>,
}

/// A part of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadPart {
    /// Its place, from 0.
    pub number: i32,
    /// Where its bytes are.
    pub object_key: String,
    /// Bytes.
    pub size: i32,
}

/// Bytes that were put into the object store and that a row does not know of yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The upload.
    pub id: Uuid,
    /// The writer.
    pub lease: Uuid,
    /// Bytes that were safe before.
    pub received: i64,
    /// Bytes that are safe with it.
    pub added: i64,
    /// The part that holds them.
    pub part: &'a UploadPart,
    /// The object of a shorter part with the same number, which this one repeats.
    pub replaced: Option<&'a str>,
}

impl Store {
    /// Adds an upload and says, in Unix seconds, when it expires; `None` when its owner has
    /// [`MAX_OPEN_UPLOADS`].
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_upload(&self, new: &NewUpload) -> Result<Option<i64>, StoreError> {
        let mut change = self.begin().await?;
        // Two at once are counted one after the other.
        let lock = sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 50))")
            .bind(&new.owner)
            .execute(&mut *change.tx);
        within("lock the uploads of a person", lock).await?;
        let statement = sqlx::query(
            "insert into uploads (id, owner, knowledge_base, name, media_type, metadata, size,
                                  expires_at)
             select $1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8)
             where (select count(*) from uploads
                    where owner = $2 and document_id is null and expires_at > now()) < $9
             returning floor(extract(epoch from expires_at))::bigint",
        )
        .bind(new.id)
        .bind(&new.owner)
        .bind(&new.knowledge_base)
        .bind(&new.name)
        .bind(&new.media_type)
        .bind(&new.metadata)
        .bind(new.size)
        .bind(KEEP.as_secs_f64())
        .bind(MAX_OPEN_UPLOADS)
        .fetch_optional(&mut *change.tx);
        let row = within("begin an upload", statement).await?;
        change.commit().await?;
        Ok(row.map(|row| row.get(0)))
    }

    /// An upload of `owner`, also one that has expired and is not deleted yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn upload(&self, owner: &str, id: Uuid) -> Result<Option<StoredUpload>, StoreError> {
        let statement = sqlx::query(
            "select id, owner, knowledge_base, name, media_type, metadata, size, received,
                    floor(extract(epoch from expires_at))::bigint, expires_at <= now(), document_id
             from uploads where id = $1 and owner = $2",
        )
        .bind(id)
        .bind(owner)
        .fetch_optional(&self.pool);
        let row = within("read an upload", statement).await?;
        Ok(row.map(|row| StoredUpload {
            id: row.get(0),
            owner: row.get(1),
            knowledge_base: row.get(2),
            name: row.get(3),
            media_type: row.get(4),
            metadata: row.get(5),
            size: row.get(6),
            received: row.get(7),
            expires_at: row.get(8),
            is_expired: row.get(9),
            document_id: row.get(10),
        }))
    }

    /// Makes `lease` the only writer of an unfinished upload of which so many bytes are safe, if it can.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lease_upload(
        &self,
        id: Uuid,
        lease: Uuid,
        received: i64,
    ) -> Result<Leased, StoreError> {
        let mut change = self.begin().await?;
        // Two at once are counted one after the other.
        let lock = sqlx::query(
            "select pg_advisory_xact_lock(hashtextextended(owner, 51)) from uploads where id = $1",
        )
        .bind(id)
        .execute(&mut *change.tx);
        within("lock the writers of a person", lock).await?;
        let statement = sqlx::query(
            "with others as (
                 select count(*) >= $5 as are_too_many from uploads
                 where owner = (select owner from uploads where id = $1) and id <> $1
                   and lease_until > now()),
             taken as (
                 update uploads set lease = $2, lease_until = now() + make_interval(secs => $4)
                 where id = $1 and received = $3 and document_id is null and expires_at > now()
                   and (lease_until is null or lease_until <= now())
                   and not (select are_too_many from others)
                 returning id)
             select exists (select from taken), (select are_too_many from others)",
        )
        .bind(id)
        .bind(lease)
        .bind(received)
        .bind(LEASE.as_secs_f64())
        .bind(MAX_WRITERS)
        .fetch_one(&mut *change.tx);
        let row = within("lease an upload", statement).await?;
        change.commit().await?;
        Ok(match (row.get::<bool, _>(0), row.get::<bool, _>(1)) {
            (true, _) => Leased::Yes,
            (false, true) => Leased::TooMany,
            (false, false) => Leased::InUse,
        })
    }

    /// Says that the writer is still there; says whether it still is the writer.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn renew_upload(&self, id: Uuid, lease: Uuid) -> Result<bool, StoreError> {
        let statement = sqlx::query(
            "update uploads set lease_until = now() + make_interval(secs => $3)
             where id = $1 and lease = $2",
        )
        .bind(id)
        .bind(lease)
        .bind(LEASE.as_secs_f64())
        .execute(&self.pool);
        let done = within("renew the lease of an upload", statement).await?;
        Ok(done.rows_affected() > 0)
    }

    /// Lets the next writer begin at once.
    ///
    /// # Errors
    /// When the database fails; then the lease runs out.
    pub async fn release_upload(&self, id: Uuid, lease: Uuid) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "update uploads set lease = null, lease_until = null where id = $1 and lease = $2",
        )
        .bind(id)
        .bind(lease)
        .execute(&self.pool);
        within("release an upload", statement).await.map(|_| ())
    }

    /// The parts of an upload, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn upload_parts(&self, id: Uuid) -> Result<Vec<UploadPart>, StoreError> {
        let statement = sqlx::query(
            "select number, object_key, size from upload_parts where upload_id = $1
             order by number",
        )
        .bind(id)
        .fetch_all(&self.pool);
        let rows = within("read the parts of an upload", statement).await?;
        let part = |row: &PgRow| UploadPart {
            number: row.get(0),
            object_key: row.get(1),
            size: row.get(2),
        };
        Ok(rows.iter().map(part).collect())
    }

    /// Notes that more bytes are safe, and says, in Unix seconds, when the upload expires now; `None`
    /// when the writer is not the writer any more. Then nothing was changed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn extend_upload(&self, piece: &Piece<'_>) -> Result<Option<i64>, StoreError> {
        let mut change = self.begin().await?;
        let extend = sqlx::query(
            "update uploads set received = received + $4,
                    expires_at = now() + make_interval(secs => $5),
                    lease_until = now() + make_interval(secs => $6)
             where id = $1 and lease = $2 and received = $3
             returning floor(extract(epoch from expires_at))::bigint",
        )
        .bind(piece.id)
        .bind(piece.lease)
        .bind(piece.received)
        .bind(piece.added)
        .bind(KEEP.as_secs_f64())
        .bind(LEASE.as_secs_f64())
        .fetch_optional(&mut *change.tx);
        let Some(row) = within("extend an upload", extend).await? else {
            return Ok(None);
        };
        let part = sqlx::query(
            "insert into upload_parts (upload_id, number, object_key, size)
             values ($1, $2, $3, $4)
             on conflict (upload_id, number) do update
             set object_key = excluded.object_key, size = excluded.size",
        )
        .bind(piece.id)
        .bind(piece.part.number)
        .bind(&piece.part.object_key)
        .bind(piece.part.size)
        .execute(&mut *change.tx);
        within("store a part of an upload", part).await?;
        if let Some(key) = piece.replaced {
            change.discard_object(key).await?;
        }
        change.commit().await?;
        Ok(Some(row.get(0)))
    }

    /// Notes where the whole is being put together, and discards what an earlier attempt left; says
    /// whether the writer still is the writer.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn assemble_upload(
        &self,
        id: Uuid,
        lease: Uuid,
        object_key: &str,
    ) -> Result<bool, StoreError> {
        let statement = sqlx::query(
            "with before as (select id, object_key from uploads
                             where id = $1 and lease = $2 for update),
                  left_over as (insert into discarded_objects (object_key)
                                select object_key from before where object_key is not null
                                on conflict do nothing)
             update uploads u set object_key = $3 from before where u.id = before.id",
        )
        .bind(id)
        .bind(lease)
        .bind(object_key)
        .execute(&self.pool);
        let done = within("begin to assemble an upload", statement).await?;
        Ok(done.rows_affected() > 0)
    }
}
