//! What the gateway takes on at a time. What is more is refused at once, before anything is spent
//! on it, so that memory stays bounded and those who are in are served.

mod late;
mod taken;

use std::sync::Arc;
use std::time::Duration;

use axum::body::HttpBody as _;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::late::{in_time, too_late};
pub use self::taken::Farewell;
use self::taken::while_taken;
use crate::drain::BodySize;
use crate::failure::{Failure, is_api};
use crate::flag::Flag;
use crate::routes::uploads::is_resumable;
use crate::state::AppState;

/// One of so many places is kept for requests without a body: they cost little, so that people still see
/// what is theirs while questions and uploads fill the rest.
const KEPT: u32 = 8;
/// Bodies of all requests that are being answered, as far as they are in memory, in KiB.
const BODIES_KIB: u32 = 128 * 1024;
/// Long whole answers that are being taken, and what is in memory of the files of documents, in KiB.
const ANSWERS_KIB: u32 = 128 * 1024;
/// An upload is passed on as it comes; the writer to the object store holds this much of it.
const BODY_IN_MEMORY: u64 = 10 * 1024 * 1024;
/// Names and values of all headers, and what they cost beside their text.
const MAX_HEADER_BYTES: usize = 32 * 1024;
const HEADER_OVERHEAD: usize = 32;

/// How long clients may take to send and to read.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// From one part of a request's body to the next.
    pub part: Duration,
    /// The same for a body that comes in pieces, of which what came is kept.
    pub pause: Duration,
    /// For a request's body in all.
    pub body: Duration,
    /// From a part of a streamed or long answer that is there to its being taken.
    pub take: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            part: Duration::from_secs(30),
            pause: Duration::from_secs(10),
            body: Duration::from_secs(600),
            take: Duration::from_secs(30),
        }
    }
}

/// Places for requests and their bodies.
#[derive(Debug, Clone)]
pub struct Admission {
    /// How long those who have a place may take.
    pub times: Times,
    requests: Arc<Semaphore>,
    /// Of those, the ones that requests with a body may have.
    with_body: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
    answers: Arc<Semaphore>,
}

/// The places of one request; free again when it is dropped. An `Arc` of it is among the request's
/// extensions, for work that goes on when its client has left: it holds the place until it ends.
#[derive(Debug)]
pub struct Place {
    _request: OwnedSemaphorePermit,
    _body: Option<[OwnedSemaphorePermit; 2]>,
}

/// What an answer holds until it is taken.
struct Held {
    _place: Arc<Place>,
    /// `None` of one that is not there as a whole.
    _room: Option<OwnedSemaphorePermit>,
}

impl Admission {
    /// Places for this many requests at a time.
    pub fn new(requests: u32) -> Self {
        Self {
            times: Times::default(),
            requests: Arc::new(Semaphore::new(requests as usize)),
            with_body: Arc::new(Semaphore::new((requests - requests / KEPT) as usize)),
            bodies: Arc::new(Semaphore::new(BODIES_KIB as usize)),
            answers: Arc::new(Semaphore::new(ANSWERS_KIB as usize)),
        }
    }

    /// Room for this many bytes of an answer until they are taken; for more than there is room, all of
    /// it.
    ///
    /// # Errors
    /// 429 when there is none.
    pub fn room(&self, bytes: u64) -> Result<OwnedSemaphorePermit, Failure> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(ANSWERS_KIB);
        take(&self.answers, kib.min(ANSWERS_KIB), "answers")
    }

    /// A place for a request with a body of this many bytes; `None` when that is not known.
    ///
    /// # Errors
    /// 429 when there is none.
    pub fn admit(&self, body: Option<u64>) -> Result<Place, Failure> {
        let request = take(&self.requests, 1, "requests")?;
        let kib = body
            .unwrap_or(BODY_IN_MEMORY)
            .min(BODY_IN_MEMORY)
            .div_ceil(1024);
        let body = match u32::try_from(kib) {
            Ok(0) => None,
            Ok(kib) => Some([
                take(&self.with_body, 1, "requests")?,
                take(&self.bodies, kib, "bodies")?,
            ]),
            Err(_) => return Err(overloaded("bodies")),
        };
        Ok(Place {
            _request: request,
            _body: body,
        })
    }
}

fn take(
    places: &Arc<Semaphore>,
    count: u32,
    of: &'static str,
) -> Result<OwnedSemaphorePermit, Failure> {
    let taken = Arc::clone(places).try_acquire_many_owned(count);
    taken.map_err(|_| overloaded(of))
}

/// Middleware: refuses what is too much for now (429) and headers that are too large (431), and
/// ends the wait for bodies that do not come (408) and for answers that are not taken.
pub async fn admit<F: Future<Output = Response>>(
    state: &AppState,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    if !is_api(request.uri().path()) {
        return next(request).await;
    }
    if header_bytes(request.headers()) > MAX_HEADER_BYTES {
        let message = format!(
            "the headers are longer than {MAX_HEADER_BYTES} bytes in all; send fewer or shorter ones"
        );
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Failure::new(status, "headers_too_large", message).into_response();
    }
    let size = request.extensions().get::<BodySize>();
    let size = size.and_then(|BodySize(bytes)| *bytes);
    let place = match state.admission.admit(size) {
        Ok(place) => Arc::new(place),
        Err(failure) => return failure.into_response(),
    };
    let (times, late) = (state.admission.times, Flag::default());
    // What came of a piece of a file is kept, and its answer knows how far that is.
    let keeps_parts = is_resumable(&request);
    let mut request = if size == Some(0) {
        request
    } else {
        request.map(|body| in_time(body, times, late.clone()))
    };
    request.extensions_mut().insert(Arc::clone(&place));
    let is_safe = request.method().is_safe();
    let response = next(request).await;
    if late.is_raised() && !keeps_parts && !response.status().is_success() {
        // Whoever read the body knows only that it broke off.
        return too_late().into_response();
    }
    let room = match response.body().size_hint().exact() {
        // Its connection has room for it: nothing more is done for it.
        Some(bytes) if bytes <= taken::PART as u64 => return response,
        Some(bytes) => match state.admission.room(bytes) {
            Ok(room) => Some(room),
            // It is let go at once.
            Err(failure) if is_safe => return failure.into_response(),
            // What took effect is told all the same.
            Err(_) => None,
        },
        None => None,
    };
    let held = Held {
        _place: place,
        _room: room,
    };
    while_taken(response, held, times.take)
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD)
        .sum()
}

/// 429 for what is more than is taken on at a time.
pub fn overloaded(what: &'static str) -> Failure {
    metrics::counter!("lotoai_gateway_shed_requests_total", "of" => what).increment(1);
    let mut failure = Failure::new(
        StatusCode::TOO_MANY_REQUESTS,
        "overloaded",
        "the gateway is answering as many requests as it can; send this one again in a moment",
    );
    failure.retry_after = Some(1);
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_left() {
        let admission = Admission::new(2);
        let first = admission.admit(Some(0)).unwrap();
        let _second = admission.admit(Some(10)).unwrap();
        let failure = admission.admit(Some(0)).unwrap_err();
        assert_eq!(
            (failure.status.as_u16(), failure.retry_after),
            (429, Some(1))
        );
        drop(first);
        assert!(admission.admit(Some(0)).is_ok());
    }

    #[test]
    fn long_answers_have_so_much_room() {
        const LONG: u64 = 4 * 1024 * 1024;
        let admission = Admission::new(1_000);
        let most = u64::from(ANSWERS_KIB) * 1024 / LONG;
        let mut rooms: Vec<_> = (0..most).map(|_| admission.room(LONG).unwrap()).collect();
        let failure = admission.room(1).unwrap_err();
        assert_eq!(
            (failure.status.as_u16(), &*failure.code),
            (429, "overloaded")
        );
        rooms.pop();
        assert!(admission.room(LONG).is_ok());
        // One that is longer than all of it needs all of it.
        assert!(admission.room(u64::MAX).is_err());
        drop(rooms);
        assert!(admission.room(u64::MAX).is_ok());
    }

    #[test]
    fn some_places_are_kept_for_requests_without_a_body() {
        let admission = Admission::new(16);
        let questions: Vec<_> = (0..14)
            .map(|_| admission.admit(Some(10)).unwrap())
            .collect();
        assert_eq!(admission.admit(Some(10)).unwrap_err().code, "overloaded");
        let _looks = [(); 2].map(|()| admission.admit(Some(0)).unwrap());
        assert_eq!(admission.admit(Some(0)).unwrap_err().code, "overloaded");
        // The control: what a question leaves is free for either.
        drop(questions);
        let _others = [Some(0), Some(10)].map(|body| admission.admit(body).unwrap());
    }

    #[test]
    fn bodies_of_unknown_or_great_length_take_what_an_upload_holds() {
        let admission = Admission::new(1_000);
        let most = u64::from(BODIES_KIB) * 1024 / BODY_IN_MEMORY;
        let sizes = [None, Some(u64::MAX), Some(BODY_IN_MEMORY)];
        let places: Vec<_> = (0..most)
            .map(|index| admission.admit(sizes[index as usize % 3]).unwrap())
            .collect();
        assert_eq!(admission.admit(None).unwrap_err().code, "overloaded");
        // The control: small ones still find room.
        assert!(admission.admit(Some(2_000)).is_ok());
        drop(places);
        assert!(admission.admit(None).is_ok());
    }
}
