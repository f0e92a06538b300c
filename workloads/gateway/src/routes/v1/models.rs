//! `GET /v1/models`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use lotoai_contracts::v1::Model;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::identity::SignedIn;
use crate::policy::models as policy;
use crate::state::AppState;

/// Lists what the caller may name as `model`.
///
/// # Errors
/// 503 when the orchestrator is away.
pub async fn list(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
) -> Result<Json<Value>, Failure> {
    let models = state.orchestrator.models(identity.to_caller()).await?;
    let data: Vec<Value> = models
        .iter()
        .filter(|found| policy::may_name(&identity, &found.id))
        .map(model)
        .collect();
    Ok(Json(json!({ "object": "list", "data": data })))
}

/// Shows one model.
///
/// # Errors
/// 404 when there is none of that name, 503 when the orchestrator is away.
pub async fn one(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let models = state.orchestrator.models(identity.to_caller()).await?;
    models
        .iter()
        .find(|candidate| candidate.id == id && policy::may_name(&identity, &id))
        .map(|found| Json(model(found)))
        .ok_or_else(policy::unknown)
}

fn model(model: &Model) -> Value {
    json!({
        "id": model.id,
        "object": "model",
        // The API asks for a time; roles have none.
        "created": 0,
        "owned_by": "lotoai",
        "description": model.description,
    })
}
