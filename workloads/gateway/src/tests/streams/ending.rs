//! What ends a stream before its time, and who hears of it.

use super::*;
use crate::tests::ends::{hold_back, somebody_waits};

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
async fn a_stop_that_comes_while_the_end_is_being_stored_changes_nothing() {
    let Some((server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let mut listening = Listening::begun(&gateway, &seen, 0, "uno").await;
    let held = hold_back(&server).await;
    seen.tell(0, None);
    somebody_waits(&server).await;
    let reply = cancel(&gateway, &listening.run_id()).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT, "{reply:?}");
    held.rollback().await.unwrap();
    listening.rest().await;
    assert_eq!(
        (listening.text(), listening.error()),
        ("uno".into(), String::new())
    );
    gateway.settle_run().await;
    assert_eq!(stored(&gateway).await[1]["outcome"], "ok");
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
    // Whoever has read nothing of it learns where it goes on.
    assert_eq!(again.json()["error"]["answer"]["run_id"], id.as_str());
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
async fn who_lost_the_connection_before_the_first_event_finds_the_answer_by_its_key() {
    let Some((_server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let ask = |subject: &str| {
        let mut request = gateway.request(Method::POST, "/v1/chat/completions", subject);
        let headers = request.headers_mut();
        headers.insert("idempotency-key", "k".parse().unwrap());
        *request.body_mut() = Body::from(resumable("told"));
        request
    };
    // Nothing of it is read: its client knows an id only where the response had begun.
    let response = within(gateway.router.clone().oneshot(ask("ana"))).await;
    let begun = response.unwrap().headers()["x-lotoai-run-id"].clone();
    seen.tell(0, Some("uno"));
    seen.tell(0, None);
    gateway.settle_run().await;
    let again = gateway.send(ask("ana")).await;
    assert_eq!(again.code(), "idempotency_answer_not_kept", "{again:?}");
    let place = again.json()["error"]["answer"].clone();
    let id = |name: &str| place[name].as_str().unwrap().to_owned();
    assert_eq!(begun, id("run_id").as_str());
    let mut found = Listening::resume(&gateway, &id("run_id"), None).await;
    found.rest().await;
    assert_eq!(found.text(), "uno");
    let path = format!("/api/conversations/{}", id("conversation_id"));
    let conversation = gateway.get(&path, "ana").await.json();
    assert_eq!(conversation["messages"][1]["run_id"], place["run_id"]);
    assert_eq!(seen.count(), 1);
    // The control: the key of somebody else leads nowhere, and theirs is a question of its own.
    let other = Listening::to(&gateway, ask("eve")).await;
    assert_eq!(seen.count(), 2);
    drop(other);
    seen.tell(1, None);
    gateway.settle_run().await;
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
