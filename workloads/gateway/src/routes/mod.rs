//! The HTTP surface.

pub mod auth;
pub mod budgets;
pub mod conversations;
pub mod documents;
pub mod me;
pub mod v1;
pub mod web;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, delete, get, post};

use crate::admission::admit;
use crate::drain::drain;
use crate::failure::shape;
use crate::idempotency::idempotency;
use crate::identity::authenticate::authenticate;
use crate::state::AppState;

/// An API route.
pub struct Route {
    /// Method.
    pub method: Method,
    /// Path, with parameters in braces.
    pub path: &'static str,
    handler: MethodRouter<Arc<AppState>>,
}

/// All API routes. Whether one needs a signed-in caller is not said here: all do, but for
/// [`crate::identity::authenticate::PUBLIC_ROUTES`].
pub fn table() -> Vec<Route> {
    let route = |method, path, handler| Route {
        method,
        path,
        handler,
    };
    vec![
        route(Method::GET, "/v1/models", get(v1::models::list)),
        route(Method::GET, "/v1/models/{id}", get(v1::models::one)),
        route(
            Method::POST,
            "/v1/chat/completions",
            post(v1::chat::complete),
        ),
        route(Method::POST, "/api/documents", post(documents::upload)),
        route(Method::GET, "/api/documents", get(documents::list)),
        route(Method::GET, "/api/documents/{id}", get(documents::one)),
        route(
            Method::DELETE,
            "/api/documents/{id}",
            delete(documents::remove),
        ),
        route(
            Method::POST,
            "/api/documents/{id}/retry",
            post(documents::retry),
        ),
        route(Method::GET, "/api/conversations", get(conversations::list)),
        route(
            Method::GET,
            "/api/conversations/{id}",
            get(conversations::one),
        ),
        route(
            Method::DELETE,
            "/api/conversations/{id}",
            delete(conversations::remove),
        ),
        route(Method::GET, "/api/budgets", get(budgets::list)),
        route(Method::GET, "/api/usage", get(budgets::usage)),
        route(Method::GET, "/api/me", get(me::show)),
        route(Method::GET, "/auth/login", get(auth::login)),
        route(Method::GET, "/auth/callback", get(auth::callback)),
        route(Method::POST, "/auth/logout", post(auth::logout)),
    ]
}

/// The whole surface: APIs, web client, and the layers around them.
pub fn router(state: &Arc<AppState>, web: &web::WebClient) -> Router {
    let routes = table().into_iter().fold(Router::new(), |router, route| {
        router.route(route.path, route.handler)
    });
    routes
        .fallback_service(web.service())
        .layer(DefaultBodyLimit::max(state.limits.body_max_bytes()))
        .with_state(Arc::clone(state))
        .layer(from_fn(shape))
        .layer(from_fn_with_state(Arc::clone(state), idempotency))
        .layer(from_fn_with_state(Arc::clone(state), authenticate))
        .layer(from_fn_with_state(Arc::clone(state), admit))
        .layer(from_fn(shape))
        .layer(from_fn(web::security_headers))
        .layer(from_fn(drain))
}
