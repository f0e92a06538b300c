//! One conversation with all of its messages.

use serde::Serialize;
use uuid::Uuid;

use super::{Pipe, Stop, markdown};
use crate::domain::conversation_request::Format;
use crate::store::{ConversationSummary, Store, StoredMessage};

/// Writes a conversation.
///
/// # Errors
/// When the rest cannot be read, or nobody reads it.
pub async fn write(
    mut pipe: Pipe,
    store: Store,
    conversation: ConversationSummary,
    format: Format,
) -> Result<(), Stop> {
    match format {
        Format::Json => json(&mut pipe, &store, conversation.id, &conversation).await?,
        Format::Markdown => {
            pipe.text(&markdown::head(&conversation)).await?;
            let mut messages = Messages::of(&store, conversation.id);
            while let Some(part) = messages.next().await? {
                for message in &part {
                    pipe.text(&markdown::message(message)).await?;
                }
            }
        }
    }
    pipe.end().await
}

/// Writes what `head` says of a conversation, and its messages.
pub(super) async fn json(
    pipe: &mut Pipe,
    store: &Store,
    id: Uuid,
    head: &impl Serialize,
) -> Result<(), Stop> {
    pipe.open_object(head).await?;
    pipe.text(",\"messages\":[").await?;
    let mut messages = Messages::of(store, id);
    let mut is_first = true;
    while let Some(part) = messages.next().await? {
        for message in &part {
            if !std::mem::take(&mut is_first) {
                pipe.text(",").await?;
            }
            pipe.json(message).await?;
        }
    }
    pipe.text("]}").await
}

/// The messages of a conversation, part by part.
struct Messages<'s> {
    store: &'s Store,
    conversation: Uuid,
    after: i64,
}

impl<'s> Messages<'s> {
    const fn of(store: &'s Store, conversation: Uuid) -> Self {
        Self {
            store,
            conversation,
            after: 0,
        }
    }

    async fn next(&mut self) -> Result<Option<Vec<StoredMessage>>, Stop> {
        let placed = self
            .store
            .messages_after(self.conversation, self.after)
            .await?;
        let Some(last) = placed.last() else {
            return Ok(None);
        };
        self.after = last.position;
        Ok(Some(placed.into_iter().map(|it| it.message).collect()))
    }
}
