//! What is held of a person: all of it, and its end.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use lotoai_contracts::v1::RecordKind;

use crate::domain::parameters::Parameters;
use crate::erasure::{self, Erased, Wish};
use crate::export::{self, File};
use crate::failure::Failure;
use crate::identity::session::{SESSION_COOKIE, set_cookie};
use crate::identity::{Credential, SignedIn};
use crate::state::AppState;

/// What must be said so that everything is erased.
pub const CONFIRMATION: &str = "erase-everything";

/// Everything that is held of the caller, as a file.
///
/// # Errors
/// 400 for an unknown parameter, 503 when the database or the orchestrator is away.
#[utoipa::path(
    get,
    path = "/api/me/export",
    operation_id = "exportMe",
    tag = "sessions",
    responses((status = 200, description = "The file", body = Object)),
)]
pub async fn export(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    Parameters::parse(query.as_deref(), &[])?;
    let key_owner = state.store.key_owner(&identity.subject).await?;
    // An answer begins only when the orchestrator is there, too.
    let (subject, kind) = (&identity.subject, RecordKind::Approval);
    let page = state
        .orchestrator
        .export_person(subject, kind, String::new());
    page.await?;
    let file = File {
        media_type: "application/json",
        name: "lotoai-export.json",
    };
    let (all, caller) = (Arc::clone(&state), Arc::clone(&identity));
    export::download(&state, &identity, file, |pipe| {
        export::person::write(pipe, all, caller, key_owner)
    })
}

/// Erases everything that is held of the caller, who is signed out then.
///
/// # Errors
/// 400 without the confirmation, 503 when the database or the orchestrator is away: ask again, to go
/// on.
#[utoipa::path(
    delete,
    path = "/api/me/data",
    operation_id = "eraseMe",
    tag = "sessions",
    params(("confirm" = String, Query, description = "`erase-everything`")),
    responses((status = 200, description = "What is gone", body = Erased)),
)]
pub async fn erase(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    confirmed(query.as_deref())?;
    let erased = erasure::erase(&state, &identity.subject, Wish::Own).await?;
    let response = Json(erased);
    Ok(match &identity.credential {
        Credential::Session(_) => {
            let gone = AppendHeaders([(SET_COOKIE, set_cookie(SESSION_COOKIE, "", 0)?)]);
            (gone, response).into_response()
        }
        Credential::Token | Credential::Key(_) | Credential::Probe => response.into_response(),
    })
}

/// Erases everything that is held of somebody who has left. Somebody of whom nothing is held looks
/// the same.
///
/// # Errors
/// 400 without the confirmation, 503 when the database or the orchestrator is away: ask again, to go
/// on.
#[utoipa::path(
    delete,
    path = "/api/users/{id}/data",
    operation_id = "eraseUser",
    tag = "sessions",
    params(
        ("id" = String, Path, description = "`sub` of the person"),
        ("confirm" = String, Query, description = "`erase-everything`"),
    ),
    responses((status = 200, description = "What is gone", body = Erased)),
)]
pub async fn erase_other(
    State(state): State<Arc<AppState>>,
    Path(subject): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Erased>, Failure> {
    confirmed(query.as_deref())?;
    // PostgreSQL has no text for it, and no issuer a name.
    if subject.contains('\0') {
        return Ok(Json(Erased::default()));
    }
    let erased = erasure::erase(&state, &subject, Wish::Administrator).await?;
    Ok(Json(erased))
}

/// Lets a query through that says it is meant.
///
/// # Errors
/// 400 without the confirmation.
pub fn confirmed(query: Option<&str>) -> Result<(), Failure> {
    let mut query = Parameters::parse(query, &["confirm"])?;
    if query.take("confirm").as_deref() == Some(CONFIRMATION) {
        return Ok(());
    }
    let mut failure = Failure::new(
        StatusCode::BAD_REQUEST,
        "confirmation_required",
        format!(
            "this erases conversations, documents, usage, API keys and sessions for good; say \
             confirm={CONFIRMATION} in the query to do it"
        ),
    );
    failure.param = Some("confirm".to_owned());
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(None)]
    #[case(Some("confirm="))]
    #[case(Some("confirm=true"))]
    #[case(Some("confirm=ERASE-EVERYTHING"))]
    fn nothing_is_erased_by_a_slip(#[case] query: Option<&str>) {
        let failure = confirmed(query).unwrap_err();
        assert_eq!(failure.code, "confirmation_required");
        assert!(failure.message.contains(CONFIRMATION));
        // The control.
        assert!(confirmed(Some("confirm=erase-everything")).is_ok());
    }
}
