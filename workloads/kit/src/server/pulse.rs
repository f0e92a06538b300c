//! What a connection waits for, and since when.
//!
//! Everything is told to it by the connection's own task, so its deadline needs no waker of its own:
//! it is looked at each time that the task has run.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use http::Version;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use super::Limits;

/// What a connection waits for. All clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Pulse {
    state: Arc<Mutex<State>>,
    is_http2: CancellationToken,
}

#[derive(Debug)]
struct State {
    /// Requests that are being answered.
    open: usize,
    /// Several requests share the connection: then its own pings look after it.
    is_http2: bool,
    /// Whether a head is awaited that has begun.
    has_begun: bool,
    /// Since when the next head, or its rest, is awaited.
    since: Instant,
    /// Since when the client takes nothing of what there is for it.
    stuck: Option<Instant>,
}

/// Why a connection is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TooLate {
    /// The head of a request did not come.
    Head,
    /// No further request came.
    Idle,
    /// The client takes nothing.
    Stall,
}

impl TooLate {
    /// As metrics write it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Idle => "idle",
            Self::Stall => "stall",
        }
    }
}

impl Pulse {
    /// Of a connection that was just made. Proxies make some to have them: the head's limit begins
    /// with its first byte.
    pub(super) fn new() -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                open: 0,
                is_http2: false,
                has_begun: false,
                since: Instant::now(),
                stuck: None,
            })),
            is_http2: CancellationToken::new(),
        }
    }

    /// The head of a request is there. The request is open until what this gives is dropped.
    pub(super) fn request(&self, version: Version) -> Request {
        let mut state = self.state();
        state.open += 1;
        state.has_begun = false;
        if version == Version::HTTP_2 && !state.is_http2 {
            state.is_http2 = true;
            self.is_http2.cancel();
        }
        Request(self.clone())
    }

    /// Waits for a request that says that this is HTTP/2.
    pub(super) async fn http2(&self) {
        self.is_http2.cancelled().await;
    }

    fn read(&self) {
        let mut state = self.state();
        if state.open == 0 && !state.has_begun {
            state.has_begun = true;
            state.since = Instant::now();
        }
    }

    fn wrote(&self, is_stuck: bool) {
        let mut state = self.state();
        match (is_stuck, state.stuck) {
            (true, None) => state.stuck = Some(Instant::now()),
            (false, Some(_)) => state.stuck = None,
            _ => {}
        }
    }

    /// When the wait will have been too long, if nothing happens before.
    fn deadline(&self, limits: &Limits) -> Option<(Instant, TooLate)> {
        let state = self.state();
        let stall = state
            .stuck
            .map(|since| (since + limits.stall, TooLate::Stall));
        let head = (state.open == 0 && !state.is_http2).then(|| match state.has_begun {
            true => (state.since + limits.head, TooLate::Head),
            false => (state.since + limits.idle, TooLate::Idle),
        });
        [stall, head]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every statement leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is open until this is dropped.
#[derive(Debug)]
pub(super) struct Request(Pulse);

impl Drop for Request {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.open -= 1;
        state.has_begun = false;
        state.since = Instant::now();
    }
}

/// The end of a connection that waits too long.
pub(super) struct Deadline {
    pulse: Pulse,
    limits: Limits,
    timer: Pin<Box<Sleep>>,
}

impl Deadline {
    /// Of the connection of `pulse`.
    pub(super) fn new(pulse: Pulse, limits: Limits) -> Self {
        Self {
            pulse,
            timer: Box::pin(tokio::time::sleep(limits.head)),
            limits,
        }
    }

    /// Gives the reason once it is too late. To be polled after the connection, by the same task.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<TooLate> {
        loop {
            let Some((at, reason)) = self.pulse.deadline(&self.limits) else {
                return Poll::Pending;
            };
            // A timer that is early only looks again: it is not set anew for every request.
            if self.timer.is_elapsed() || self.timer.deadline() > at {
                self.timer.as_mut().reset(at);
            }
            ready!(self.timer.as_mut().poll(context));
            if at <= Instant::now() {
                return Poll::Ready(reason);
            }
        }
    }
}

/// A connection that tells its pulse what it does.
pub(super) struct Told<I> {
    io: I,
    pulse: Pulse,
}

impl<I> Told<I> {
    pub(super) fn new(io: I, pulse: Pulse) -> Self {
        Self { io, pulse }
    }

    fn wrote<T>(&self, outcome: Poll<T>) -> Poll<T> {
        self.pulse.wrote(outcome.is_pending());
        outcome
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Told<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.io).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.pulse.read();
        }
        outcome
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Told<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write(context, bytes);
        self.wrote(outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_flush(context);
        self.wrote(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_shutdown(context);
        self.wrote(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.wrote(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
