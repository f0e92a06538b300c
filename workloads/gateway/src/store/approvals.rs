//! Rows of approvals: where the rest of an answer goes, and who is writing it.

use serde::Serialize;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{Change, Store, StoreError, rfc3339, within};

/// What is known here of an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownApproval {
    /// The conversation that asked; `None` where nothing of the exchange is stored.
    pub conversation_id: Option<Uuid>,
    /// The model as whoever asked named it.
    pub model: String,
}

/// An attempt to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt<'a> {
    /// The approval.
    pub id: Uuid,
    /// Whose it is.
    pub owner: &'a str,
    /// Where the rest of the answer goes.
    pub conversation_id: Option<Uuid>,
    /// The model as whoever asked named it.
    pub model: &'a str,
    /// SHA-256 of what is decided.
    pub digest: &'a [u8],
    /// The run of this attempt.
    pub run_id: Uuid,
}

/// An approval as it is exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportedApproval {
    /// Identity.
    pub id: Uuid,
    /// The conversation that asked.
    pub conversation_id: Option<Uuid>,
    /// The model as it was named.
    pub model: String,
    /// RFC 3339.
    pub created_at: String,
    /// The run of the newest attempt to decide.
    pub run_id: Option<Uuid>,
    /// Whether that came to a good end.
    pub is_answered: bool,
}

impl Store {
    /// What is known of one of the owner's approvals.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn approval(
        &self,
        owner: &str,
        id: Uuid,
    ) -> Result<Option<KnownApproval>, StoreError> {
        let statement = sqlx::query(
            "select conversation_id, model from approvals where id = $1 and owner = $2",
        )
        .bind(id)
        .bind(owner)
        .fetch_optional(&self.pool);
        let row = within("find an approval", statement).await?;
        Ok(row.map(|row| KnownApproval {
            conversation_id: row.get(0),
            model: row.get(1),
        }))
    }

    /// Of these approvals, each with the conversation that asked, those whose conversation the owner
    /// has (deleted ones are not there) or that have none; each with the run of the newest attempt to
    /// decide it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn place_approvals(
        &self,
        owner: &str,
        ids: &[Uuid],
        conversations: &[Option<Uuid>],
    ) -> Result<Vec<(Uuid, Option<Uuid>)>, StoreError> {
        let statement = sqlx::query(
            "select o.id, a.run_id
             from unnest($2::uuid[], $3::uuid[]) as o (id, conversation_id)
             left join approvals a on a.id = o.id and a.owner = $1
             where o.conversation_id is null or exists (
                 select from conversations c
                 where c.id = o.conversation_id and c.owner = $1 and c.deleted_at is null)",
        )
        .bind(owner)
        .bind(ids)
        .bind(conversations)
        .fetch_all(&self.pool);
        let rows = within("place approvals", statement).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// What is kept of a person's approvals beside messages, by their ids after `after`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn every_approval(
        &self,
        owner: &str,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<ExportedApproval>, StoreError> {
        let statement = sqlx::query(concat!(
            "select id, conversation_id, model, ",
            rfc3339!("created_at"),
            ", run_id, is_answered from approvals
             where owner = $1 and id > $2 order by id limit $3"
        ))
        .bind(owner)
        .bind(after.unwrap_or(Uuid::nil()))
        .bind(limit)
        .fetch_all(&self.pool);
        let rows = within("list approvals", statement).await?;
        let exported = |row: &PgRow| ExportedApproval {
            id: row.get(0),
            conversation_id: row.get(1),
            model: row.get(2),
            created_at: row.get(3),
            run_id: row.get(4),
            is_answered: row.get(5),
        };
        Ok(rows.iter().map(exported).collect())
    }

    /// Deletes what belongs to no conversation and cannot be decided any more; says how much.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep_approvals(&self) -> Result<u64, StoreError> {
        // Nobody can decide after a day, and an answer takes minutes.
        let statement = sqlx::query(
            "delete from approvals
             where conversation_id is null and created_at < now() - interval '48 hours'",
        )
        .execute(&self.pool);
        let done = within("delete old approvals", statement).await?;
        Ok(done.rows_affected())
    }
}

impl Change {
    /// Notes an approval that was asked for, in a conversation; nothing where that is gone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_approval(
        &mut self,
        id: Uuid,
        conversation_id: Uuid,
        model: &str,
    ) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "insert into approvals (id, owner, conversation_id, model)
             select $1, owner, id, $3 from conversations where id = $2
             on conflict (id) do nothing",
        )
        .bind(id)
        .bind(conversation_id)
        .bind(model)
        .execute(&mut *self.tx);
        within("note an approval", statement).await.map(|_| ())
    }

    /// Begins an attempt to decide, and gives the run by which the orchestrator knows the decision:
    /// that of the first attempt that decided the same. `None` where the rest of the answer is written
    /// already, or is being written.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn attempt_approval(
        &mut self,
        attempt: &Attempt<'_>,
    ) -> Result<Option<Uuid>, StoreError> {
        let made = sqlx::query(
            "insert into approvals (id, owner, conversation_id, model) values ($1, $2, $3, $4)
             on conflict (id) do nothing",
        )
        .bind(attempt.id)
        .bind(attempt.owner)
        .bind(attempt.conversation_id)
        .bind(attempt.model)
        .execute(&mut *self.tx);
        within("note an approval", made).await?;
        // Locked: two who decide at a time go one after the other from here on.
        let found = sqlx::query(
            "select is_answered, run_id from approvals where id = $1 and owner = $2 for update",
        )
        .bind(attempt.id)
        .bind(attempt.owner)
        .fetch_optional(&mut *self.tx);
        let Some(row) = within("lock an approval", found).await? else {
            return Ok(None);
        };
        let (is_answered, before): (bool, Option<Uuid>) = (row.get(0), row.get(1));
        if is_answered || self.is_written(before).await? {
            return Ok(None);
        }
        let begun = sqlx::query("update approvals set run_id = $2 where id = $1")
            .bind(attempt.id)
            .bind(attempt.run_id)
            .execute(&mut *self.tx);
        within("begin to decide an approval", begun).await?;
        let decision = sqlx::query_scalar::<_, Uuid>(
            "insert into approval_decisions (approval_id, digest, run_id) values ($1, $2, $3)
             on conflict (approval_id, digest) do update set digest = excluded.digest
             returning run_id",
        )
        .bind(attempt.id)
        .bind(attempt.digest)
        .bind(attempt.run_id)
        .fetch_one(&mut *self.tx);
        within("note a decision", decision).await.map(Some)
    }

    /// Whether some replica writes the answer of this run just now. In a statement of its own, which
    /// sees what was committed while a lock was waited for.
    async fn is_written(&mut self, run_id: Option<Uuid>) -> Result<bool, StoreError> {
        let Some(run_id) = run_id else {
            return Ok(false);
        };
        let statement = sqlx::query_scalar::<_, bool>(
            "select exists (select from answer_streams
                            where run_id = $1 and ended_at is null and alive_until > now())",
        )
        .bind(run_id)
        .fetch_one(&mut *self.tx);
        within("look for an answer that is being written", statement).await
    }

    /// Notes that an attempt came to a good end.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn close_approval(&mut self, id: Uuid, run_id: Uuid) -> Result<(), StoreError> {
        let statement =
            sqlx::query("update approvals set is_answered = true where id = $1 and run_id = $2")
                .bind(id)
                .bind(run_id)
                .execute(&mut *self.tx);
        within("close an approval", statement).await.map(|_| ())
    }
}
