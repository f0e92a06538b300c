//! Lets a role answer.

use lotoai_contracts::v1::{CompleteRequest, Functions, Message, Role, complete_event::Event};

use super::{Done, Hub, session::Session};
use crate::{agents::Completion, domain::history, failure::Failure};

/// Tokens that are left for the answer of a local model when the caller gives no bound.
const LOCAL_ANSWER_TOKENS: u32 = 512;
/// Tokens that are left for the answer of a capable model when the caller gives no bound.
const CAPABLE_ANSWER_TOKENS: u32 = 4_096;
/// Tokens that are left for the role's own prompt and the model's template.
const PROMPT_TOKENS: u32 = 256;
/// The conversation gets at least this, whatever the caller asks for the answer.
const LEAST_HISTORY_TOKENS: u32 = 256;

/// Streams the role's answer. `asked` replaces the last thing that the user said.
///
/// # Errors
/// The role's models failed.
pub async fn answer(
    hub: &Hub,
    session: &mut Session,
    role: &Role,
    asked: Option<&str>,
) -> Result<Done, Failure> {
    let mut messages = session.messages.clone();
    if let Some(asked) = asked
        && let Some(last) = messages
            .iter_mut()
            .rev()
            .find(|message| message.role == "user")
    {
        last.content = asked.to_owned();
    }
    let functions = session.functions.clone();
    let request = request(hub, session, role, &messages, functions);
    let started = session.now();
    let result = stream(hub, session, request).await;
    let outcome = result
        .as_ref()
        .map_or_else(|failure| failure.code.clone(), |_| "ok".to_owned());
    session.step("complete", &role.name, &outcome, started);
    result
}

/// A completion whose conversation fits the role's context, beside the functions and the format.
#[must_use]
pub fn request(
    hub: &Hub,
    session: &Session,
    role: &Role,
    messages: &[Message],
    functions: Option<Functions>,
) -> CompleteRequest {
    let (context, default_answer) = if role.capable {
        (hub.args.capable_context_tokens, CAPABLE_ANSWER_TOKENS)
    } else {
        (hub.args.local_context_tokens, LOCAL_ANSWER_TOKENS)
    };
    let most = context.saturating_sub(PROMPT_TOKENS + LEAST_HISTORY_TOKENS);
    // A local model without a bound may ramble to the end of its context; a capable one stops by
    // itself, and its provider knows its limit better.
    let max_tokens = match session.max_tokens {
        Some(tokens) => Some(tokens.min(most)),
        None => (!role.capable).then_some(LOCAL_ANSWER_TOKENS),
    };
    let reserved = max_tokens.unwrap_or(default_answer).min(most) + PROMPT_TOKENS;
    let budget = usize::try_from(context.saturating_sub(reserved)).unwrap_or(usize::MAX);
    let declared = functions.as_ref().map_or(0, history::of_functions);
    let described = session.format.as_ref().map_or(0, history::of_format);
    // What they leave may be too little, and then their provider says so.
    let budget = budget
        .saturating_sub(declared + described)
        .max(LEAST_HISTORY_TOKENS as usize);
    CompleteRequest {
        run_id: session.run.id.to_string(),
        role: role.name.clone(),
        messages: history::trim(messages, budget),
        max_tokens,
        temperature: session.temperature,
        sampling: session.sampling.clone(),
        functions,
        format: session.format.clone(),
    }
}

/// Begins a completion, and notes whether a model may have been asked with it: it may until the
/// opposite is known, for a run that is ended meanwhile.
///
/// # Errors
/// The agents service is away or refuses the request.
pub async fn complete(
    hub: &Hub,
    session: &mut Session,
    request: CompleteRequest,
) -> Result<Completion, Failure> {
    let was_asked = std::mem::replace(&mut session.model_asked, true);
    hub.agents.complete(request).await.map_err(|unbegun| {
        session.model_asked = was_asked || unbegun.model_asked;
        unbegun.failure
    })
}

async fn stream(
    hub: &Hub,
    session: &mut Session,
    request: CompleteRequest,
) -> Result<Done, Failure> {
    let mut completion = complete(hub, session, request).await?;
    loop {
        match completion.next().await? {
            Event::Delta(text) => session.say(text).await?,
            Event::FunctionCall(piece) => session.function_call(piece).await?,
            Event::Finished(finished) => {
                return Ok(Done {
                    finish_reason: finished.finish_reason,
                    usage: finished.usage,
                    model: finished.model,
                    provider: finished.provider,
                });
            }
            Event::Failed(failed) => return Err(failed.into()),
        }
    }
}
