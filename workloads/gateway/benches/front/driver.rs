//! The driver: HTTP/1.1 over connections that stay open, one request at a time on each.
//!
//! The open loop sends at a fixed rate whatever comes back, and counts the time that a request
//! waits for a free connection. Requests are released in steps of a millisecond, the resolution of
//! the timer, and their time runs from the release.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use snafu::{ResultExt as _, ensure_whatever};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use crate::Result;
use crate::question::streamed;

/// How long one answer may take.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// What is asked of whom.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The path of chat completions.
    pub(crate) path: String,
    /// Credentials, and what this system needs to know beside.
    pub(crate) headers: HeaderMap,
    /// The question.
    pub(crate) body: Bytes,
}

impl Target {
    /// The same, for a stream of another model's answer.
    pub(crate) fn streaming(&self, model: &str) -> Result<Self> {
        Ok(Self {
            body: streamed(&self.body, model)?,
            ..self.clone()
        })
    }
}

/// A connection to a target.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    /// Opens one.
    pub(crate) async fn open(target: &Target) -> Result<Self> {
        let failed = || format!("failed to connect to {}", target.address);
        let stream = TcpStream::connect(target.address)
            .await
            .with_whatever_context(|_| failed())?;
        stream
            .set_nodelay(true)
            .with_whatever_context(|_| failed())?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .with_whatever_context(|_| failed())?;
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// Whether the far end closed it.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Asks, and returns once the head of the answer is there.
    pub(crate) async fn ask(&mut self, target: &Target) -> Result<Response<Incoming>> {
        self.sender
            .ready()
            .await
            .whatever_context("the connection was closed")?;
        let mut request = Request::new(Full::new(target.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target.path.parse().whatever_context("a bad path")?;
        *request.headers_mut() = target.headers.clone();
        self.sender
            .send_request(request)
            .await
            .whatever_context("a request was not answered")
    }

    /// Asks, and reads the answer to its end.
    async fn whole(&mut self, target: &Target) -> Result<()> {
        let answering = async {
            let response = self.ask(target).await?;
            let status = response.status();
            let body = response.into_body().collect().await;
            let body = body.whatever_context("an answer broke off")?.to_bytes();
            ensure_whatever!(
                status.is_success(),
                "an answer was {status}: {}",
                String::from_utf8_lossy(&body)
            );
            Ok(())
        };
        tokio::time::timeout(ANSWER_LIMIT, answering)
            .await
            .whatever_context("an answer took too long")?
    }
}

/// Times of one run.
#[derive(Debug, Default)]
pub(crate) struct Times {
    /// Of each request.
    pub(crate) all: Vec<Duration>,
    /// Of the run.
    pub(crate) elapsed: Duration,
}

impl Times {
    /// Requests for each second.
    pub(crate) fn rate(&self) -> f64 {
        self.all.len() as f64 / self.elapsed.as_secs_f64()
    }
}

/// All that the connections' tasks counted.
async fn joined<T>(workers: Vec<JoinHandle<Result<Vec<T>>>>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    for worker in workers {
        all.extend(
            worker
                .await
                .whatever_context("a connection's task failed")??,
        );
    }
    Ok(all)
}

/// Asks over and over on `connections` connections.
pub(crate) async fn closed(
    target: &Target,
    connections: usize,
    duration: Duration,
) -> Result<Times> {
    let mut opened = Vec::new();
    for _ in 0..connections {
        opened.push(Connection::open(target).await?);
    }
    let begun = Instant::now();
    let workers = opened
        .into_iter()
        .map(|mut connection| {
            let target = target.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                while begun.elapsed() < duration {
                    let sent = Instant::now();
                    connection.whole(&target).await?;
                    times.push(sent.elapsed());
                }
                Ok(times)
            })
        })
        .collect();
    Ok(Times {
        all: joined(workers).await?,
        elapsed: begun.elapsed(),
    })
}

/// Asks `rate` times a second on at most `connections` connections; `measure` asks once and says
/// what to count, given when the request was due.
pub(crate) async fn open<F, T>(
    target: &Target,
    (connections, rate): (usize, u32),
    duration: Duration,
    measure: F,
) -> Result<Vec<T>>
where
    F: AsyncFn(&mut Connection, &Target, Instant) -> Result<T> + Copy + 'static,
    T: 'static,
{
    let (sender, due) = mpsc::unbounded_channel();
    let due = Arc::new(Mutex::new(due));
    let mut opened = Vec::new();
    for _ in 0..connections {
        opened.push(Connection::open(target).await?);
    }
    let local = tokio::task::LocalSet::new();
    let begun = Instant::now();
    let workers: Vec<_> = opened
        .into_iter()
        .map(|mut connection| {
            let (target, due) = (target.clone(), Arc::clone(&due));
            local.spawn_local(async move {
                let mut counted = Vec::new();
                loop {
                    let next = due.lock().await.recv().await;
                    let Some(released) = next else {
                        return Ok(counted);
                    };
                    counted.push(measure(&mut connection, &target, released).await?);
                }
            })
        })
        .collect();
    local.spawn_local(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(1));
        let mut released = 0;
        while begun.elapsed() < duration {
            ticks.tick().await;
            let now = Instant::now();
            let wanted = ((now - begun).as_secs_f64() * f64::from(rate)) as u64;
            for _ in released..wanted {
                // Workers that failed have told why.
                let _ = sender.send(now);
            }
            released = wanted;
        }
    });
    local.run_until(joined(workers)).await
}

/// Reads a whole answer; its time.
pub(crate) async fn whole(
    connection: &mut Connection,
    target: &Target,
    due: Instant,
) -> Result<Duration> {
    connection.whole(target).await?;
    Ok(due.elapsed())
}
