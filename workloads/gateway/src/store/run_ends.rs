//! Ends of runs: answer, usage and charge, which become visible together.

use std::sync::Arc;

use lotoai_contracts::events::UsageRecorded;
use serde_json::Value;
use sqlx::PgExecutor;
use sqlx::types::Json;
use uuid::Uuid;

use super::conversations::calls_column;
use super::group::{Together, length};
use super::outbox::encoded;
use super::{
    Answer, Change, NewResponse, Store, StoreError, StoredCall, StoredDecision, StreamEnd, within,
};
use crate::budget::plan::Spending;
use crate::domain::run::OK;

/// More ends than one transaction takes, and some megabytes of memory.
const CROWD: usize = 1_024;

/// What is stored of the end of a run.
#[derive(Debug)]
pub struct RunEnd {
    /// The answer, where there is a conversation for it.
    pub answer: Option<Answer>,
    /// The approvals that the answer asks for.
    pub asked: Vec<Uuid>,
    /// The approval after which it went on to a good end, and the run that did.
    pub decided: Option<(Uuid, Uuid)>,
    /// The end of its stream, where a client may come back to it.
    pub stream: Option<StreamEnd>,
    /// The response that gives it back, if one does.
    pub response: Option<NewResponse>,
    /// The question that goes with it, where it failed without any effect; then there is no answer.
    pub undone: Option<Undone>,
    /// Its usage.
    pub event: UsageRecorded,
    /// What it is charged with.
    pub spending: Option<Spending>,
    /// Whether something is reserved that is settled by that.
    pub is_reserved: bool,
}

/// A stored question of which nothing stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// The conversation that it is in.
    pub conversation_id: Uuid,
    /// Its messages.
    pub messages: Vec<Uuid>,
    /// Whether the conversation began with it, and goes where nothing else was said in it.
    pub began: bool,
}

impl RunEnd {
    /// Whether it is a good one that leaves nothing but its usage, so that nobody waits for it.
    pub fn may_pass(&self) -> bool {
        let leaves_nothing = self.answer.is_none() && !self.is_reserved && self.stream.is_none();
        leaves_nothing && self.event.outcome == OK
    }
}

impl Store {
    /// Whether so many passing ends wait to be stored that whoever comes should wait as well.
    pub fn is_crowded(&self) -> bool {
        self.passing_ends.waiting() >= CROWD
    }

    /// Stores the end of a run for the first time. One for which nobody waits, waits for others.
    ///
    /// # Errors
    /// When the database fails. Then it may be stored nevertheless; [`Self::end_run_again`] finds out.
    pub async fn end_run(&self, end: Arc<RunEnd>) -> Result<(), StoreError> {
        // What most ends have not is written for one end at a time.
        let asks = end
            .answer
            .as_ref()
            .is_some_and(|answer| !answer.approvals.is_empty());
        let is_rare = end.decided.is_some()
            || end.stream.is_some()
            || end.response.is_some()
            || end.undone.is_some();
        if asks || is_rare {
            return self.end_run_again(&end).await;
        }
        let group = if end.may_pass() {
            &self.passing_ends
        } else {
            &self.ends
        };
        group.write(self, end).await
    }

    /// The same where an earlier attempt may have been stored though nobody heard of it: then nothing
    /// is stored again. What it charged may be folded since, and would be counted twice.
    /// Without an answer nothing tells of that attempt: a reservation is settled once more, which changes
    /// nothing, and the usage is told twice, under one identity.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_run_again(&self, end: &RunEnd) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        // First, since it locks a conversation, as questions do.
        if let Some(undone) = &end.undone {
            change.undo(undone).await?;
        }
        if let Some(answer) = &end.answer
            && !change.insert_answer(answer).await?
        {
            return Ok(());
        }
        if let Some(answer) = &end.answer {
            for approval in &end.asked {
                let (conversation, model) = (answer.conversation_id, &end.event.requested_model);
                change.note_approval(*approval, conversation, model).await?;
            }
        }
        if let Some((approval, run_id)) = end.decided {
            change.close_approval(approval, run_id).await?;
        }
        if let Some(response) = &end.response {
            change.insert_response(response).await?;
        }
        if let Some(stream) = &end.stream {
            change.close_stream(stream).await?;
        }
        insert(&mut *change.tx, &[end], &[]).await?;
        change.commit().await
    }
}

impl Change {
    /// Takes a question back; what is gone already stays gone.
    async fn undo(&mut self, undone: &Undone) -> Result<(), StoreError> {
        // Locked: what is said in the conversation meanwhile would go with it.
        let locked = sqlx::query("select from conversations where id = $1 for update")
            .bind(undone.conversation_id)
            .execute(&mut *self.tx);
        within("lock a conversation", locked).await?;
        self.delete_messages(undone.conversation_id, None, &undone.messages)
            .await?;
        if undone.began {
            self.delete_if_empty(undone.conversation_id).await?;
        }
        Ok(())
    }
}

impl Together for RunEnd {
    type Begun = ();
    type Outcome = ();

    const OF: &'static str = "ends";

    /// Nothing: one statement is a transaction by itself.
    async fn begin(_: &Store) -> Result<(), StoreError> {
        Ok(())
    }

    async fn write(store: &Store, (): (), items: &[Arc<Self>]) -> Result<Vec<()>, StoreError> {
        let ends: Vec<&Self> = items.iter().map(|it| &**it).collect();
        let answers: Vec<&Answer> = items.iter().filter_map(|it| it.answer.as_ref()).collect();
        let inserting = insert(&store.pool, &ends, &answers);
        store.unless_away(inserting).await?;
        Ok(vec![(); items.len()])
    }
}

/// Adds usage and charges of ends, and the answers given beside them, in one statement. An answer
/// whose conversation is gone meanwhile is dropped. One whose lease has ended is charged already. No
/// counter is locked: they are folded later. Lists are limited as [`Together`] says.
async fn insert(
    executor: impl PgExecutor<'_>,
    ends: &[&RunEnd],
    answers: &[&Answer],
) -> Result<(), StoreError> {
    let answers = Answers::of(answers);
    let mut events = Vec::with_capacity(ends.len());
    for end in ends {
        events.push(encoded(&end.event)?);
    }
    let spendings: Vec<(&Spending, bool)> = ends
        .iter()
        .filter_map(|end| Some((end.spending.as_ref()?, end.is_reserved)))
        .collect();
    let texts = |of: fn(&Spending) -> &str| -> Vec<&str> {
        spendings.iter().map(|(it, _)| of(it)).collect()
    };
    let numbers =
        |of: fn(&Spending) -> i64| -> Vec<i64> { spendings.iter().map(|(it, _)| of(it)).collect() };
    let answered = length(&answers.ids);
    let statement = sqlx::query(INSERT)
        .bind(answers.ids)
        .bind(answers.conversation_ids)
        .bind(answers.contents)
        .bind(answers.run_ids)
        .bind(answers.outcomes)
        .bind(answers.models)
        .bind(answers.decisions)
        .bind(answers.citations)
        .bind(answers.tool_calls)
        .bind(answers.function_calls)
        .bind(
            events
                .iter()
                .map(|it| it.message_id.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(events.iter().map(|it| it.routing_key).collect::<Vec<_>>())
        .bind(
            events
                .iter()
                .map(|it| it.body.as_slice())
                .collect::<Vec<_>>(),
        )
        .bind(
            spendings
                .iter()
                .map(|(it, _)| it.run_id)
                .collect::<Vec<_>>(),
        )
        .bind(
            spendings
                .iter()
                .map(|(_, is_reserved)| *is_reserved)
                .collect::<Vec<_>>(),
        )
        .bind(texts(|it| &it.provider))
        .bind(texts(|it| &it.model))
        .bind(numbers(|it| it.input_tokens))
        .bind(numbers(|it| it.output_tokens))
        .bind(
            spendings
                .iter()
                .map(|(it, _)| it.micros)
                .collect::<Vec<_>>(),
        )
        .bind(
            spendings
                .iter()
                .map(|(it, _)| it.estimated)
                .collect::<Vec<_>>(),
        )
        .bind(texts(|it| &it.principal.user))
        .bind(texts(|it| {
            it.principal.api_key.as_deref().unwrap_or_default()
        }))
        .bind(texts(|it| &it.currency))
        .bind(texts(|it| &it.price_version))
        .bind(length(&spendings))
        .bind(answered)
        .execute(executor);
    within("store the ends of runs", statement)
        .await
        .map(|_| ())
}

pub(super) const INSERT: &str = "
with answered as (
    insert into messages (id, conversation_id, role, content, run_id, outcome, model, decision,
                          citations, tool_calls, function_calls)
    select a.id, c.id, 'assistant', a.content, a.run, a.outcome, a.model, a.decision, a.citations,
           a.tools, a.calls
    from (
        select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::text[],
                             $7::jsonb[], $8::jsonb[], $9::jsonb[], $10::jsonb[])
        limit $27
    ) as a(id, conversation, content, run, outcome, model, decision, citations, tools, calls)
    join conversations c on c.id = a.conversation
    on conflict (run_id) do nothing
), told as (
    insert into outbox (message_id, routing_key, body)
    select * from unnest($11::text[], $12::text[], $13::bytea[])
), spent as materialized (
    select * from unnest($14::uuid[], $15::bool[], $16::text[], $17::text[], $18::bigint[],
                         $19::bigint[], $20::bigint[], $21::bool[], $22::text[], $23::text[],
                         $24::text[], $25::text[])
         as a(run, reserved, provider, model, input, output, micros, estimated, subject, key,
              currency, version)
), settled as (
    update spendings s
    set settled = true, provider = a.provider, model = a.model, input_tokens = a.input,
        output_tokens = a.output, micros = a.micros, estimated = a.estimated
    from (select * from spent where reserved limit $26) as a
    where s.run_id = a.run and not s.settled
)
insert into spendings (run_id, provider, model, input_tokens, output_tokens, micros, estimated,
                       subject, api_key, currency, price_version, budgets, subjects, starts,
                       reserved_tokens, reserved_micros, lease_until, settled)
select run, provider, model, input, output, micros, estimated, subject, key, currency, version,
       '{}', '{}', '{}', 0, 0, now(), true
from spent where not reserved
on conflict (run_id) do nothing";

/// Answers, column by column.
#[derive(Default)]
struct Answers<'a> {
    ids: Vec<Uuid>,
    conversation_ids: Vec<Uuid>,
    contents: Vec<&'a str>,
    run_ids: Vec<Uuid>,
    outcomes: Vec<&'a str>,
    models: Vec<Option<&'a str>>,
    decisions: Vec<Option<Json<&'a StoredDecision>>>,
    citations: Vec<Json<&'a Value>>,
    tool_calls: Vec<Json<&'a Value>>,
    function_calls: Vec<Option<Json<&'a [StoredCall]>>>,
}

impl<'a> Answers<'a> {
    fn of(answers: &[&'a Answer]) -> Self {
        let mut columns = Self::default();
        for answer in answers {
            columns.ids.push(Uuid::now_v7());
            columns.conversation_ids.push(answer.conversation_id);
            columns.contents.push(&answer.content);
            columns.run_ids.push(answer.run_id);
            columns.outcomes.push(&answer.outcome);
            columns.models.push(answer.model.as_deref());
            columns.decisions.push(answer.decision.as_ref().map(Json));
            columns.citations.push(Json(&answer.citations));
            columns.tool_calls.push(Json(&answer.tool_calls));
            columns
                .function_calls
                .push(calls_column(&answer.function_calls));
        }
        columns
    }
}
