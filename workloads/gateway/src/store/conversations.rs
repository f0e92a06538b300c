//! Rows of conversations and their messages.

use serde_json::Value;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::talks::{
    Answer, ConversationSummary, MessagePage, Most, NewMessage, Origin, PlacedMessage, StoredCall,
    StoredDecision, StoredMessage,
};
use super::{Change, Store, StoreError, rfc3339, within};

/// Columns of a [`ConversationSummary`].
macro_rules! summary_columns {
    () => {
        concat!(
            "id, title, ",
            rfc3339!("created_at"),
            ", ",
            rfc3339!("updated_at"),
            ", (extract(epoch from updated_at) * 1000000)::bigint, origin_conversation,
             origin_message"
        )
    };
}
pub(super) use summary_columns;

/// How many columns that are.
pub(super) const SUMMARY_COLUMNS: usize = 7;

/// The summary that a row begins with.
pub(super) fn summary(row: &PgRow) -> ConversationSummary {
    let origin = row.get::<Option<Uuid>, _>(5).zip(row.get(6));
    ConversationSummary {
        id: row.get(0),
        title: row.get(1),
        created_at: row.get(2),
        updated_at: row.get(3),
        updated_micros: row.get(4),
        branched_from: origin.map(|(conversation_id, message_id)| Origin {
            conversation_id,
            message_id,
        }),
    }
}

/// Columns of a [`StoredMessage`].
macro_rules! message_columns {
    () => {
        concat!(
            "id, role, content, run_id, outcome, model, decision, citations, tool_calls, ",
            rfc3339!("created_at"),
            ", function_calls, function_call_id, approvals"
        )
    };
}
pub(super) use message_columns;

/// How many columns that are.
pub(super) const MESSAGE_COLUMNS: usize = 13;

/// Bytes of a message as far as they have no bound of their own: a term over its columns. What is kept
/// compressed counts so.
macro_rules! message_bytes {
    () => {
        "(octet_length(content) + coalesce(pg_column_size(citations), 0)
          + coalesce(pg_column_size(tool_calls), 0) + coalesce(pg_column_size(approvals), 0)
          + coalesce(pg_column_size(function_calls), 0))"
    };
}
pub(super) use message_bytes;

impl Store {
    /// The newest messages of one of the owner's conversations, oldest first: what an answer has to
    /// know; `None` without such a conversation. Answers that failed or broke off are left out: a
    /// model would go on from half a sentence. None is read that is beyond `most`, be it the newest.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn history(
        &self,
        owner: &str,
        id: Uuid,
        most: Most,
    ) -> Result<Option<Vec<NewMessage>>, StoreError> {
        let statement = sqlx::query(concat!(
            "select m.role, m.content, m.function_calls, m.function_call_id
             from conversations c left join lateral (
                 select *, sum(",
            message_bytes!(),
            ") over (order by position desc) as bytes
                 from (select * from messages
                       where conversation_id = c.id and (outcome is null or outcome = 'ok')
                         and (content <> '' or function_calls is not null
                              or function_call_id is not null)
                       order by position desc limit $3) newest
             ) m on m.bytes <= $4
             where c.owner = $1 and c.id = $2 and c.deleted_at is null
             order by m.position"
        ))
        .bind(owner)
        .bind(id)
        .bind(most.messages)
        .bind(most.bytes)
        .fetch_all(&self.pool);
        let rows = self
            .unless_away(within("read the history", statement))
            .await?;
        // A conversation without a message is a row without one.
        let is_message = |row: &&PgRow| row.get::<Option<&str>, _>(0).is_some();
        let messages = rows.iter().filter(is_message).map(|row| said(row, 0));
        Ok((!rows.is_empty()).then(|| messages.collect()))
    }

    /// The owner's conversations, newest first, after `after` (microseconds and id).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn conversations(
        &self,
        owner: &str,
        after: Option<(i64, Uuid)>,
        limit: i64,
    ) -> Result<Vec<ConversationSummary>, StoreError> {
        let (micros, id) = after.unwrap_or((i64::MAX, Uuid::max()));
        let statement = sqlx::query(concat!(
            "select ",
            summary_columns!(),
            " from conversations where owner = $1 and deleted_at is null
               and ((extract(epoch from updated_at) * 1000000)::bigint, id) < ($2, $3)
             order by updated_at desc, id desc limit $4"
        ))
        .bind(owner)
        .bind(micros)
        .bind(id)
        .bind(limit)
        .fetch_all(&self.pool);
        let rows = within("list conversations", statement).await?;
        Ok(rows.iter().map(summary).collect())
    }

    /// One of the owner's conversations without its messages.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn conversation_summary(
        &self,
        owner: &str,
        id: Uuid,
    ) -> Result<Option<ConversationSummary>, StoreError> {
        let statement = sqlx::query(concat!(
            "select ",
            summary_columns!(),
            " from conversations where owner = $1 and id = $2 and deleted_at is null"
        ))
        .bind(owner)
        .bind(id)
        .fetch_optional(&self.pool);
        let row = within("read a conversation", statement).await?;
        Ok(row.as_ref().map(summary))
    }

    /// The messages of a conversation, whosever it is, before a place; the newest first. There is one
    /// at least where there are any, though it be longer than `most` says.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages_before(
        &self,
        id: Uuid,
        position: Option<i64>,
        most: Most,
    ) -> Result<MessagePage, StoreError> {
        // One more is looked at than is given: it says that there is more.
        let statement = sqlx::query(concat!(
            "select ",
            message_columns!(),
            ", position, found from (
                 select *, count(*) over () as found, row_number() over by_place as number, sum(",
            message_bytes!(),
            ") over by_place as bytes
                 from (select * from messages where conversation_id = $1 and position < $2
                       order by position desc limit $3::bigint + 1) next
                 window by_place as (order by position desc)
             ) part
             where number <= $3 and (number = 1 or bytes <= $4) order by position desc"
        ))
        .bind(id)
        .bind(position.unwrap_or(i64::MAX))
        .bind(most.messages)
        .bind(most.bytes)
        .fetch_all(&self.pool);
        let rows = within("read messages", statement).await?;
        let found: i64 = rows.first().map_or(0, |row| row.get(MESSAGE_COLUMNS + 1));
        Ok(MessagePage {
            has_more: usize::try_from(found).is_ok_and(|found| found > rows.len()),
            messages: rows.iter().map(placed).collect(),
        })
    }

    /// The conversation of one of the owner's answers, and whether nothing was said in it since;
    /// `None` when there is no such answer, or it failed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn conversation_of_answer(
        &self,
        owner: &str,
        run_id: Uuid,
    ) -> Result<Option<(Uuid, bool)>, StoreError> {
        let statement = sqlx::query(
            "select a.conversation_id, not exists (
                 select from messages later
                 where later.conversation_id = a.conversation_id and later.position > a.position)
             from messages a join conversations c on c.id = a.conversation_id
             where a.run_id = $1 and a.outcome = 'ok' and c.owner = $2 and c.deleted_at is null",
        )
        .bind(run_id)
        .bind(owner)
        .fetch_optional(&self.pool);
        let row = within("find an answer", statement).await?;
        Ok(row.map(|row| (row.get(0), row.get(1))))
    }
}

pub(super) fn calls(row: &PgRow, index: usize) -> Vec<StoredCall> {
    row.get::<Option<Json<Vec<StoredCall>>>, _>(index)
        .map_or_else(Vec::new, |calls| calls.0)
}

/// What was said. From column `at` on a row has role, content, function calls and the id of the call
/// that it answers.
pub(super) fn said(row: &PgRow, at: usize) -> NewMessage {
    NewMessage {
        role: row.get(at),
        content: row.get(at + 1),
        function_calls: calls(row, at + 2),
        function_call_id: row.get(at + 3),
    }
}

/// As a column has it: most messages ask for no function.
pub(super) fn calls_column(calls: &[StoredCall]) -> Option<Json<&[StoredCall]>> {
    (!calls.is_empty()).then_some(Json(calls))
}

/// The message that a row begins with.
pub(super) fn message(row: &PgRow) -> StoredMessage {
    let list = |index: usize| {
        row.get::<Option<Json<Value>>, _>(index)
            .map_or_else(|| Value::Array(Vec::new()), |it| it.0)
    };
    StoredMessage {
        id: row.get(0),
        role: row.get(1),
        content: row.get(2),
        run_id: row.get(3),
        outcome: row.get(4),
        model: row.get(5),
        decision: row.get::<Option<Json<StoredDecision>>, _>(6).map(|it| it.0),
        citations: list(7),
        tool_calls: list(8),
        approvals: list(12),
        function_calls: calls(row, 10),
        function_call_id: row.get(11),
        created_at: row.get(9),
    }
}

/// The message that a row begins with; its place follows.
pub(super) fn placed(row: &PgRow) -> PlacedMessage {
    PlacedMessage {
        message: message(row),
        position: row.get(MESSAGE_COLUMNS),
    }
}

impl Change {
    /// Adds an answer; a second one for the same run changes nothing. An answer whose
    /// conversation is gone meanwhile is dropped; one that can be brought back gets it. Says whether
    /// there is none of its run from before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_answer(&mut self, answer: &Answer) -> Result<bool, StoreError> {
        let statement = sqlx::query(
            "insert into messages (id, conversation_id, role, content, run_id, outcome, model,
                                   decision, citations, tool_calls, function_calls, approvals)
             select $1, id, 'assistant', $3, $4, $5, $6, $7, $8, $9, $10, $11
             from conversations where id = $2 on conflict (run_id) do nothing",
        )
        .bind(Uuid::now_v7())
        .bind(answer.conversation_id)
        .bind(&answer.content)
        .bind(answer.run_id)
        .bind(&answer.outcome)
        .bind(&answer.model)
        .bind(answer.decision.as_ref().map(Json))
        .bind(Json(&answer.citations))
        .bind(Json(&answer.tool_calls))
        .bind(calls_column(&answer.function_calls))
        .bind((!answer.approvals.is_empty()).then_some(Json(&answer.approvals)))
        .execute(&mut *self.tx);
        if within("store an answer", statement).await?.rows_affected() > 0 {
            return Ok(true);
        }
        let statement =
            sqlx::query_scalar::<_, bool>("select exists (select from messages where run_id = $1)")
                .bind(answer.run_id)
                .fetch_one(&mut *self.tx);
        within("look for an answer", statement).await.map(|it| !it)
    }
}
