//! The HTTP server: connections with limits in time and size, and an end that refuses nobody who
//! still comes.

mod connection;
mod gauge;
mod pulse;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use self::connection::Answering;
pub(crate) use self::gauge::{Coming, Gauge};

/// Longest head of a request, and most that is kept of an answer that a client does not take, per
/// HTTP/1 connection and per HTTP/2 stream.
const BUFFER_BYTES: usize = 64 * 1024;
/// How often an HTTP/2 client is asked whether it still lives, and how long its answer may take.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a client may keep a connection without being served or taking what it asked for.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the first byte of a request to the end of its head.
    pub head: Duration,
    /// Before the first request on a connection, and between two on an HTTP/1 one. Longer than the 90 s for which the clients and
    /// proxies that we know keep an idle connection: the side that gives up first must be theirs, or
    /// a request could meet a connection that is being closed.
    pub idle: Duration,
    /// Without any progress of a connection that has something to send.
    pub stall: Duration,
    /// After a stop, how long nobody must have come before the listener closes.
    pub quiet: Duration,
    /// After a stop, how long answers may take. Then a connection ends whose client takes nothing of
    /// what there is for it.
    pub answers: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            stall: Duration::from_secs(60),
            quiet: Duration::from_secs(2),
            answers: Duration::from_secs(20),
        }
    }
}

/// Serves `router` to whom `listener` accepts, until `stop`. After it, connections and requests are
/// still taken for as long as any request is open, and until `limits.quiet` has passed without a new
/// one: a replica leaves its Service some time after it is told to stop, and whoever comes meanwhile
/// is answered. Clients are told to go elsewhere (`Connection: close`, GOAWAY). A listener that lets
/// in whom it has accepted says so to `gauge`: they are waited for as a request is. Who takes nothing
/// of an answer is waited for until `limits.answers` after the stop.
pub(crate) async fn serve<L>(
    mut listener: L,
    gauge: Arc<Gauge>,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) where
    L: Listener,
    L::Addr: Debug,
{
    // Once, and not for each connection.
    let router = router.with_state(());
    let answering = Answering {
        builder: Arc::new(builder()),
        router,
        gauge: Arc::clone(&gauge),
        limits,
        stop: stop.clone(),
        late: CancellationToken::new(),
        close: CancellationToken::new(),
    };
    let late = late(stop.clone(), limits.answers, answering.late.clone());
    let _late = AbortOnDropHandle::new(tokio::spawn(late));
    let connections = TaskTracker::new();
    loop {
        tokio::select! {
            biased;
            (io, _) = listener.accept() => {
                gauge.touch();
                connections.spawn(answering.clone().serve(io));
            }
            () = quiet(&stop, &gauge, limits.quiet) => break,
        }
    }
    drop(listener);
    answering.close.cancel();
    connections.close();
    connections.wait().await;
}

/// Cancels `late` when answers have had `time` since the stop.
async fn late(stop: CancellationToken, time: Duration, late: CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(time).await;
    late.cancel();
}

/// Waits for a stop, and then until no request is open and none has come for `time`.
pub(crate) async fn quiet(stop: &CancellationToken, gauge: &Gauge, time: Duration) {
    stop.cancelled().await;
    loop {
        gauge.nothing_open().await;
        let end = gauge.last() + time;
        if end <= Instant::now() {
            return;
        }
        tokio::time::sleep_until(end).await;
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // Hyper's own limit counts the time between requests, too: `Pulse` tells the two apart.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None::<Duration>)
        .max_buf_size(BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .max_header_list_size(BUFFER_BYTES as u32)
        .max_send_buf_size(BUFFER_BYTES);
    builder
}

#[cfg(test)]
mod tests;
