//! The end of everything that is held of one person, in steps that can be repeated.

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::keys::hash;
use super::{Store, StoreError, within};

impl Store {
    /// Deletes at most `most` of a person's conversations for good, with their messages and
    /// streams; says how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn erase_conversations(&self, owner: &str, most: i64) -> Result<u64, StoreError> {
        self.erase(
            "erase conversations",
            sqlx::query(
                "delete from conversations where id in (
                     select id from conversations where owner = $1 limit $2)",
            )
            .bind(owner)
            .bind(most),
        )
        .await
    }

    /// Deletes a person's API keys and what is kept of their owner; gives their ids and hashes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn erase_api_keys(&self, owner: &str) -> Result<Vec<(String, [u8; 32])>, StoreError> {
        let statement = sqlx::query(
            "with owner as (delete from key_owners where subject = $1)
             delete from api_keys where owner = $1 returning id, hash",
        )
        .bind(owner)
        .fetch_all(&self.pool);
        let rows = within("erase API keys", statement).await?;
        let key = |row: &PgRow| (row.get(0), hash(row.get(1)));
        Ok(rows.iter().map(key).collect())
    }

    /// Deletes a person's usage by day; says how many rows.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn erase_usage(&self, subject: &str) -> Result<u64, StoreError> {
        self.erase(
            "erase usage",
            sqlx::query("delete from usage_days where subject = $1").bind(subject),
        )
        .await
    }

    /// Deletes a person's questions that are not yet part of the usage by day. What they have
    /// reserved stays charged to the budgets that others share.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn erase_spendings(&self, subject: &str) -> Result<u64, StoreError> {
        self.erase(
            "erase open questions",
            sqlx::query("delete from spendings where subject = $1").bind(subject),
        )
        .await
    }

    /// Deletes the counters of a person and of these API keys, but for those of `shared` budgets;
    /// with `keep_open` also but for the person's whose window has not ended. Says how many were
    /// deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn erase_windows(
        &self,
        subject: &str,
        keys: &[String],
        shared: &[String],
        keep_open: bool,
    ) -> Result<u64, StoreError> {
        self.erase(
            "erase budgets",
            sqlx::query(
                "delete from budget_windows
                 where not (budget = any($3))
                   and (subject = any($2) or subject = $1 and not ($4 and ends_at > now()))",
            )
            .bind(subject)
            .bind(keys)
            .bind(shared)
            .bind(keep_open),
        )
        .await
    }

    /// Forgets the `Idempotency-Key`s of a person and of their API keys, but for those of requests
    /// that are being answered; says how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn erase_idempotency_keys(&self, subject: &str) -> Result<u64, StoreError> {
        self.erase(
            "erase idempotency keys",
            sqlx::query(
                "delete from idempotency_keys
                 where (owner = $1 or starts_with(owner, $1 || chr(31)))
                   and (state <> 'running' or lease_until <= now())",
            )
            .bind(subject),
        )
        .await
    }

    async fn erase(
        &self,
        action: &'static str,
        statement: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> Result<u64, StoreError> {
        within(action, statement.execute(&self.pool))
            .await
            .map(|done| done.rows_affected())
    }
}
