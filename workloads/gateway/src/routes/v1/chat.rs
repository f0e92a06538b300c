//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::chunks::{self, ChunkWriter, Chunks};
use super::{resume, sse, warn};
use crate::admission::overloaded;
use crate::domain::chat_request::{ChatRequest, MAX_BODY_BYTES};
use crate::domain::run::Run;
use crate::domain::transcript::Step;
use crate::failure::Failure;
use crate::idempotency::Unkept;
use crate::identity::{SignedIn, probe};
use crate::openapi::bodies::chat::{ChatCompletion, ChatCompletionRequest};
use crate::routes::body;
use crate::state::AppState;

/// Answers a question, whole or as a stream.
///
/// # Errors
/// 400 and 413 for a request that cannot be understood, 404 for an unknown model or conversation,
/// 429 for a budget that is used up, 503 when something that is needed is away.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    operation_id = "createChatCompletion",
    tag = "chat",
    request_body = ChatCompletionRequest,
    responses(
        (
            status = 200,
            description = "The answer: whole, or as server-sent events, each with an object \
                           `chat.completion.chunk` and the last with `[DONE]`",
            content(
                (ChatCompletion = "application/json"),
                (String = "text/event-stream"),
            ),
        ),
        (status = 404, description = "There is no such model or conversation for the caller"),
        (status = 413, description = "The body is longer than 1 MiB"),
    ),
)]
pub async fn complete(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    body: Body,
) -> Result<Response, Failure> {
    let bytes = body::read(body, MAX_BODY_BYTES).await?;
    let request = Arc::new(ChatRequest::parse(&bytes)?);
    probe::keep_to_model(&identity, &request.model)?;
    // They go on for a while without the request that began them.
    if request.resumable && state.streams.count() >= state.limits.requests_max_concurrent as usize {
        return Err(overloaded("streams"));
    }
    let run = Run::begin(Arc::clone(&state), &identity, &request).await?;
    let warnings = run.budget_warnings().to_vec();
    let mut response = if request.stream {
        let chunks = Chunks {
            run_id: run.id,
            model: request.model.clone(),
            created: crate::identity::token::now(),
            include_usage: request.include_usage,
        };
        if request.resumable {
            let whole = run.whole();
            let tape = state.streams.write(run);
            resume::begin(&state, &identity, chunks, &tape, whole).await?
        } else {
            sse::stream(run, ChunkWriter::new(chunks)).await?
        }
    } else {
        whole(run, request.model.clone()).await?.into_response()
    };
    mark(&mut response, &warnings, request.store);
    Ok(response)
}

/// What both APIs say beside an answer: warnings of budgets, and whether it may be kept.
pub(super) fn mark(response: &mut Response, warnings: &[String], store: bool) {
    warn(response, warnings);
    if !store {
        response.extensions_mut().insert(Unkept);
    }
}

async fn whole(mut run: Run, model: String) -> Result<Json<Value>, Failure> {
    while run.next().await? != Step::Finished {}
    Ok(Json(json!({
        "id": format!("chatcmpl-{}", run.id),
        "object": "chat.completion",
        "created": crate::identity::token::now(),
        "model": model,
        "choices": [{
            "index": 0,
            "message": chunks::message(&run.transcript),
            "finish_reason": run.transcript.finish_reason(),
            "logprobs": null,
        }],
        "usage": run.transcript.usage(),
        "lotoai": run.lotoai(),
    })))
}
