//! `/auth`: sign-in and sign-out of browsers. What fails here is told to people by
//! [`sign_in_page`](super::sign_in_page).

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header::{LOCATION, SET_COOKIE, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use super::body;
use crate::failure::Failure;
use crate::identity::login::{ATTEMPT_SECONDS, CallbackQuery};
use crate::identity::session::{ATTEMPT_COOKIE, SESSION_COOKIE, cookie, set_cookie};
use crate::identity::{back_channel, csrf};
use crate::openapi::bodies::api::{LogoutForm, SignOut};
use crate::state::AppState;

/// A logout token is about 1 KB.
const MAX_LOGOUT_BYTES: usize = 64 * 1024;

/// Query of [`login`].
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LoginQuery {
    /// Local path to come back to.
    return_to: Option<String>,
}

/// Sends the browser to the identity provider.
///
/// # Errors
/// 500 when the attempt cannot be sealed, 503 when it is not known where people sign in.
#[utoipa::path(
    get,
    path = "/auth/login",
    operation_id = "signIn",
    tag = "sign-in",
    params(LoginQuery),
    responses((
        status = 303,
        description = "To the identity provider. Who prefers text/html to JSON is sent to a page \
                       that says so when the sign-in cannot begin",
        headers(("location" = String, description = "Where the browser goes")),
    )),
)]
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
/// 400 when the return does not belong to an attempt of this browser, 401 when the provider's token
/// is not good for this platform, 403 when the provider refused, 503 when it or the database is
/// away.
#[utoipa::path(
    get,
    path = "/auth/callback",
    operation_id = "finishSignIn",
    tag = "sign-in",
    params(CallbackQuery),
    responses(
        (
            status = 303,
            description = "Signed in: back to where the sign-in began. Who prefers text/html to \
                           JSON is sent to a page that says why when the sign-in failed, and gets \
                           no session",
            headers(
                ("location" = String, description = "Where the browser goes"),
                ("set-cookie" = String, description = "The session"),
            ),
        ),
        (status = 401, description = "The identity provider's token is not good for this platform"),
        (status = 403, description = "The identity provider refused the person"),
    ),
)]
pub async fn callback(
    State(state): State<Arc<AppState>>,
    Query(query): Query<CallbackQuery>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let attempt = cookie(&headers, ATTEMPT_COOKIE);
    let (tokens, return_to) = Box::pin(state.login.finish(query, attempt)).await?;
    let user_agent = headers.get(USER_AGENT).and_then(|it| it.to_str().ok());
    let session = state
        .sessions
        .open(&tokens, user_agent.unwrap_or_default())
        .await?;
    if let Some(old) = cookie(&headers, SESSION_COOKIE) {
        state.sessions.replace(old).await;
    }
    redirect(
        &return_to,
        [
            set_cookie(SESSION_COOKIE, &session, state.sessions.max_seconds())?,
            set_cookie(ATTEMPT_COOKIE, "", 0)?,
        ],
    )
}

/// Ends the session here and at the identity provider. Works without a session, too: whoever
/// signs out twice is signed out. 200 with `sign_out_url` where the browser must go there itself to
/// end the person's stay at the provider, else 204.
///
/// # Errors
/// 403 when another site asks, 503 when the database is away.
#[utoipa::path(
    post,
    path = "/auth/logout",
    operation_id = "signOut",
    tag = "sign-in",
    responses(
        (status = 200, description = "Signed out here; the browser goes on", body = SignOut),
        (status = 204, description = "Signed out"),
        (
            status = 303,
            description = "It failed, for who prefers text/html to JSON: to a page that says why",
            headers(("location" = String, description = "Where the browser goes")),
        ),
        (status = 403, description = "Another site asked"),
    ),
)]
pub async fn logout(
    State(state): State<Arc<AppState>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    csrf::check(&Method::POST, &headers, &state.public_url)?;
    let url = match cookie(&headers, SESSION_COOKIE) {
        Some(session) => state.sessions.close(session).await?,
        None => None,
    };
    let gone = AppendHeaders([(SET_COOKIE, set_cookie(SESSION_COOKIE, "", 0)?)]);
    Ok(match url {
        Some(url) => (gone, Json(json!({ "sign_out_url": url }))).into_response(),
        None => (StatusCode::NO_CONTENT, gone).into_response(),
    })
}

/// Hears from the identity provider that it ended a session. The logout token is what proves it.
///
/// # Errors
/// 400 for a token that ends nothing, 503 when the database or an unknown key is away.
#[utoipa::path(
    post,
    path = "/auth/back-channel-logout",
    operation_id = "backChannelLogout",
    tag = "sign-in",
    request_body(content = LogoutForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The sessions are over"),
        (status = 413, description = "The body is longer than 64 KiB"),
    ),
)]
pub async fn back_channel(
    State(state): State<Arc<AppState>>,
    body: Body,
) -> Result<StatusCode, Failure> {
    let body = body::read(body, MAX_LOGOUT_BYTES).await?;
    let token = back_channel::token_of(&body)?;
    let logout = state.verifier.logout(&token).await?;
    let sessions = state.sessions.end_by_provider(&logout).await?;
    tracing::info!(sessions, "the identity provider ended sessions");
    Ok(StatusCode::OK)
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
