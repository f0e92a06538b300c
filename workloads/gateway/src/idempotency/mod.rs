//! `Idempotency-Key`: a write that is sent again takes effect once.
//!
//! The key is claimed before the request is handled, and its answer is stored before it is given.
//! A request with a key runs to its end even when its client leaves, so that the client's next
//! attempt finds the answer. Only a stream ends with its client: to leave it is to stop it, unless it is
//! one that a client may come back to.
//!
//! What was refused or failed had no effect and gives its key back. An answer that is whole took
//! effect, whatever its client has read of it. What nobody knows the end of, because the process died,
//! a handler panicked or the database was lost at the commit, is never tried again: two effects are
//! worse than none. Nor is what took effect before the whole request was there: what the next one
//! would be held against is not known.

pub mod hash;
mod held;
mod reading;
mod recording;

use std::sync::Arc;

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use tracing::Instrument as _;

use self::hash::RequestHash;
use self::held::Held;
use self::reading::Reading;
use self::recording::{Taking, record};
use crate::admission::Place;
use crate::domain::end::Whole;
use crate::failure::{Effect, Failure, Shaped, is_api};
use crate::flag::Flag;
use crate::identity::SignedIn;
use crate::state::AppState;
use crate::store::{AnswerPlace, Claim, KeptAnswer};

const KEY: &str = "idempotency-key";
const MAX_KEY_BYTES: usize = 255;
/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Answers up to this size are kept, in bytes.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// On a response: it took effect, and must not be stored. For what the caller asked not to store,
/// and for secrets that are shown once.
#[derive(Debug, Clone, Copy)]
pub struct Unkept;

/// On a streamed response: what becomes of it.
#[derive(Debug, Clone)]
pub struct Streamed {
    /// Raised when its client is told a failure.
    pub failed: Flag,
    /// Whether the answer becomes whole, be it after its client has left.
    pub whole: Whole,
}

/// Whose key, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KeyOf {
    owner: String,
    key: String,
}

/// Middleware: answers a write that was answered before as it was then.
pub async fn idempotency<F: Future<Output = Response> + Send + 'static>(
    state: &Arc<AppState>,
    request: Request,
    next: impl FnOnce(Request) -> F + Send + 'static,
) -> Response {
    match key_of(&request) {
        // Boxed: it has room for much that most requests do without.
        Ok(Some(key)) => Box::pin(once(state, key, request, next)).await,
        Ok(None) => next(request).await,
        Err(failure) => failure.into_response(),
    }
}

/// Answers a request with its key: as it was answered before, or for the first time.
async fn once<F: Future<Output = Response> + Send + 'static>(
    state: &Arc<AppState>,
    key: KeyOf,
    request: Request,
    next: impl FnOnce(Request) -> F + Send + 'static,
) -> Response {
    let lease = state.limits.answer_lease();
    match state.store.claim_key(&key.owner, &key.key, lease).await {
        Err(error) => Failure::from(error).into_response(),
        Ok(Claim::Claimed) => {
            let held = Held::new(Arc::clone(state), key);
            // Who leaves does not make room for another: the work goes on.
            let place = request.extensions().get::<Arc<Place>>().cloned();
            let work = async move {
                let response = first(held, request, next).await;
                drop(place);
                response
            };
            let handled = state.tasks.spawn(work.in_current_span()).await;
            handled.unwrap_or_else(|_| Failure::internal().into_response())
        }
        Ok(Claim::Answered {
            hash,
            answer,
            place,
        }) => {
            let most = state.limits.body_max_bytes();
            if Reading::new(request).0.hash(most).await.as_ref() != Some(&hash) {
                return reused().into_response();
            }
            answer.map_or_else(|| unkept(place).into_response(), again)
        }
        Ok(Claim::Running(place)) => running(place).into_response(),
        Ok(Claim::Lost) => lost().into_response(),
        Ok(Claim::Full) => full().into_response(),
    }
}

/// The key of a request that writes, if it has one.
fn key_of(request: &Request) -> Result<Option<KeyOf>, Failure> {
    let writes = !matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let Some(SignedIn(identity)) = request.extensions().get::<SignedIn>() else {
        return Ok(None);
    };
    if !writes || !is_api(request.uri().path()) {
        return Ok(None);
    }
    let Some(key) = key(request.headers())? else {
        return Ok(None);
    };
    let user = &identity.subject;
    Ok(Some(KeyOf {
        // What one credential was answered is not another one's to see.
        owner: identity
            .api_key()
            .map_or_else(|| user.clone(), |id| format!("{user}\u{1f}{id}")),
        key,
    }))
}

/// The key that a request carries, if it carries one.
///
/// # Errors
/// 400 when it is given twice, is too long, or holds anything but printable ASCII.
pub fn key(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let mut values = headers.get_all(KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    let bytes = value.as_bytes();
    let fits = (1..=MAX_KEY_BYTES).contains(&bytes.len()) && bytes.iter().copied().all(plain);
    match value.to_str() {
        Ok(key) if fits && values.next().is_none() => Ok(Some(key.to_owned())),
        _ => Err(Failure::invalid(
            "Idempotency-Key",
            format!(
                "Idempotency-Key must be given once, with 1 to {MAX_KEY_BYTES} printable ASCII \
                 characters; a random UUID is a good one"
            ),
        )),
    }
}

/// Handles a request that has its key for itself.
async fn first<F: Future<Output = Response>>(
    mut held: Held,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let most = held.state.limits.body_max_bytes();
    let (reading, request) = Reading::new(request);
    let response = next(request).await;
    held.place = response.extensions().get::<AnswerPlace>().copied();
    let is_unkept = response.extensions().get::<Unkept>().is_some();
    if !is_unkept && !response.status().is_success() {
        let failure = response.extensions().get::<Failure>();
        if failure.is_some_and(|it| it.effect == Effect::Unknown) {
            held.lose().await;
        } else {
            held.release().await;
        }
        return response;
    }
    let Some(hash) = reading.hash(most).await else {
        held.lose().await;
        return response;
    };
    let is_whole = response.body().size_hint().exact();
    if is_unkept || is_whole.is_some_and(|bytes| bytes > MAX_ANSWER_BYTES as u64) {
        held.end(hash, None).await;
        return response;
    }
    let (parts, body) = response.into_parts();
    let kept = |body: Vec<u8>| KeptAnswer {
        status: parts.status.as_u16(),
        headers: headers(&parts.headers),
        body,
    };
    if is_whole.is_none() {
        held.tell_place().await;
        let taking = Taking {
            held,
            hash,
            streamed: parts.extensions.get::<Streamed>().cloned(),
        };
        let body = record(taking, kept(Vec::new()), body);
        return Response::from_parts(parts, body);
    }
    match to_bytes(body, MAX_ANSWER_BYTES).await {
        Ok(bytes) => {
            held.end(hash, Some(kept(bytes.to_vec()))).await;
            Response::from_parts(parts, Body::from(bytes))
        }
        Err(_) => {
            held.end(hash, None).await;
            Failure::internal().into_response()
        }
    }
}

/// Headers to give again: those that are text. Their length follows from the body.
fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let pairs = headers.iter().filter(|(name, _)| *name != "content-length");
    pairs
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect()
}

fn again(answer: KeptAnswer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            response.headers_mut().append(name, value);
        }
    }
    response
        .headers_mut()
        .insert(REPLAYED, HeaderValue::from_static("true"));
    response.extensions_mut().insert(Shaped);
    response
}

fn conflict(code: &'static str, message: &'static str) -> Failure {
    let mut failure = Failure::new(StatusCode::CONFLICT, code, message);
    failure.param = Some("Idempotency-Key".to_owned());
    failure
}

/// A stream that goes on without its client is found by its run, where that is known.
fn running(place: Option<AnswerPlace>) -> Failure {
    let mut failure = conflict(
        "idempotency_in_progress",
        "a request with this Idempotency-Key is being answered; send it again in a moment, or read \
         its stream by `answer`, where that is said and the stream can be come back to",
    );
    failure.retry_after = Some(1);
    failure.details = place.map(|place| Box::new(("answer", json!(place))));
    failure
}

fn lost() -> Failure {
    let mut failure = conflict(
        "idempotency_outcome_unknown",
        "the request with this Idempotency-Key broke off and may have taken effect; look whether \
         it did, then send it with a new key if it did not",
    );
    failure.is_final = true;
    failure
}

/// What the first request led to is told where it can be found: its client may have lost the
/// connection before it knew.
fn unkept(place: Option<AnswerPlace>) -> Failure {
    let mut failure = conflict(
        "idempotency_answer_not_kept",
        "the request with this Idempotency-Key took effect, but its answer is not kept under it: it \
         was longer than 1 MiB, asked not to be stored, held a secret, or was not read to its end; \
         find it by `answer`, where that is said, or use a new key",
    );
    failure.is_final = true;
    failure.details = place.map(|place| Box::new(("answer", json!(place))));
    failure
}

fn reused() -> Failure {
    let mut failure = Failure::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency_key_reused",
        "this Idempotency-Key was used for another request; use a new key for each request",
    );
    failure.param = Some("Idempotency-Key".to_owned());
    failure
}

fn full() -> Failure {
    let mut failure = Failure::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too_many_idempotency_keys",
        "you have used 10,000 Idempotency-Keys within 24 hours; wait, or send requests that need \
         none without one",
    );
    failure.retry_after = Some(60);
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(&["a"], Some(Some("a")))]
    #[case(&[], Some(None))]
    #[case(&[""], None)]
    #[case(&["a", "b"], None)]
    #[case(&["tab\there"], None)]
    fn keys(#[case] values: &[&str], #[case] expected: Option<Option<&str>>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(KEY, value.parse().unwrap());
        }
        let found = key(&headers).ok();
        assert_eq!(found, expected.map(|key| key.map(str::to_owned)));
    }

    #[test]
    fn a_key_has_an_end() {
        let mut headers = HeaderMap::new();
        headers.append(KEY, "k".repeat(MAX_KEY_BYTES).parse().unwrap());
        assert!(key(&headers).is_ok());
        headers.insert(KEY, "k".repeat(MAX_KEY_BYTES + 1).parse().unwrap());
        assert_eq!(key(&headers).unwrap_err().status, StatusCode::BAD_REQUEST);
    }
}
