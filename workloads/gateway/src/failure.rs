//! What a caller is told when a request cannot be served, and the two shapes it is told in.

use std::borrow::Cow;

use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use lotoai_policy::Refusal;
use serde_json::{Value, json};

use crate::idempotency::Unkept;

/// Characters of an unknown parameter's name that are shown.
const MAX_NAME_CHARS: usize = 64;
/// OpenAI's clients ask again by themselves after 409, 429 and 5xx, unless this says `false`.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// Seconds after which one asks again where nobody knows better: what was too much, or away.
const USUAL_WAIT: u64 = 2;

/// A refusal or failure with a stable code and a sentence that says what to do.
///
/// Handlers return it without caring for the shape; [`shape`] writes the body that fits the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status of the answer.
    pub status: StatusCode,
    /// Stable, machine-readable code.
    pub code: Cow<'static, str>,
    /// Sentence for people: cause and fix.
    pub message: String,
    /// The field at fault, for example `messages[0].role`.
    pub param: Option<String>,
    /// Value of `WWW-Authenticate`, on 401 only.
    pub challenge: Option<&'static str>,
    /// Seconds after which the same request may succeed: `Retry-After`. 429 and 503 have 2 by
    /// themselves.
    pub retry_after: Option<u64>,
    /// Whether the same request would fail again for so long that a client should not send it by
    /// itself.
    pub is_final: bool,
    /// What the request has done all the same.
    pub effect: Effect,
    /// A member of the body beside the others, with its name. Boxed, because it is rare and would
    /// make every `Result` of the gateway half as large again.
    pub details: Option<Box<(&'static str, Value)>>,
}

/// What a request that failed has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Nothing,
    /// All that it asked for.
    Everything,
    /// Everything or nothing; nobody knows.
    Unknown,
}

/// Says that the body of a response is written already, by an inner [`shape`].
#[derive(Debug, Clone, Copy)]
pub struct Shaped;

impl Failure {
    /// A failure that names no field.
    pub fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            param: None,
            challenge: None,
            retry_after: None,
            is_final: false,
            effect: Effect::Nothing,
            details: None,
        }
    }

    /// 400 that names the field at fault.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        let mut failure = Self::new(StatusCode::BAD_REQUEST, "invalid_value", message);
        failure.param = Some(param.into());
        failure
    }

    /// 400 for a name that means nothing here; `known` are those that do.
    pub fn unknown_parameter(name: &str, known: &[&str]) -> Self {
        // The name is the caller's: as much of it as makes it known again.
        let name: String = name.chars().take(MAX_NAME_CHARS).collect();
        let message = format!(
            "{name:?} is no parameter of this call; leave it out. It takes: {}",
            known.join(", ")
        );
        let mut failure = Self::new(StatusCode::BAD_REQUEST, "unknown_parameter", message);
        failure.param = Some(name);
        failure
    }

    /// 400 for a field that asks for what is not done here.
    pub fn unsupported(param: impl Into<String>, message: impl Into<String>) -> Self {
        let mut failure = Self::invalid(param, message);
        failure.code = lotoai_contracts::failures::UNSUPPORTED_PARAMETER.into();
        failure
    }

    /// 404 for a thing that does not exist or that the caller may not know of.
    pub fn not_found(what: &'static str) -> Self {
        let code = match what {
            "document" => "document_not_found",
            "conversation" => "conversation_not_found",
            "message" => "message_not_found",
            "session" => "session_not_found",
            "API key" => "key_not_found",
            "answer" => "answer_not_found",
            "budget" => "budget_not_found",
            "response" => "response_not_found",
            "upload" => "upload_not_found",
            "approval" => "approval_not_found",
            _ => "not_found",
        };
        Self::new(
            StatusCode::NOT_FOUND,
            code,
            format!("there is no such {what}"),
        )
    }

    /// 404 for a model that does not exist or that the caller may not name.
    pub fn unknown_model() -> Self {
        let mut failure = Self::new(
            StatusCode::NOT_FOUND,
            "model_not_found",
            "there is no such model; GET /v1/models lists the names",
        );
        failure.param = Some("model".to_owned());
        failure
    }

    /// 503 because something that the request needs cannot be reached.
    pub fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }

    /// 503 because the process stops before an answer is whole.
    pub fn shutting_down() -> Self {
        Self::unavailable(
            "shutting_down",
            "this gateway stops and cannot finish the answer; ask again",
        )
    }

    /// 500 for faults of ours; the cause is in the log under the request id.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "the request failed inside LotoAI; the log has the cause under this request id",
        )
    }

    /// The same, of a request that did this.
    #[must_use]
    pub const fn with_effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// What `Retry-After` says; `None` where to ask again is of no use.
    fn wait(&self) -> Option<u64> {
        let passes = matches!(
            self.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        self.retry_after.or(passes.then_some(USUAL_WAIT))
    }

    /// The OpenAI error object.
    pub fn openai(&self) -> Value {
        let kind = match self.status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        };
        let mut body = json!({ "error": {
            "message": self.message, "type": kind, "param": self.param, "code": self.code,
        }});
        if let Some((name, details)) = self.details.as_deref() {
            body["error"][*name] = details.clone();
        }
        body
    }

    /// What of it is stored, for who asks later.
    pub fn to_stored(&self) -> Value {
        json!({
            "status": self.status.as_u16(), "code": self.code, "message": self.message,
            "param": self.param,
        })
    }

    /// What was stored of a failure.
    pub fn of_stored(stored: &Value) -> Self {
        let text = |name: &str| stored[name].as_str().map(str::to_owned);
        let status = stored["status"]
            .as_u64()
            .and_then(|it| u16::try_from(it).ok());
        let status = status.and_then(|it| StatusCode::from_u16(it).ok());
        let mut failure = Self::new(
            status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            text("code").unwrap_or_default(),
            text("message").unwrap_or_default(),
        );
        failure.param = text("param");
        failure
    }

    /// The RFC 9457 problem.
    pub fn problem(&self, request_id: Option<&str>) -> Value {
        let mut problem = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.message,
            "code": self.code,
            "request_id": request_id,
        });
        if let Some(param) = &self.param {
            problem["param"] = json!(param);
        }
        if let Some((name, details)) = self.details.as_deref() {
            problem[*name] = details.clone();
        }
        problem
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let mut failure = Self::new(refusal.status, refusal.code, refusal.message);
        failure.param = refusal.param.map(str::to_owned);
        failure
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Whether a path belongs to an API (and not to the web client).
pub fn is_api(path: &str) -> bool {
    ["/v1", "/api", "/auth"].iter().any(|prefix| {
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Middleware: writes the body of every failure in the shape of its API. It stands around those
/// who keep answers and around those who may refuse before them; the inner one writes.
pub async fn shape<F: Future<Output = Response>>(
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let openai = request.uri().path().starts_with("/v1");
    let api = is_api(request.uri().path());
    let method = request.method().clone();
    let request_id = request
        .headers()
        .get("x-request-id")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let mut response = next(request).await;
    if response.extensions().get::<Shaped>().is_some() {
        return response;
    }
    let failure = match response.extensions_mut().remove::<Failure>() {
        Some(failure) => failure,
        None if api => match unshaped(&method, response.status()) {
            Some(failure) => failure,
            None => return response,
        },
        None => return response,
    };
    let body = if openai {
        failure.openai()
    } else {
        failure.problem(request_id.as_deref())
    };
    let media_type = if openai {
        "application/json"
    } else {
        "application/problem+json"
    };
    let mut shaped = (failure.status, body.to_string()).into_response();
    // What other layers and handlers put there (Allow, Set-Cookie) stays.
    for (name, value) in response.headers() {
        if name != CONTENT_TYPE && name != axum::http::header::CONTENT_LENGTH {
            shaped.headers_mut().append(name, value.clone());
        }
    }
    shaped
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    if let Some(challenge) = failure.challenge {
        shaped
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if let Some(seconds) = failure.wait() {
        shaped
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if failure.is_final {
        shaped
            .headers_mut()
            .insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    shaped.extensions_mut().insert(Shaped);
    if failure.effect == Effect::Everything {
        shaped.extensions_mut().insert(Unkept);
    }
    // For who tells it in yet another way.
    shaped.extensions_mut().insert(failure);
    shaped
}

/// The failures that the router makes by itself.
fn unshaped(method: &Method, status: StatusCode) -> Option<Failure> {
    match status {
        StatusCode::METHOD_NOT_ALLOWED => Some(Failure::new(
            status,
            "method_not_allowed",
            format!("this path does not take {method}; see the Allow header"),
        )),
        StatusCode::BAD_REQUEST => Some(Failure::new(
            status,
            "invalid_request",
            "the path or query of the request cannot be read; check its encoding and names",
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("/v1/models", true)]
    #[case("/api", true)]
    #[case("/auth/x", true)]
    #[case("/", false)]
    #[case("/apiary", false)]
    fn api_paths(#[case] path: &str, #[case] expected: bool) {
        assert_eq!(is_api(path), expected);
    }

    #[rstest::rstest]
    #[case(429, None, Some(USUAL_WAIT))]
    #[case(429, Some(60), Some(60))]
    #[case(503, None, Some(USUAL_WAIT))]
    #[case(409, Some(1), Some(1))]
    #[case(409, None, None)]
    #[case(502, None, None)]
    fn what_passes_says_when_to_come_again(
        #[case] status: u16,
        #[case] known: Option<u64>,
        #[case] expected: Option<u64>,
    ) {
        let mut failure = Failure::new(StatusCode::from_u16(status).unwrap(), "code", "message");
        failure.retry_after = known;
        assert_eq!(failure.wait(), expected);
    }

    #[test]
    fn a_long_unknown_name_is_cut() {
        let failure = Failure::unknown_parameter(&"ñ".repeat(5_000), &["limit", "cursor"]);
        assert_eq!(failure.param, Some("ñ".repeat(MAX_NAME_CHARS)));
        assert!(failure.message.ends_with("It takes: limit, cursor"));
        assert_eq!(failure.code, "unknown_parameter");
    }

    #[test]
    fn a_stored_failure_is_told_as_it_was() {
        let mut failure = Failure::new(StatusCode::NOT_FOUND, "model_not_found", "no such");
        failure.param = Some("model".to_owned());
        assert_eq!(Failure::of_stored(&failure.to_stored()), failure);
        let failure = Failure::internal();
        assert_eq!(Failure::of_stored(&failure.to_stored()), failure);
    }

    #[test]
    fn the_two_shapes_carry_the_same_facts() {
        let failure = Failure::invalid("model", "model must be a string");
        assert_eq!(
            failure.openai(),
            json!({"error": {"message": "model must be a string", "type": "invalid_request_error",
                "param": "model", "code": "invalid_value"}})
        );
        let problem = failure.problem(Some("r"));
        assert_eq!(problem["detail"], "model must be a string");
        assert_eq!(problem["request_id"], "r");
        assert_eq!(problem["status"], 400);
    }
}
