//! The HTTP surface.

pub mod approvals;
pub mod auth;
pub mod body;
pub mod budget_rules;
pub mod budgets;
pub mod conversations;
pub mod docs;
pub mod documents;
pub mod keys;
pub mod me;
pub mod personal;
pub mod sessions;
pub mod sign_in_page;
pub mod totals;
pub mod uploads;
pub mod v1;
pub mod web;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use lotoai_policy::{Needs, Scope, Surface};

use crate::admission::admit;
use crate::drain::drain;
use crate::failure::shape;
use crate::idempotency::idempotency;
use crate::identity::authenticate::authenticate;
use crate::state::AppState;

/// An API route. It cannot be made without saying what it needs of its caller.
pub struct Route {
    /// Method.
    pub method: Method,
    /// Path, with parameters in braces.
    pub path: &'static str,
    /// What it needs of its caller.
    pub needs: Needs,
    handler: MethodRouter<Arc<AppState>>,
}

impl Route {
    fn new<T: 'static>(
        method: Method,
        path: &'static str,
        needs: Needs,
        handler: impl Handler<T, Arc<AppState>>,
    ) -> Self {
        let handler = match MethodFilter::try_from(method.clone()) {
            Ok(filter) => on(filter, handler),
            // A method that no router knows is never asked for.
            Err(_) => MethodRouter::new(),
        };
        Self {
            method,
            path,
            needs,
            handler,
        }
    }
}

/// All API routes.
pub fn table() -> Vec<Route> {
    use Needs::{Admin, Caller, Nothing, Person};
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    const PUT: Method = Method::PUT;
    const PATCH: Method = Method::PATCH;
    const DELETE: Method = Method::DELETE;
    const HEAD: Method = Method::HEAD;
    const OPTIONS: Method = Method::OPTIONS;
    let (chat, embed) = (Needs::Scope(Scope::Chat), Needs::Scope(Scope::Embed));
    let (read_talks, write_talks) = (
        Needs::Scope(Scope::ReadConversations),
        Needs::Scope(Scope::WriteConversations),
    );
    let (read_files, write_files) = (
        Needs::Scope(Scope::ReadDocuments),
        Needs::Scope(Scope::WriteDocuments),
    );
    let talk = "/api/conversations/{id}";
    let file = "/api/documents/{id}";
    let approval = "/api/approvals/{id}";
    let (rules, budget) = ("/api/admin/budgets", "/api/admin/budgets/{id}");
    let piecewise = "/api/uploads/{id}";
    let response = "/v1/responses/{id}";
    vec![
        // Whatever a key was made for: each is shown what it may name.
        Route::new(GET, "/v1/models", Caller, v1::models::list),
        Route::new(GET, "/v1/models/{id}", Caller, v1::models::one),
        Route::new(POST, "/v1/chat/completions", chat, v1::chat::complete),
        Route::new(
            GET,
            "/v1/chat/completions/{id}/stream",
            chat,
            v1::resume::resume,
        ),
        Route::new(
            POST,
            "/v1/chat/completions/{id}/cancel",
            chat,
            v1::resume::cancel,
        ),
        Route::new(POST, "/v1/embeddings", embed, v1::embeddings::create),
        Route::new(POST, "/v1/responses", chat, v1::responses::create),
        Route::new(GET, response, read_talks, v1::responses::stored::show),
        Route::new(
            GET,
            "/v1/responses/{id}/input_items",
            read_talks,
            v1::responses::stored::input_items,
        ),
        Route::new(DELETE, response, write_talks, v1::responses::stored::remove),
        Route::new(
            POST,
            "/v1/responses/{id}/cancel",
            chat,
            v1::responses::background::cancel,
        ),
        Route::new(POST, "/api/documents", write_files, documents::upload),
        Route::new(GET, "/api/documents", read_files, documents::list),
        Route::new(GET, file, read_files, documents::one),
        Route::new(
            GET,
            "/api/documents/{id}/content",
            read_files,
            documents::content,
        ),
        Route::new(DELETE, file, write_files, documents::remove),
        Route::new(
            POST,
            "/api/documents/{id}/retry",
            write_files,
            documents::retry,
        ),
        Route::new(OPTIONS, "/api/uploads", Caller, uploads::options),
        Route::new(POST, "/api/uploads", write_files, uploads::create),
        Route::new(HEAD, piecewise, write_files, uploads::offset),
        Route::new(PATCH, piecewise, write_files, uploads::append),
        Route::new(DELETE, piecewise, write_files, uploads::end),
        Route::new(GET, "/api/conversations", read_talks, conversations::list),
        Route::new(
            GET,
            "/api/conversations/search",
            read_talks,
            conversations::search,
        ),
        Route::new(GET, talk, read_talks, conversations::one),
        Route::new(
            GET,
            "/api/conversations/{id}/messages",
            read_talks,
            conversations::messages,
        ),
        Route::new(PATCH, talk, write_talks, conversations::rename),
        Route::new(DELETE, talk, write_talks, conversations::remove),
        Route::new(
            POST,
            "/api/conversations/{id}/restore",
            write_talks,
            conversations::restore,
        ),
        Route::new(
            POST,
            "/api/conversations/{id}/branch",
            write_talks,
            conversations::branch,
        ),
        Route::new(
            GET,
            "/api/conversations/{id}/export",
            read_talks,
            conversations::export,
        ),
        Route::new(GET, "/api/approvals", read_talks, approvals::list),
        Route::new(GET, approval, read_talks, approvals::one),
        // A program does not consent in the place of the person that it acts for.
        Route::new(POST, approval, Person, approvals::decide),
        Route::new(GET, "/api/budgets", Caller, budgets::list),
        Route::new(GET, rules, Admin, budget_rules::list),
        Route::new(POST, rules, Admin, budget_rules::make),
        Route::new(PUT, budget, Admin, budget_rules::alter),
        Route::new(DELETE, budget, Admin, budget_rules::remove),
        Route::new(GET, "/api/admin/keys", Admin, keys::list_all),
        Route::new(GET, "/api/admin/sessions", Admin, sessions::list_all),
        Route::new(
            DELETE,
            "/api/admin/sessions/{id}",
            Admin,
            sessions::remove_any,
        ),
        Route::new(GET, "/api/usage", Person, budgets::usage),
        Route::new(GET, "/api/usage/totals", Person, totals::list),
        Route::new(GET, "/api/me", Caller, me::show),
        Route::new(GET, "/api/me/export", Person, personal::export),
        Route::new(DELETE, "/api/me/data", Person, personal::erase),
        Route::new(DELETE, "/api/users/{id}/data", Admin, personal::erase_other),
        Route::new(POST, "/api/keys", Person, keys::make),
        Route::new(GET, "/api/keys", Person, keys::list),
        Route::new(DELETE, "/api/keys/{id}", Person, keys::remove),
        Route::new(GET, "/api/sessions", Person, sessions::list),
        Route::new(DELETE, "/api/sessions", Person, sessions::remove_others),
        Route::new(DELETE, "/api/sessions/{id}", Person, sessions::remove),
        Route::new(GET, "/api/openapi.json", Caller, docs::document),
        Route::new(GET, "/api/docs", Caller, docs::page),
        Route::new(GET, "/api/docs/style.css", Caller, docs::style),
        Route::new(GET, "/auth/login", Nothing, auth::login),
        Route::new(GET, "/auth/callback", Nothing, auth::callback),
        Route::new(POST, "/auth/logout", Nothing, auth::logout),
        Route::new(
            POST,
            "/auth/back-channel-logout",
            Nothing,
            auth::back_channel,
        ),
    ]
}

/// The whole surface: APIs, web client, and the layers around them.
pub fn router(state: &Arc<AppState>, web: &web::WebClient) -> Router {
    let table = table();
    let declared = table
        .iter()
        .map(|route| (route.method.clone(), route.path, route.needs));
    let surface = Arc::new(Surface::new(declared));
    let routes = table.into_iter().fold(Router::new(), |router, route| {
        router.route(route.path, route.handler)
    });
    routes
        .fallback_service(web.service())
        .layer(DefaultBodyLimit::max(state.limits.body_max_bytes()))
        .with_state(Arc::clone(state))
        .layer(from_fn_with_state((Arc::clone(state), surface), around))
}

/// What stands around every route, the outermost first. All in one layer: `from_fn` copies what is
/// within it for every request, and puts what it does into a box.
async fn around(
    State((state, surface)): State<(Arc<AppState>, Arc<Surface>)>,
    request: Request,
    next: Next,
) -> Response {
    let (state, surface) = (&state, &*surface);
    let route = |request| shape(request, |request| next.run(request));
    let kept = |request| idempotency(state, request, route);
    let known = |request| authenticate(state, surface, request, kept);
    let admitted = |request| admit(state, request, known);
    let shaped = |request| shape(request, admitted);
    let told = |request| sign_in_page::tell(request, shaped);
    let secured = |request| web::security_headers(request, told);
    drain(request, secured).await
}
