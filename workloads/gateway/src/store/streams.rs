//! Rows of streamed answers that a client may come back to.

use std::time::Duration;

use serde_json::Value;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::conversations::calls;
use super::{Change, Store, StoreError, StoredCall, StoredDecision, within};

/// What the writer of a stream says it will be back within; it is back twice a second.
pub(super) const ALIVE: Duration = Duration::from_secs(10);
/// After that time a writer may still be on its way: it could not say so while the database was away.
const FORGIVEN: Duration = Duration::from_secs(5);
/// What a reader elsewhere says it will be back within.
const FOLLOWED: Duration = Duration::from_secs(3);
/// Streams are kept for this long after they began.
const KEEP: &str = "24 hours";

/// A stream that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStream {
    /// The run that it tells of.
    pub run_id: Uuid,
    /// The conversation that the answer is stored in.
    pub conversation_id: Uuid,
    /// Who asked.
    pub subject: String,
    /// The API key that was used; empty without one.
    pub api_key: String,
    /// Model as named by the caller.
    pub model: String,
    /// Whether it ends with a usage chunk.
    pub include_usage: bool,
    /// What a response repeats of its request, as JSON; `None` in chat completions.
    pub repeated: Option<String>,
}

/// How an answer ended, beside what its message says.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamEnd {
    /// The run.
    pub run_id: Uuid,
    /// What it ended with, as [`Failure::to_stored`] writes it.
    ///
    /// [`Failure::to_stored`]: crate::failure::Failure::to_stored
    pub failure: Option<Value>,
    /// Reason of the model.
    pub finish_reason: String,
    /// Who answered.
    pub provider: String,
    /// Tokens read and written, where they were counted.
    pub tokens: Option<(u64, u64)>,
}

/// What the other replicas want of a stream that is being written here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The run.
    pub run_id: Uuid,
    /// Somebody reads it elsewhere.
    pub is_followed: bool,
    /// It should end.
    pub is_stopped: bool,
}

/// A stream as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredStream {
    /// The conversation that the answer is stored in.
    pub conversation_id: Uuid,
    /// Who asked.
    pub subject: String,
    /// The API key that was used; empty without one.
    pub api_key: String,
    /// Model as named by the caller.
    pub model: String,
    /// Whether it ends with a usage chunk.
    pub include_usage: bool,
    /// Unix seconds at which it began.
    pub created: i64,
    /// What a response repeats of its request, as JSON; `None` in chat completions.
    pub repeated: Option<String>,
    /// How far it is.
    pub standing: Standing,
}

/// How far a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is being written.
    Written,
    /// Its writer has not said for a while that it lives.
    Lost,
    /// It has ended.
    Ended,
}

impl Standing {
    /// What two columns of a row say from column `first` on.
    fn of(row: &PgRow, first: usize) -> Self {
        let (is_ended, is_lost): (bool, bool) = (row.get(first), row.get(first + 1));
        match (is_ended, is_lost) {
            (true, _) => Self::Ended,
            (false, true) => Self::Lost,
            (false, false) => Self::Written,
        }
    }
}

/// What there is of a stream after some bytes of its text.
#[derive(Debug, Clone, PartialEq)]
pub struct Further {
    /// The bytes that follow.
    pub text: Vec<u8>,
    /// Bytes of text in all, as far as they are known here.
    pub known: usize,
    /// How it goes on.
    pub progress: Progress,
}

/// How a stream goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// It is being written.
    Written,
    /// Its writer is gone.
    Lost,
    /// It has ended.
    Ended(Box<Ended>),
}

/// A stream that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// How, beside what its message says.
    pub end: StreamEnd,
    /// The model that answered.
    pub model: String,
    /// Why it was answered as it was.
    pub decision: Option<StoredDecision>,
    /// What the answer rests on.
    pub citations: Vec<Value>,
    /// Tools that were called.
    pub tool_calls: Vec<Value>,
    /// Calls of tools that it asked consent for.
    pub approvals: Vec<Value>,
    /// Functions of the caller that it asked for.
    pub function_calls: Vec<StoredCall>,
}

impl Change {
    /// Notes how a stream ended. One whose conversation was deleted meanwhile is gone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn close_stream(&mut self, end: &StreamEnd) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "update answer_streams
             set ended_at = now(), written = '', failure = $2, finish_reason = $3, provider = $4,
                 input_tokens = $5, output_tokens = $6
             where run_id = $1",
        )
        .bind(end.run_id)
        .bind(end.failure.as_ref().map(Json))
        .bind(&end.finish_reason)
        .bind(&end.provider)
        .bind(end.tokens.map(|(input, _)| tokens_column(input)))
        .bind(end.tokens.map(|(_, output)| tokens_column(output)))
        .execute(&mut *self.tx);
        within("close a stream", statement).await.map(|_| ())
    }
}

impl Store {
    /// Says that streams are being written here, and gives what other replicas want of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_streams(&self, run_ids: &[Uuid]) -> Result<Vec<Wanted>, StoreError> {
        let statement = sqlx::query(
            // Locked in an order, so that two who change several never wait for each other.
            "update answer_streams set alive_until = now() + make_interval(secs => $2)
             where run_id in (select run_id from answer_streams
                              where run_id = any($1) and ended_at is null
                              order by run_id for update)
             returning run_id, coalesce(followed_until > now(), false), stop_wanted",
        )
        .bind(run_ids)
        .bind(ALIVE.as_secs_f64())
        .fetch_all(&self.pool);
        let rows = within("keep streams", statement).await?;
        let wanted = |row: &PgRow| Wanted {
            run_id: row.get(0),
            is_followed: row.get(1),
            is_stopped: row.get(2),
        };
        Ok(rows.iter().map(wanted).collect())
    }

    /// Adds what was written after the first `known` bytes, unless it is there already; says how
    /// many bytes are there now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn extend_stream(
        &self,
        run_id: Uuid,
        known: usize,
        text: &[u8],
    ) -> Result<usize, StoreError> {
        let statement = sqlx::query(
            "update answer_streams
             set written = case when octet_length(written) = $2 then written || $3
                                else written end
             where run_id = $1 and ended_at is null returning octet_length(written)",
        )
        .bind(run_id)
        .bind(i32::try_from(known).unwrap_or(i32::MAX))
        .bind(text)
        .fetch_optional(&self.pool);
        let row = within("write a stream", statement).await?;
        let bytes = row.map_or(0, |row| row.get::<i32, _>(0));
        Ok(usize::try_from(bytes).unwrap_or(0))
    }

    /// A stream, if there is one. One of a deleted conversation is there when that comes back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stream(&self, run_id: Uuid) -> Result<Option<StoredStream>, StoreError> {
        let statement = sqlx::query(
            "select s.conversation_id, s.subject, s.api_key, s.model, s.include_usage,
                    extract(epoch from s.created_at)::bigint, s.repeated,
                    s.ended_at is not null,
                    s.alive_until + make_interval(secs => $2) <= now()
             from answer_streams s
             join conversations c on c.id = s.conversation_id and c.deleted_at is null
             where s.run_id = $1",
        )
        .bind(run_id)
        .bind(FORGIVEN.as_secs_f64())
        .fetch_optional(&self.pool);
        let row = within("find a stream", statement).await?;
        Ok(row.map(|row| StoredStream {
            conversation_id: row.get(0),
            subject: row.get(1),
            api_key: row.get(2),
            model: row.get(3),
            include_usage: row.get(4),
            created: row.get(5),
            repeated: row.get(6),
            standing: Standing::of(&row, 7),
        }))
    }

    /// What there is of a stream after `from` bytes of its text, `None` when it or its conversation
    /// is gone. While it is being written, asking asks its writer to go on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn follow_stream(
        &self,
        run_id: Uuid,
        from: usize,
    ) -> Result<Option<Further>, StoreError> {
        let statement = sqlx::query(
            "with asked as (
                 update answer_streams set followed_until = now() + make_interval(secs => $3)
                 where run_id = $1 and ended_at is null
             )
             select substring(coalesce(convert_to(m.content, 'UTF8'), s.written) from $2 + 1),
                    octet_length(coalesce(convert_to(m.content, 'UTF8'), s.written)),
                    s.ended_at is not null, s.alive_until <= now(), s.failure, s.finish_reason,
                    s.provider, s.input_tokens, s.output_tokens, m.model, m.decision, m.citations,
                    m.tool_calls, m.function_calls, m.approvals
             from answer_streams s
             join conversations c on c.id = s.conversation_id and c.deleted_at is null
             left join messages m on m.run_id = s.run_id and s.ended_at is not null
             where s.run_id = $1",
        )
        .bind(run_id)
        // The statement adds 1 to it.
        .bind(i32::try_from(from).unwrap_or(i32::MAX).min(i32::MAX - 1))
        .bind(FOLLOWED.as_secs_f64())
        .fetch_optional(&self.pool);
        let row = within("follow a stream", statement).await?;
        Ok(row.map(|row| further(run_id, &row)))
    }

    /// Asks the writer of a stream to end it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stop_stream(&self, run_id: Uuid) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "update answer_streams set stop_wanted = true where run_id = $1 and ended_at is null",
        )
        .bind(run_id)
        .execute(&self.pool);
        within("stop a stream", statement).await.map(|_| ())
    }

    /// Deletes what nobody will come back to; says how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep_streams(&self) -> Result<u64, StoreError> {
        let statement =
            sqlx::query("delete from answer_streams where created_at < now() - $1::interval")
                .bind(KEEP)
                .execute(&self.pool);
        let done = within("delete old streams", statement).await?;
        Ok(done.rows_affected())
    }
}

/// Tokens as a column has them.
pub(super) fn tokens_column(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

/// An answer that has ended. From column `at` on a row has failure, finish reason, provider, tokens
/// read and written; then of its message model, decision, citations, tool calls, function calls and
/// approvals.
pub(super) fn ended(run_id: Uuid, row: &PgRow, at: usize) -> Ended {
    let list = |index: usize| match row.get::<Option<Json<Value>>, _>(index) {
        Some(Json(Value::Array(items))) => items,
        _ => Vec::new(),
    };
    let text = |index: usize| row.get::<Option<String>, _>(index).unwrap_or_default();
    let count = |index: usize| {
        let tokens: Option<i64> = row.get(index);
        tokens.and_then(|tokens| u64::try_from(tokens).ok())
    };
    Ended {
        end: StreamEnd {
            run_id,
            failure: row.get::<Option<Json<Value>>, _>(at).map(|it| it.0),
            finish_reason: text(at + 1),
            provider: text(at + 2),
            tokens: count(at + 3).zip(count(at + 4)),
        },
        model: text(at + 5),
        decision: row
            .get::<Option<Json<StoredDecision>>, _>(at + 6)
            .map(|it| it.0),
        citations: list(at + 7),
        tool_calls: list(at + 8),
        function_calls: calls(row, at + 9),
        approvals: list(at + 10),
    }
}

fn further(run_id: Uuid, row: &PgRow) -> Further {
    let progress = match Standing::of(row, 2) {
        Standing::Ended => Progress::Ended(Box::new(ended(run_id, row, 4))),
        Standing::Lost => Progress::Lost,
        Standing::Written => Progress::Written,
    };
    let known: i32 = row.get(1);
    Further {
        text: row.get(0),
        known: usize::try_from(known).unwrap_or(0),
        progress,
    }
}
