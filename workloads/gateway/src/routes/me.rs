//! `GET /api/me`.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::identity::SignedIn;

/// The caller.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// Identity at the issuer: `sub`.
    subject: String,
    /// For people.
    name: String,
    /// Groups.
    groups: Vec<String>,
    /// Whether the caller is an administrator.
    admin: bool,
}

/// Says who is signed in.
#[utoipa::path(
    get,
    path = "/api/me",
    operation_id = "getMe",
    tag = "sessions",
    responses((status = 200, description = "The caller", body = Me)),
)]
pub async fn show(SignedIn(identity): SignedIn) -> Json<Me> {
    Json(Me {
        subject: identity.subject.clone(),
        name: identity.name.clone(),
        groups: identity.groups.clone(),
        admin: identity.who().is_admin(),
    })
}
