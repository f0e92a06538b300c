//! Everything that is held of one person, read part by part: no part is larger than memory can
//! bear, however much there is.

use serde::Serialize;
use serde_json::Value;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::conversations::{
    SUMMARY_COLUMNS, message_bytes, message_columns, placed, summary, summary_columns,
};
use super::{ConversationSummary, PlacedMessage, Store, StoreError, rfc3339, within};

/// Messages of one part, unless they are long …
const MESSAGES: i64 = 100;
/// … together longer than this, in bytes. There is one at least.
const MESSAGE_BYTES: i64 = 1024 * 1024;

/// A conversation, deleted or not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExportedConversation {
    /// What lists show.
    #[serde(flatten)]
    pub summary: ConversationSummary,
    /// RFC 3339; `null` when it is not deleted. A deleted one can be brought back for a day.
    pub deleted_at: Option<String>,
}

/// What is kept of the owner of API keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyOwner {
    /// The groups of the newest token.
    pub groups: Vec<String>,
    /// RFC 3339; when that token was issued.
    pub said_at: String,
}

/// A counter of a budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnWindow {
    /// Name of the budget.
    pub budget: String,
    /// Whose it is: the person, or the id of an API key.
    pub subject: String,
    /// RFC 3339.
    pub starts_at: String,
    /// RFC 3339.
    pub ends_at: String,
    /// Questions.
    pub requests: i64,
    /// Tokens, also reserved ones.
    pub tokens: i64,
    /// Money in millionths of the currency's unit, also reserved.
    pub micros: i64,
}

/// A question that is not yet part of the usage by day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenSpending {
    /// The run.
    pub run_id: Uuid,
    /// RFC 3339.
    pub created_at: String,
    /// The API key that was used; empty without one.
    pub api_key: String,
    /// The model that answered; empty when it is not known yet.
    pub model: String,
    /// Tokens read, or reserved for it.
    pub input_tokens: i64,
    /// Tokens written, or reserved for it.
    pub output_tokens: i64,
    /// Money in millionths of the currency's unit; `null` is not known.
    pub micros: Option<i64>,
}

/// An `Idempotency-Key` that is remembered. Its answer was given, and is not given again here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldKey {
    /// The key.
    pub key: String,
    /// Whether its answer is known, and kept.
    pub state: String,
    /// HTTP status of the answer.
    pub status: Option<i16>,
    /// The run whose answer it led to, where that is stored …
    pub run_id: Option<Uuid>,
    /// … and the conversation that it is in.
    pub conversation_id: Option<Uuid>,
    /// RFC 3339.
    pub expires_at: String,
    /// Who used it: the person, or one of their API keys. Its place in the list, with the key.
    #[serde(skip)]
    pub owner: String,
}

/// A stream that the person, or one of their API keys, may come back to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExportedStream {
    /// The run.
    pub run_id: Uuid,
    /// The conversation that the answer is stored in.
    pub conversation_id: Uuid,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339; `null` while it is written, or when nobody will end it any more.
    pub ended_at: Option<String>,
    /// The API key that was used; empty without one.
    pub api_key: String,
    /// The model as it was named.
    pub model: String,
    /// Who answered.
    pub provider: Option<String>,
    /// Reason of the model.
    pub finish_reason: Option<String>,
    /// Tokens read, where they were counted.
    pub input_tokens: Option<i64>,
    /// Tokens written, where they were counted.
    pub output_tokens: Option<i64>,
    /// Why it is not whole.
    pub failure: Option<Value>,
    /// What is kept of the text before the end. After that it is in its conversation.
    pub written: String,
    /// What a response repeats of its request; `null` in chat completions.
    pub repeated: Option<Value>,
}

impl Store {
    /// The next messages of a conversation after a place, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages_after(
        &self,
        conversation: Uuid,
        position: i64,
    ) -> Result<Vec<PlacedMessage>, StoreError> {
        let statement = sqlx::query(concat!(
            "select ",
            message_columns!(),
            ", position from (
                 select *, row_number() over by_place as number, sum(",
            message_bytes!(),
            ") over by_place as bytes
                 from (select * from messages where conversation_id = $1 and position > $2
                       order by position limit $3) next
                 window by_place as (order by position)
             ) part
             where number = 1 or bytes <= $4 order by position"
        ))
        .bind(conversation)
        .bind(position)
        .bind(MESSAGES)
        .bind(MESSAGE_BYTES)
        .fetch_all(&self.pool);
        let rows = within("read messages", statement).await?;
        Ok(rows.iter().map(placed).collect())
    }

    /// All of the owner's conversations, deleted ones as well, by their id after `after`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn every_conversation(
        &self,
        owner: &str,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<ExportedConversation>, StoreError> {
        let statement = sqlx::query(concat!(
            "select ",
            summary_columns!(),
            ", ",
            rfc3339!("deleted_at"),
            " from conversations where owner = $1 and id > $2 order by id limit $3"
        ))
        .bind(owner)
        .bind(after.unwrap_or(Uuid::nil()))
        .bind(limit)
        .fetch_all(&self.pool);
        let rows = within("list conversations", statement).await?;
        let conversations = rows.iter().map(|row| ExportedConversation {
            summary: summary(row),
            deleted_at: row.get(SUMMARY_COLUMNS),
        });
        Ok(conversations.collect())
    }

    /// The streams of a person and of their API keys, by their runs after `after`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn every_stream(
        &self,
        subject: &str,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<ExportedStream>, StoreError> {
        let statement = sqlx::query(concat!(
            "select run_id, conversation_id, ",
            rfc3339!("created_at"),
            ", ",
            rfc3339!("ended_at"),
            ", api_key, model, provider, finish_reason, input_tokens, output_tokens, failure, written,
                    repeated
             from answer_streams where subject = $1 and run_id > $2 order by run_id limit $3"
        ))
        .bind(subject)
        .bind(after.unwrap_or(Uuid::nil()))
        .bind(limit)
        .fetch_all(&self.pool);
        let rows = within("list streams", statement).await?;
        let stream = |row: &PgRow| ExportedStream {
            run_id: row.get(0),
            conversation_id: row.get(1),
            created_at: row.get(2),
            ended_at: row.get(3),
            api_key: row.get(4),
            model: row.get(5),
            provider: row.get(6),
            finish_reason: row.get(7),
            input_tokens: row.get(8),
            output_tokens: row.get(9),
            failure: row.get::<Option<Json<Value>>, _>(10).map(|it| it.0),
            written: String::from_utf8_lossy(row.get(11)).into_owned(),
            repeated: row
                .get::<Option<&str>, _>(12)
                .and_then(|repeated| serde_json::from_str(repeated).ok()),
        };
        Ok(rows.iter().map(stream).collect())
    }

    /// What is kept of somebody who has, or had, API keys.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn key_owner(&self, subject: &str) -> Result<Option<KeyOwner>, StoreError> {
        let statement = sqlx::query(concat!(
            "select groups, ",
            rfc3339!("said_at"),
            " from key_owners where subject = $1"
        ))
        .bind(subject)
        .fetch_optional(&self.pool);
        let row = within("read the owner of API keys", statement).await?;
        Ok(row.map(|row| KeyOwner {
            groups: row.get(0),
            said_at: row.get(1),
        }))
    }

    /// The counters of a person and of their API keys. Those of `shared` budgets are others',
    /// whatever their subject is called.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn own_windows(
        &self,
        subject: &str,
        shared: &[String],
    ) -> Result<Vec<OwnWindow>, StoreError> {
        let statement = sqlx::query(concat!(
            "select budget, subject, ",
            rfc3339!("starts_at"),
            ", ",
            rfc3339!("ends_at"),
            ", requests, tokens, micros from budget_windows
             where (subject = $1 or subject in (select id from api_keys where owner = $1))
               and not (budget = any($2))
             order by budget, subject, starts_at"
        ))
        .bind(subject)
        .bind(shared)
        .fetch_all(&self.pool);
        let rows = within("read budgets", statement).await?;
        let window = |row: &PgRow| OwnWindow {
            budget: row.get(0),
            subject: row.get(1),
            starts_at: row.get(2),
            ends_at: row.get(3),
            requests: row.get(4),
            tokens: row.get(5),
            micros: row.get(6),
        };
        Ok(rows.iter().map(window).collect())
    }

    /// A person's questions that are not yet part of the usage by day.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_spendings(&self, subject: &str) -> Result<Vec<OpenSpending>, StoreError> {
        let statement = sqlx::query(concat!(
            "select run_id, ",
            rfc3339!("created_at"),
            ", api_key, model, input_tokens, output_tokens, micros
             from spendings where subject = $1 order by created_at"
        ))
        .bind(subject)
        .fetch_all(&self.pool);
        let rows = within("read open questions", statement).await?;
        let spending = |row: &PgRow| OpenSpending {
            run_id: row.get(0),
            created_at: row.get(1),
            api_key: row.get(2),
            model: row.get(3),
            input_tokens: row.get(4),
            output_tokens: row.get(5),
            micros: row.get(6),
        };
        Ok(rows.iter().map(spending).collect())
    }

    /// The `Idempotency-Key`s of a person and of their API keys, after `after` (owner and key).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn held_keys(
        &self,
        subject: &str,
        after: Option<(String, String)>,
        limit: i64,
    ) -> Result<Vec<HeldKey>, StoreError> {
        let (owner, key) = after.unwrap_or_default();
        let statement = sqlx::query(concat!(
            "select key, state, status, ",
            rfc3339!("expires_at"),
            ", owner, run_id, conversation_id from idempotency_keys
             where (owner = $1 or starts_with(owner, $1 || chr(31))) and (owner, key) > ($2, $3)
             order by owner, key limit $4"
        ))
        .bind(subject)
        .bind(owner)
        .bind(key)
        .bind(limit)
        .fetch_all(&self.pool);
        let rows = within("list idempotency keys", statement).await?;
        let held = |row: &PgRow| HeldKey {
            key: row.get(0),
            state: row.get(1),
            status: row.get(2),
            expires_at: row.get(3),
            owner: row.get(4),
            run_id: row.get(5),
            conversation_id: row.get(6),
        };
        Ok(rows.iter().map(held).collect())
    }
}
