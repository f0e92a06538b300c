//! Answers that their client does not take: streamed ones, and those that are longer than a connection
//! has room for.
//!
//! A server asks for the next part of an answer when there is room for it. When it does not ask for
//! long after it was given a part, the client has stopped reading: the answer is ended then, which
//! cancels the call behind it and frees its place, though the connection may stay. What such an
//! answer holds meanwhile is bounded by the windows and buffers of the connection.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody as _};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::Held;
use crate::failure::Failure;

/// A connection is given no more than this of an answer at a time, in bytes: as much as it keeps of one
/// that is not taken.
pub(super) const PART: usize = 64 * 1024;

/// On a streamed response: writes a failure as the last of its events, in the words of its API.
#[derive(Clone)]
pub struct Farewell(Arc<dyn Fn(&Failure) -> String + Send + Sync>);

impl Farewell {
    /// What `write` writes.
    pub fn new(write: impl Fn(&Failure) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }
}

/// Passes an answer on, part by part, holds what it has until its end, and ends it when the client has
/// not taken a part that was there for longer than `limit`.
pub(super) fn while_taken(mut response: Response, held: Held, limit: Duration) -> Response {
    let farewell = response.extensions_mut().remove();
    // Of a body that comes in parts nobody else knows it.
    if let Some(bytes) = response.body().size_hint().exact() {
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    response.map(|body| {
        let answer = Arc::new(Mutex::new(Answer {
            open: Some(Open {
                body: body.into_data_stream(),
                rest: Bytes::new(),
                _held: held,
            }),
            untaken: None,
        }));
        let watch = tokio::spawn(watch(Arc::downgrade(&answer), limit));
        Body::from_stream(Taking {
            answer,
            farewell,
            is_told: false,
            _watch: AbortOnDropHandle::new(watch),
        })
    })
}

/// An answer, and how far it was taken.
struct Answer {
    /// `None` once it was ended because nobody took it.
    open: Option<Open>,
    /// When the part was given that nobody has asked to follow yet.
    untaken: Option<Instant>,
}

/// An answer that goes on.
struct Open {
    body: BodyDataStream,
    /// What is there of it and was not given yet.
    rest: Bytes,
    _held: Held,
}

impl Open {
    fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, axum::Error>>> {
        if self.rest.is_empty() {
            match self.body.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(part))) if part.len() > PART => self.rest = part,
                next => return next,
            }
        }
        let part = self.rest.split_to(PART.min(self.rest.len()));
        // Copied: who has a piece of it would keep all of it.
        Poll::Ready(Some(Ok(Bytes::copy_from_slice(&part))))
    }
}

fn lock(answer: &Mutex<Answer>) -> MutexGuard<'_, Answer> {
    answer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks whether the answer is taken, until it is dropped or ended.
async fn watch(answer: Weak<Mutex<Answer>>, limit: Duration) {
    loop {
        tokio::time::sleep(limit / 4).await;
        let Some(answer) = answer.upgrade() else {
            return;
        };
        let ended = {
            let mut answer = lock(&answer);
            let is_late = |since: Instant| since.elapsed() >= limit;
            answer
                .untaken
                .is_some_and(is_late)
                .then(|| answer.open.take())
        };
        if ended.is_some() {
            metrics::counter!("lotoai_gateway_slow_readers_total").increment(1);
            tracing::warn!(
                seconds = limit.as_secs(),
                "an answer was ended: its client took nothing of it"
            );
            return;
        }
    }
}

struct Taking {
    answer: Arc<Mutex<Answer>>,
    /// Told to a client that comes back too late.
    farewell: Option<Farewell>,
    is_told: bool,
    _watch: AbortOnDropHandle<()>,
}

impl Stream for Taking {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = {
            let mut answer = lock(&self.answer);
            answer.untaken = None;
            let next = answer.open.as_mut().map(|open| open.poll_part(context));
            if matches!(next, Some(Poll::Ready(Some(Ok(_))))) {
                answer.untaken = Some(Instant::now());
            }
            next
        };
        match next {
            Some(next) => next,
            // Any other answer must not look whole.
            None => Poll::Ready(match &self.farewell {
                Some(_) if self.is_told => None,
                Some(Farewell(write)) => {
                    let last = write(&slow_reader());
                    self.is_told = true;
                    Some(Ok(last.into()))
                }
                None => Some(Err(axum::Error::new(std::io::Error::from(
                    std::io::ErrorKind::TimedOut,
                )))),
            }),
        }
    }
}

fn slow_reader() -> Failure {
    Failure::new(
        StatusCode::REQUEST_TIMEOUT,
        "slow_reader",
        "the answer was ended because nothing of it was taken for too long; read faster, or ask \
         without a stream",
    )
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use futures::stream;
    use tokio::sync::oneshot;

    use super::*;
    use crate::admission::Admission;

    const LIMIT: Duration = Duration::from_secs(30);

    fn held(admission: &Admission) -> Held {
        Held {
            _place: Arc::new(admission.admit(Some(0)).unwrap()),
            _room: None,
        }
    }

    /// An endless answer, and what is told when it is dropped.
    fn endless(farewell: Option<Farewell>) -> (Response, oneshot::Receiver<()>, Admission) {
        let (alive, dropped) = oneshot::channel::<()>();
        let parts = stream::repeat_with(move || {
            let _alive = &alive;
            Ok::<_, std::io::Error>("data: {}\n\n")
        });
        let admission = Admission::new(1);
        let held = held(&admission);
        let mut response = Body::from_stream(parts).into_response();
        if let Some(farewell) = farewell {
            response.extensions_mut().insert(farewell);
        }
        (while_taken(response, held, LIMIT), dropped, admission)
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_takes_is_ended_and_says_so() {
        let farewell = Farewell::new(|failure| format!("data: {}\n\n", failure.code));
        let (response, dropped, admission) = endless(Some(farewell));
        let mut parts = response.into_body().into_data_stream();
        parts.next().await.unwrap().unwrap();
        let began = Instant::now();
        assert!(dropped.await.is_err());
        assert!(began.elapsed() >= LIMIT && began.elapsed() <= LIMIT * 5 / 4);
        assert!(admission.admit(Some(0)).is_ok(), "its place is free");
        let last = parts.next().await.unwrap().unwrap();
        assert_eq!(last, "data: slow_reader\n\n");
        assert!(parts.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_stream_of_events_ends_with_an_error() {
        let (response, dropped, _) = endless(None);
        let mut parts = response.into_body().into_data_stream();
        parts.next().await.unwrap().unwrap();
        assert!(dropped.await.is_err());
        assert!(parts.next().await.unwrap().is_err());
    }

    /// Bytes, and who is told when nobody has them any more.
    struct Owned {
        bytes: Vec<u8>,
        _alive: oneshot::Sender<()>,
    }

    impl AsRef<[u8]> for Owned {
        fn as_ref(&self) -> &[u8] {
            &self.bytes
        }
    }

    /// A whole answer, and what is told when nobody has it any more.
    fn whole(bytes: Vec<u8>) -> (Response, oneshot::Receiver<()>, Admission) {
        let (_alive, dropped) = oneshot::channel();
        let owned = Owned { bytes, _alive };
        let admission = Admission::new(1);
        let held = held(&admission);
        let body = Body::from(Bytes::from_owner(owned));
        let response = while_taken(body.into_response(), held, LIMIT);
        (response, dropped, admission)
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_whole_answer_that_nobody_takes_is_ended_and_let_go() {
        let (response, dropped, admission) = whole(vec![b'x'; 3 * PART + 7]);
        let mut parts = response.into_body().into_data_stream();
        // As the connection has it, which nobody reads.
        let first = parts.next().await.unwrap().unwrap();
        assert_eq!(admission.admit(Some(0)).unwrap_err().code, "overloaded");
        assert!(dropped.await.is_err(), "nobody has the rest");
        assert!(admission.admit(Some(0)).is_ok(), "its place is free");
        assert_eq!(first.len(), PART);
        // It must not look whole.
        assert!(parts.next().await.unwrap().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_whole_answer_is_given_as_it_is() {
        let text: Vec<u8> = (0..=250).cycle().take(3 * PART + 7).collect();
        let (response, _, admission) = whole(text.clone());
        let length = text.len().to_string();
        assert_eq!(response.headers()[CONTENT_LENGTH], length.as_str());
        let mut parts = response.into_body().into_data_stream();
        let mut given = Vec::new();
        while let Some(part) = parts.next().await {
            let part = part.unwrap();
            assert!(part.len() <= PART, "{}", part.len());
            given.extend_from_slice(&part);
        }
        assert!(given == text);
        drop(parts);
        assert!(admission.admit(Some(0)).is_ok(), "its place is free");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_and_a_silent_answer_go_on() {
        let (response, mut dropped, admission) = endless(None);
        let mut parts = response.into_body().into_data_stream();
        for _ in 0..10 {
            parts.next().await.unwrap().unwrap();
            tokio::time::sleep(LIMIT * 9 / 10).await;
        }
        assert!(
            dropped
                .try_recv()
                .is_err_and(|it| it == oneshot::error::TryRecvError::Empty)
        );
        assert_eq!(admission.admit(Some(0)).unwrap_err().code, "overloaded");
        drop(parts);
        assert!(dropped.await.is_err());

        // Nothing to take is no reason.
        let silent = Body::from_stream(stream::pending::<std::io::Result<Bytes>>());
        let held = held(&admission);
        let response = while_taken(silent.into_response(), held, LIMIT);
        let mut parts = response.into_body().into_data_stream();
        let waits = tokio::time::timeout(LIMIT * 4, parts.next());
        assert!(waits.await.is_err());
        assert!(admission.admit(Some(0)).is_err(), "it goes on");
    }
}
