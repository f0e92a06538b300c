//! Questions as they are stored: with their conversation, their stream and what they reserve, all of
//! it or nothing.

mod columns;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use self::columns::{Conversations, Keys, Messages};
use super::budgets::amounts;
use super::group::{Together, length};
use super::streams::ALIVE;
use super::{AwaySnafu, Change, NewMessage, NewStream, Store, StoreError, within};
use crate::budget::counters::{Claim, CounterKey, Counters, Reservation, Reserved};
use crate::budget::rules::Amounts;

/// A question that is about to be asked.
#[derive(Debug, Default)]
pub struct NewQuestion {
    /// Where it is stored, if it is.
    pub talk: Option<NewTalk>,
    /// What it reserves, if anything is limited.
    pub reservation: Option<Reservation>,
}

/// What is stored of a question.
#[derive(Debug)]
pub struct NewTalk {
    /// The conversation.
    pub conversation_id: Uuid,
    /// Whose it is.
    pub owner: String,
    /// The title of a conversation that begins; `None` where one goes on.
    pub title: Option<String>,
    /// The messages with their identities, in their order.
    pub messages: Vec<(Uuid, NewMessage)>,
    /// The stream of the answer, if a client may come back to it.
    pub stream: Option<NewStream>,
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// It is stored, with what it reserved, unless its budgets refused it: then nothing is.
    Weighed(Reserved),
    /// The owner has no such conversation, and nothing is stored.
    NoConversation,
}

impl Store {
    /// Stores a question and reserves its budgets: both, or neither.
    ///
    /// # Errors
    /// When the database fails; then nothing is stored, or the lease ends what was reserved.
    pub async fn ask(&self, question: NewQuestion) -> Result<Asked, StoreError> {
        let leaves_nothing = question.talk.is_none();
        match self.questions.write(self, Arc::new(question)).await {
            // What may be reserved ends with its lease, and nothing was done with it.
            Err(error) if leaves_nothing && error.is_unsure() => AwaySnafu.fail(),
            outcome => outcome,
        }
    }
}

impl Together for NewQuestion {
    type Begun = Change;
    type Outcome = Asked;

    const OF: &'static str = "questions";

    async fn begin(store: &Store) -> Result<Change, StoreError> {
        store.begin().await
    }

    async fn write(
        _: &Store,
        mut change: Change,
        items: &[Arc<Self>],
    ) -> Result<Vec<Asked>, StoreError> {
        let questions: Vec<&Self> = items.iter().map(|it| &**it).collect();
        let asked = change.ask(&questions).await?;
        change.commit().await?;
        Ok(asked)
    }
}

fn weigh(
    question: &NewQuestion,
    known: &HashSet<(Uuid, String)>,
    counters: &mut Counters,
) -> Asked {
    if let Some(talk) = &question.talk
        && talk.title.is_none()
        && !known.contains(&(talk.conversation_id, talk.owner.clone()))
    {
        return Asked::NoConversation;
    }
    let nothing = || Reserved {
        admitted: true,
        used: Vec::new(),
    };
    let reservation = question.reservation.as_ref();
    Asked::Weighed(reservation.map_or_else(nothing, |it| counters.reserve(it)))
}

impl Change {
    /// As [`Store::ask`], together with other changes, for several questions. It should be the last
    /// of them: the counters are locked until the end of the transaction.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ask(&mut self, questions: &[&NewQuestion]) -> Result<Vec<Asked>, StoreError> {
        // Conversations before counters, and both in the order of their keys, so that two transactions
        // never wait for each other.
        let known = self.lock_conversations(questions).await?;
        let mut counters = self.lock_counters(questions).await?;
        let asked: Vec<Asked> = questions
            .iter()
            .map(|question| weigh(question, &known, &mut counters))
            .collect();
        let is_taken = |asked: &Asked| matches!(asked, Asked::Weighed(it) if it.admitted);
        let taken: Vec<&NewQuestion> = questions
            .iter()
            .zip(&asked)
            .filter_map(|(question, asked)| is_taken(asked).then_some(*question))
            .collect();
        if !taken.is_empty() {
            self.insert_questions(&taken, &counters).await?;
        }
        Ok(asked)
    }

    /// The conversations that go on, as far as their owners have them.
    async fn lock_conversations(
        &mut self,
        questions: &[&NewQuestion],
    ) -> Result<HashSet<(Uuid, String)>, StoreError> {
        let talks = questions.iter().filter_map(|it| it.talk.as_ref());
        let (ids, owners): (Vec<Uuid>, Vec<&str>) = talks
            .filter(|talk| talk.title.is_none())
            .map(|talk| (talk.conversation_id, talk.owner.as_str()))
            .unzip();
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        let known = length(&ids);
        let statement = sqlx::query(KNOWN)
            .bind(ids)
            .bind(owners)
            .bind(known)
            .fetch_all(&mut *self.tx);
        let rows = within("look for conversations", statement).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// The counters of all budgets that these questions claim. Those that nobody counted in are made.
    async fn lock_counters(&mut self, questions: &[&NewQuestion]) -> Result<Counters, StoreError> {
        let reservations = questions.iter().filter_map(|it| it.reservation.as_ref());
        let claims: BTreeSet<(&CounterKey, i64)> = reservations
            .flat_map(|it| &it.claims)
            .map(|Claim { key, end, .. }| (key, *end))
            .collect();
        if claims.is_empty() {
            return Ok(Counters::default());
        }
        let counters = self.locked(&claims).await?;
        if counters.len() == claims.len() {
            return Ok(counters);
        }
        let keys = Keys::of(claims.iter().map(|(key, _)| *key));
        let ends: Vec<i64> = claims.iter().map(|(_, end)| *end).collect();
        let statement = sqlx::query(
            "insert into budget_windows (budget, subject, starts_at, ends_at)
             select b, s, to_timestamp(t), to_timestamp(e)
             from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) as a(b, s, t, e)
             order by b, s, t
             on conflict do nothing",
        )
        .bind(keys.budgets)
        .bind(keys.subjects)
        .bind(keys.starts)
        .bind(ends)
        .execute(&mut *self.tx);
        within("begin to count in budgets", statement).await?;
        self.locked(&claims).await
    }

    async fn locked(
        &mut self,
        claims: &BTreeSet<(&CounterKey, i64)>,
    ) -> Result<Counters, StoreError> {
        let keys = Keys::of(claims.iter().map(|(key, _)| *key));
        let count = length(&keys.budgets);
        let statement = sqlx::query(COUNTERS)
            .bind(keys.budgets)
            .bind(keys.subjects)
            .bind(keys.starts)
            .bind(count)
            .fetch_all(&mut *self.tx);
        let rows = within("look at budgets", statement).await?;
        let counter = |row: &PgRow| ((row.get(0), row.get(1), row.get(2)), amounts(row, 3));
        Ok(Counters::new(rows.iter().map(counter)))
    }

    async fn insert_questions(
        &mut self,
        questions: &[&NewQuestion],
        counters: &Counters,
    ) -> Result<(), StoreError> {
        let talks: Vec<&NewTalk> = questions.iter().filter_map(|it| it.talk.as_ref()).collect();
        let conversations = Conversations::of(&talks);
        let messages = Messages::of(&talks);
        let streams: Vec<&NewStream> = talks.iter().filter_map(|it| it.stream.as_ref()).collect();
        let keys = Keys::of(counters.added().map(|(key, _)| key));
        let added = |of: fn(&Amounts) -> i64| -> Vec<i64> {
            counters.added().map(|(_, added)| of(added)).collect()
        };
        let reservations: Vec<&Reservation> = questions
            .iter()
            .filter_map(|it| it.reservation.as_ref())
            .collect();
        let claimed = Keys::of(
            reservations
                .iter()
                .flat_map(|it| &it.claims)
                .map(|it| &it.key),
        );
        let lasts: Vec<i32> = reservations
            .iter()
            .scan(0, |last, it| {
                *last += i32::try_from(it.claims.len()).unwrap_or(i32::MAX);
                Some(*last)
            })
            .collect();
        let numbers = |of: fn(&Reservation) -> i64| -> Vec<i64> {
            reservations.iter().map(|it| of(it)).collect()
        };
        let texts = |of: fn(&Reservation) -> &str| -> Vec<&str> {
            reservations.iter().map(|it| of(it)).collect()
        };
        let stream_texts =
            |of: fn(&NewStream) -> &str| -> Vec<&str> { streams.iter().map(|it| of(it)).collect() };
        let (gone_on, counted) = (length(&conversations.known_ids), length(&keys.budgets));
        let statement = sqlx::query(INSERT)
            .bind(conversations.new_ids)
            .bind(conversations.new_owners)
            .bind(conversations.new_titles)
            .bind(conversations.known_ids)
            .bind(messages.ids)
            .bind(messages.conversation_ids)
            .bind(messages.roles)
            .bind(messages.contents)
            .bind(messages.calls)
            .bind(messages.call_ids)
            .bind(streams.iter().map(|it| it.run_id).collect::<Vec<_>>())
            .bind(
                streams
                    .iter()
                    .map(|it| it.conversation_id)
                    .collect::<Vec<_>>(),
            )
            .bind(stream_texts(|it| &it.subject))
            .bind(stream_texts(|it| &it.api_key))
            .bind(stream_texts(|it| &it.model))
            .bind(
                streams
                    .iter()
                    .map(|it| it.include_usage)
                    .collect::<Vec<_>>(),
            )
            .bind(ALIVE.as_secs_f64())
            .bind(keys.budgets)
            .bind(keys.subjects)
            .bind(keys.starts)
            .bind(added(|it| it.requests))
            .bind(added(|it| it.tokens))
            .bind(added(|it| it.micros))
            .bind(claimed.budgets)
            .bind(claimed.subjects)
            .bind(claimed.starts)
            .bind(reservations.iter().map(|it| it.run_id).collect::<Vec<_>>())
            .bind(lasts)
            .bind(texts(|it| &it.subject))
            .bind(texts(|it| &it.api_key))
            .bind(texts(|it| &it.currency))
            .bind(texts(|it| &it.price_version))
            .bind(numbers(|it| it.input_tokens))
            .bind(numbers(|it| it.output_tokens))
            .bind(reservations.iter().map(|it| it.micros).collect::<Vec<_>>())
            .bind(
                reservations
                    .iter()
                    .map(|it| it.lease.as_secs_f64())
                    .collect::<Vec<_>>(),
            )
            .bind(
                streams
                    .iter()
                    .map(|it| it.repeated.as_deref())
                    .collect::<Vec<_>>(),
            )
            .bind(gone_on)
            .bind(counted)
            .execute(&mut *self.tx);
        within("store questions", statement).await.map(|_| ())
    }
}

/// Those of these conversations that their owners have, locked.
pub(super) const KNOWN: &str = "
select c.id, c.owner from conversations c
where c.deleted_at is null
  and (c.id, c.owner) in (select * from unnest($1::uuid[], $2::text[]) limit $3)
order by c.id for no key update";

/// Counters, locked.
pub(super) const COUNTERS: &str = "
select w.budget, w.subject, extract(epoch from w.starts_at)::bigint,
       w.requests, w.tokens, w.micros, w.unpriced
from budget_windows w
join (select * from unnest($1::text[], $2::text[], $3::bigint[]) limit $4) as a(b, s, t)
  on w.budget = a.b and w.subject = a.s and w.starts_at = to_timestamp(a.t)
order by w.budget, w.subject, w.starts_at
for update of w";

/// Everything that these questions leave behind, in one statement. What refers to a conversation is
/// checked at the end of it. The claims of a reservation stand together in lists of all of them: they
/// end at its `last`, and begin after that of the one before. Lists are limited as [`Together`] says.
pub(super) const INSERT: &str = "
with begun as (
    insert into conversations (id, owner, title)
    select * from unnest($1::uuid[], $2::text[], $3::text[])
), gone_on as (
    update conversations c set updated_at = now()
    from (select unnest($4::uuid[]) limit $38) as a(id) where c.id = a.id
), said as (
    insert into messages (id, conversation_id, role, content, function_calls, function_call_id)
    select id, conversation, role, content, calls, call
    from unnest($5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::jsonb[], $10::text[])
         with ordinality as a(id, conversation, role, content, calls, call, n)
    order by n
), streamed as (
    insert into answer_streams (run_id, conversation_id, subject, api_key, model, include_usage,
                                alive_until, repeated)
    select run, conversation, subject, key, model, usage, now() + make_interval(secs => $17),
           repeated
    from unnest($11::uuid[], $12::uuid[], $13::text[], $14::text[], $15::text[], $16::bool[],
                $37::text[])
         as a(run, conversation, subject, key, model, usage, repeated)
), counted as (
    update budget_windows w
    set requests = w.requests + a.requests, tokens = w.tokens + a.tokens,
        micros = w.micros + a.micros
    from (
        select * from unnest($18::text[], $19::text[], $20::bigint[], $21::bigint[], $22::bigint[],
                             $23::bigint[])
        limit $39
    ) as a(b, s, t, requests, tokens, micros)
    where w.budget = a.b and w.subject = a.s and w.starts_at = to_timestamp(a.t)
), claimed as materialized (
    select array_agg(b order by n) as budgets, array_agg(s order by n) as subjects,
           array_agg(to_timestamp(t) order by n) as starts
    from unnest($24::text[], $25::text[], $26::bigint[]) with ordinality as a(b, s, t, n)
)
insert into spendings (run_id, budgets, subjects, starts, reserved_tokens, reserved_micros,
                       lease_until, settled, subject, api_key, provider, model, currency,
                       price_version, input_tokens, output_tokens, micros, estimated)
select run, claimed.budgets[first:last], claimed.subjects[first:last], claimed.starts[first:last],
       input + output, coalesce(micros, 0), now() + make_interval(secs => lease), false, subject, key,
       '', '', currency, version, input, output, micros, true
from claimed, (
    select *, 1 + lag(last, 1, 0) over (order by n) as first
    from unnest($27::uuid[], $28::int[], $29::text[], $30::text[], $31::text[], $32::text[],
                $33::bigint[], $34::bigint[], $35::bigint[], $36::float8[])
         with ordinality as a(run, last, subject, key, currency, version, input, output, micros,
                              lease, n)
) as reserved";
