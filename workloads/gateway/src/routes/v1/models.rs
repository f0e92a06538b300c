//! `GET /v1/models`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use lotoai_policy::models as policy;
use serde::Serialize;
use utoipa::ToSchema;

use crate::failure::Failure;
use crate::identity::{Identity, SignedIn};
use crate::state::AppState;

/// What the caller may name as `model`.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelList {
    /// `list`.
    object: &'static str,
    /// The models.
    data: Vec<Model>,
}

/// A model.
#[derive(Debug, Serialize, ToSchema)]
pub struct Model {
    /// What `model` of a request names.
    id: String,
    /// `model`.
    object: &'static str,
    /// 0: the API asks for a time, and roles have none.
    created: u64,
    /// `lotoai`.
    owned_by: &'static str,
    r#type: ModelType,
    /// For people.
    description: String,
}

/// What can be asked of a model: answers or vectors.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModelType {
    /// Answers.
    Chat,
    /// Vectors.
    Embedding,
}

impl Model {
    fn new(id: &str, r#type: ModelType, description: &str) -> Self {
        Self {
            id: id.to_owned(),
            object: "model",
            created: 0,
            owned_by: "lotoai",
            r#type,
            description: description.to_owned(),
        }
    }
}

/// Lists what the caller may name as `model`: an API key sees the models that its scopes are for.
///
/// # Errors
/// 503 when the orchestrator is away.
#[utoipa::path(
    get,
    path = "/v1/models",
    operation_id = "listModels",
    tag = "models",
    responses((status = 200, description = "The models", body = ModelList)),
)]
pub async fn list(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
) -> Result<Json<ModelList>, Failure> {
    Ok(Json(ModelList {
        object: "list",
        data: models(&state, &identity).await?,
    }))
}

/// Shows one model.
///
/// # Errors
/// 404 when there is none of that name, 503 when the orchestrator is away.
#[utoipa::path(
    get,
    path = "/v1/models/{id}",
    operation_id = "getModel",
    tag = "models",
    params(("id" = String, Path, description = "Name of the model")),
    responses(
        (status = 200, description = "The model", body = Model),
        (status = 404, description = "There is no such model, or none for the caller"),
    ),
)]
pub async fn one(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    Path(id): Path<String>,
) -> Result<Json<Model>, Failure> {
    let mut models = models(&state, &identity).await?.into_iter();
    models
        .find(|model| model.id == id)
        .map(Json)
        .ok_or_else(Failure::unknown_model)
}

async fn models(state: &AppState, identity: &Identity) -> Result<Vec<Model>, Failure> {
    // Who may not ask a role does not wait for those who know them.
    let roles = if policy::may_ask(identity.who()) {
        state.orchestrator.models(identity.to_caller()).await?
    } else {
        Vec::new()
    };
    let mut models: Vec<Model> = roles
        .iter()
        .filter(|role| policy::may_name(identity.who(), &role.id))
        .map(|role| Model::new(&role.id, ModelType::Chat, &role.description))
        .collect();
    let vectors = state.model_server.model();
    if policy::may_embed(identity.who(), vectors) {
        let description = "Turns texts into vectors, with POST /v1/embeddings";
        models.push(Model::new(vectors, ModelType::Embedding, description));
    }
    Ok(models)
}
