use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use lotoai_contracts::v1::Sampling;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::orchestrator::{self, Seen};
use super::support::{Gateway, Parts, Reply};
use crate::domain::chat_request::MAX_BODY_BYTES;

async fn gateway() -> (Gateway, Arc<Seen>) {
    let (orchestrator, seen) = orchestrator::start().await;
    (
        Gateway::start(Parts {
            orchestrator,
            ..Parts::default()
        })
        .await,
        seen,
    )
}

pub(super) fn question(model: &str, more: &Value) -> String {
    let mut body = json!({
        "model": model, "store": false, "messages": [{"role": "user", "content": "¿Cuántos?"}],
    });
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    body.to_string()
}

/// The data of the events of a stream; the framing is checked on the way.
pub(super) fn events(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert_eq!(reply.header("content-type"), "text/event-stream");
    assert_eq!(reply.header("cache-control"), "no-cache, no-transform");
    assert_eq!(reply.header("x-accel-buffering"), "no");
    assert!(reply.body.ends_with("data: [DONE]\n\n"), "{reply:?}");
    let events: Vec<&str> = reply.body.trim_end().split("\n\n").collect();
    events[..events.len() - 1]
        .iter()
        .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
        .collect()
}

#[tokio::test]
async fn a_whole_answer_has_text_usage_and_reasons() {
    let (gateway, seen) = gateway().await;
    let reply = gateway.chat("ana", question("lotoai", &json!({}))).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let answer = reply.json();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(
        answer["choices"][0]["message"]["content"],
        "Veintitrés días [1]."
    );
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["usage"]["total_tokens"], 17);
    let extra = &answer["lotoai"];
    assert_eq!(extra["conversation_id"], Value::Null);
    assert_eq!(extra["decision"]["target"], "default");
    assert_eq!(extra["citations"][0]["document_name"], "handbook.md");
    assert_eq!(extra["tool_calls"][0]["arguments"], json!({"zone": "utc"}));
    let requests = seen.requests.lock().unwrap();
    assert_eq!(requests[0].run_id, extra["run_id"].as_str().unwrap());
    assert_eq!(requests[0].caller.as_ref().unwrap().subject, "ana");
}

#[tokio::test]
async fn a_stream_is_framed_as_clients_expect() {
    let (gateway, _) = gateway().await;
    let options = json!({"stream": true, "stream_options": {"include_usage": true}});
    let reply = gateway.chat("ana", question("lotoai", &options)).await;
    let chunks = events(&reply);
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk["object"] == "chat.completion.chunk")
    );
    assert!(chunks.iter().all(|chunk| chunk["id"] == chunks[0]["id"]));
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(chunks[0]["lotoai"]["decision"]["route"], "knowledge");
    let text: String = chunks
        .iter()
        .filter_map(|it| it["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(text, "Veintitrés días [1].");
    let [.., last, usage] = chunks.as_slice() else {
        panic!("{chunks:?}")
    };
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert_eq!(last["lotoai"]["citations"][0]["number"], 1);
    assert_eq!(
        (&usage["choices"], &usage["usage"]["prompt_tokens"]),
        (&json!([]), &json!(12))
    );
    assert!(
        chunks[..chunks.len() - 1]
            .iter()
            .all(|chunk| chunk["usage"].is_null())
    );
}

#[tokio::test]
async fn without_include_usage_there_is_no_usage_chunk() {
    let (gateway, _) = gateway().await;
    let reply = gateway
        .chat("ana", question("lotoai", &json!({"stream": true})))
        .await;
    let chunks = events(&reply);
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
    assert_eq!(
        chunks.last().unwrap()["choices"][0]["finish_reason"],
        "stop"
    );
}

#[rstest::rstest]
#[case("missing", false)]
#[case("missing", true)]
#[case("refused", false)]
#[case("refused", true)]
#[tokio::test]
async fn an_unknown_model_is_a_404_streamed_or_not(#[case] model: &str, #[case] stream: bool) {
    let (gateway, _) = gateway().await;
    let reply = gateway
        .chat("ana", question(model, &json!({"stream": stream})))
        .await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND, "{reply:?}");
    let error = &reply.json()["error"];
    assert_eq!(
        (&error["code"], &error["param"]),
        (&json!("model_not_found"), &json!("model"))
    );
    assert_eq!(error["type"], "invalid_request_error");
}

#[rstest::rstest]
#[case("breaks", "orchestrator_unavailable", 503)]
#[case("ends-early", "answer_incomplete", 502)]
#[tokio::test]
async fn an_answer_that_breaks_off_is_told(
    #[case] model: &str,
    #[case] code: &str,
    #[case] status: u16,
) {
    let (gateway, _) = gateway().await;
    let reply = gateway.chat("ana", question(model, &json!({}))).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (status, code)
    );
    assert!(!reply.body.contains("10.0.0.7"));
    let reply = gateway
        .chat("ana", question(model, &json!({"stream": true})))
        .await;
    let chunks = events(&reply);
    assert_eq!(chunks[1]["choices"][0]["delta"]["content"], "half");
    assert_eq!(chunks.last().unwrap()["error"]["code"], code);
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_answer() {
    let (gateway, seen) = gateway().await;
    let request = gateway.request(Method::POST, "/v1/chat/completions", "ana");
    drop(gateway.open(request).await);
    let cancelled = tokio::time::timeout(Duration::from_secs(5), seen.cancelled.notified());
    cancelled
        .await
        .expect("the orchestrator is told within 5 s");
}

#[tokio::test]
async fn without_an_orchestrator_the_answer_says_so() {
    let gateway = Gateway::start(Parts::default()).await;
    for reply in [
        gateway.chat("ana", question("lotoai", &json!({}))).await,
        gateway
            .chat("ana", question("lotoai", &json!({"stream": true})))
            .await,
        gateway.get("/v1/models", "ana").await,
    ] {
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(reply.code(), "orchestrator_unavailable");
    }
}

#[tokio::test]
async fn without_a_database_only_what_is_stored_is_refused() {
    let (gateway, seen) = gateway().await;
    let reply = gateway
        .chat("ana", question("lotoai", &json!({"store": true})))
        .await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.code(), "storage_unavailable");
    assert!(
        seen.requests.lock().unwrap().is_empty(),
        "the question must be stored first"
    );
    let reply = gateway
        .chat("ana", question("probe", &json!({"store": true})))
        .await;
    assert_eq!(reply.status, StatusCode::OK);
}

#[tokio::test]
async fn bad_bodies_are_openai_errors() {
    let (gateway, seen) = gateway().await;
    let reply = gateway.chat("ana", "{\"model\": \"lotoai\"").await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::BAD_REQUEST, "invalid_json")
    );
    let reply = gateway
        .chat("ana", question("lotoai", &json!({"max_tokens": -1})))
        .await;
    assert_eq!(reply.json()["error"]["param"], "max_tokens");
    let reply = gateway.chat("ana", vec![b' '; MAX_BODY_BYTES + 1]).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(reply.code(), "request_too_large");
    assert!(seen.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_format_is_asked_for_or_refused_and_never_passed_over() {
    let (gateway, seen) = gateway().await;
    let schema = json!({"type": "json_schema", "json_schema": {"name": "day", "schema": {}}});
    let asking = |model: &str, format: &Value| question(model, &json!({"response_format": format}));
    let reply = gateway.chat("ana", asking("writer", &schema)).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let format = seen.requests.lock().unwrap()[0].format.clone().unwrap();
    assert_eq!(
        (format.name.as_str(), format.schema_json.as_str()),
        ("day", "{}")
    );
    for (model, format, code, param) in [
        ("local", schema, "unsupported_parameter", "response_format"),
        (
            "writer",
            json!({"type": "xml"}),
            "invalid_value",
            "response_format.type",
        ),
    ] {
        let reply = gateway.chat("ana", asking(model, &format)).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{reply:?}");
        assert_eq!(reply.code(), code);
        assert_eq!(reply.json()["error"]["param"], param);
    }
    // The control: plain text is no format.
    let plain = asking("local", &json!({"type": "text"}));
    assert_eq!(gateway.chat("ana", plain).await.status, StatusCode::OK);
}

#[tokio::test]
async fn how_a_model_is_to_write_goes_on_and_what_nobody_carries_out_is_refused() {
    let (gateway, seen) = gateway().await;
    let more = json!({
        "stop": ["END"], "top_p": 0.9, "seed": 7, "presence_penalty": 1, "frequency_penalty": -1,
        "reasoning_effort": "low", "verbosity": "high",
        // What clients send by themselves.
        "n": 1, "logprobs": false, "logit_bias": {}, "modalities": ["text"], "user": "u",
        "service_tier": "auto", "parallel_tool_calls": true, "metadata": {"case": "7"},
    });
    let reply = gateway.chat("ana", question("writer", &more)).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let expected = Sampling {
        stop: vec!["END".to_owned()],
        top_p: Some(0.9),
        seed: Some(7),
        presence_penalty: Some(1.0),
        frequency_penalty: Some(-1.0),
        reasoning_effort: "low".to_owned(),
        verbosity: "high".to_owned(),
    };
    assert_eq!(
        seen.requests.lock().unwrap()[0].sampling.as_ref(),
        Some(&expected)
    );
    for (model, more, code, param) in [
        ("writer", json!({"n": 2}), "unsupported_parameter", "n"),
        (
            "writer",
            json!({"logprobs": true}),
            "unsupported_parameter",
            "logprobs",
        ),
        (
            "local",
            json!({"reasoning_effort": "low"}),
            "unsupported_parameter",
            "reasoning_effort",
        ),
        ("writer", json!({"stop": [""]}), "invalid_value", "stop[0]"),
    ] {
        let reply = gateway.chat("ana", question(model, &more)).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{reply:?}");
        assert_eq!(reply.code(), code);
        assert_eq!(reply.json()["error"]["param"], param);
    }
    // The control: a plain question asks for nothing of the kind.
    gateway.chat("ana", question("local", &json!({}))).await;
    let seen = seen.requests.lock().unwrap();
    let last = seen.last().unwrap().sampling.as_ref();
    assert_eq!(last, Some(&Sampling::default()));
}

#[tokio::test]
async fn models_are_listed_and_shown() {
    let (gateway, _) = gateway().await;
    let list = gateway.get("/v1/models", "ana").await.json();
    assert_eq!(list["object"], "list");
    assert_eq!(list["data"][1]["id"], "writer");
    assert_eq!(
        gateway.get("/v1/models/writer", "ana").await.json()["object"],
        "model"
    );
    let reply = gateway.get("/v1/models/nobody", "ana").await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::NOT_FOUND, "model_not_found")
    );
}

#[tokio::test]
async fn a_conversation_is_stored_continued_and_private() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let body = question("lotoai", &json!({"store": true}));
    let first = gateway.chat("ana", body).await.json();
    let id = first["lotoai"]["conversation_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let more = json!({"store": true, "metadata": {"conversation_id": id}, "stream": true});
    events(&gateway.chat("ana", question("lotoai", &more)).await);
    {
        let requests = seen.requests.lock().unwrap();
        let roles: Vec<_> = requests[1]
            .messages
            .iter()
            .map(|it| it.role.as_str())
            .collect();
        assert_eq!(roles, ["user", "assistant", "user"]);
        assert_eq!(requests[1].conversation_id, id);
    }
    let path = format!("/api/conversations/{id}");
    let stored = gateway.get(&path, "ana").await.json();
    assert_eq!(stored["title"], "¿Cuántos?");
    let messages = stored["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 4);
    assert_eq!(messages[3]["content"], "Veintitrés días [1].");
    assert_eq!(messages[3]["outcome"], "ok");
    assert_eq!(messages[1]["decision"]["reason"], "the handbook answers it");
    assert_eq!(messages[1]["citations"][0]["passage"], "Holidays: 23 days");
    // Each answer left its usage record with it.
    assert_eq!(gateway.state.store.outbox_backlog().await.unwrap(), 2);

    // Nobody else knows of it.
    let foreign = gateway.get(&path, "eve").await;
    let unknown = gateway
        .get("/api/conversations/not-even-an-id", "eve")
        .await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    assert_eq!(foreign.body, unknown.body);
    assert_eq!(
        gateway.chat("eve", question("lotoai", &more)).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        gateway.get("/api/conversations", "eve").await.json()["items"],
        json!([])
    );
    let delete = |subject| gateway.request(Method::DELETE, &path, subject);
    assert_eq!(
        gateway.send(delete("eve")).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        gateway.send(delete("ana")).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        gateway.get(&path, "ana").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn failed_and_cancelled_runs_are_stored_as_such_and_the_probe_is_not() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let stored = json!({"store": true, "stream": true});
    gateway.chat("ana", question("probe", &stored)).await;
    gateway.settle().await;
    assert_eq!(gateway.state.store.outbox_backlog().await.unwrap(), 0);
    gateway.chat("ana", question("breaks", &stored)).await;
    let mut request = gateway.request(Method::POST, "/v1/chat/completions", "ana");
    *request.body_mut() = Body::from(question("endless", &stored));
    drop(gateway.router.clone().oneshot(request).await.unwrap());
    gateway.settle().await;
    assert_eq!(gateway.state.store.outbox_backlog().await.unwrap(), 2);
    let list = gateway
        .get("/api/conversations?limit=1", "ana")
        .await
        .json();
    let mut outcomes = Vec::new();
    let mut page = list;
    loop {
        let id = page["items"][0]["id"].as_str().unwrap();
        let one = gateway
            .get(&format!("/api/conversations/{id}"), "ana")
            .await
            .json();
        outcomes.push(one["messages"][1]["outcome"].as_str().unwrap().to_owned());
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        let next = format!("/api/conversations?limit=1&cursor={cursor}");
        page = gateway.get(&next, "ana").await.json();
    }
    assert_eq!(outcomes, ["cancelled", "orchestrator_unavailable"]);
}

#[tokio::test]
async fn an_answer_that_broke_off_is_no_part_of_what_follows() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let stored = json!({"store": true, "stream": true});
    let broken = events(&gateway.chat("ana", question("breaks", &stored)).await);
    let id = broken[0]["lotoai"]["conversation_id"].as_str().unwrap();
    let more = json!({"store": true, "metadata": {"conversation_id": id}});
    gateway.chat("ana", question("lotoai", &more)).await;
    gateway.chat("ana", question("lotoai", &more)).await;
    let requests = seen.requests.lock().unwrap();
    let roles = |at: usize| -> Vec<_> {
        let messages = requests[at].messages.iter();
        messages.map(|it| it.role.as_str()).collect()
    };
    assert_eq!(roles(1), ["user", "user"], "half an answer is left out");
    assert_eq!(roles(2), ["user", "user", "assistant", "user"]);
}
