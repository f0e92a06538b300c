//! `/v1/responses`: a chat's question and answer in the words of OpenAI's Responses API.

pub mod background;
mod events;
pub mod inputs;
mod object;
pub mod stored;

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use lotoai_policy::probe;
use serde_json::Value;
use uuid::Uuid;

use self::events::Events;
use self::object::{Object, Status};
use super::{chat, sse};
use crate::domain::chat_request::MAX_BODY_BYTES;
use crate::domain::responses_request::{ResponsesRequest, unknown_previous};
use crate::domain::run::Run;
use crate::domain::transcript::Step;
use crate::failure::Failure;
use crate::identity::{Identity, SignedIn};
use crate::openapi::bodies::responses as bodies;
use crate::routes::body;
use crate::state::AppState;

/// Answers a question, whole or as a stream.
///
/// # Errors
/// 400 and 413 for a request that cannot be understood, 404 for an unknown model, conversation or
/// response, 429 for a budget that is used up, 503 when something that is needed is away.
#[utoipa::path(
    post,
    path = "/v1/responses",
    operation_id = "createResponse",
    tag = "chat",
    request_body = bodies::ResponsesRequest,
    responses(
        (
            status = 200,
            description = "The answer: whole, or as server-sent events of the Responses API. With \
                           `background` and without `stream` it comes at once, with status \
                           `in_progress`",
            content((bodies::ResponsesAnswer = "application/json"), (String = "text/event-stream")),
        ),
        (status = 404, description = "There is no such model, conversation or response for the caller"),
        (status = 413, description = "The body is longer than 1 MiB"),
    ),
)]
pub async fn create(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    body: Body,
) -> Result<Response, Failure> {
    let request = ResponsesRequest::parse(&body::read(body, MAX_BODY_BYTES).await?)?;
    let ResponsesRequest {
        mut question,
        previous,
    } = request;
    probe::may_ask(identity.who(), &question.model)?;
    let room = chat::make_room(&state, &question, Some(&identity.subject))?;
    if let Some(run_id) = previous {
        question.conversation_id = Some(conversation_of(&state, &identity, run_id).await?);
    }
    let goes_on = if previous.is_some() {
        "previous_response_id"
    } else {
        "conversation"
    };
    let question = Arc::new(question);
    let run = Run::begin(Arc::clone(&state), &identity, &question)
        .await
        .map_err(|failure| renamed(failure, goes_on))?;
    let warnings = run.budget_warnings().to_vec();
    let place = run.place();
    let by = run.answered_by();
    let repeated = question.repeated.clone().unwrap_or_default();
    let object = Object::new(run.id, question.model.clone(), repeated);
    let response = if run.is_resumable() {
        background::begin(&state, &identity, run, room, object, question.stream).await
    } else if question.stream {
        sse::stream(run, Events::new(object)).await
    } else {
        whole(run, object).await.map(Json::into_response)
    };
    let mut response = response.map_err(|failure| renamed(failure, goes_on))?;
    chat::mark(&mut response, by, &warnings, place);
    Ok(response)
}

/// The conversation of a response. What came after it would be known to its continuation, too, so
/// only the newest one can be gone on with.
async fn conversation_of(
    state: &AppState,
    identity: &Identity,
    run_id: Uuid,
) -> Result<Uuid, Failure> {
    let owner = identity.subject.as_str();
    match state.store.conversation_of_answer(owner, run_id).await? {
        Some((id, true)) => Ok(id),
        Some((_, false)) => Err(Failure::unsupported(
            "previous_response_id",
            "previous_response_id names a response that others followed in its conversation; only \
             the newest one can be gone on with: send what was said as input",
        )),
        None => Err(unknown_previous()),
    }
}

/// A failure of what both APIs do, with the field as it is called here.
fn renamed(mut failure: Failure, goes_on: &str) -> Failure {
    let here = match failure.param.as_deref() {
        Some("messages") => "input",
        Some("response_format") => "text.format",
        Some("reasoning_effort") => "reasoning.effort",
        Some("verbosity") => "text.verbosity",
        Some("metadata.conversation_id") => goes_on,
        _ => return failure,
    };
    if let Some(there) = failure.param.replace(here.to_owned()) {
        let there = format!("`{there}`");
        failure.message = failure.message.replace(&there, &format!("`{here}`"));
    }
    failure
}

async fn whole(mut run: Run, mut object: Object) -> Result<Json<Value>, Failure> {
    loop {
        let step = run.next().await?;
        object.note(&step);
        if step == Step::Finished {
            let status = Status::of_end(&run.transcript);
            let whole = object.write(&run.transcript, run.conversation_id, status);
            return Ok(Json(whole));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("messages", "input")]
    #[case("metadata.conversation_id", "conversation")]
    #[case("response_format", "text.format")]
    #[case("reasoning_effort", "reasoning.effort")]
    #[case("verbosity", "text.verbosity")]
    #[case("tools", "tools")]
    fn fields_are_called_as_the_caller_wrote_them(#[case] chat: &str, #[case] here: &str) {
        let failure = Failure::invalid(chat, format!("leave `{chat}` out"));
        let failure = renamed(failure, "conversation");
        assert_eq!(failure.param.as_deref(), Some(here));
        assert_eq!(failure.message, format!("leave `{here}` out"));
    }
}
