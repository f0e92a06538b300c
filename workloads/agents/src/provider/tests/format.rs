//! The format that a caller wants, at each kind of provider.

use super::functions::sent;
use super::*;
use crate::format::{Format, Schema};
use crate::schema::SchemaText;

/// Its properties are not in the order of the alphabet.
fn schema() -> Value {
    json!({"type": "object", "properties": {"year": {}, "day": {}}})
}

fn day() -> Format {
    Format::Schema(Schema {
        name: "day".to_owned(),
        description: "A day".to_owned(),
        schema: SchemaText::of(schema().to_string()).unwrap(),
        strict: Some(true),
    })
}

/// Runs an ask for a format.
async fn run_as(completer: &Completer, format: Format) -> Result<Finished, Failure> {
    let (sender, mut receiver) = mpsc::channel(64);
    let ask = Ask {
        format: Some(format),
        ..ask()
    };
    let result = completer.complete(&ask, &sender).await;
    drop(sender);
    while receiver.recv().await.is_some() {}
    result
}

#[rstest]
#[case("OpenAI")]
#[case("XAI")]
#[case("OpenAICompatible")]
#[tokio::test]
async fn chat_completions_take_a_format(#[case] kind: &str) {
    let described = json!({
        "name": "day", "description": "A day", "schema": schema(), "strict": true,
    });
    for (format, expected) in [
        (Format::Object, json!({"type": "json_object"})),
        (
            day(),
            json!({"type": "json_schema", "json_schema": described}),
        ),
    ] {
        let server = serve(sse(OPENAI_STREAM)).await;
        let completer = completer(table(kind, &server.uri()));
        run_as(&completer, format).await.unwrap();
        let body = sent(&server).await;
        assert_eq!(body["response_format"], expected);
    }
}

/// A model writes the properties in the order in which it reads them.
#[tokio::test]
async fn a_schema_keeps_the_order_of_its_properties() {
    let server = serve(sse(OPENAI_STREAM)).await;
    let completer = completer(table("OpenAI", &server.uri()));
    run_as(&completer, day()).await.unwrap();
    let body = sent(&server).await;
    let sent = &body["response_format"]["json_schema"]["schema"];
    assert_eq!(sent.to_string(), schema().to_string());
}

#[tokio::test]
async fn without_a_format_a_request_says_nothing_of_one() {
    let server = serve(sse(OPENAI_STREAM)).await;
    run(&completer(table("OpenAI", &server.uri())))
        .await
        .1
        .unwrap();
    let body = sent(&server).await;
    assert!(body.get("response_format").is_none(), "{body}");
}

#[rstest]
#[case("Anthropic", ANTHROPIC_STREAM)]
#[case("Local", OPENAI_STREAM)]
#[tokio::test]
async fn a_model_that_cannot_be_held_to_a_format_says_so_and_is_not_asked(
    #[case] kind: &str,
    #[case] stream: &str,
) {
    let server = serve(sse(stream)).await;
    let completer = completer(table(kind, &server.uri()));
    let failure = run_as(&completer, day()).await.unwrap_err();
    assert_eq!(
        (failure.kind.code(), failure.kind.param()),
        ("unsupported_parameter", "response_format")
    );
    assert!(!failure.retryable);
    assert!(server.received_requests().await.unwrap().is_empty());
    // The control: without a format the same model answers.
    run(&completer).await.1.unwrap();
}

#[tokio::test]
async fn the_next_model_takes_a_format_that_the_first_cannot() {
    let far = serve(sse(OPENAI_STREAM)).await;
    let local = serve(sse(OPENAI_STREAM)).await;
    let table = local_first(&local.uri(), &far.uri());
    let finished = run_as(&completer(table), Format::Object).await.unwrap();
    assert_eq!(finished.model, "m2");
    assert!(local.received_requests().await.unwrap().is_empty());
}
