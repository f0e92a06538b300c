//! What a path needs of its caller.

use std::sync::LazyLock;

use axum::Router;
use axum::body::Body;
use axum::extract::MatchedPath;
use axum::routing::any;
use futures::executor::block_on;
use http::{Method, Request, Uri};
use lotoai_gateway::failure::is_api;
use lotoai_gateway::routes::{self, uploads};
use lotoai_policy::{Needs, Surface};
use tower::ServiceExt as _;

use crate::promise;

/// The routes that anybody may call.
const OPEN: [&str; 4] = [
    "/auth/login",
    "/auth/callback",
    "/auth/logout",
    "/auth/back-channel-logout",
];

/// A router of the same routes that answers with the one that it chose.
static ROUTER: LazyLock<Router> = LazyLock::new(|| {
    let mut paths: Vec<_> = routes::table().iter().map(|route| route.path).collect();
    paths.sort_unstable();
    paths.dedup();
    paths.into_iter().fold(Router::new(), |router, path| {
        let answer = |matched: MatchedPath| std::future::ready(matched.as_str().to_owned());
        router.route(path, any(answer))
    })
});

static SURFACE: LazyLock<Surface> = LazyLock::new(|| {
    let table = routes::table();
    Surface::new(
        table
            .iter()
            .map(|route| (route.method.clone(), route.path, route.needs)),
    )
});

/// A method and a path, with a space between them, as the first line of a request has them.
pub(crate) fn path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (method, path) = text.split_once(' ').unwrap_or(("GET", text));
    let (Ok(method), Ok(uri)) = (Method::from_bytes(method.as_bytes()), path.parse::<Uri>()) else {
        return;
    };
    let is_api = is_api(uri.path());
    let sent = uri.path().to_owned();
    let mut request = Request::new(Body::empty());
    *request.method_mut() = method.clone();
    *request.uri_mut() = uri;
    if uploads::is_resumable(&request) {
        promise(is_api, "uploads lie in an API");
        promise(sent.starts_with("/api/uploads"), "at one place of it");
    }
    let Some(route) = block_on(chosen(request)) else {
        return;
    };
    promise(is_api, "every route lies in an API");
    let needs = SURFACE.needs(&method, &route);
    if needs == Needs::Nothing {
        promise(
            OPEN.contains(&sent.as_str()),
            "only these are open to anybody",
        );
    }
}

/// The route that a request gets to, if it gets to any.
async fn chosen(request: Request<Body>) -> Option<String> {
    let Ok(response) = ROUTER.clone().oneshot(request).await;
    if !response.status().is_success() {
        return None;
    }
    let body = axum::body::to_bytes(response.into_body(), 4096)
        .await
        .ok()?;
    // A HEAD gets no body; its route is that of its GET.
    let route = String::from_utf8(body.to_vec()).ok()?;
    (!route.is_empty()).then_some(route)
}
