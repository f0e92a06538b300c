//! Streams that a client comes back to, at the replica that writes them, at another one, and after
//! their end.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{Method, Request, StatusCode};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::browser::{sign_in, with_cookies};
use super::budgets::question;
use super::orchestrator::{self, Seen};
use super::postgres;
use super::support::{Gateway, PUBLIC_URL, Parts, Reply};

const PATIENCE: Duration = Duration::from_secs(20);
/// Within which a stop reaches the orchestrator.
const SOON: Duration = Duration::from_secs(1);

async fn within<T>(future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(PATIENCE, future).await;
    outcome.expect("it happens in time")
}

async fn start(grace: Duration) -> Option<(postgres::Database, Gateway, Arc<Seen>)> {
    let (orchestrator, seen) = orchestrator::start().await;
    let parts = Parts {
        orchestrator,
        grace,
        ..Parts::default()
    };
    let (server, gateway) = Gateway::stored(parts).await?;
    gateway.look_after_streams();
    Some((server, gateway, seen))
}

fn resumable(model: &str) -> String {
    let more = json!({
        "store": true, "stream": true,
        "stream_options": {"resumable": true, "include_usage": true},
    });
    question(model, &more)
}

/// A stream as a client reads it.
struct Listening {
    body: BodyDataStream,
    raw: String,
}

impl Listening {
    async fn to(gateway: &Gateway, request: Request<Body>) -> Self {
        let response = within(gateway.router.clone().oneshot(request)).await;
        let response = response.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{response:?}");
        Self {
            body: response.into_body().into_data_stream(),
            raw: String::new(),
        }
    }

    async fn ask(gateway: &Gateway) -> Self {
        let mut request = gateway.request(Method::POST, "/v1/chat/completions", "ana");
        *request.body_mut() = Body::from(resumable("told"));
        Self::to(gateway, request).await
    }

    /// The same, with the answer of this number told so far.
    async fn begun(gateway: &Gateway, seen: &Seen, answer: usize, text: &str) -> Self {
        let mut listening = Self::ask(gateway).await;
        seen.tell(answer, Some(text));
        listening.until(text).await;
        listening
    }

    async fn resume(gateway: &Gateway, id: &str, from: Option<usize>) -> Self {
        Self::to(gateway, resume(gateway, id, "ana", from)).await
    }

    /// Reads until the text so far ends with `end`.
    async fn until(&mut self, end: &str) {
        while !self.text().ends_with(end) {
            let part = within(self.body.next()).await;
            let part = part.unwrap_or_else(|| panic!("it ended: {}", self.raw));
            self.raw
                .push_str(std::str::from_utf8(&part.unwrap()).unwrap());
        }
    }

    /// Reads to the end.
    async fn rest(&mut self) {
        while let Some(part) = within(self.body.next()).await {
            self.raw
                .push_str(std::str::from_utf8(&part.unwrap()).unwrap());
        }
        assert!(self.raw.ends_with("data: [DONE]\n\n"), "{}", self.raw);
    }

    /// Id and data of the events so far.
    fn events(&self) -> Vec<(Option<usize>, Value)> {
        let events = self.raw.split_inclusive("\n\n");
        let whole = events.filter(|event| event.ends_with("\n\n") && !event.starts_with(':'));
        let event = |event: &str| {
            let mut id = None;
            let mut data = Value::Null;
            for line in event.lines() {
                if let Some(value) = line.strip_prefix("id: ") {
                    id = Some(value.parse().unwrap());
                } else if let Some(value) = line.strip_prefix("data: ") {
                    data = serde_json::from_str(value).unwrap_or_default();
                }
            }
            (id, data)
        };
        whole.map(event).collect()
    }

    fn text(&self) -> String {
        let events = self.events().into_iter();
        let text = events.filter_map(|(_, data)| {
            let content = data["choices"][0]["delta"]["content"].as_str();
            content.map(str::to_owned)
        });
        text.collect()
    }

    /// The id of the last event that has one.
    fn last_id(&self) -> usize {
        let events = self.events().into_iter();
        events.filter_map(|(id, _)| id).next_back().unwrap()
    }

    fn run_id(&self) -> String {
        let (_, first) = self.events().into_iter().next().unwrap();
        first["lotoai"]["run_id"].as_str().unwrap().to_owned()
    }

    fn error(&self) -> String {
        let events = self.events().into_iter();
        let error = events.filter_map(|(_, data)| {
            let code = data["error"]["code"].as_str();
            code.map(str::to_owned)
        });
        error.collect()
    }

    /// What it ends with, without the time at which it was told.
    fn ending(&self) -> Vec<Value> {
        let events = self.events().into_iter();
        let ending = events.filter(|(id, data)| id.is_none() && !data.is_null());
        ending
            .map(|(_, mut data)| {
                data["created"] = Value::Null;
                data
            })
            .collect()
    }
}

fn resume(gateway: &Gateway, id: &str, subject: &str, from: Option<usize>) -> Request<Body> {
    let path = format!("/v1/chat/completions/{id}/stream");
    let mut request = gateway.request(Method::GET, &path, subject);
    if let Some(from) = from {
        let from = from.to_string().parse().unwrap();
        request.headers_mut().insert("last-event-id", from);
    }
    request
}

async fn cancel(gateway: &Gateway, id: &str) -> Reply {
    let path = format!("/v1/chat/completions/{id}/cancel");
    gateway
        .send(gateway.request(Method::POST, &path, "ana"))
        .await
}

async fn stored(gateway: &Gateway) -> Vec<Value> {
    let list = gateway.get("/api/conversations", "ana").await.json();
    let id = list["items"][0]["id"].as_str().unwrap();
    let path = format!("/api/conversations/{id}");
    let conversation = gateway.get(&path, "ana").await.json();
    conversation["messages"].as_array().unwrap().clone()
}

#[tokio::test]
async fn who_comes_back_gets_the_rest_and_the_model_is_asked_once() {
    let Some((_server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let first = Listening::begun(&gateway, &seen, 0, "año ").await;
    let (id, from) = (first.run_id(), first.last_id());
    assert_eq!(from, "año ".len());
    drop(first);
    // What is written while nobody reads is not lost.
    seen.tell(0, Some("dos "));
    let mut second = Listening::resume(&gateway, &format!("chatcmpl-{id}"), Some(from)).await;
    second.until("dos ").await;
    // Two may read at a time.
    let mut third = Listening::resume(&gateway, &id, None).await;
    seen.tell(0, Some("tres"));
    seen.tell(0, None);
    second.rest().await;
    third.rest().await;
    assert_eq!(second.text(), "dos tres");
    assert_eq!(third.text(), "año dos tres");
    assert_eq!(
        third.events()[0].1["choices"][0]["delta"]["role"],
        "assistant"
    );
    assert_eq!(second.ending(), third.ending());
    assert_eq!(third.ending().len(), 2, "the last chunk and the usage");
    assert_eq!(seen.count(), 1);
    gateway.settle().await;
    let messages = stored(&gateway).await;
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[1]["content"], "año dos tres");
    assert_eq!(messages[1]["outcome"], "ok");

    // From the database it is the same, from wherever.
    for from in [None, Some(0), Some(from), Some("año dos tres".len())] {
        let mut stored = Listening::resume(&gateway, &id, from).await;
        stored.rest().await;
        assert_eq!(stored.text(), "año dos tres"[from.unwrap_or(0)..]);
        assert_eq!(stored.ending(), third.ending());
        let is_opened = stored.events()[0].1["choices"][0]["delta"]["role"] == "assistant";
        assert_eq!(is_opened, from.is_none());
    }
    assert_eq!(seen.count(), 1);
}

#[tokio::test]
async fn an_answer_that_nobody_comes_back_to_is_cancelled() {
    let Some((_server, gateway, seen)) = start(Duration::from_millis(300)).await else {
        return;
    };
    let listening = Listening::begun(&gateway, &seen, 0, "uno").await;
    // The control: for as long as somebody reads it goes on.
    let waits = tokio::time::timeout(SOON, seen.cancelled.notified());
    assert!(waits.await.is_err());
    let id = listening.run_id();
    drop(listening);
    within(seen.cancelled.notified()).await;
    gateway.settle_run().await;
    let messages = stored(&gateway).await;
    assert_eq!(messages[1]["content"], "uno");
    assert_eq!(messages[1]["outcome"], "cancelled");
    let mut late = Listening::resume(&gateway, &id, None).await;
    late.rest().await;
    assert_eq!(
        (late.text(), late.error()),
        ("uno".into(), "answer_stopped".into())
    );
}

#[tokio::test]
async fn an_explicit_stop_reaches_the_orchestrator_soon() {
    let Some((server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let other = gateway.replica(&server).await;
    for (answer, replica) in [&gateway, &other].into_iter().enumerate() {
        let mut listening = Listening::ask(&gateway).await;
        seen.tell(answer, Some("uno"));
        listening.until("uno").await;
        let id = listening.run_id();
        let stopped = async {
            let reply = cancel(replica, &id).await;
            assert_eq!(reply.status, StatusCode::NO_CONTENT, "{reply:?}");
            seen.cancelled.notified().await;
        };
        let stopped = tokio::time::timeout(SOON, stopped).await;
        stopped.expect("it reaches the orchestrator within 1 s");
        listening.rest().await;
        assert_eq!(listening.error(), "answer_stopped");
        // Once more is no mistake.
        assert_eq!(cancel(replica, &id).await.status, StatusCode::NO_CONTENT);
        assert_eq!(stored(&gateway).await[1]["outcome"], "cancelled");
    }
}

#[tokio::test]
async fn another_replica_passes_on_what_this_one_writes() {
    let Some((server, gateway, seen)) = start(Duration::from_millis(1_500)).await else {
        return;
    };
    let other = gateway.replica(&server).await;
    let first = Listening::begun(&gateway, &seen, 0, "año ").await;
    let id = first.run_id();
    let mut second = Listening::resume(&other, &id, Some(first.last_id())).await;
    drop(first);
    // Longer than the grace of the one that writes.
    for text in ["uno ", "dos ", "tres "] {
        seen.tell(0, Some(text));
        second.until(text).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    seen.tell(0, None);
    second.rest().await;
    assert_eq!(second.text(), "uno dos tres ");
    let mut whole = Listening::resume(&other, &id, None).await;
    whole.rest().await;
    assert_eq!(whole.text(), "año uno dos tres ");
    assert_eq!(whole.ending(), second.ending());

    // Who leaves there has left.
    let first = Listening::begun(&gateway, &seen, 1, "uno").await;
    let mut second = Listening::resume(&other, &first.run_id(), None).await;
    drop(first);
    second.until("uno").await;
    drop(second);
    within(seen.cancelled.notified()).await;
}

#[tokio::test]
async fn a_stream_whose_writer_died_says_so() {
    let Some((server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let other = gateway.replica(&server).await;
    let first = Listening::begun(&gateway, &seen, 0, "uno").await;
    let id = first.run_id();
    let mut second = Listening::resume(&other, &id, Some(0)).await;
    second.until("uno").await;
    // Nobody looks after it any more, as after a crash.
    gateway.service.shutdown.cancel();
    gateway.state.streams.forget();
    let pool = server.pool();
    let past = "update answer_streams set alive_until = now()";
    sqlx::query(past).execute(&pool).await.unwrap();
    second.rest().await;
    assert_eq!(second.error(), "answer_incomplete");
}

#[tokio::test]
async fn a_place_that_the_stream_has_not_given_is_refused() {
    let Some((_server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let mut first = Listening::begun(&gateway, &seen, 0, "año").await;
    let id = first.run_id();
    let refused = async |from: &str| {
        let mut request = resume(&gateway, &id, "ana", None);
        let headers = request.headers_mut();
        headers.insert("last-event-id", from.parse().unwrap());
        let reply = gateway.send(request).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{from}: {reply:?}");
        assert_eq!(reply.json()["error"]["param"], "Last-Event-ID");
    };
    for from in ["x", "-1", "", "2", "99"] {
        refused(from).await;
    }
    seen.tell(0, None);
    first.rest().await;
    for from in ["x", "-1", "", "2", "99"] {
        refused(from).await;
    }
}

#[tokio::test]
async fn a_key_whose_client_left_is_taken_until_its_answer_has_ended() {
    let Some((_server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let ask = |key: &str, model: &str| {
        let mut request = gateway.request(Method::POST, "/v1/chat/completions", "ana");
        let headers = request.headers_mut();
        headers.insert("idempotency-key", key.parse().unwrap());
        *request.body_mut() = Body::from(resumable(model));
        request
    };
    let mut first = Listening::to(&gateway, ask("left", "told")).await;
    seen.tell(0, Some("uno"));
    first.until("uno").await;
    let id = first.run_id();
    drop(first);
    let again = gateway.send(ask("left", "told")).await;
    assert_eq!(again.code(), "idempotency_in_progress");
    let mut second = Listening::resume(&gateway, &id, Some(3)).await;
    seen.tell(0, None);
    second.rest().await;
    gateway.settle_run().await;
    let again = gateway.send(ask("left", "told")).await;
    assert_eq!(again.code(), "idempotency_answer_not_kept", "{again:?}");
    assert_eq!(seen.count(), 1);

    // The control: who stays until the end is given the same again.
    let whole = gateway.send(ask("stayed", "lotoai")).await;
    let again = gateway.send(ask("stayed", "lotoai")).await;
    assert_eq!(again.body, whole.body);
    assert_eq!(again.header("idempotency-replayed"), "true");
    // And what was stopped had no effect.
    let mut stopped = Listening::to(&gateway, ask("stopped", "told")).await;
    seen.tell(1, Some("uno"));
    stopped.until("uno").await;
    let id = stopped.run_id();
    drop(stopped);
    cancel(&gateway, &id).await;
    gateway.settle_run().await;
    let again = gateway.send(ask("stopped", "lotoai")).await;
    assert_eq!(again.status, StatusCode::OK, "{again:?}");
    assert_eq!(again.header("idempotency-replayed"), "");
}

#[tokio::test]
async fn a_failure_is_a_status_at_first_and_an_event_later() {
    let Some((_server, gateway, _)) = start(PATIENCE).await else {
        return;
    };
    let reply = gateway.chat("ana", resumable("missing")).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::NOT_FOUND, "model_not_found")
    );
    let reply = gateway.chat("ana", resumable("breaks")).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.body.contains("orchestrator_unavailable"), "{reply:?}");
    assert!(reply.body.ends_with("data: [DONE]\n\n"));
    // What is not stored cannot be come back to.
    for more in [
        json!({"store": false, "stream": true}),
        json!({"store": true}),
    ] {
        let mut more = more;
        more["stream_options"] = json!({"resumable": true});
        let reply = gateway.chat("ana", question("lotoai", &more)).await;
        assert_eq!(reply.json()["error"]["param"], "stream_options.resumable");
    }
}

/// The session that came back is another one than the one that asked.
#[tokio::test]
async fn a_reader_that_is_signed_out_is_ended_and_the_others_are_not() {
    let Some((_server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let mut first = Listening::begun(&gateway, &seen, 0, "uno").await;
    let session = sign_in(&gateway, 300).await;
    let mut request = resume(&gateway, &first.run_id(), "ana", None);
    request.headers_mut().remove("authorization");
    let cookie = session.parse().unwrap();
    request.headers_mut().insert("cookie", cookie);
    let mut second = Listening::to(&gateway, request).await;
    second.until("uno").await;
    let out = "/auth/logout";
    let out = with_cookies(&gateway, Method::POST, out, &session, Some(PUBLIC_URL)).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT, "{out:?}");
    second.rest().await;
    assert_eq!(second.error(), "signed_out");
    seen.tell(0, Some(" dos"));
    seen.tell(0, None);
    first.rest().await;
    assert_eq!(
        (first.text(), first.error()),
        ("uno dos".into(), String::new())
    );
}

#[tokio::test]
async fn a_stop_of_the_process_ends_them_with_a_word_for_every_reader() {
    let Some((server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let other = gateway.replica(&server).await;
    let mut here = Listening::begun(&gateway, &seen, 0, "uno").await;
    let mut there = Listening::resume(&other, &here.run_id(), None).await;
    there.until("uno").await;
    gateway.state.ending.cancel();
    here.rest().await;
    there.rest().await;
    assert_eq!(
        (here.error(), there.error()),
        ("shutting_down".into(), "shutting_down".into())
    );
    // A replica that stops itself tells those whom it passes an answer on to.
    let mut here = Listening::begun(&other, &seen, 1, "uno").await;
    let mut there = Listening::resume(&gateway, &here.run_id(), None).await;
    there.rest().await;
    assert_eq!(there.error(), "shutting_down");
    seen.tell(1, None);
    here.rest().await;
    assert_eq!(here.error(), "");
}

#[tokio::test]
async fn streams_are_forgotten_after_a_day() {
    let Some((server, gateway, _)) = start(PATIENCE).await else {
        return;
    };
    let reply = gateway.chat("ana", resumable("lotoai")).await;
    assert_eq!(reply.status, StatusCode::OK);
    let store = &gateway.state.store;
    assert_eq!(store.sweep_streams().await.unwrap(), 0);
    let old = "update answer_streams set created_at = now() - interval '25 hours'";
    sqlx::query(old).execute(&server.pool()).await.unwrap();
    assert_eq!(store.sweep_streams().await.unwrap(), 1);
}

#[tokio::test]
async fn calls_of_functions_come_whole_and_at_the_end() {
    let Some((_server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let more = json!({
        "store": true, "stream": true, "stream_options": {"resumable": true},
        "tools": [{"type": "function", "function": {"name": "weather"}},
                  {"type": "function", "function": {"name": "clock"}}],
    });
    let mut request = gateway.request(Method::POST, "/v1/chat/completions", "ana");
    *request.body_mut() = Body::from(question("caller", &more));
    let mut first = Listening::to(&gateway, request).await;
    first.rest().await;
    let id = first.run_id();
    // From the database they are the same, also for whom all of the text was told.
    let mut again = Listening::resume(&gateway, &id, Some("Let me look.".len())).await;
    again.rest().await;
    for told in [&first, &again] {
        let ending = told.ending();
        let [weather, clock, last] = ending.as_slice() else {
            panic!("{ending:?}");
        };
        let call = |index: u32, id: &str, name: &str, arguments: &str| {
            let function = json!({"name": name, "arguments": arguments});
            json!([{"index": index, "id": id, "type": "function", "function": function}])
        };
        assert_eq!(
            weather["choices"][0]["delta"]["tool_calls"],
            call(0, "call_a", "weather", "{\"city\":\"Rome\"}")
        );
        assert_eq!(
            clock["choices"][0]["delta"]["tool_calls"],
            call(1, "call_b", "clock", "{}")
        );
        assert_eq!(last["choices"][0]["finish_reason"], "tool_calls");
    }
    assert_eq!((first.text().as_str(), seen.count()), ("Let me look.", 1));
}

#[tokio::test]
async fn the_stream_of_a_deleted_conversation_is_gone_until_that_is_back() {
    let Some((server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let other = gateway.replica(&server).await;
    let mut first = Listening::begun(&gateway, &seen, 0, "uno").await;
    let id = first.run_id();
    let mut there = Listening::resume(&other, &id, None).await;
    there.until("uno").await;
    let list = gateway.get("/api/conversations", "ana").await.json();
    let talk = list["items"][0]["id"].as_str().unwrap();
    let talk = format!("/api/conversations/{talk}");
    let gone = gateway.request(Method::DELETE, &talk, "ana");
    assert_eq!(gateway.send(gone).await.status, StatusCode::NO_CONTENT);
    for replica in [&gateway, &other] {
        let reply = replica.send(resume(replica, &id, "ana", None)).await;
        assert_eq!(reply.code(), "answer_not_found", "{reply:?}");
        assert_eq!(cancel(replica, &id).await.code(), "answer_not_found");
    }
    there.rest().await;
    assert_eq!(there.error(), "answer_not_found");
    // Who reads where it is written goes on.
    seen.tell(0, Some(" dos"));
    seen.tell(0, None);
    first.rest().await;
    assert_eq!(
        (first.text(), first.error()),
        ("uno dos".into(), String::new())
    );
    gateway.settle_run().await;
    let back = gateway.request(Method::POST, &format!("{talk}/restore"), "ana");
    assert_eq!(gateway.send(back).await.status, StatusCode::OK);
    let mut again = Listening::resume(&other, &id, None).await;
    again.rest().await;
    assert_eq!(again.text(), "uno dos");
}
