//! The surface on real sockets: clients that dawdle, and a stop with many of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Method, StatusCode};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tower::ServiceExt as _;

use super::budgets::question;
use super::keys::{Signer, realm};
use super::orchestrator::{self, Seen};
use super::support::{Gateway, Parts, config};
use super::wire::{answer, text, within};
use crate::admission::Times;

const SHORT: Duration = Duration::from_millis(400);

async fn gateway(times: Times) -> (Gateway, Arc<Seen>) {
    let (orchestrator, seen) = orchestrator::start().await;
    let parts = Parts {
        orchestrator,
        times,
        ..Parts::default()
    };
    (Gateway::start(parts).await, seen)
}

/// The head of a question with a body of so many bytes.
fn head(gateway: &Gateway, bytes: usize) -> String {
    head_to(gateway, "/v1/chat/completions", bytes)
}

fn head_to(gateway: &Gateway, path: &str, bytes: usize) -> String {
    let token = gateway.signer.token("ana", &[]);
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {bytes}\r\n\r\n"
    )
}

async fn ask(gateway: &Gateway, address: SocketAddr, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = head(gateway, body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    stream
}

#[rstest::rstest]
#[case::nothing_comes(Duration::MAX)]
#[case::byte_by_byte(SHORT / 4)]
#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for(#[case] pause: Duration) {
    let (gateway, seen) = gateway(Times {
        part: SHORT,
        body: 2 * SHORT,
        ..Times::default()
    })
    .await;
    let (address, _server) = gateway.serve().await;
    let body = question("lotoai", &json!({}));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = head(&gateway, body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    let (reading, mut writing) = stream.split();
    let dribble = async {
        for byte in body.as_bytes() {
            drop(writing.write_all(&[*byte]).await);
            tokio::time::sleep(pause).await;
        }
    };
    let (head, body) = tokio::select! {
        answer = answer(reading) => answer.unwrap(),
        () = dribble => panic!("all of it was waited for"),
    };
    assert!(head.starts_with("HTTP/1.1 408"), "{head}");
    assert!(body.contains("\"code\":\"body_timeout\""), "{body}");
    assert_eq!(seen.count(), 0);
    // The control: the same question at once.
    let body = question("lotoai", &json!({}));
    let (head, _) = answer(ask(&gateway, address, &body).await).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
}

/// Asks for endless text, takes nothing of it until it was given up, and then everything.
async fn given_up(path: &str, body: String) -> String {
    let (gateway, seen) = gateway(Times {
        take: SHORT,
        ..Times::default()
    })
    .await;
    let (address, _server) = gateway.serve().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let head = head_to(&gateway, path, body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    within(seen.cancelled.notified()).await;
    // It would have been ended with `answer_too_long` at 4 MiB.
    let written = seen.flooded.load(Ordering::Relaxed);
    assert!(written < 3 * 1024 * 1024, "{written} bytes are in memory");
    let (_, body) = answer(stream).await.unwrap();
    body
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_ended_and_told_why() {
    let body = question("flood", &json!({"stream": true}));
    let body = given_up("/v1/chat/completions", body).await;
    assert!(body.contains("\"code\":\"slow_reader\""), "{}", body.len());
    assert!(body.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_reader_of_a_response_is_told_in_the_words_of_its_api() {
    let body = json!({"model": "flood", "store": false, "stream": true, "input": "?"});
    let body = given_up("/v1/responses", body.to_string()).await;
    let events: Vec<(&str, Value)> = body
        .trim_end()
        .split("\n\n")
        .filter(|event| !event.starts_with(':'))
        .map(|event| {
            let (name, data) = event.split_once('\n').unwrap();
            let data = data.strip_prefix("data: ").unwrap();
            (name, serde_json::from_str(data).unwrap())
        })
        .collect();
    let [.., (_, before), (name, last)] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(*name, "event: error");
    assert_eq!(
        (&last["type"], &last["code"], &last["param"]),
        (&json!("error"), &json!("slow_reader"), &Value::Null)
    );
    assert!(last["message"].is_string(), "{last}");
    let number = |event: &Value| event["sequence_number"].as_u64().unwrap();
    assert!(number(last) > number(before), "{last}");
}

/// Waits until the orchestrator was asked.
async fn is_asked(seen: &Seen) {
    let asked = async {
        while seen.count() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(asked).await;
}

#[rstest::rstest]
#[case::whole(false)]
#[case::stream(true)]
#[tokio::test]
async fn a_client_that_hangs_up_has_its_call_cancelled_within_a_second(#[case] stream: bool) {
    const SECOND: Duration = Duration::from_secs(1);
    let (gateway, seen) = gateway(Times::default()).await;
    let (address, _server) = gateway.serve().await;
    let body = question("endless", &json!({"stream": stream}));
    let mut client = BufReader::new(ask(&gateway, address, &body).await);
    is_asked(&seen).await;
    if stream {
        let mut line = String::new();
        while !line.contains("begun") {
            line.clear();
            assert!(within(client.read_line(&mut line)).await.unwrap() > 0);
        }
    }
    // The control: as long as the client is there, the call goes on.
    let early = tokio::time::timeout(SHORT, seen.cancelled.notified()).await;
    assert!(early.is_err(), "cancelled for a client that waits");
    drop(client);
    let told = tokio::time::timeout(SECOND, seen.cancelled.notified()).await;
    told.expect("the orchestrator is told within a second");
}

/// What they do not take stays within windows, and those of all of them have room beside the rest.
#[tokio::test]
async fn readers_that_take_nothing_hold_up_nobody_else() {
    let (gateway, seen) = gateway(Times::default()).await;
    let mut open = Vec::new();
    for _ in 0..12 {
        let mut request = gateway.request(Method::POST, "/v1/chat/completions", "eve");
        *request.body_mut() = Body::from(question("flood", &json!({"stream": true})));
        let response = gateway.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        open.push(response);
    }
    let quiet = async {
        let mut before = 0;
        loop {
            tokio::time::sleep(SHORT).await;
            let now = seen.flooded.load(Ordering::Relaxed);
            if now == before {
                return now;
            }
            before = now;
        }
    };
    let written = within(quiet).await;
    assert!(written > 0);
    let each = written / open.len();
    assert!(each <= 1024 * 1024, "{each} bytes of each are somewhere");
    let reply = within(gateway.chat("ana", question("lotoai", &json!({})))).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
}

/// G1 of the reliability goals, with a shorter drain.
#[tokio::test]
async fn a_stop_cuts_no_stream_and_refuses_nobody() {
    const STREAMS: usize = 200;
    let (orchestrator, seen) = orchestrator::start().await;
    let signer = Signer::ec("key-1");
    let realm = realm(&[&signer]).await;
    let mut config = config(&realm.uri(), &orchestrator);
    // The last 5 s are for the farewell.
    config.common.drain_seconds = 10;
    let gateway = Gateway::with_config(&config, Parts::default(), realm, signer);
    let (address, server) = gateway.serve().await;
    let body = question("told", &json!({"stream": true}));
    let streams = (0..STREAMS).map(|_| ask(&gateway, address, &body));
    let streams = join_all(streams).await;
    seen.asked(STREAMS).await;
    for answer in 0..STREAMS {
        seen.tell(answer, Some("before "));
    }
    let reading: Vec<_> = streams
        .into_iter()
        .map(|stream| tokio::spawn(answer(stream)))
        .collect();

    let stopped = Instant::now();
    gateway.service.shutdown.cancel();
    // Half of them end in time; on which connection, the orchestrator's order does not say.
    for answer in 0..STREAMS {
        seen.tell(answer, Some("after"));
        if answer < STREAMS / 2 {
            seen.tell(answer, None);
        }
    }
    let mut came = 0;
    while !server.is_finished() && reading.iter().any(|it| !it.is_finished()) {
        let get = async {
            let mut stream = TcpStream::connect(address).await?;
            let token = gateway.signer.token("ana", &[]);
            let get =
                format!("GET /api/me HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
            stream.write_all(get.as_bytes()).await?;
            Ok::<_, std::io::Error>(answer(stream).await)
        };
        let (head, _) = get.await.unwrap().unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("connection: close"), "{head}");
        came += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(came > 10, "{came}");

    let (mut whole, mut told) = (0, 0);
    for stream in reading {
        let (head, body) = stream.await.unwrap().expect("none is cut");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert_eq!(text(&body), "before after", "{body}");
        assert!(body.ends_with("data: [DONE]\n\n"), "{body}");
        if body.contains("\"code\":\"shutting_down\"") {
            told += 1;
        } else {
            assert!(body.contains("\"finish_reason\":\"stop\""), "{body}");
            whole += 1;
        }
    }
    assert_eq!((whole, told), (STREAMS / 2, STREAMS / 2));
    within(server).await.unwrap();
    assert!(stopped.elapsed() < Duration::from_secs(10));
}
