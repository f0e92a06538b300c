//! Responses in the background: looked for, cut and come back to, cancelled.

mod reading;

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{Method, Request, StatusCode};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::request;
use crate::tests::api_keys::{self, bearing, every_scope};
use crate::tests::orchestrator::Seen;
use crate::tests::streams::{PATIENCE, start, within};
use crate::tests::support::{Gateway, Reply};

/// Events as a client reads them.
struct Told {
    body: BodyDataStream,
    raw: String,
}

impl Told {
    async fn of(gateway: &Gateway, request: Request<Body>) -> Self {
        let response = within(gateway.router.clone().oneshot(request)).await;
        let response = response.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{response:?}");
        Self {
            body: response.into_body().into_data_stream(),
            raw: String::new(),
        }
    }

    async fn after(gateway: &Gateway, id: &str, number: Option<u64>) -> Self {
        Self::of(gateway, again(gateway, "ana", id, number)).await
    }

    /// Reads until the text so far ends with `end`.
    async fn until(&mut self, end: &str) {
        while !text(&self.events()).ends_with(end) {
            let part = within(self.body.next()).await;
            let part = part.unwrap_or_else(|| panic!("it ended: {}", self.raw));
            self.raw
                .push_str(std::str::from_utf8(&part.unwrap()).unwrap());
        }
    }

    /// All events, at their end.
    async fn all(mut self) -> Vec<Value> {
        while let Some(part) = within(self.body.next()).await {
            self.raw
                .push_str(std::str::from_utf8(&part.unwrap()).unwrap());
        }
        self.events()
    }

    fn events(&self) -> Vec<Value> {
        let events = self.raw.split_inclusive("\n\n");
        let whole = events.filter(|event| event.ends_with("\n\n") && !event.starts_with(':'));
        let data = |event: &str| {
            let (name, data) = event.trim_end().split_once('\n').unwrap();
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(data["type"], name.strip_prefix("event: ").unwrap());
            data
        };
        let events: Vec<Value> = whole.map(data).collect();
        let numbers = numbers(&events);
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        events
    }
}

fn numbers(events: &[Value]) -> Vec<u64> {
    let numbers = events.iter();
    numbers
        .map(|it| it["sequence_number"].as_u64().unwrap())
        .collect()
}

fn text(events: &[Value]) -> String {
    let deltas = events
        .iter()
        .filter(|it| it["type"] == "response.output_text.delta");
    deltas.map(|it| it["delta"].as_str().unwrap()).collect()
}

/// Those after the one of a number.
fn after(events: &[Value], number: u64) -> Vec<Value> {
    let later = events
        .iter()
        .filter(|it| it["sequence_number"].as_u64().unwrap() > number);
    later.cloned().collect()
}

fn background(gateway: &Gateway, model: &str, more: &Value) -> Request<Body> {
    let mut all = json!({"store": true, "background": true});
    for (field, value) in more.as_object().unwrap() {
        all[field] = value.clone();
    }
    request(gateway, "ana", model, &all)
}

fn again(gateway: &Gateway, subject: &str, id: &str, number: Option<u64>) -> Request<Body> {
    let after = number.map_or_else(String::new, |it| format!("&starting_after={it}"));
    let path = format!("/v1/responses/{id}?stream=true{after}");
    gateway.request(Method::GET, &path, subject)
}

async fn show(gateway: &Gateway, id: &str) -> Value {
    let reply = gateway.get(&format!("/v1/responses/{id}"), "ana").await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    reply.json()
}

async fn cancel(gateway: &Gateway, subject: &str, id: &str) -> Reply {
    let path = format!("/v1/responses/{id}/cancel");
    let request = gateway.request(Method::POST, &path, subject);
    within(gateway.send(request)).await
}

fn id_of(response: &Value) -> String {
    response["id"].as_str().unwrap().to_owned()
}

/// One that is being written, with this text so far, and its id.
async fn begun(gateway: &Gateway, seen: &Seen, answer: usize, text: &str) -> (Told, String) {
    let request = background(gateway, "told", &json!({"stream": true}));
    let mut told = Told::of(gateway, request).await;
    seen.asked(answer + 1).await;
    seen.tell(answer, Some(text));
    told.until(text).await;
    let id = id_of(&told.events()[0]["response"]);
    (told, id)
}

#[tokio::test]
async fn it_goes_on_without_a_reader_and_is_looked_for() {
    let Some((_server, gateway, seen)) = start(Duration::from_millis(100)).await else {
        return;
    };
    let reply = gateway
        .send(background(
            &gateway,
            "told",
            &json!({"metadata": {"case": "7"}}),
        ))
        .await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert!(!reply.header("x-lotoai-run-id").is_empty(), "{reply:?}");
    let given = reply.json();
    assert_eq!(
        (&given["status"], &given["background"], &given["output"]),
        (&json!("in_progress"), &json!(true), &json!([]))
    );
    let id = id_of(&given);
    seen.asked(1).await;
    seen.tell(0, Some("uno"));
    // For longer than a stream of chat completions does.
    let waits = tokio::time::timeout(Duration::from_secs(1), seen.cancelled.notified());
    assert!(waits.await.is_err(), "it goes on");
    assert_eq!(show(&gateway, &id).await, given);
    // Nobody else sees it.
    let foreign = gateway.get(&format!("/v1/responses/{id}"), "eve").await;
    assert_eq!(foreign.code(), "response_not_found");
    let foreign = gateway.send(again(&gateway, "eve", &id, None)).await;
    assert_eq!(foreign.code(), "response_not_found");
    assert_eq!(
        cancel(&gateway, "eve", &id).await.code(),
        "response_not_found"
    );
    seen.tell(0, None);
    gateway.settle_run().await;
    let shown = show(&gateway, &id).await;
    assert_eq!(shown["status"], "completed");
    assert_eq!(shown["output"][0]["content"][0]["text"], "uno");
    assert_eq!(shown["metadata"], json!({"case": "7"}));
    // One that has ended stays as it is.
    assert_eq!(cancel(&gateway, "ana", &id).await.json(), shown);
}

#[tokio::test]
async fn it_is_cancelled_from_any_replica() {
    let Some((server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let other = gateway.replica(&server).await;
    for (answer, replica) in [&gateway, &other].into_iter().enumerate() {
        let (told, id) = begun(&gateway, &seen, answer, "uno").await;
        let cancelled = cancel(replica, "ana", &id).await;
        assert_eq!(cancelled.status, StatusCode::OK, "{cancelled:?}");
        let cancelled = cancelled.json();
        assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
        assert_eq!(cancelled["output"][0]["content"][0]["text"], "uno");
        within(seen.cancelled.notified()).await;
        let last = told.all().await.pop().unwrap();
        assert_eq!(
            (&last["type"], &last["response"]),
            (&json!("response.failed"), &cancelled)
        );
        assert_eq!(last["sequence_number"], 7);
        let again = Told::after(replica, &id, Some(6)).await.all().await;
        assert_eq!(again, [last]);
        assert_eq!(cancel(replica, "ana", &id).await.json(), cancelled);
    }
}

#[tokio::test]
async fn a_failure_is_a_status_or_is_looked_for() {
    let Some((_server, gateway, _)) = start(PATIENCE).await else {
        return;
    };
    let stream = json!({"stream": true});
    let reply = gateway.send(background(&gateway, "missing", &stream)).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::NOT_FOUND, "model_not_found")
    );
    for (model, code, text) in [
        ("missing", "model_not_found", ""),
        ("breaks", "orchestrator_unavailable", "half"),
    ] {
        let given = gateway.send(background(&gateway, model, &json!({}))).await;
        let id = id_of(&given.json());
        gateway.settle_run().await;
        let shown = show(&gateway, &id).await;
        assert_eq!(
            (&shown["status"], &shown["error"]["code"]),
            (&json!("failed"), &json!(code))
        );
        let events = Told::after(&gateway, &id, None).await.all().await;
        assert_eq!(self::text(&events), text);
        let last = events.last().unwrap();
        assert_eq!(
            (&last["type"], &last["response"]),
            (&json!("response.failed"), &shown)
        );
    }
}

#[tokio::test]
async fn what_is_not_in_the_background_is_told_once_and_not_cancelled() {
    let Some((_server, gateway, _)) = start(PATIENCE).await else {
        return;
    };
    let more = json!({"store": true});
    let given = gateway
        .send(request(&gateway, "ana", "lotoai", &more))
        .await;
    let id = id_of(&given.json());
    let told = gateway.send(again(&gateway, "ana", &id, None)).await;
    let cancelled = cancel(&gateway, "ana", &id).await;
    for (reply, param) in [(told, "stream"), (cancelled, "id")] {
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (400, "unsupported_parameter")
        );
        assert_eq!(reply.json()["error"]["param"], param);
    }
    // Nor is what nobody stored: it is refused as a request.
    let more = json!({"store": false, "background": true});
    let reply = gateway
        .send(request(&gateway, "ana", "lotoai", &more))
        .await;
    assert_eq!(reply.json()["error"]["param"], "background", "{reply:?}");
}

#[tokio::test]
async fn one_of_another_key_is_not_there_before_and_after_its_end() {
    let Some((_server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let (told, id) = begun(&gateway, &seen, 0, "uno").await;
    let key = json!({ "name": "another", "scopes": every_scope() });
    let key = api_keys::key(&gateway, "ana", &[], &key).await;
    let again = format!("/v1/responses/{id}?stream=true");
    let cancel = format!("/v1/responses/{id}/cancel");
    let hidden = async || {
        for (method, path) in [(Method::GET, &again), (Method::POST, &cancel)] {
            let reply = within(gateway.send(bearing(method, path, &key))).await;
            assert_eq!(
                (reply.status.as_u16(), reply.code().as_str()),
                (404, "response_not_found")
            );
        }
    };
    hidden().await;
    seen.tell(0, None);
    told.all().await;
    gateway.settle_run().await;
    hidden().await;
    // The control: what it left is its owner's, whatever was used to ask for it.
    assert_eq!(show(&gateway, &id).await["status"], "completed");
}

#[tokio::test]
async fn one_whose_writer_died_has_failed() {
    let Some((server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let other = gateway.replica(&server).await;
    let (_told, id) = begun(&gateway, &seen, 0, "uno").await;
    assert_eq!(show(&other, &id).await["status"], "in_progress");
    // Nobody looks after it any more, as after a crash.
    gateway.service.shutdown.cancel();
    gateway.state.streams.forget();
    let (just, past) = (
        "update answer_streams set alive_until = now()",
        "update answer_streams set alive_until = now() - interval '6 s'",
    );
    // The database may have been away for that long, and the writer comes back to it.
    sqlx::query(just).execute(&server.pool()).await.unwrap();
    assert_eq!(show(&other, &id).await["status"], "in_progress");
    sqlx::query(past).execute(&server.pool()).await.unwrap();
    let shown = show(&other, &id).await;
    assert_eq!(
        (&shown["status"], &shown["error"]["code"]),
        (&json!("failed"), &json!("answer_incomplete"))
    );
}

#[tokio::test]
async fn one_that_is_deleted_is_told_no_more() {
    let Some((_server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let (told, id) = begun(&gateway, &seen, 0, "uno").await;
    let path = format!("/v1/responses/{id}");
    let remove = async || {
        let request = gateway.request(Method::DELETE, &path, "ana");
        gateway.send(request).await.status
    };
    // There is nothing yet to delete: it is cancelled first, or waited for.
    assert_eq!(remove().await, StatusCode::NOT_FOUND);
    seen.tell(0, None);
    told.all().await;
    gateway.settle_run().await;
    assert_eq!(remove().await, StatusCode::OK);
    let told = gateway.send(again(&gateway, "ana", &id, None)).await;
    assert_eq!(told.code(), "response_not_found");
    let cancelled = cancel(&gateway, "ana", &id).await;
    assert_eq!(cancelled.code(), "response_not_found");
}
