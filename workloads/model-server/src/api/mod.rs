//! The OpenAI API in front of the models.

mod chat;
mod embeddings;
mod error;
mod stream;
mod tokens;

use std::sync::Arc;

use axum::routing::{get, post};
use axum::{Json, Router};
use lotoai_kit::callers::Callers;
use serde_json::{Value, json};

use crate::engine::{CHAT_MODEL, Chat, EMBEDDING_MODEL, Embedder};

/// What the handlers share.
#[derive(Debug)]
pub struct State {
    /// The embedding model.
    pub embedder: Embedder,
    /// The chat model.
    pub chat: Chat,
}

/// All routes; every one needs a caller's token.
pub fn router(state: Arc<State>, callers: Callers) -> Router {
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/embeddings", post(embeddings::create))
        .route("/v1/chat/completions", post(chat::create))
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(callers.layer())
        .with_state(state)
}

async fn models() -> Json<Value> {
    let model = |id| json!({ "id": id, "object": "model", "created": 0, "owned_by": "lotoai" });
    Json(json!({ "object": "list", "data": [model(EMBEDDING_MODEL), model(CHAT_MODEL)] }))
}

/// Seconds since 1970, as OpenAI's objects carry them.
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
