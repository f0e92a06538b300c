//! What is read: at the replica that writes, at another one, and after the end.

use super::*;

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
    for from in ["x", "-1", "", "2", "99", "2147483647"] {
        refused(from).await;
    }
    seen.tell(0, None);
    first.rest().await;
    for from in ["x", "-1", "", "2", "99", "2147483647"] {
        refused(from).await;
    }
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
