use rstest::rstest;

use super::*;

fn parse(extra: Value) -> Result<(ChatJob, Delivery), ApiError> {
    let mut body = json!({
        "model": CHAT_MODEL,
        "messages": [{ "role": "user", "content": "Hi" }],
    });
    if let (Some(body), Some(extra)) = (body.as_object_mut(), extra.as_object()) {
        body.extend(extra.clone());
    }
    serde_json::from_value::<Request>(body).unwrap().job()
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let (job, delivery) = parse(json!({})).unwrap();
    assert_eq!(
        (job.max_tokens, job.temperature, job.top_p),
        (256, 0.0, 1.0)
    );
    assert_eq!((job.presence_penalty, job.frequency_penalty), (0.0, 0.0));
    assert!(job.stop.is_empty());
    assert_eq!(delivery, Delivery::Whole);
}

#[test]
fn what_is_asked_for_is_used() {
    let (job, delivery) = parse(json!({
        "max_completion_tokens": 1024, "temperature": 0.5, "top_p": 0.9, "seed": -1,
        "presence_penalty": 1.5, "frequency_penalty": -2.0,
        "stop": ["a", "b"], "stream": true, "stream_options": { "include_usage": true },
    }))
    .unwrap();
    assert_eq!(
        (job.max_tokens, job.temperature, job.top_p, job.seed),
        (1024, 0.5, 0.9, u32::MAX)
    );
    assert_eq!((job.presence_penalty, job.frequency_penalty), (1.5, -2.0));
    assert_eq!(job.stop, ["a", "b"]);
    assert_eq!(
        delivery,
        Delivery::Stream {
            include_usage: true
        }
    );
}

#[rstest]
#[case(1, 1)]
#[case(1024, 1024)]
#[case(1025, 1024)]
#[case(1_000_000, 1024)]
fn max_tokens_is_an_upper_bound(#[case] asked: usize, #[case] used: usize) {
    let (job, _) = parse(json!({ "max_tokens": asked })).unwrap();
    assert_eq!(job.max_tokens, used);
}

#[test]
fn parts_are_put_together_and_developer_is_system() {
    let (job, _) = parse(json!({ "messages": [
        { "role": "developer", "content": "Be short." },
        { "role": "user", "content": [{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }] },
    ]}))
    .unwrap();
    assert_eq!(job.messages[0].role, Role::System);
    assert_eq!(job.messages[1].content, "ab");
}

#[rstest]
#[case::model(json!({ "model": "gpt" }), "model")]
#[case::no_messages(json!({ "messages": [] }), "messages")]
#[case::no_content(json!({ "messages": [{ "role": "user" }] }), "messages[0].content")]
#[case::image(
    json!({ "messages": [{ "role": "user", "content": [{ "type": "image_url" }] }] }),
    "messages[0].content[0]"
)]
#[case::no_tokens(json!({ "max_tokens": 0 }), "max_tokens")]
#[case::hot(json!({ "temperature": 2.1 }), "temperature")]
#[case::cold(json!({ "temperature": -0.1 }), "temperature")]
#[case::top_p(json!({ "top_p": 1.5 }), "top_p")]
#[case::stops(json!({ "stop": ["a", "b", "c", "d", "e"] }), "stop")]
#[case::presence(json!({ "presence_penalty": 2.1 }), "presence_penalty")]
#[case::frequency(json!({ "frequency_penalty": -2.1 }), "frequency_penalty")]
#[case::long_stop(json!({ "stop": "x".repeat(257) }), "stop")]
#[case::empty_stop(json!({ "stop": "" }), "stop")]
#[case::n(json!({ "n": 2 }), "n")]
#[case::tools(json!({ "tools": [{}] }), "tools")]
#[case::json(json!({ "response_format": { "type": "json_object" } }), "response_format")]
#[case::logprobs(json!({ "logprobs": true }), "logprobs")]
fn bad(#[case] extra: Value, #[case] param: &str) {
    assert_eq!(parse(extra).unwrap_err().param(), Some(param));
}

#[test]
fn an_unknown_role_is_malformed() {
    let body = json!({ "model": "m", "messages": [{ "role": "robot", "content": "" }] });
    assert!(serde_json::from_value::<Request>(body).is_err());
}
