//! Lists of columns: what a statement for several questions is given.

use std::collections::BTreeSet;

use sqlx::types::Json;
use uuid::Uuid;

use super::NewTalk;
use crate::budget::counters::{CounterKey, Demand};
use crate::budget::rules::Amounts;
use crate::store::StoredCall;
use crate::store::conversations::calls_column;

/// Counters, column by column.
#[derive(Default)]
pub(super) struct Keys<'a> {
    pub(super) budgets: Vec<&'a str>,
    pub(super) subjects: Vec<&'a str>,
    pub(super) starts: Vec<i64>,
}

impl<'a> Keys<'a> {
    pub(super) fn of(keys: impl Iterator<Item = &'a CounterKey>) -> Self {
        let mut columns = Self::default();
        for key in keys {
            columns.push(key);
        }
        columns
    }

    fn push(&mut self, (budget, subject, start): &'a CounterKey) {
        self.budgets.push(budget);
        self.subjects.push(subject);
        self.starts.push(*start);
    }
}

/// Amounts, column by column.
#[derive(Default)]
pub(super) struct Numbers {
    pub(super) requests: Vec<i64>,
    pub(super) tokens: Vec<i64>,
    pub(super) micros: Vec<i64>,
}

impl Numbers {
    fn push(&mut self, amounts: &Amounts) {
        self.requests.push(amounts.requests);
        self.tokens.push(amounts.tokens);
        self.micros.push(amounts.micros);
    }
}

/// What is demanded of counters, column by column.
#[derive(Default)]
pub(super) struct Demanded<'a> {
    pub(super) keys: Keys<'a>,
    pub(super) added: Numbers,
    pub(super) most: Numbers,
}

impl<'a> Demanded<'a> {
    pub(super) fn of(demands: impl Iterator<Item = (&'a CounterKey, Demand)>) -> Self {
        let mut columns = Self::default();
        for (key, demand) in demands {
            columns.keys.push(key);
            columns.added.push(&demand.added);
            columns.most.push(&demand.most());
        }
        columns
    }
}

/// Conversations, column by column. Those that go on stand in it once, whatever is asked in them.
#[derive(Default)]
pub(super) struct Conversations<'a> {
    pub(super) new_ids: Vec<Uuid>,
    pub(super) new_owners: Vec<&'a str>,
    pub(super) new_titles: Vec<&'a str>,
    pub(super) known_ids: Vec<Uuid>,
    pub(super) known_owners: Vec<&'a str>,
}

impl<'a> Conversations<'a> {
    pub(super) fn of(talks: &[&'a NewTalk]) -> Self {
        let mut columns = Self::default();
        let mut known = BTreeSet::new();
        for talk in talks {
            match &talk.title {
                Some(title) => {
                    columns.new_ids.push(talk.conversation_id);
                    columns.new_owners.push(&talk.owner);
                    columns.new_titles.push(title);
                }
                None => drop(known.insert((talk.conversation_id, talk.owner.as_str()))),
            }
        }
        (columns.known_ids, columns.known_owners) = known.into_iter().unzip();
        columns
    }
}

/// Messages, column by column.
#[derive(Default)]
pub(super) struct Messages<'a> {
    pub(super) ids: Vec<Uuid>,
    pub(super) conversation_ids: Vec<Uuid>,
    pub(super) roles: Vec<&'a str>,
    pub(super) contents: Vec<&'a str>,
    pub(super) calls: Vec<Option<Json<&'a [StoredCall]>>>,
    pub(super) call_ids: Vec<Option<&'a str>>,
}

impl<'a> Messages<'a> {
    pub(super) fn of(talks: &[&'a NewTalk]) -> Self {
        let mut columns = Self::default();
        for talk in talks {
            for (id, message) in &talk.messages {
                columns.ids.push(*id);
                columns.conversation_ids.push(talk.conversation_id);
                columns.roles.push(&message.role);
                columns.contents.push(&message.content);
                columns.calls.push(calls_column(&message.function_calls));
                columns.call_ids.push(message.function_call_id.as_deref());
            }
        }
        columns
    }
}
