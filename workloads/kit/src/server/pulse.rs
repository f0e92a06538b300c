//! What a connection waits for, and since when.
//!
//! What its deadline depends on is told by the connection's own task, so that needs no waker of its
//! own: it is looked at each time that the task has run. Answers of HTTP/2 are written by others.

use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Version;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use super::Limits;

/// After answers had their time, a client that takes nothing for so long is not waited for.
const PARTING: Duration = Duration::from_secs(1);

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
    /// Those of them of whose answer there is a part that the client has not taken.
    untaken: usize,
    /// When the client last took something.
    taken: Instant,
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
                untaken: 0,
                taken: Instant::now(),
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
        Request {
            pulse: self.clone(),
            is_untaken: false,
        }
    }

    /// Waits for a request that says that this is HTTP/2.
    pub(super) async fn http2(&self) {
        self.is_http2.cancelled().await;
    }

    /// Waits until the client takes nothing of what there is for it, and nothing else is being done
    /// for it.
    pub(super) async fn untaken(&self) {
        while !self.state().is_untaken() {
            tokio::time::sleep(PARTING / 4).await;
        }
    }

    fn read(&self) {
        let mut state = self.state();
        if state.open == 0 && !state.has_begun {
            state.has_begun = true;
            state.since = Instant::now();
        }
    }

    fn wrote(&self, is_stuck: bool, is_taken: bool) {
        let mut state = self.state();
        if is_taken {
            state.taken = Instant::now();
        }
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

impl State {
    fn is_untaken(&self) -> bool {
        // Between requests HTTP/1 has nothing for its client but what is stuck; of HTTP/2 nobody but
        // the client knows, who has been told that there will be no more.
        let has_something = self.open > 0 || self.is_http2 || self.stuck.is_some();
        has_something && self.open == self.untaken && self.taken.elapsed() >= PARTING
    }
}

/// A request that is open until this is dropped.
#[derive(Debug)]
pub(super) struct Request {
    pulse: Pulse,
    /// Whether there is a part of its answer that the client has not taken.
    is_untaken: bool,
}

impl Request {
    /// More of its answer is asked for, since there is room for it.
    pub(super) fn asked(&mut self) {
        if mem::take(&mut self.is_untaken) {
            let mut state = self.pulse.state();
            state.untaken -= 1;
            state.taken = Instant::now();
        }
    }

    /// A part of its answer is given.
    pub(super) fn gave(&mut self) {
        self.is_untaken = true;
        self.pulse.state().untaken += 1;
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut state = self.pulse.state();
        state.open -= 1;
        state.untaken -= usize::from(self.is_untaken);
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

    fn wrote(&self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let is_taken = matches!(outcome, Poll::Ready(Ok(1..)));
        self.pulse.wrote(outcome.is_pending(), is_taken);
        outcome
    }

    fn flushed(&self, outcome: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        self.pulse.wrote(outcome.is_pending(), false);
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
        self.flushed(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_shutdown(context);
        self.flushed(outcome)
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
