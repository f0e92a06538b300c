//! The layer that every request passes: who is calling, or a refusal.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::{Identity, SignedIn, csrf, probe, session};
use crate::failure::{Failure, is_api};
use crate::state::AppState;

/// The challenge of a 401 without a token.
pub const CHALLENGE: &str = r#"Bearer realm="lotoai""#;

/// All API routes that answer without a signed-in caller. Everything else needs one.
pub const PUBLIC_ROUTES: &[(&str, &str)] = &[
    ("GET", "/auth/login"),
    ("GET", "/auth/callback"),
    ("POST", "/auth/logout"),
];

/// Middleware: establishes the caller or answers 401, 403 or 503.
pub async fn authenticate(
    State(state): State<Arc<AppState>>,
    mut request: Request,
    next: Next,
) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(MatchedPath::as_str);
    if is_public(request.method(), route, request.uri().path()) {
        return next.run(request).await;
    }
    match identify(&state, request.method(), route, request.headers()).await {
        Ok(identity) => {
            request.extensions_mut().insert(SignedIn(identity));
            next.run(request).await
        }
        Err(failure) => {
            metrics::counter!("lotoai_gateway_refused_callers_total",
                "code" => failure.code.to_string())
            .increment(1);
            failure.into_response()
        }
    }
}

/// A path without a route is the web client's, unless it lies in an API.
fn is_public(method: &Method, route: Option<&str>, path: &str) -> bool {
    match route {
        Some(route) => PUBLIC_ROUTES.contains(&(method.as_str(), route)),
        None => !is_api(path),
    }
}

async fn identify(
    state: &AppState,
    method: &Method,
    route: Option<&str>,
    headers: &HeaderMap,
) -> Result<Arc<Identity>, Failure> {
    if let Some(authorization) = headers.get(header::AUTHORIZATION) {
        let token = authorization
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .filter(|token| !token.is_empty())
            .ok_or_else(|| unauthorized("the Authorization header must be `Bearer <token>`"))?;
        if state.probe_token.is(token) {
            return probe::admit(method, route, state.verifier.jwks());
        }
        return state.verifier.verify(token).await;
    }
    let Some(cookie) = session::cookie(headers, session::SESSION_COOKIE) else {
        return Err(sign_in_required());
    };
    csrf::check(method, headers, &state.public_url)?;
    state.sessions.identify(cookie).await
}

/// 401 for a request that says nothing about its caller.
pub fn sign_in_required() -> Failure {
    unauthorized("send an access token as `Authorization: Bearer <token>`, or sign in")
}

fn unauthorized(message: &'static str) -> Failure {
    let mut failure = Failure::new(StatusCode::UNAUTHORIZED, "sign_in_required", message);
    failure.challenge = Some(CHALLENGE);
    failure
}
