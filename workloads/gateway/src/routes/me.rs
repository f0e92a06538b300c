//! `GET /api/me`.

use axum::Json;
use serde_json::{Value, json};

use crate::identity::SignedIn;

/// Says who is signed in.
pub async fn show(SignedIn(identity): SignedIn) -> Json<Value> {
    Json(json!({
        "subject": identity.subject,
        "name": identity.name,
        "groups": identity.groups,
        "admin": identity.is_admin(),
    }))
}
