//! `/auth`: sign-in and sign-out of browsers.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use serde::Deserialize;

use crate::failure::Failure;
use crate::identity::csrf;
use crate::identity::login::{ATTEMPT_SECONDS, CallbackQuery};
use crate::identity::session::{
    ATTEMPT_COOKIE, SESSION_COOKIE, SESSION_SECONDS, cookie, set_cookie,
};
use crate::state::AppState;

/// Query of [`login`].
#[derive(Debug, Default, Deserialize)]
pub struct LoginQuery {
    /// Local path to come back to.
    return_to: Option<String>,
}

/// Sends the browser to the identity provider.
///
/// # Errors
/// 500 when the attempt cannot be sealed, 503 when it is not known where people sign in.
pub async fn login(
    State(state): State<Arc<AppState>>,
    Query(query): Query<LoginQuery>,
) -> Result<Response, Failure> {
    let (url, attempt) = Box::pin(state.login.begin(query.return_to.as_deref())).await?;
    redirect(
        url.as_str(),
        [set_cookie(ATTEMPT_COOKIE, &attempt, ATTEMPT_SECONDS)?],
    )
}

/// Takes the browser back from the identity provider.
///
/// # Errors
/// 400 when the return does not belong to an attempt of this browser, 403 when the provider
/// refused, 503 when it or the database is away.
pub async fn callback(
    State(state): State<Arc<AppState>>,
    Query(query): Query<CallbackQuery>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let attempt = cookie(&headers, ATTEMPT_COOKIE);
    let (tokens, return_to) = Box::pin(state.login.finish(query, attempt)).await?;
    let session = state.sessions.open(&tokens).await?;
    redirect(
        &return_to,
        [
            set_cookie(SESSION_COOKIE, &session, SESSION_SECONDS)?,
            set_cookie(ATTEMPT_COOKIE, "", 0)?,
        ],
    )
}

/// Ends the session here and at the identity provider. Works without a session, too: whoever
/// signs out twice is signed out.
///
/// # Errors
/// 403 when another site asks, 503 when the database is away.
pub async fn logout(
    State(state): State<Arc<AppState>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    csrf::check(&Method::POST, &headers, &state.public_url)?;
    if let Some(session) = cookie(&headers, SESSION_COOKIE) {
        state.sessions.close(session).await?;
    }
    let gone = [(SET_COOKIE, set_cookie(SESSION_COOKIE, "", 0)?)];
    Ok((StatusCode::NO_CONTENT, AppendHeaders(gone)).into_response())
}

fn redirect<const N: usize>(to: &str, cookies: [HeaderValue; N]) -> Result<Response, Failure> {
    let location: HeaderValue = to.parse().map_err(|_| Failure::internal())?;
    let cookies = cookies.map(|cookie| (SET_COOKIE, cookie));
    Ok((
        StatusCode::SEE_OTHER,
        [(LOCATION, location)],
        AppendHeaders(cookies),
    )
        .into_response())
}
