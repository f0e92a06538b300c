//! Calls whose last message says that it is the last.
//!
//! The library tells that a call has no further message only when it is asked for the next one. The
//! connection has sent the message by then, and sends an empty frame after it: a write to the socket,
//! and a packet, for each call.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tower::Service;

/// Looks at what comes next of a call's messages before it gives one.
#[derive(Debug, Clone)]
pub struct Ending<S>(pub(super) S);

impl<S: Service<http::Request<Body>>> Service<http::Request<Body>> for Ending<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> S::Future {
        self.0
            .call(request.map(|body| Body::new(LookingAhead::new(body))))
    }
}

type Part = Option<Result<Frame<Bytes>, Status>>;

struct LookingAhead {
    body: Body,
    /// What comes next, as far as it was there when it was looked at.
    next: Option<Part>,
}

impl LookingAhead {
    const fn new(body: Body) -> Self {
        Self { body, next: None }
    }
}

impl hyper::body::Body for LookingAhead {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Part> {
        let part = match self.next.take() {
            Some(part) => part,
            None => ready!(Pin::new(&mut self.body).poll_frame(context)),
        };
        self.next = match &part {
            // Nothing comes after an end or a failure.
            None | Some(Err(_)) => Some(None),
            Some(Ok(_)) => match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(next) => Some(next),
                Poll::Pending => None,
            },
        };
        Poll::Ready(part)
    }

    fn is_end_stream(&self) -> bool {
        match &self.next {
            Some(next) => next.is_none(),
            None => self.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, StreamExt as _, stream};
    use http_body_util::{BodyExt as _, StreamBody};
    use hyper::body::Body as _;

    use super::*;

    fn body(
        parts: impl futures::Stream<Item = Result<&'static str, Status>> + Send + 'static,
    ) -> Body {
        let frames =
            parts.map(|part| part.map(|text| Frame::data(Bytes::from_static(text.as_bytes()))));
        Body::new(StreamBody::new(frames))
    }

    fn text(part: Part) -> Option<String> {
        let data = part?.unwrap().into_data().unwrap();
        Some(String::from_utf8(data.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_last_message_says_so_and_the_control_does_not() {
        let messages = || body(stream::iter([Ok("one"), Ok("two")]));
        let mut looking = LookingAhead::new(messages());
        assert_eq!(text(looking.frame().await).as_deref(), Some("one"));
        assert!(!looking.is_end_stream());
        assert_eq!(text(looking.frame().await).as_deref(), Some("two"));
        assert!(looking.is_end_stream());
        assert!(looking.frame().await.is_none());
        // Without it the end is not known yet.
        let mut control = messages();
        control.frame().await.unwrap().unwrap();
        control.frame().await.unwrap().unwrap();
        assert!(!control.is_end_stream());
    }

    #[tokio::test]
    async fn a_message_that_is_there_does_not_wait_for_the_next() {
        let endless = stream::once(async { Ok("one") }).chain(stream::pending());
        let mut looking = LookingAhead::new(body(endless));
        assert_eq!(text(looking.frame().await).as_deref(), Some("one"));
        assert!(!looking.is_end_stream());
        assert!(looking.frame().now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_failure_comes_after_what_was_before_it_and_ends_the_call() {
        let parts = [Ok("one"), Err(Status::aborted("broken")), Ok("never")];
        let mut looking = LookingAhead::new(body(stream::iter(parts)));
        assert_eq!(text(looking.frame().await).as_deref(), Some("one"));
        assert!(!looking.is_end_stream());
        let failure = looking.frame().await.unwrap().unwrap_err();
        assert_eq!(failure.message(), "broken");
        assert!(looking.frame().await.is_none());
    }
}
