//! The layer that every request passes: who is calling, or a refusal.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use lotoai_policy::{Needs, Surface, admit};

use super::{Identity, SignedIn, api_key, csrf, probe, session};
use crate::failure::{Failure, is_api};
use crate::state::AppState;

/// The challenge of a 401 without a token.
pub const CHALLENGE: &str = r#"Bearer realm="lotoai""#;

/// Middleware: establishes the caller and whether the route is for it, or answers 401, 403 or 503.
pub async fn authenticate<F: Future<Output = Response>>(
    state: &AppState,
    surface: &Surface,
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(MatchedPath::as_str);
    let needs = match route {
        Some(route) => surface.needs(request.method(), route),
        // A path without a route is the web client's, unless it lies in an API.
        None if is_api(request.uri().path()) => Needs::Caller,
        None => Needs::Nothing,
    };
    if needs == Needs::Nothing {
        return next(request).await;
    }
    let identified = identify(state, request.method(), route, request.headers()).await;
    let admitted = identified.and_then(|identity| {
        admit(needs, identity.who())?;
        Ok(identity)
    });
    match admitted {
        Ok(identity) => {
            request.extensions_mut().insert(SignedIn(identity));
            next(request).await
        }
        Err(failure) => {
            metrics::counter!("lotoai_gateway_refused_callers_total",
                "code" => failure.code.to_string())
            .increment(1);
            failure.into_response()
        }
    }
}

async fn identify(
    state: &AppState,
    method: &Method,
    route: Option<&str>,
    headers: &HeaderMap,
) -> Result<Arc<Identity>, Failure> {
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    if let Some(authorization) = sent.next() {
        if sent.next().is_some() {
            // Which of them counts must not depend on who reads the request.
            return Err(unauthorized("send one Authorization header"));
        }
        let token = bearer(authorization)
            .ok_or_else(|| unauthorized("the Authorization header must be `Bearer <token>`"))?;
        if state.probe_token.is(token) {
            return probe::admit(method, route, state.verifier.jwks());
        }
        if token.starts_with(api_key::PREFIX) {
            return state.key_ring.identify(token).await;
        }
        let identity = state.verifier.verify(token).await?;
        state.key_ring.hear(&identity);
        return Ok(identity);
    }
    let Some(cookie) = session::cookie(headers, session::SESSION_COOKIE) else {
        return Err(sign_in_required());
    };
    csrf::check(method, headers, &state.public_url)?;
    let identity = state.sessions.identify(cookie).await?;
    state.key_ring.hear(&identity);
    Ok(identity)
}

/// The token of a header `Authorization: Bearer <token>`; the scheme may be written in any case.
pub fn bearer(authorization: &HeaderValue) -> Option<&str> {
    let (scheme, token) = authorization.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// 401 for a request that says nothing about its caller.
pub fn sign_in_required() -> Failure {
    unauthorized("send an access token or API key as `Authorization: Bearer <token>`, or sign in")
}

fn unauthorized(message: &'static str) -> Failure {
    let mut failure = Failure::new(StatusCode::UNAUTHORIZED, "sign_in_required", message);
    failure.challenge = Some(CHALLENGE);
    failure
}
