//! Lists of columns: what a statement for several questions is given.

use sqlx::types::Json;
use uuid::Uuid;

use super::NewTalk;
use crate::budget::counters::CounterKey;
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
        for (budget, subject, start) in keys {
            columns.budgets.push(budget);
            columns.subjects.push(subject);
            columns.starts.push(*start);
        }
        columns
    }
}

/// Conversations, column by column.
#[derive(Default)]
pub(super) struct Conversations<'a> {
    pub(super) new_ids: Vec<Uuid>,
    pub(super) new_owners: Vec<&'a str>,
    pub(super) new_titles: Vec<&'a str>,
    pub(super) known_ids: Vec<Uuid>,
}

impl<'a> Conversations<'a> {
    pub(super) fn of(talks: &[&'a NewTalk]) -> Self {
        let mut columns = Self::default();
        for talk in talks {
            match &talk.title {
                Some(title) => {
                    columns.new_ids.push(talk.conversation_id);
                    columns.new_owners.push(&talk.owner);
                    columns.new_titles.push(title);
                }
                None => columns.known_ids.push(talk.conversation_id),
            }
        }
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
