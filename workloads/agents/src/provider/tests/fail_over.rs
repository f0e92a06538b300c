//! Which of a role's models answers when one is ill, slow, or without its key.

use super::*;
use crate::breaker::FAILURES_TO_OPEN;

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

#[rstest]
#[case("OpenAICompatible", FailureKind::Unavailable)]
#[case("Local", FailureKind::Timeout)]
#[tokio::test]
async fn a_slow_local_model_is_busy_and_not_ill(#[case] kind: &str, #[case] last: FailureKind) {
    let base = stalling(": queued\n\n").await;
    let table = table(kind, &base);
    let short = Timeouts {
        first_token: Duration::from_millis(50),
        local_first_token: Duration::from_millis(50),
        ..timeouts()
    };
    let providers = Providers::open(&table, &short, &TlsArgs::default(), |_| {
        Some("k".to_owned())
    })
    .unwrap();
    let completer = Completer::new(table, providers, short);
    for _ in 0..FAILURES_TO_OPEN {
        let failure = run(&completer).await.1.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Timeout);
    }
    assert_eq!(run(&completer).await.1.unwrap_err().kind, last);
}

#[tokio::test]
async fn a_local_model_has_its_own_time_to_begin() {
    let healthy = serve(sse(OPENAI_STREAM).set_delay(Duration::from_millis(200))).await;
    let table = table("Local", &healthy.uri());
    let times = Timeouts {
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
