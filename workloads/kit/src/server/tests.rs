//! Raw sockets against short limits.

use axum::body::Body;
use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use futures::stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::*;
use crate::testing::{Running, serve_within};

mod delay;
mod stopping;

const PATIENCE: Duration = Duration::from_secs(20);
/// Limits that no test reaches unless it says so.
const LONG: Limits = Limits {
    head: PATIENCE,
    idle: PATIENCE,
    stall: PATIENCE,
    quiet: Duration::ZERO,
    answers: PATIENCE,
};
const SHORT: Duration = Duration::from_millis(300);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

async fn within<T>(future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(PATIENCE, future).await;
    outcome.expect("it happens in time")
}

async fn start(limits: Limits) -> (Running, TcpStream) {
    let router = Router::new().route("/", get(|| std::future::ready("here")));
    let running = serve_within(router, None, limits).await;
    let stream = connect(&running).await;
    (running, stream)
}

async fn connect(running: &Running) -> TcpStream {
    TcpStream::connect(("127.0.0.1", running.port))
        .await
        .unwrap()
}

/// Reads up to and with `end`.
async fn read_to(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let byte = within(stream.read_u8()).await;
        text.push(char::from(byte.unwrap_or_else(|e| panic!("{e}: {text}"))));
    }
    text
}

/// Waits until the server has closed, and gives how long that took.
async fn closed(stream: &mut TcpStream) -> Duration {
    let began = Instant::now();
    let mut rest = Vec::new();
    // Closed or reset: both are an end.
    drop(within(stream.read_to_end(&mut rest)).await);
    began.elapsed()
}

#[rstest::rstest]
#[case::half_a_line(b"GET / HT")]
#[case::half_of_the_headers(b"GET / HTTP/1.1\r\nhost: x\r\nx-a: ")]
#[case::half_of_the_preface_of_http2(b"PRI * HTTP/2.0\r\n\r\nS")]
#[case::http2_without_a_request(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")]
#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection(#[case] beginning: &[u8]) {
    let head = SHORT;
    let (_running, mut stream) = start(Limits { head, ..LONG }).await;
    stream.write_all(beginning).await.unwrap();
    let took = closed(&mut stream).await;
    assert!(took < PATIENCE / 2, "{took:?}");
    // The control: with another limit the same client is waited for.
    let (_running, mut stream) = start(LONG).await;
    stream.write_all(beginning).await.unwrap();
    let waits = tokio::time::timeout(2 * SHORT, closed(&mut stream));
    assert!(waits.await.is_err());
}

/// The class of attack that is called slowloris: each byte is in time, and the whole never is.
#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_not_waited_for() {
    let head = SHORT;
    let (_running, mut stream) = start(Limits { head, ..LONG }).await;
    let (mut reading, mut writing) = stream.split();
    let dribble = async {
        let beginning = &REQUEST[..REQUEST.len() - 2];
        writing.write_all(beginning).await.unwrap();
        while writing.write_all(b"x-a: b\r\n").await.is_ok() {
            tokio::time::sleep(SHORT / 6).await;
        }
    };
    let mut rest = Vec::new();
    tokio::select! {
        _ = reading.read_to_end(&mut rest) => {}
        () = dribble => {}
        () = tokio::time::sleep(PATIENCE) => panic!("it is still waited for"),
    }
    assert!(rest.is_empty(), "nobody was answered");
}

#[tokio::test]
async fn an_idle_connection_lives_longer_than_half_a_head() {
    let limits = Limits {
        head: SHORT,
        idle: 4 * SHORT,
        ..LONG
    };
    let (_running, mut stream) = start(limits).await;
    for _ in 0..2 {
        stream.write_all(REQUEST).await.unwrap();
        read_to(&mut stream, "here").await;
    }
    let took = closed(&mut stream).await;
    assert!(took > 2 * SHORT, "{took:?}");
    // So does one that was never of use: a proxy has made it to have it.
    let (_running, mut stream) = start(limits).await;
    let took = closed(&mut stream).await;
    assert!(took > 2 * SHORT, "{took:?}");
    // The next head has its own limit, though the connection was of use before.
    let (_running, mut stream) = start(Limits {
        head: SHORT,
        ..LONG
    })
    .await;
    stream.write_all(REQUEST).await.unwrap();
    read_to(&mut stream, "here").await;
    stream.write_all(&REQUEST[..9]).await.unwrap();
    assert!(closed(&mut stream).await < PATIENCE / 2);
}

/// What answers when it is let, with the moment at which it was asked and the leave to answer.
fn held() -> (MethodRouter, Arc<Notify>, Arc<Notify>) {
    let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (entered, leave) = (Arc::clone(&entered), Arc::clone(&leave));
        move || async move {
            entered.notify_one();
            leave.notified().await;
            "finished"
        }
    };
    (get(handler), entered, leave)
}

#[tokio::test]
async fn a_request_that_is_being_answered_has_no_such_limit() {
    let (held, entered, leave) = held();
    let limits = Limits {
        head: SHORT,
        idle: SHORT,
        stall: SHORT,
        ..LONG
    };
    let router = Router::new().route("/", held);
    let running = serve_within(router, None, limits).await;
    let mut stream = connect(&running).await;
    stream.write_all(REQUEST).await.unwrap();
    entered.notified().await;
    // Longer than all of them.
    tokio::time::sleep(2 * SHORT).await;
    leave.notify_one();
    read_to(&mut stream, "finished").await;
}

#[tokio::test]
async fn a_head_has_an_end() {
    let (_running, mut stream) = start(LONG).await;
    let head = |bytes: usize| {
        let long = "x".repeat(bytes);
        format!("GET / HTTP/1.1\r\nhost: x\r\nx-long: {long}\r\n\r\n")
    };
    stream.write_all(head(16 * 1024).as_bytes()).await.unwrap();
    read_to(&mut stream, "here").await;
    // What is too much for one read; the rest of it may find the connection closed.
    let too_long = head(2 * BUFFER_BYTES);
    stream.write_all(too_long.as_bytes()).await.ok();
    let answer = read_to(&mut stream, "\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn a_head_has_an_end_over_http2_too() {
    let (running, _) = start(LONG).await;
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let send = async |bytes: usize| {
        let request = client.get(format!("http://127.0.0.1:{}/", running.port));
        let answer = request.header("x-long", "x".repeat(bytes)).send();
        within(answer).await.map(|answer| answer.status().as_u16())
    };
    assert_eq!(send(16 * 1024).await.unwrap(), 200);
    let refused = send(4 * BUFFER_BYTES).await;
    assert!(
        refused.as_ref().map_or(true, |it| *it == 431),
        "{refused:?}"
    );
}

/// An answer without an end, which holds `alive` until it is given up.
fn endless(alive: impl Send + 'static) -> Body {
    let parts = stream::repeat_with(move || {
        let _alive = &alive;
        Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 8192]))
    });
    Body::from_stream(parts)
}

/// Tells when an answer is given up.
struct Told(Arc<Notify>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up_and_one_that_is_slow_is_not() {
    let dropped = Arc::new(Notify::new());
    let handler = {
        let dropped = Arc::clone(&dropped);
        move || std::future::ready(endless(Told(Arc::clone(&dropped))))
    };
    let router = Router::new().route("/", get(handler));
    let stall = 4 * SHORT;
    let running = serve_within(router, None, Limits { stall, ..LONG }).await;
    let mut stream = connect(&running).await;
    stream.write_all(REQUEST).await.unwrap();
    // Slow, and never for as long as the limit: enough each time for the windows to move.
    let mut buffer = vec![0; 4 * 1024 * 1024];
    for _ in 0..6 {
        within(stream.read_exact(&mut buffer)).await.unwrap();
        tokio::time::sleep(SHORT).await;
    }
    // And then not at all.
    within(dropped.notified()).await;
}
