//! Rows of the outbox and of discarded objects: work that was committed with its cause.

use lotoai_contracts::events::Event;
use sqlx::Row as _;

use super::{Change, Store, StoreError, within};

/// An event on its way to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Position in the outbox.
    pub id: i64,
    /// Identity of the event.
    pub message_id: String,
    /// Name of the event.
    pub routing_key: String,
    /// JSON.
    pub body: Vec<u8>,
}

/// An event as the outbox has it.
pub(super) struct Encoded {
    pub(super) message_id: String,
    pub(super) routing_key: &'static str,
    pub(super) body: Vec<u8>,
}

/// Writes an event down.
///
/// # Errors
/// When it has no JSON.
pub(super) fn encoded<E: Event>(event: &E) -> Result<Encoded, StoreError> {
    let body = serde_json::to_vec(event).map_err(|error| StoreError::Statement {
        action: "encode an event",
        source: sqlx::Error::Encode(Box::new(error)),
    })?;
    Ok(Encoded {
        message_id: event.id(),
        routing_key: E::NAME,
        body,
    })
}

impl Change {
    /// Adds an event to the outbox.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn emit<E: Event>(&mut self, event: &E) -> Result<(), StoreError> {
        let event = encoded(event)?;
        let statement =
            sqlx::query("insert into outbox (message_id, routing_key, body) values ($1, $2, $3)")
                .bind(event.message_id)
                .bind(event.routing_key)
                .bind(event.body)
                .execute(&mut *self.tx);
        within("store an event", statement).await.map(|_| ())
    }

    /// The oldest events, locked against other replicas until the end of the transaction.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock_outbox(&mut self, limit: i64) -> Result<Vec<OutboxRow>, StoreError> {
        let statement = sqlx::query(
            "select id, message_id, routing_key, body from outbox
             order by id limit $1 for update skip locked",
        )
        .bind(limit)
        .fetch_all(&mut *self.tx);
        let rows = within("read the outbox", statement).await?;
        Ok(rows
            .into_iter()
            .map(|row| OutboxRow {
                id: row.get(0),
                message_id: row.get(1),
                routing_key: row.get(2),
                body: row.get(3),
            })
            .collect())
    }

    /// Deletes events that the broker has confirmed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_outbox(&mut self, ids: &[i64]) -> Result<(), StoreError> {
        let statement = sqlx::query("delete from outbox where id = any($1)")
            .bind(ids)
            .execute(&mut *self.tx);
        within("clear the outbox", statement).await.map(|_| ())
    }

    /// Notes an object that nothing points to any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn discard_object(&mut self, key: &str) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "insert into discarded_objects (object_key) values ($1) on conflict do nothing",
        )
        .bind(key)
        .execute(&mut *self.tx);
        within("discard an object", statement).await.map(|_| ())
    }

    /// Some discarded objects, locked against other replicas.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock_discarded(&mut self, limit: i64) -> Result<Vec<String>, StoreError> {
        let statement = sqlx::query(
            "select object_key from discarded_objects
             order by created_at limit $1 for update skip locked",
        )
        .bind(limit)
        .fetch_all(&mut *self.tx);
        let rows = within("read discarded objects", statement).await?;
        Ok(rows.into_iter().map(|row| row.get(0)).collect())
    }

    /// Puts discarded objects behind all others.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_off_discarded(&mut self, keys: &[String]) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "update discarded_objects set created_at = now() where object_key = any($1)",
        )
        .bind(keys)
        .execute(&mut *self.tx);
        within("put off discarded objects", statement)
            .await
            .map(|_| ())
    }

    /// Forgets discarded objects that are gone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_discarded(&mut self, keys: &[String]) -> Result<(), StoreError> {
        let statement = sqlx::query("delete from discarded_objects where object_key = any($1)")
            .bind(keys)
            .execute(&mut *self.tx);
        within("forget discarded objects", statement)
            .await
            .map(|_| ())
    }
}

impl Store {
    /// Events that wait for the broker.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outbox_backlog(&self) -> Result<i64, StoreError> {
        let statement = sqlx::query("select count(*) from outbox").fetch_one(&self.pool);
        within("count the outbox", statement)
            .await
            .map(|row| row.get(0))
    }
}
