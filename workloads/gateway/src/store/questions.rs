//! Questions as they are stored: with their conversation, their stream and what they reserve, all of
//! it or nothing.

mod columns;
pub(super) mod insert;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row as _};
use uuid::Uuid;

use self::columns::{Demanded, Keys};
use self::insert::insert;
use super::budgets::amounts;
use super::group::{Together, length};
use super::{Change, NewMessage, NewStream, Store, StoreError, within};
use crate::budget::counters::{
    Claim, CounterKey, Counters, Demand, Reservation, Reserved, demands,
};
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
        self.questions.write(self, Arc::new(question)).await
    }
}

impl Together for NewQuestion {
    type Outcome = Asked;

    const OF: &'static str = "questions";

    async fn write(store: &Store, items: &[Arc<Self>]) -> Result<Vec<Asked>, StoreError> {
        let questions: Vec<&Self> = items.iter().map(|it| &**it).collect();
        let written = ask_at_once(&store.pool, &questions);
        if let Some(asked) = store.unless_away(written).await? {
            return Ok(asked);
        }
        // Which of them do not fit, and why, is found out with everything locked.
        let mut change = store.begin().await?;
        let asked = change.ask(&questions).await?;
        change.commit().await?;
        Ok(asked)
    }
}

/// Stores questions and reserves their budgets if all of them fit, in one statement. Nothing is stored
/// otherwise: `None`.
async fn ask_at_once(
    pool: &PgPool,
    questions: &[&NewQuestion],
) -> Result<Option<Vec<Asked>>, StoreError> {
    let reservations = questions.iter().filter_map(|it| it.reservation.as_ref());
    let demands = demands(reservations);
    let demanded = Demanded::of(demands.iter().map(|(key, demand)| (*key, *demand)));
    let counters = insert(pool, questions, demanded).await?;
    Ok(counters.map(|mut counters| {
        let weighed = questions.iter().map(|it| weigh(it, &mut counters));
        weighed.collect()
    }))
}

/// Whether its owner has the conversation that a question goes on with, if it does.
fn is_at_home(question: &NewQuestion, known: &HashSet<(Uuid, String)>) -> bool {
    question.talk.as_ref().is_none_or(|talk| {
        talk.title.is_some() || known.contains(&(talk.conversation_id, talk.owner.clone()))
    })
}

/// Reserves what a question asks for.
fn weigh(question: &NewQuestion, counters: &mut Counters) -> Asked {
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
            .map(|question| match is_at_home(question, &known) {
                true => weigh(question, &mut counters),
                false => Asked::NoConversation,
            })
            .collect();
        let is_taken = |asked: &Asked| matches!(asked, Asked::Weighed(it) if it.admitted);
        let taken: Vec<&NewQuestion> = questions
            .iter()
            .zip(&asked)
            .filter_map(|(question, asked)| is_taken(asked).then_some(*question))
            .collect();
        if !taken.is_empty() {
            let added = counters.added();
            let demands = added.map(|(key, added)| (key, Demand::weighed(*added)));
            let stored = insert(&mut *self.tx, &taken, Demanded::of(demands)).await?;
            // What is locked has not changed since it was looked at.
            stored.ok_or(StoreError::Abandoned)?;
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
        Ok(Counters::new(rows.iter().map(|row| counter(row, 0))))
    }
}

/// A counter, from this column on.
fn counter(row: &PgRow, first: usize) -> (CounterKey, Amounts) {
    let key = (row.get(first), row.get(first + 1), row.get(first + 2));
    (key, amounts(row, first + 3))
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
