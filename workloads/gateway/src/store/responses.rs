//! Rows of answers that the Responses API gives back.

use serde::Serialize;
use serde_json::Value;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::conversations::said;
use super::streams::{ended, tokens_column};
use super::{Change, Ended, NewMessage, Store, StoreError, StreamEnd, within};

/// An answer to give back, beside what its message says.
#[derive(Debug, Clone, PartialEq)]
pub struct NewResponse {
    /// The messages that were its input.
    pub inputs: Vec<Uuid>,
    /// Model as named by the caller.
    pub model: String,
    /// What is repeated of the request: a JSON object.
    pub repeated: String,
    /// How it ended.
    pub end: StreamEnd,
}

/// An answer that is given back.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredResponse {
    /// The conversation that it is stored in.
    pub conversation_id: Uuid,
    /// Model as named by the caller.
    pub model: String,
    /// What is repeated of the request: a JSON object.
    pub repeated: String,
    /// Text.
    pub text: String,
    /// `ok`, `cancelled` or a failure code.
    pub outcome: String,
    /// Unix seconds at which it ended.
    pub ended_at: i64,
    /// The rest of the answer.
    pub answer: Ended,
}

/// What is held of a response beside the messages of its conversation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExportedResponse {
    /// The run.
    pub run_id: Uuid,
    /// The conversation that it is stored in.
    pub conversation_id: Uuid,
    /// The messages that were its input.
    pub inputs: Vec<Uuid>,
    /// The model as it was named.
    pub model: String,
    /// What it repeats of its request.
    pub repeated: Value,
    /// Who answered.
    pub provider: String,
    /// Reason of the model.
    pub finish_reason: String,
    /// Tokens read, where they were counted.
    pub input_tokens: Option<i64>,
    /// Tokens written, where they were counted.
    pub output_tokens: Option<i64>,
    /// Why it is not whole.
    pub failure: Option<Value>,
}

impl Change {
    /// Adds a response, whose answer is there already; without an answer, since its conversation is
    /// gone, nothing is added.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_response(&mut self, new: &NewResponse) -> Result<(), StoreError> {
        let end = &new.end;
        let statement = sqlx::query(
            "insert into responses (run_id, inputs, model, repeated, failure, finish_reason,
                                    provider, input_tokens, output_tokens)
             select run_id, $2, $3, $4, $5, $6, $7, $8, $9 from messages where run_id = $1
             on conflict (run_id) do nothing",
        )
        .bind(end.run_id)
        .bind(&new.inputs)
        .bind(&new.model)
        .bind(&new.repeated)
        .bind(end.failure.as_ref().map(Json))
        .bind(&end.finish_reason)
        .bind(&end.provider)
        .bind(end.tokens.map(|(input, _)| tokens_column(input)))
        .bind(end.tokens.map(|(_, output)| tokens_column(output)))
        .execute(&mut *self.tx);
        within("store a response", statement).await.map(|_| ())
    }

    /// Deletes one of the owner's responses for good, with its input and its answer, and with their
    /// conversation where nothing else is in it; says whether there was one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_response(&mut self, owner: &str, run_id: Uuid) -> Result<bool, StoreError> {
        // Locked: what is said in the conversation meanwhile would go with it.
        let found = sqlx::query(
            "select c.id, r.inputs
             from responses r join messages m on m.run_id = r.run_id
             join conversations c on c.id = m.conversation_id
             where r.run_id = $1 and c.owner = $2 and c.deleted_at is null for update of c",
        )
        .bind(run_id)
        .bind(owner)
        .fetch_optional(&mut *self.tx);
        let Some(row) = within("find a response", found).await? else {
            return Ok(false);
        };
        let conversation_id: Uuid = row.get(0);
        let inputs: Vec<Uuid> = row.get(1);
        self.delete_messages(conversation_id, Some(run_id), &inputs)
            .await?;
        // It repeats what was asked, for those who come back to it.
        let stream = sqlx::query("delete from answer_streams where run_id = $1")
            .bind(run_id)
            .execute(&mut *self.tx);
        within("delete the stream of a response", stream).await?;
        self.delete_if_empty(conversation_id).await?;
        Ok(true)
    }
}

impl Store {
    /// One of the owner's responses.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn response(
        &self,
        owner: &str,
        run_id: Uuid,
    ) -> Result<Option<StoredResponse>, StoreError> {
        let statement = sqlx::query(
            "select c.id, r.model, r.repeated, m.content, m.outcome,
                    extract(epoch from m.created_at)::bigint, r.failure, r.finish_reason,
                    r.provider, r.input_tokens, r.output_tokens, m.model, m.decision, m.citations,
                    m.tool_calls, m.function_calls, m.approvals
             from responses r join messages m on m.run_id = r.run_id
             join conversations c on c.id = m.conversation_id
             where r.run_id = $1 and c.owner = $2 and c.deleted_at is null",
        )
        .bind(run_id)
        .bind(owner)
        .fetch_optional(&self.pool);
        let row = within("read a response", statement).await?;
        Ok(row.map(|row| StoredResponse {
            conversation_id: row.get(0),
            model: row.get(1),
            repeated: row.get(2),
            text: row.get(3),
            outcome: row.get::<Option<String>, _>(4).unwrap_or_default(),
            ended_at: row.get(5),
            answer: ended(run_id, &row, 6),
        }))
    }

    /// What was sent with one of the owner's responses, oldest first, each with its id; `None` when
    /// there is no such response.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn response_inputs(
        &self,
        owner: &str,
        run_id: Uuid,
    ) -> Result<Option<Vec<(Uuid, NewMessage)>>, StoreError> {
        let statement = sqlx::query(
            "select i.id, i.role, i.content, i.function_calls, i.function_call_id
             from responses r join messages m on m.run_id = r.run_id
             join conversations c on c.id = m.conversation_id
             join messages i on i.conversation_id = c.id and i.id = any(r.inputs)
             where r.run_id = $1 and c.owner = $2 and c.deleted_at is null
             order by i.position",
        )
        .bind(run_id)
        .bind(owner)
        .fetch_all(&self.pool);
        let rows = within("read the input of a response", statement).await?;
        // Every response has some.
        let inputs = rows.iter().map(|row| (row.get(0), said(row, 1)));
        Ok((!rows.is_empty()).then(|| inputs.collect()))
    }

    /// The responses of a person, those in deleted conversations as well, by their runs after
    /// `after`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn every_response(
        &self,
        owner: &str,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<ExportedResponse>, StoreError> {
        let statement = sqlx::query(
            "select r.run_id, c.id, r.inputs, r.model, r.repeated, r.provider, r.finish_reason,
                    r.input_tokens, r.output_tokens, r.failure
             from conversations c join messages m on m.conversation_id = c.id
             join responses r on r.run_id = m.run_id
             where c.owner = $1 and r.run_id > $2 order by r.run_id limit $3",
        )
        .bind(owner)
        .bind(after.unwrap_or(Uuid::nil()))
        .bind(limit)
        .fetch_all(&self.pool);
        let rows = within("list responses", statement).await?;
        let response = |row: &PgRow| ExportedResponse {
            run_id: row.get(0),
            conversation_id: row.get(1),
            inputs: row.get(2),
            model: row.get(3),
            repeated: serde_json::from_str(row.get(4)).unwrap_or_default(),
            provider: row.get(5),
            finish_reason: row.get(6),
            input_tokens: row.get(7),
            output_tokens: row.get(8),
            failure: row.get::<Option<Json<Value>>, _>(9).map(|it| it.0),
        };
        Ok(rows.iter().map(response).collect())
    }
}
