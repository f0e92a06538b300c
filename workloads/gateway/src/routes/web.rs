//! The web client: static files, and the page itself for every other path that is not an API's.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tower::util::BoxCloneSyncService;
use tower::{ServiceExt as _, service_fn};
use tower_http::services::{ServeDir, ServeFile};

use super::uploads;
use crate::failure::{Failure, is_api};

/// Files under this path have their hash in their name.
const HASHED: &str = "/assets/";
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
const NEVER: HeaderValue = HeaderValue::from_static("no-store");
/// Nothing from elsewhere, nothing inline: also what a model writes into an answer loads nothing.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'; object-src 'none'";

/// The built web client.
#[derive(Debug, Clone)]
pub struct WebClient {
    root: PathBuf,
}

impl WebClient {
    /// The web client in the directory `root`.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// What answers the paths that have no route.
    pub fn service(&self) -> BoxCloneSyncService<Request, Response, Infallible> {
        let index = ServeFile::new(self.root.join("index.html"));
        let files = ServeDir::new(&self.root);
        BoxCloneSyncService::new(service_fn(move |request: Request| {
            let (files, index) = (files.clone(), index.clone());
            async move { Ok(serve(files, index, request).await) }
        }))
    }
}

async fn serve(files: ServeDir, index: ServeFile, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    if is_api(&path) {
        return Failure::not_found("route").into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let message = "only GET and HEAD are served here";
        return Failure::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            message,
        )
        .into_response();
    }
    let hashed = path.starts_with(HASHED);
    let mut response = if hashed {
        files
            .oneshot(request)
            .await
            .map(|response| response.map(Body::new))
    } else {
        // A path of the web client's own router: the page decides what to show.
        files
            .fallback(index)
            .oneshot(request)
            .await
            .map(|response| response.map(Body::new))
    }
    .unwrap_or_else(|never| match never {});
    let cache = match response.status() {
        StatusCode::OK | StatusCode::NOT_MODIFIED if hashed => FOR_EVER,
        _ => REVALIDATE,
    };
    response.headers_mut().insert(CACHE_CONTROL, cache);
    response
}

/// Middleware: headers that every response carries.
pub async fn security_headers<F: Future<Output = Response>>(
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let api = is_api(request.uri().path());
    let resumable = uploads::is_resumable(&request);
    let mut response = next(request).await;
    if resumable {
        uploads::mark(&mut response);
    }
    let headers = response.headers_mut();
    if api && !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, NEVER);
    }
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
        (HeaderName::from_static("referrer-policy"), "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
