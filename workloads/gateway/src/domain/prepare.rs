//! A question before it is asked: what it goes on from, where it is stored, what it reserves.

use lotoai_contracts::v1::{FunctionCall, Message};
use lotoai_policy::{may_read_conversations, probe};
use uuid::Uuid;

use super::charge::{Charge, no_conversation};
use super::chat_request::ChatRequest;
use super::functions;
use super::stored_question::StoredQuestion;
use super::text::title;
use crate::budget::Principal;
use crate::budget::estimate;
use crate::budget::plan::Question;
use crate::failure::Failure;
use crate::identity::Identity;
use crate::state::AppState;
use crate::store::{Most, NewMessage, NewStream, NewTalk, StoredCall};

/// An answer may look back on so many bytes of stored messages, the newest first …
const HISTORY_BYTES: usize = 512 * 1024;
/// … and so much is read of them: calls of functions are stored as more bytes than they say.
pub(super) const HISTORY: Most = Most {
    messages: 40,
    bytes: 2 * HISTORY_BYTES as i64,
};

/// A question that is ready to be asked.
pub(super) struct Prepared {
    /// The conversation that it is stored in.
    pub(super) conversation_id: Option<Uuid>,
    /// What is stored of it.
    pub(super) question: StoredQuestion,
    /// What is sent: system messages, what was said before, what is new.
    pub(super) messages: Vec<Message>,
    /// How it is charged.
    pub(super) charge: Charge,
}

/// What a run begins with.
pub(super) struct Beginning {
    pub(super) id: Uuid,
    pub(super) conversation_id: Option<Uuid>,
    pub(super) question: StoredQuestion,
    pub(super) charge: Charge,
    pub(super) model: String,
    pub(super) resumable: bool,
    pub(super) repeated: Option<String>,
    pub(super) decides: Option<Uuid>,
}

/// Stores the question and reserves its budgets: both, or neither.
///
/// # Errors
/// 400 when a function was called without a result, or the other way round, 404 when the
/// conversation is not the caller's, 429 when a budget is used up, 403 when a price must
/// be known and is not, 503 when the database is away.
pub(super) async fn prepare(
    state: &AppState,
    run_id: Uuid,
    identity: &Identity,
    request: &ChatRequest,
) -> Result<Prepared, Failure> {
    let history = match request.conversation_id {
        Some(id) => said_before(state, identity, id).await?,
        None => Vec::new(),
    };
    let messages = with_history(history, request);
    functions::check(&messages)?;
    // The platform's own probe calls no model and counts nowhere.
    let question = (request.model != probe::MODEL).then(|| Question {
        run_id,
        principal: Principal::of(identity),
        tokens: estimate::of_question(
            &messages,
            request.functions.as_ref(),
            request.format.as_ref(),
            request.max_tokens,
        ),
        highest: state.budgets.table().highest(&request.model),
    });
    // Without `store` a conversation was read, and nothing is left in it.
    let talk = request.store.then(|| new_talk(run_id, identity, request));
    let conversation_id = talk.as_ref().map(|talk| talk.conversation_id);
    let messages_of = talk.iter().flat_map(|talk| &talk.messages);
    let stored = StoredQuestion {
        messages: messages_of.map(|(id, _)| *id).collect(),
        began: talk.as_ref().is_some_and(|talk| talk.title.is_some()),
        streams: request.stream || request.resumable,
        ..StoredQuestion::default()
    };
    let charge = Charge::open(state, question, talk, None).await?;
    Ok(Prepared {
        conversation_id,
        question: stored,
        messages,
        charge,
    })
}

/// What was said in one of the caller's conversations.
async fn said_before(
    state: &AppState,
    identity: &Identity,
    id: Uuid,
) -> Result<Vec<NewMessage>, Failure> {
    // Who goes on with a conversation can ask what is in it.
    if !may_read_conversations(identity.who()) {
        return Err(no_conversation());
    }
    let owner = identity.subject.as_str();
    let history = state.store.history(owner, id, HISTORY).await?;
    history.ok_or_else(no_conversation)
}

/// What is stored of a question: in the caller's conversation, or a new one.
fn new_talk(run_id: Uuid, identity: &Identity, request: &ChatRequest) -> NewTalk {
    let conversation_id = request.conversation_id.unwrap_or_else(Uuid::now_v7);
    let is_new = request.conversation_id.is_none();
    let messages = new_messages(request).map(|message| (Uuid::now_v7(), message));
    NewTalk {
        conversation_id,
        owner: identity.subject.clone(),
        title: is_new.then(|| title(request.question())),
        messages: messages.collect(),
        stream: request
            .resumable
            .then(|| new_stream(run_id, conversation_id, identity, request)),
    }
}

/// What of a request becomes a part of its conversation.
fn new_messages(request: &ChatRequest) -> impl Iterator<Item = NewMessage> {
    request
        .messages
        .iter()
        .filter(|message| message.role != "system")
        .filter(|message| !message.content.is_empty() || message.is_of_functions())
        .map(|message| NewMessage {
            role: message.role.clone(),
            content: message.content.clone(),
            function_calls: message.function_calls.iter().map(stored_call).collect(),
            function_call_id: Some(message.function_call_id.clone()).filter(|id| !id.is_empty()),
        })
}

fn stored_call(call: &FunctionCall) -> StoredCall {
    StoredCall {
        id: call.id.clone(),
        name: call.name.clone(),
        arguments: call.arguments_json.clone(),
    }
}

fn message(stored: NewMessage) -> Message {
    let calls = stored.function_calls.into_iter().map(|call| FunctionCall {
        id: call.id,
        name: call.name,
        arguments_json: call.arguments,
    });
    Message {
        role: stored.role,
        content: stored.content,
        function_calls: calls.collect(),
        function_call_id: stored.function_call_id.unwrap_or_default(),
    }
}

/// The stream of an answer that a client may come back to.
fn new_stream(
    run_id: Uuid,
    conversation_id: Uuid,
    identity: &Identity,
    request: &ChatRequest,
) -> NewStream {
    NewStream {
        run_id,
        conversation_id,
        subject: identity.subject.clone(),
        api_key: identity.api_key().unwrap_or_default().to_owned(),
        model: request.model.clone(),
        include_usage: request.include_usage,
        repeated: request.repeated.clone(),
    }
}

/// What an answer looks back on: the newest messages, as many as there is room for, oldest first.
pub(super) fn recalled(history: Vec<NewMessage>) -> Vec<Message> {
    let mut room = HISTORY_BYTES;
    let mut before: Vec<Message> = history
        .into_iter()
        .rev()
        .map(message)
        .take_while(|message| {
            let bytes = message.text_bytes();
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        })
        .collect();
    before.reverse();
    before
}

/// System messages first, then what was said before, then what is new.
fn with_history(history: Vec<NewMessage>, request: &ChatRequest) -> Vec<Message> {
    let before = recalled(history);
    let (system, rest): (Vec<_>, Vec<_>) = request
        .messages
        .iter()
        .cloned()
        .partition(|message| message.role == "system");
    let before = functions::mended(before, &rest, request.brings_functions());
    system.into_iter().chain(before).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(role: &str, content: &str) -> Message {
        Message {
            role: role.into(),
            content: content.into(),
            ..Message::default()
        }
    }

    fn before(content: String) -> NewMessage {
        NewMessage {
            role: "user".into(),
            content,
            ..NewMessage::default()
        }
    }

    fn asking(messages: &[Message]) -> ChatRequest {
        let body = br#"{"model": "lotoai", "messages": [{"role": "user", "content": "?"}]}"#;
        let mut request = ChatRequest::parse(body).unwrap();
        request.messages = messages.to_vec();
        request
    }

    #[test]
    fn history_stands_between_the_system_messages_and_what_is_new() {
        let sent = [said("user", "new"), said("system", "rules")];
        let all = with_history(vec![before("old".into())], &asking(&sent));
        let texts: Vec<_> = all.iter().map(|message| message.content.as_str()).collect();
        assert_eq!(texts, ["rules", "old", "new"]);
    }

    #[test]
    fn history_is_bounded_and_loses_the_oldest() {
        let history = vec![
            before("oldest".into()),
            before("x".repeat(HISTORY_BYTES - 3)),
            before("end".into()),
        ];
        let all = with_history(history, &asking(&[]));
        assert_eq!(all.len(), 2);
        assert_eq!(all[1].content, "end");
    }

    #[test]
    fn a_call_that_was_stored_meets_its_result() {
        let stored = NewMessage {
            role: "assistant".into(),
            function_calls: vec![StoredCall {
                id: "c".into(),
                name: "clock".into(),
                arguments: "{}".into(),
            }],
            ..NewMessage::default()
        };
        let result = Message {
            function_call_id: "c".into(),
            ..said("tool", "noon")
        };
        let all = with_history(vec![before("?".into()), stored], &asking(&[result]));
        assert_eq!(all[1].function_calls[0].name, "clock");
        functions::check(&all).unwrap();
    }
}
