//! An answer that goes on as a stream: lost, stopped, broken off, and never written twice.

use super::*;
use crate::tests::streams::{Listening, PATIENCE, resume, start, within};

fn streamed() -> Value {
    json!({ "decision": "approve", "stream": true })
}

#[tokio::test]
async fn who_loses_the_stream_comes_back_to_it_and_nobody_decides_again() {
    let Some((_server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let asked = asked(&gateway, "ana", "told").await;
    let request = decision(&gateway, "ana", &asked.id, &streamed());
    let mut first = Listening::to(&gateway, request).await;
    seen.tell(0, Some("uno "));
    first.until("uno ").await;
    let run = first.run_id();
    drop(first);
    // The client that lost it asks again.
    for body in [streamed(), approve(), deny()] {
        let reply = decide(&gateway, "ana", &asked.id, &body).await;
        assert_eq!(reply.code(), "approval_decided", "{reply:?}");
    }
    // Where it goes on is also said by the approval.
    let one = gateway.get(&format!("{LIST}/{}", asked.id), "ana").await;
    assert_eq!(one.json()["answer_run_id"], json!(run));
    let mut second = Listening::to(&gateway, resume(&gateway, &run, "ana", None)).await;
    seen.tell(0, Some("dos"));
    seen.tell(0, None);
    second.rest().await;
    assert_eq!(second.text(), "uno dos");
    gateway.settle_run().await;
    assert_eq!(seen.decisions.lock().unwrap().len(), 1);
    let stored = messages(&gateway, &asked.conversation).await;
    assert_eq!(stored.len(), 3);
    assert_eq!(stored[2]["content"], "uno dos");
    let reply = decide(&gateway, "ana", &asked.id, &streamed()).await;
    assert_eq!(reply.code(), "approval_decided", "{reply:?}");
}

#[tokio::test]
async fn it_can_be_stopped() {
    let Some((_server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let asked = asked(&gateway, "ana", "told").await;
    let request = decision(&gateway, "ana", &asked.id, &streamed());
    let mut listening = Listening::to(&gateway, request).await;
    seen.tell(0, Some("uno"));
    listening.until("uno").await;
    let path = format!("/v1/chat/completions/{}/cancel", listening.run_id());
    let reply = gateway
        .send(gateway.request(Method::POST, &path, "ana"))
        .await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    within(seen.cancelled.notified()).await;
    listening.rest().await;
    assert_eq!(listening.error(), "answer_stopped");
    gateway.settle_run().await;
    let stored = messages(&gateway, &asked.conversation).await;
    assert_eq!(stored[2]["outcome"], "cancelled");
    // The tool was called, so there is no second time.
    let reply = decide(&gateway, "ana", &asked.id, &streamed()).await;
    assert_eq!(reply.code(), "approval_decided", "{reply:?}");
}

#[tokio::test]
async fn a_decision_that_broke_off_is_gone_on_with_by_the_same_decision_alone() {
    let Some((_server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let asked = asked(&gateway, "ana", "fragile").await;
    let reply = decide(&gateway, "ana", &asked.id, &approve()).await;
    assert_eq!(reply.code(), "orchestrator_unavailable", "{reply:?}");
    gateway.settle_run().await;
    assert_eq!(messages(&gateway, &asked.conversation).await.len(), 2);
    let edited = json!({"decision": "approve", "arguments": {"to": "eve"}});
    for other in [deny(), edited] {
        let reply = decide(&gateway, "ana", &asked.id, &other).await;
        assert_eq!(reply.code(), "approval_decided", "{reply:?}");
    }
    gateway.settle_run().await;
    assert_eq!(messages(&gateway, &asked.conversation).await.len(), 2);
    let reply = decide(&gateway, "ana", &asked.id, &streamed()).await;
    assert!(reply.body.contains("Sent."), "{reply:?}");
    gateway.settle_run().await;
    let told = seen.decisions.lock().unwrap().clone();
    let runs: Vec<&str> = told.iter().map(|it| it.run_id.as_str()).collect();
    let [first, denied, edited, last] = runs[..] else {
        panic!("{told:?}");
    };
    assert_eq!(first, last);
    assert!(denied != first && edited != first && denied != edited);
    let stored = messages(&gateway, &asked.conversation).await;
    assert_eq!(stored.len(), 3);
    // The attempt has a run of its own, by which it is charged and found.
    assert_ne!(stored[2]["run_id"], json!(last));
}

#[tokio::test]
async fn a_replica_that_died_with_an_answer_holds_it_for_seconds_only() {
    let Some((server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let other = gateway.replica(&server).await;
    let asked = asked(&gateway, "ana", "told").await;
    let request = decision(&gateway, "ana", &asked.id, &streamed());
    let mut first = Listening::to(&gateway, request).await;
    seen.tell(0, Some("uno"));
    first.until("uno").await;
    // Nobody looks after it any more, as after a crash.
    gateway.service.shutdown.cancel();
    gateway.state.streams.forget();
    let reply = decide(&other, "ana", &asked.id, &streamed()).await;
    assert_eq!(reply.code(), "approval_decided", "{reply:?}");
    assert_eq!(seen.decisions.lock().unwrap().len(), 1);
    let past = "update answer_streams set alive_until = now()";
    sqlx::query(past).execute(&server.pool()).await.unwrap();
    // Now it is the orchestrator that says whether there is anything to go on with.
    let reply = decide(&other, "ana", &asked.id, &streamed()).await;
    assert_eq!(reply.code(), "approval_decided", "{reply:?}");
    let told = seen.decisions.lock().unwrap().clone();
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].run_id, told[1].run_id);
    assert_eq!(messages(&other, &asked.conversation).await.len(), 2);
    drop(first);
}

#[tokio::test]
async fn an_answer_that_asks_again_says_so_in_an_event_of_its_own() {
    let Some((_server, gateway, _)) = start(PATIENCE).await else {
        return;
    };
    let asked = asked(&gateway, "ana", "again").await;
    let reply = decide(&gateway, "ana", &asked.id, &streamed()).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let (_, event) = reply
        .body
        .split_once("event: approval_request\ndata: ")
        .unwrap();
    let event: Value = serde_json::from_str(event.lines().next().unwrap()).unwrap();
    assert_eq!(event["tool"], "send_mail");
    assert!(reply.body.ends_with("data: [DONE]\n\n"));
    gateway.settle_run().await;
    let stored = messages(&gateway, &asked.conversation).await;
    assert_eq!(stored[2]["approvals"][0], event);
    let id = event["id"].as_str().unwrap();
    let reply = decide(&gateway, "ana", id, &approve()).await;
    assert_eq!(text(&reply), "Sent.");
    assert_eq!(reply.json()["model"], "asks/again");
    // Who comes back through OpenAI's API is told in its words alone.
    let run = stored[2]["run_id"].as_str().unwrap();
    let again = gateway.send(resume(&gateway, run, "ana", None)).await;
    assert!(!again.body.contains("event:"), "{again:?}");
    assert!(again.body.contains(id), "{again:?}");
}
