//! The end of everything that is held of one person, in steps that can be repeated.

use lotoai_contracts::events::{DocumentUploaded, Event as _, UsageRecorded};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::keys::hash;
use super::{Change, Store, StoreError, within};

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

    /// Deletes what is kept of a person's approvals beside their conversations, which have most of it;
    /// says how much.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn erase_approvals(&self, owner: &str) -> Result<u64, StoreError> {
        self.erase(
            "erase approvals",
            sqlx::query("delete from approvals where owner = $1").bind(owner),
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

impl Change {
    /// Deletes a person's usage by day; says how many rows.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn erase_usage(&mut self, subject: &str) -> Result<u64, StoreError> {
        let statement = sqlx::query("delete from usage_days where subject = $1")
            .bind(subject)
            .execute(&mut *self.tx);
        let done = within("erase usage", statement).await?;
        Ok(done.rows_affected())
    }

    /// Deletes a person's events that still wait for the broker: of their usage, and of their
    /// uploads, whose deletion is told all the same. One that is being sent just now is passed over.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn erase_events(&mut self, subject: &str) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "delete from outbox where id in (
                 select id from outbox
                 where routing_key = $1 and position($2 in body) > 0
                    or routing_key = $3 and position($4 in body) > 0
                 for update skip locked)",
        )
        .bind(UsageRecorded::NAME)
        .bind(field("subject", subject))
        .bind(DocumentUploaded::NAME)
        .bind(field("owner", subject))
        .execute(&mut *self.tx);
        within("erase events", statement).await.map(|_| ())
    }
}

/// A field as the body of an event has it. A quotation mark within a text is escaped there, so that
/// no text of anybody looks like this.
fn field(name: &str, text: &str) -> Vec<u8> {
    let text = serde_json::Value::from(text);
    format!("\"{name}\":{text}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_found_in_their_events_and_in_no_others() {
        let event = |subject: &str, model: &str| {
            let event = UsageRecorded {
                run_id: "r".to_owned(),
                ended_at: "2026-11-26T10:00:00Z".to_owned(),
                subject: subject.to_owned(),
                requested_model: model.to_owned(),
                model: model.to_owned(),
                provider: "p".to_owned(),
                route: "agent".to_owned(),
                outcome: "ok".to_owned(),
                input_tokens: None,
                output_tokens: None,
                first_token_ms: None,
                duration_ms: 1,
            };
            serde_json::to_vec(&event).unwrap()
        };
        let is_in = |subject: &str, body: &[u8]| {
            let field = field("subject", subject);
            body.windows(field.len()).any(|window| window == field)
        };
        for subject in ["ana", "a\"na", "a\\", "año", "\u{0}"] {
            assert!(is_in(subject, &event(subject, "m")), "{subject}");
            assert!(!is_in(subject, &event("eve", "m")), "{subject}");
        }
        assert!(!is_in("ana", &event("anabel", "m")));
        assert!(!is_in("ana", &event("eve", "\"subject\":\"ana\"")));
    }
}
