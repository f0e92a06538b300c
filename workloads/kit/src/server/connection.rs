//! One connection, from its first byte to its end.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Version, header};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::Limits;
use super::gauge::{Gauge, Open};
use super::pulse::{self, Deadline, Pulse, Told, TooLate};

/// What all connections of a server are served with.
#[derive(Clone)]
pub(super) struct Answering {
    pub(super) builder: Arc<Builder<TokioExecutor>>,
    pub(super) router: Router,
    pub(super) gauge: Arc<Gauge>,
    pub(super) limits: Limits,
    /// Cancelled at a stop: clients are told to go elsewhere.
    pub(super) stop: CancellationToken,
    /// Cancelled when answers have had their time since the stop: clients that take nothing are not
    /// waited for.
    pub(super) late: CancellationToken,
    /// Cancelled when the listener is closed: idle connections end.
    pub(super) close: CancellationToken,
}

impl Answering {
    /// Serves a connection to its end.
    pub(super) async fn serve<I>(self, io: I)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (stop, late, close) = (self.stop.clone(), self.late.clone(), self.close.clone());
        let (limits, builder) = (self.limits, Arc::clone(&self.builder));
        let pulse = Pulse::new();
        let io = TokioIo::new(Told::new(io, pulse.clone()));
        let service = Answers {
            answering: self,
            pulse: pulse.clone(),
        };
        let mut connection = pin!(builder.serve_connection(io, service));
        let mut deadline = Deadline::new(pulse.clone(), limits);
        // HTTP/2 has a way to say that no further request is welcome, and what is under way counts.
        // On HTTP/1 the answer to the next request says so.
        let mut goaway = pin!(async {
            stop.cancelled().await;
            pulse.http2().await;
        });
        let mut end = pin!(close.cancelled());
        let mut untaken = pin!(async {
            late.cancelled().await;
            pulse.untaken().await;
        });
        let (mut is_told, mut is_ended) = (false, false);
        loop {
            tokio::select! {
                biased;
                outcome = connection.as_mut() => {
                    if let Err(error) = outcome {
                        tracing::debug!(%error, "a connection broke");
                    }
                    return;
                }
                () = goaway.as_mut(), if !is_told => {
                    is_told = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = end.as_mut(), if !is_ended => {
                    is_ended = true;
                    connection.as_mut().graceful_shutdown();
                }
                reason = poll_fn(|context| deadline.poll(context)) => return ended(reason),
                () = untaken.as_mut() => return ended(TooLate::Stall),
            }
        }
    }
}

fn ended(reason: TooLate) {
    tracing::debug!(?reason, "a connection was ended");
    metrics::counter!("lotoai_http_connections_ended_total", "reason" => reason.name())
        .increment(1);
}

/// Answers the requests of one connection.
struct Answers {
    answering: Answering,
    pulse: Pulse,
}

impl hyper::service::Service<Request<Incoming>> for Answers {
    type Response = Response<Counted>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let is_http1 = request.version() < Version::HTTP_2;
        let open = self.answering.gauge.open();
        let pulse = self.pulse.request(request.version());
        let stop = self.answering.stop.clone();
        let answer = self.answering.router.clone().oneshot(request);
        Box::pin(async move {
            let mut response = answer.await?;
            if is_http1 && stop.is_cancelled() {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            Ok(response.map(|body| Counted {
                body,
                pulse,
                _open: open,
            }))
        })
    }
}

/// The body of an answer, whose request is open until the body is dropped.
pub(super) struct Counted {
    body: Body,
    pulse: pulse::Request,
    _open: Open,
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.pulse.asked();
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if matches!(frame, Poll::Ready(Some(Ok(_)))) {
            self.pulse.gave();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
