//! How a model is to write, at each kind of provider.

use super::functions::sent;
use super::*;

fn all() -> Sampling {
    Sampling {
        stop: vec!["END".to_owned(), "\n\n".to_owned()],
        top_p: Some(0.9),
        seed: Some(-7),
        presence_penalty: Some(0.5),
        frequency_penalty: Some(-0.5),
        reasoning_effort: "low".to_owned(),
        verbosity: "high".to_owned(),
    }
}

fn stopped_by(stop: &str) -> Sampling {
    Sampling {
        stop: vec![stop.to_owned()],
        ..Sampling::default()
    }
}

/// Runs an ask and gives the text that the caller saw.
async fn run_as(
    completer: &Completer,
    temperature: Option<f32>,
    sampling: Sampling,
) -> (String, Result<Finished, Failure>) {
    let ask = Ask {
        temperature,
        sampling,
        ..ask()
    };
    run_ask(completer, &ask).await
}

#[rstest]
#[case("OpenAI")]
#[case("XAI")]
#[case("OpenAICompatible")]
#[tokio::test]
async fn chat_completions_take_everything(#[case] kind: &str) {
    let server = serve(sse(OPENAI_STREAM)).await;
    let completer = completer(table(kind, &server.uri()));
    run_as(&completer, Some(2.0), all()).await.1.unwrap();
    let body = sent(&server).await;
    for (field, expected) in [
        ("stop", json!(["END", "\n\n"])),
        ("top_p", json!(0.9)),
        ("seed", json!(-7)),
        ("presence_penalty", json!(0.5)),
        ("frequency_penalty", json!(-0.5)),
        ("reasoning_effort", json!("low")),
        ("verbosity", json!("high")),
        ("temperature", json!(2.0)),
    ] {
        assert_eq!(body[field], expected, "{field}");
    }
}

#[rstest]
#[case("OpenAI", OPENAI_STREAM)]
#[case("Anthropic", ANTHROPIC_STREAM)]
#[tokio::test]
async fn what_nobody_asked_for_is_not_said(#[case] kind: &str, #[case] stream: &str) {
    let server = serve(sse(stream)).await;
    run(&completer(table(kind, &server.uri()))).await.1.unwrap();
    let body = sent(&server).await;
    for field in [
        "stop",
        "stop_sequences",
        "top_p",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "reasoning_effort",
        "verbosity",
    ] {
        assert!(body.get(field).is_none(), "{field} in {body}");
    }
}

/// The platform's own server has no reasoning, and takes the rest.
#[tokio::test]
async fn the_local_model_takes_what_it_has() {
    let server = serve(sse(OPENAI_STREAM)).await;
    let asked = Sampling {
        reasoning_effort: String::new(),
        verbosity: String::new(),
        ..all()
    };
    let completer = completer(table("Local", &server.uri()));
    run_as(&completer, None, asked).await.1.unwrap();
    let body = sent(&server).await;
    assert_eq!(body["stop"], json!(["END", "\n\n"]));
    assert_eq!(
        (&body["seed"], &body["top_p"], &body["presence_penalty"]),
        (&json!(-7), &json!(0.9), &json!(0.5))
    );
}

#[tokio::test]
async fn anthropic_messages_take_what_they_have() {
    let server = serve(sse(ANTHROPIC_STREAM)).await;
    let asked = Sampling {
        presence_penalty: Some(0.0),
        frequency_penalty: None,
        reasoning_effort: "none".to_owned(),
        verbosity: "medium".to_owned(),
        ..all()
    };
    let completer = completer(table("Anthropic", &server.uri()));
    run_as(&completer, Some(1.0), asked).await.1.unwrap();
    let body = sent(&server).await;
    // Sequences of white space are refused there, and kept to here.
    assert_eq!(body["stop_sequences"], json!(["END"]));
    assert_eq!(body["top_p"], json!(0.9));
    for field in [
        "temperature",
        "stop",
        "seed",
        "presence_penalty",
        "reasoning_effort",
        "verbosity",
    ] {
        assert!(body.get(field).is_none(), "{field} in {body}");
    }
}

/// Newer models take only one of the two.
#[tokio::test]
async fn anthropic_messages_are_not_told_their_own_defaults() {
    let server = serve(sse(ANTHROPIC_STREAM)).await;
    let asked = Sampling {
        top_p: Some(1.0),
        ..Sampling::default()
    };
    let completer = completer(table("Anthropic", &server.uri()));
    run_as(&completer, Some(0.5), asked).await.1.unwrap();
    let body = sent(&server).await;
    assert_eq!(body["temperature"], json!(0.5));
    assert!(body.get("top_p").is_none(), "{body}");
}

#[rstest]
#[case("OpenAICompatible", OPENAI_STREAM, None)]
#[case("Anthropic", ANTHROPIC_STREAM, Some(19))]
#[tokio::test]
async fn a_stop_sequence_that_a_provider_passes_over_is_kept_to(
    #[case] kind: &str,
    #[case] stream: &str,
    #[case] counted: Option<u64>,
) {
    let server = serve(sse(stream)).await;
    let completer = completer(table(kind, &server.uri()));
    let (text, result) = run_as(&completer, None, stopped_by(", w")).await;
    assert_eq!(text, "Hello");
    let finished = result.unwrap();
    assert_eq!(finished.finish_reason, "stop");
    // Anthropic counts what was read at the beginning, and the others everything at the end.
    assert_eq!(finished.usage.input, counted);
    // The control: the sequence that is not there ends nothing.
    let (text, _) = run_as(&completer, None, stopped_by(", v")).await;
    assert_eq!(text, "Hello, world.");
}

#[rstest]
#[case("Anthropic", ANTHROPIC_STREAM, None, "presence_penalty")]
#[case("Anthropic", ANTHROPIC_STREAM, Some(1.5), "temperature")]
#[case("Local", OPENAI_STREAM, None, "reasoning_effort")]
#[tokio::test]
async fn a_model_that_cannot_be_held_to_it_says_so_and_is_not_asked(
    #[case] kind: &str,
    #[case] stream: &str,
    #[case] temperature: Option<f32>,
    #[case] param: &str,
) {
    let server = serve(sse(stream)).await;
    let completer = completer(table(kind, &server.uri()));
    let (text, result) = run_as(&completer, temperature, all()).await;
    let failure = result.unwrap_err();
    assert_eq!(text, "");
    assert_eq!(
        (failure.kind.code(), failure.kind.param()),
        ("unsupported_parameter", param)
    );
    for named in ["role `r`", "model `m`", param] {
        assert!(failure.message.contains(named), "{}", failure.message);
    }
    assert!(!failure.retryable);
    assert!(server.received_requests().await.unwrap().is_empty());
    // The control: without it the same model answers.
    run(&completer).await.1.unwrap();
}

#[tokio::test]
async fn the_next_model_takes_what_the_first_cannot() {
    let far = serve(sse(OPENAI_STREAM)).await;
    let local = serve(sse(OPENAI_STREAM)).await;
    let table = local_first(&local.uri(), &far.uri());
    let (_, result) = run_as(&completer(table), None, all()).await;
    assert_eq!(result.unwrap().model, "m2");
    assert!(local.received_requests().await.unwrap().is_empty());
}
