//! What happens around every request: id, span, metric, panic.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::{HeaderName, HeaderValue, Method, StatusCode, Version};
use opentelemetry::trace::TraceContextExt;
use tower::ServiceBuilder;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tracing::{Instrument, Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::http_error::{ApiError, Shape};
use crate::telemetry;

/// The header that carries the id of a request, in and out.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// An id from outside that is longer than this is replaced: it goes into every log line.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// Among the extensions of an answer: the run that gave it, for the line of its request.
#[derive(Debug, Clone)]
pub struct AnsweredBy {
    /// Its identity.
    pub run_id: String,
    /// The model, as the caller named it.
    pub model: String,
}

tokio::task_local! {
    static CURRENT_ID: String;
}

/// The id of the request that this task answers, if it answers one.
pub(crate) fn current_id() -> Option<String> {
    CURRENT_ID.try_with(Clone::clone).ok()
}

/// Adds request ids, spans, metrics and the guard against panics to a router.
pub(crate) fn instrument(router: Router) -> Router {
    router.layer(
        ServiceBuilder::new()
            .map_request(drop_bad_id)
            .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
            .layer(PropagateRequestIdLayer::new(REQUEST_ID))
            .layer(from_fn(around)),
    )
}

/// An id from outside is kept only when it is short and plain.
fn drop_bad_id(mut request: Request) -> Request {
    let bad = |value: &HeaderValue| {
        value.len() > MAX_REQUEST_ID_BYTES
            || !value
                .as_bytes()
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(b))
    };
    if request.headers().get(REQUEST_ID).is_some_and(bad) {
        request.headers_mut().remove(REQUEST_ID);
    }
    request
}

async fn around(request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let span = span(&request, &route, &id);
    CURRENT_ID
        .scope(id, answer(request, next, route).instrument(span))
        .await
}

fn span(request: &Request, route: &str, id: &str) -> Span {
    let span = tracing::info_span!(
        "request",
        method = known(request.method()),
        // Without the query: it can hold codes and search texts.
        path = request.uri().path(),
        route,
        request_id = id,
        trace_id = field::Empty,
    );
    telemetry::continue_trace(&span, request.headers());
    let trace = span.context().span().span_context().trace_id();
    if trace != opentelemetry::TraceId::INVALID {
        span.record("trace_id", field::display(trace));
    }
    span
}

/// A method as logs and metrics name it: `_OTHER`, as OpenTelemetry has it, for what anybody can think
/// of, which would be a series of its own each.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "_OTHER",
    }
}

async fn answer(request: Request, next: Next, route: String) -> Response {
    let started = Instant::now();
    let method = known(request.method());
    let grpc = is_grpc(&request);
    let shape = Shape::of_path(request.uri().path());
    let response = match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) if grpc => grpc_internal(),
        Err(_) => ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "the request failed because of a fault in the service; its log has the request id",
        )
        .with_shape(shape)
        .into_response(),
    };
    let seconds = started.elapsed().as_secs_f64();
    let status = response.status().as_u16();
    metrics::histogram!(
        "lotoai_http_request_seconds",
        "method" => method, "route" => route, "status" => status.to_string(),
    )
    .record(seconds);
    let by = response.extensions().get::<AnsweredBy>();
    tracing::info!(
        status,
        seconds,
        run_id = by.map(|by| by.run_id.as_str()),
        model = by.map(|by| by.model.as_str()),
        "answered"
    );
    response
}

fn is_grpc(request: &Request) -> bool {
    request.version() == Version::HTTP_2
        && request
            .headers()
            .get(http::header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// gRPC status 13, "internal", in the form without trailers.
fn grpc_internal() -> Response {
    let headers = [("content-type", "application/grpc"), ("grpc-status", "13")];
    (StatusCode::OK, headers).into_response()
}

#[cfg(test)]
mod tests;
