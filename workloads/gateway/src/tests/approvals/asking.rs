//! How consent is asked for, in each API, and where it is found.

use std::collections::BTreeSet;

use super::*;
use crate::tests::chat::events;
use crate::tests::conversations::send;

#[tokio::test]
async fn an_answer_that_asks_for_consent_ends_as_any_client_expects() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let answer = ask(&gateway, "ana", "send_mail", true).await.json();
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "stop");
    assert_eq!(choice["message"]["content"], "I need your consent.");
    assert_eq!(choice["message"]["tool_calls"], Value::Null);
    let approval = &answer["lotoai"]["approvals"][0];
    assert_eq!(approval["tool"], "send_mail");
    assert_eq!(approval["arguments"], json!({"to": "bo"}));
    assert_eq!(approval["description"], "Sends a mail");

    // In a stream every event is a chunk: a client of OpenAI knows no other.
    let body = question("asks/send_mail", &json!({"store": true, "stream": true}));
    let reply = gateway.chat("ana", body).await;
    assert!(!reply.body.contains("event:"), "{reply:?}");
    let chunks = events(&reply);
    let last = chunks.last().unwrap();
    assert_eq!(last["object"], "chat.completion.chunk");
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert_eq!(last["lotoai"]["approvals"][0]["tool"], "send_mail");

    let request = json!({"model": "asks/send_mail", "input": "?"});
    let reply = send(&gateway, "ana", Method::POST, "/v1/responses", &request).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let response = reply.json();
    assert_eq!(response["status"], "completed");
    assert_eq!(
        response["output"][0]["content"][0]["text"],
        "I need your consent."
    );
    assert_eq!(response["output"].as_array().unwrap().len(), 1);
    let approval = &response["lotoai"]["approvals"][0];
    // What is stored says the same.
    let path = format!("/v1/responses/{}", response["id"].as_str().unwrap());
    let stored = gateway.get(&path, "ana").await.json();
    assert_eq!(&stored["lotoai"]["approvals"][0], approval);

    // The control: who needs no consent asks for none.
    let body = question("lotoai", &json!({"store": true}));
    let answer = gateway.chat("ana", body).await.json();
    assert_eq!(answer["lotoai"]["approvals"], json!([]));
}

#[tokio::test]
async fn what_waits_stands_in_its_conversation_and_in_the_list_of_its_asker() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let asked = asked(&gateway, "ana", "send_mail").await;
    let stored = messages(&gateway, &asked.conversation).await;
    assert_eq!(stored[1]["content"], "I need your consent.");
    assert_eq!(stored[1]["approvals"][0]["id"], json!(asked.id));
    assert_eq!(stored[0]["approvals"], json!([]));

    let list = gateway.get(LIST, "ana").await.json();
    let item = &list["items"][0];
    assert_eq!(item["id"], json!(asked.id));
    assert_eq!(item["state"], "pending");
    assert_eq!(item["conversation_id"], json!(asked.conversation));
    assert_eq!(item["decided_at"], Value::Null);
    let one = gateway.get(&format!("{LIST}/{}", asked.id), "ana").await;
    assert_eq!(&one.json(), item);
    let others = gateway.get(LIST, "eve").await.json();
    assert_eq!(others["items"], json!([]));
}

#[tokio::test]
async fn the_list_is_read_page_by_page_and_by_state() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let add = |tool: &str| seen.approvals.add("ana", "", tool).id;
    let ids = [add("a"), add("b"), add("c")];
    // It is nobody's conversation, so it is for nobody.
    seen.approvals
        .add("ana", &uuid::Uuid::now_v7().to_string(), "hidden");
    let (mut path, mut read) = (format!("{LIST}?limit=2"), Vec::new());
    loop {
        let page = gateway.get(&path, "ana").await;
        assert_eq!(page.status, StatusCode::OK, "{page:?}");
        let page = page.json();
        let items = page["items"].as_array().unwrap().iter();
        read.extend(items.map(|it| it["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("{LIST}?limit=2&cursor={cursor}");
    }
    read.reverse();
    assert_eq!(read, ids);
    let denied = decide(&gateway, "ana", &ids[0], &deny()).await;
    assert_eq!(denied.status, StatusCode::OK, "{denied:?}");
    for (state, count) in [("pending", 2), ("denied", 1), ("approved", 0)] {
        let list = gateway.get(&format!("{LIST}?state={state}"), "ana").await;
        assert_eq!(list.json()["items"].as_array().unwrap().len(), count);
    }
    for (query, param) in [
        ("state=open", "state"),
        ("limit=0", "limit"),
        ("cursor=bm9wZQ", "cursor"),
        // One that is a text, and none of the orchestrator's.
        ("cursor=Im5vcGUi", "cursor"),
    ] {
        let reply = gateway.get(&format!("{LIST}?{query}"), "ana").await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{query}: {reply:?}");
        assert_eq!(reply.json()["param"], param, "{query}");
    }
}

/// The orchestrator gives 100 at a time.
#[tokio::test]
async fn a_page_may_be_longer_than_one_of_the_orchestrator() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    for _ in 0..230 {
        seen.approvals.add("ana", "", "send_mail");
    }
    for (limit, lengths) in [
        (200, vec![200, 30]),
        (130, vec![130, 100]),
        (100, vec![100, 100, 30]),
    ] {
        let path = format!("{LIST}?limit={limit}");
        let pages = gateway.pages(&path, "ana", &[]).await;
        let read: Vec<usize> = pages.iter().map(Vec::len).collect();
        assert_eq!(read, lengths);
        let ids: BTreeSet<String> = pages
            .iter()
            .flatten()
            .map(|it| it["id"].to_string())
            .collect();
        assert_eq!(ids.len(), 230, "each is there once");
    }
}

#[tokio::test]
async fn what_a_deleted_conversation_asks_for_is_there_when_that_is_back() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let asked = asked(&gateway, "ana", "send_mail").await;
    let talk = format!("/api/conversations/{}", asked.conversation);
    let reply = send(&gateway, "ana", Method::DELETE, &talk, &Value::Null).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    let list = gateway.get(LIST, "ana").await.json();
    assert_eq!(list["items"], json!([]));
    let one = gateway.get(&format!("{LIST}/{}", asked.id), "ana").await;
    assert_eq!(one.code(), "approval_not_found");
    let reply = decide(&gateway, "ana", &asked.id, &approve()).await;
    assert_eq!(reply.code(), "approval_not_found");
    let restore = format!("{talk}/restore");
    let reply = send(&gateway, "ana", Method::POST, &restore, &Value::Null).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let reply = decide(&gateway, "ana", &asked.id, &approve()).await;
    assert_eq!(text(&reply), "Sent.");
}
