//! The OpenAI-compatible API.

pub mod chat;
mod chunks;
pub mod embeddings;
pub mod models;
pub mod responses;
pub mod resume;
mod sse;

use axum::http::HeaderName;
use axum::response::Response;

/// One for each budget that is nearly used up: its name, how much of what is used, and when it is
/// whole again.
const BUDGET_WARNING: HeaderName = HeaderName::from_static("x-lotoai-budget-warning");

/// The run of an answer that is stored: its stream, and the answer in its conversation, are found by it.
const RUN_ID: HeaderName = HeaderName::from_static("x-lotoai-run-id");
/// The conversation that an answer is stored in: who began it without one goes on with this.
const CONVERSATION_ID: HeaderName = HeaderName::from_static("x-lotoai-conversation-id");

/// Puts what the caller should know about its budgets on an answer.
fn warn(response: &mut Response, warnings: &[String]) {
    for warning in warnings {
        // The names of budgets are plain; one that were not would not be worth a failure.
        if let Ok(warning) = warning.parse() {
            response.headers_mut().append(BUDGET_WARNING, warning);
        }
    }
}
