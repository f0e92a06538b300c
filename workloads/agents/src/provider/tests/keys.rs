//! A provider that repeats the key that it was sent.

use super::*;

const SECRET: &str = "sk-proj-0123456789abcdef";

/// What the caller is told of a provider that answers so.
async fn told(kind: &str, response: ResponseTemplate) -> String {
    let server = serve(response).await;
    let completer = with_key(table(kind, &format!("{}/v1", server.uri())), SECRET);
    let (_, result) = run(&completer).await;
    result.unwrap_err().message
}

#[rstest]
#[case("OpenAI")]
#[case("Anthropic")]
#[tokio::test]
async fn a_refusal_that_repeats_the_key_is_told_without_it(#[case] kind: &str) {
    // In the middle of what is told, and so late that the text is cut within the key.
    for before in [0, 276] {
        let detail = format!("{} no model for {SECRET}; say less", "x".repeat(before));
        for body in [
            json!({ "error": { "message": detail } }),
            json!({ "error": detail }),
            json!({ "message": detail }),
        ] {
            let message = told(kind, ResponseTemplate::new(400).set_body_json(body)).await;
            assert!(message.contains("(400)"), "{message}");
            assert!(!message.contains(&SECRET[..8]), "{message}");
        }
    }
    // The control: anything else is told as it was said.
    let other = json!({ "error": { "message": "no model for sk-proj-another; say less" } });
    let message = told(kind, ResponseTemplate::new(400).set_body_json(other)).await;
    assert!(
        message.ends_with("no model for sk-proj-another; say less"),
        "{message}"
    );
}

#[tokio::test]
async fn an_error_within_a_stream_that_repeats_the_key_is_told_without_it() {
    let failing = |detail: &str| {
        let error = json!({ "error": { "type": "invalid_request_error", "message": detail } });
        sse(&format!("data: {error}\n\n"))
    };
    let message = told("OpenAI", failing(&format!("no model for {SECRET}"))).await;
    assert!(message.ends_with("no model for [redacted]"), "{message}");
    let message = told("OpenAI", failing("no model for nobody")).await;
    assert!(
        message.ends_with("no model for nobody"),
        "the control: {message}"
    );
}
