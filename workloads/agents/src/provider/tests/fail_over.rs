//! Which of a role's models answers when one is ill, slow, or without its key.

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::net::TcpListener;

use super::*;
use crate::breaker::FAILURES_TO_OPEN;
use crate::collect::Collected;
use crate::provider::{Event, decode};
use crate::table::Kind;

#[tokio::test]
async fn the_next_model_answers_when_the_first_cannot_begin() {
    let broken = serve(ResponseTemplate::new(500)).await;
    let healthy = serve(sse(OPENAI_STREAM)).await;
    let completer = completer(two(&broken.uri(), &healthy.uri()));
    let (text, result) = run(&completer).await;
    assert_eq!(text, "Hello, world.");
    assert_eq!(result.unwrap().model, "m2");
    // The breaker opens after five failures; the sixth call no longer reaches the broken server.
    for _ in 0..6 {
        run(&completer).await.1.unwrap();
    }
    assert_eq!(broken.received_requests().await.unwrap().len(), 5);
}

/// A completer whose models have so little time to begin and to think.
fn hurried(kind: &str, base: &str) -> Completer {
    let short = Timeouts {
        head: Duration::from_millis(50),
        first_token: Duration::from_millis(50),
        local_first_token: Duration::from_millis(50),
        ..timeouts()
    };
    let key = |_: &str| Some("k".to_owned());
    let providers = Providers::open(&table(kind, base), &short, &TlsArgs::default(), key);
    Completer::new(table(kind, base), providers.unwrap(), short)
}

/// A server that takes every call and never says more than nothing.
async fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut calls = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            calls.push(stream);
        }
    });
    base
}

#[rstest]
#[case::ill("OpenAICompatible", FailureKind::Unavailable)]
#[case::busy("Local", FailureKind::Timeout)]
#[tokio::test]
async fn who_does_not_begin_is_ill_unless_it_is_local(
    #[case] kind: &str,
    #[case] last: FailureKind,
) {
    let completer = hurried(kind, &silent().await);
    for _ in 0..FAILURES_TO_OPEN {
        let failure = run(&completer).await.1.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Timeout);
    }
    assert_eq!(run(&completer).await.1.unwrap_err().kind, last);
}

#[tokio::test]
async fn who_thinks_for_too_long_is_not_ill() {
    let completer = hurried("OpenAICompatible", &stalling(": queued\n\n").await);
    for _ in 0..=FAILURES_TO_OPEN {
        let failure = run(&completer).await.1.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Timeout);
        assert!(failure.message.contains("reasoning_effort"), "{failure:?}");
    }
}

#[tokio::test]
async fn who_thinks_leaves_time_for_the_next() {
    let healthy = serve(sse(OPENAI_STREAM)).await;
    let table = two(&stalling(": queued\n\n").await, &healthy.uri());
    // Not enough for the first to think for as long as one does that is the last.
    let times = Timeouts {
        first_token: Duration::from_secs(4),
        total: Duration::from_secs(3),
        ..timeouts()
    };
    let key = |_: &str| Some("k".to_owned());
    let providers = Providers::open(&table, &times, &TlsArgs::default(), key).unwrap();
    let (text, result) = run(&Completer::new(table, providers, times)).await;
    assert_eq!(text, "Hello, world.");
    assert_eq!(result.unwrap().model, "m2");
}

#[rstest]
#[case::openai(
    "OpenAI",
    "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"
)]
#[case::anthropic(
    "Anthropic",
    "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}\n\n"
)]
#[case::ping("Anthropic", "event: ping\ndata: {\"type\":\"ping\"}\n\n")]
#[tokio::test]
async fn a_model_that_is_heard_to_think_has_more_time(#[case] kind: &str, #[case] heard: &str) {
    let kind = match kind {
        "Anthropic" => Kind::Anthropic,
        _ => Kind::OpenAI,
    };
    let event = Bytes::copy_from_slice(heard.as_bytes());
    let body = futures::stream::iter([Ok(event)]).chain(futures::stream::pending());
    let mut events = decode("p", kind, body);
    assert_eq!(events.next().await.unwrap().unwrap(), Event::Alive);
}

#[tokio::test(start_paused = true)]
async fn each_event_begins_the_silence_anew() {
    let silence = Duration::from_secs(10);
    let thoughts = async |every: Duration| {
        let events = futures::stream::iter(0..5).then(move |place| async move {
            tokio::time::sleep(every).await;
            Ok(match place {
                4 => Event::Text("so".to_owned()),
                _ => Event::Alive,
            })
        });
        let mut state = Collected::new(&[]);
        let mut events = events.boxed();
        let next = state.next_piece("p", &mut events, silence, Failure::thinking);
        next.await
    };
    let piece = thoughts(Duration::from_secs(9)).await.unwrap();
    assert_eq!(piece, Some(Piece::Text("so".to_owned())));
    // The control.
    let failure = thoughts(Duration::from_secs(11)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Timeout);
}

#[tokio::test]
async fn a_local_model_has_its_own_time_to_begin() {
    let healthy = serve(sse(OPENAI_STREAM).set_delay(Duration::from_millis(200))).await;
    let table = table("Local", &healthy.uri());
    let times = Timeouts {
        head: Duration::from_millis(20),
        first_token: Duration::from_millis(20),
        ..timeouts()
    };
    let providers = Providers::open(&table, &times, &TlsArgs::default(), |_| {
        Some("k".to_owned())
    })
    .unwrap();
    let (text, _) = run(&Completer::new(table, providers, times)).await;
    assert_eq!(text, "Hello, world.");
}

#[tokio::test]
async fn no_fail_over_after_the_first_token() {
    let cut = serve(sse(
        "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n",
    ))
    .await;
    let healthy = serve(sse(OPENAI_STREAM)).await;
    let (text, result) = run(&completer(two(&cut.uri(), &healthy.uri()))).await;
    assert_eq!(text, "Hel");
    assert!(result.is_err());
    assert_eq!(healthy.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_provider_without_its_key_is_skipped_and_says_what_to_set() {
    let healthy = serve(sse(OPENAI_STREAM)).await;
    let table = two("http://127.0.0.1:9", &healthy.uri());
    let only_b = |name: &str| (name == "KEY_B").then(|| "k".to_owned());
    let providers = Providers::open(&table, &timeouts(), &TlsArgs::default(), only_b).unwrap();
    let with_b = Completer::new(table.clone(), providers, timeouts());
    assert_eq!(run(&with_b).await.1.unwrap().provider, "b");
    assert!(!with_b.roles().next().unwrap().1, "what is left is local");

    let providers = Providers::open(&table, &timeouts(), &TlsArgs::default(), |_| {
        Some(" ".to_owned())
    })
    .unwrap();
    let failure = run(&Completer::new(table, providers, timeouts()))
        .await
        .1
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(failure.message.contains("set KEY_A") && failure.message.contains("set KEY_B"));
    assert!(!failure.retryable);
}
