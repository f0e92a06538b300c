//! Responses that are shown again, and deleted.

use axum::http::{Method, StatusCode};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{ask, events, request, storing, weather};
use crate::tests::chat::question;
use crate::tests::support::{Gateway, Reply};

fn path(id: &Value) -> String {
    format!("/v1/responses/{}", id.as_str().unwrap())
}

async fn show(gateway: &Gateway, id: &Value) -> Reply {
    gateway.get(&path(id), "ana").await
}

async fn remove(gateway: &Gateway, id: &Value) -> Reply {
    let request = gateway.request(Method::DELETE, &path(id), "ana");
    gateway.send(request).await
}

/// Without the time of its end, which the database tells by its own clock.
fn timeless(mut response: Value) -> Value {
    let ended = response["completed_at"].take();
    response["completed_at"] = ended.is_u64().into();
    response
}

#[tokio::test]
async fn a_stored_response_is_shown_as_it_was_given() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let full = json!({
        "instructions": "Be brief.", "temperature": 0.5, "metadata": {"case": "seven\u{0}"},
    });
    for (model, more, status) in [
        ("lotoai", full, "completed"),
        ("caller", json!({"tools": weather()}), "completed"),
        ("long", json!({}), "incomplete"),
    ] {
        let given = ask(&gateway, model, &storing(&more)).await.json();
        assert_eq!(given["status"], status);
        let shown = show(&gateway, &given["id"]).await;
        assert_eq!(shown.status, StatusCode::OK, "{shown:?}");
        assert_eq!(timeless(shown.json()), timeless(given), "{model}");
    }
    // As the last event of a stream has it.
    for (model, status) in [("lotoai", "completed"), ("breaks", "failed")] {
        let reply = ask(&gateway, model, &storing(&json!({"stream": true}))).await;
        let given = events(&reply).pop().unwrap()["response"].take();
        assert_eq!(given["status"], status);
        let shown = show(&gateway, &given["id"]).await.json();
        assert_eq!(timeless(shown), timeless(given), "{model}");
    }
}

#[tokio::test]
async fn a_response_that_was_left_is_cancelled() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let more = storing(&json!({"stream": true}));
    let asked = request(&gateway, "ana", "endless", &more);
    let response = gateway.router.clone().oneshot(asked).await.unwrap();
    let mut parts = response.into_body().into_data_stream();
    let mut text = String::new();
    while !text.contains("begun") {
        let part = parts.next().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(&part).unwrap());
    }
    drop(parts);
    seen.cancelled.notified().await;
    gateway.settle().await;
    let created = text.lines().find_map(|line| line.strip_prefix("data: "));
    let created: Value = serde_json::from_str(created.unwrap()).unwrap();
    let shown = show(&gateway, &created["response"]["id"]).await.json();
    assert_eq!(
        (&shown["status"], &shown["error"]),
        (&json!("cancelled"), &Value::Null)
    );
    let item = &shown["output"][0];
    assert_eq!(
        (&item["status"], &item["content"][0]["text"]),
        (&json!("incomplete"), &json!("begun"))
    );
}

#[tokio::test]
async fn what_is_not_the_callers_or_not_stored_is_not_there() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let given = ask(&gateway, "writer", &storing(&json!({}))).await.json();
    let unknown = json!("resp_019aab4e000070008000000000000000");
    for (method, rest) in [
        (Method::GET, ""),
        (Method::GET, "/input_items"),
        (Method::DELETE, ""),
    ] {
        let mut replies = Vec::new();
        for id in [&given["id"], &unknown] {
            let path = format!("{}{rest}", path(id));
            let request = gateway.request(method.clone(), &path, "eve");
            replies.push(gateway.send(request).await);
        }
        let [foreign, unknown] = &replies[..] else {
            unreachable!()
        };
        assert_eq!(
            (foreign.status, &foreign.body),
            (unknown.status, &unknown.body)
        );
        assert_eq!(
            (foreign.status.as_u16(), foreign.code().as_str()),
            (404, "response_not_found"),
            "{method} {rest}"
        );
    }
    // What was not stored is none, and neither is the answer of a chat.
    let unstored = ask(&gateway, "writer", &json!({})).await.json();
    let chat = question("writer", &json!({"store": true}));
    let chat = gateway.chat("ana", chat).await.json();
    let run = chat["lotoai"]["run_id"].as_str().unwrap().replace('-', "");
    for id in [&unstored["id"], &json!(format!("resp_{run}")), &json!("x")] {
        let reply = show(&gateway, id).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{id}");
    }
    // The events are told once.
    let again = format!("{}?stream=true", path(&given["id"]));
    let reply = gateway.get(&again, "ana").await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (400, "unsupported_parameter")
    );
    // The control: it is there for its owner, still.
    assert_eq!(show(&gateway, &given["id"]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_was_sent_is_listed() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let list = async |id: &Value, query: &str| {
        let path = format!("{}/input_items?{query}", path(id));
        gateway.get(&path, "ana").await.json()
    };
    let asked = storing(&json!({"tools": weather(), "instructions": "Be brief."}));
    let first = ask(&gateway, "caller", &asked).await.json();
    let sent = list(&first["id"], "").await;
    // Instructions are no input.
    let [question] = &sent["data"].as_array().unwrap()[..] else {
        panic!("{sent}")
    };
    assert_eq!(question["role"], "user");
    let text = json!([{"type": "input_text", "text": "¿Cuántos?"}]);
    assert_eq!(question["content"], text);

    let results = json!([
        {"type": "function_call_output", "call_id": "call_a", "output": "sunny"},
        {"type": "function_call_output", "call_id": "call_b", "output": "noon"},
        {"role": "user", "content": "And now?"},
    ]);
    let asked = storing(&json!({
        "previous_response_id": first["id"], "input": results, "tools": weather(),
    }));
    let second = ask(&gateway, "writer", &asked).await.json();
    let sent = list(&second["id"], "order=asc").await;
    let data = sent["data"].as_array().unwrap();
    let kinds: Vec<&Value> = data.iter().map(|item| &item["type"]).collect();
    assert_eq!(
        kinds,
        ["function_call_output", "function_call_output", "message"]
    );
    assert_eq!(
        (&data[0]["call_id"], &data[0]["output"]),
        (&json!("call_a"), &json!("sunny"))
    );
    assert_eq!(sent["has_more"], false);
    let newest = list(&second["id"], "limit=1").await;
    assert_eq!(newest["data"], json!([data[2]]));
    assert_eq!(newest["has_more"], true);
    let refused = list(&second["id"], "colour=blue").await;
    assert_eq!(refused["error"]["param"], "colour");
}

#[tokio::test]
async fn a_deleted_response_is_gone_with_what_was_sent() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let on = async |id: &Value, input: &str| {
        let more = storing(&json!({"previous_response_id": id, "input": input}));
        ask(&gateway, "writer", &more).await
    };
    let first = storing(&json!({"input": "One?"}));
    let first = ask(&gateway, "writer", &first).await.json();
    let second = on(&first["id"], "Two?").await.json();
    let reply = remove(&gateway, &second["id"]).await;
    let gone = json!({"id": second["id"], "object": "response", "deleted": true});
    assert_eq!((reply.status, reply.json()), (StatusCode::OK, gone));
    assert_eq!(
        show(&gateway, &second["id"]).await.code(),
        "response_not_found"
    );
    assert_eq!(
        remove(&gateway, &second["id"]).await.code(),
        "response_not_found"
    );
    let conversation = first["conversation"]["id"].as_str().unwrap();
    let conversation = format!("/api/conversations/{conversation}");
    let left = gateway.get(&conversation, "ana").await.json();
    let said: Vec<&Value> = left["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| &message["content"])
        .collect();
    assert_eq!(said, ["One?", "Veintitrés días [1]."]);
    // It is gone on with from the first one again, and not from what is gone.
    let third = on(&first["id"], "Three?").await.json();
    assert_eq!(third["status"], "completed", "{third}");
    let reply = on(&second["id"], "Four?").await;
    assert_eq!(reply.code(), "previous_response_not_found");
    // Where nothing is left, the conversation is gone, too, and does not come back.
    for id in [&first["id"], &third["id"]] {
        assert_eq!(remove(&gateway, id).await.status, StatusCode::OK);
    }
    assert_eq!(
        gateway.get(&conversation, "ana").await.status,
        StatusCode::NOT_FOUND
    );
    let restore = format!("{conversation}/restore");
    let restore = gateway.request(Method::POST, &restore, "ana");
    assert_eq!(gateway.send(restore).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_response_is_exported_and_erased_with_its_person() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let asked = storing(&json!({"instructions": "Be brief."}));
    let given = ask(&gateway, "writer", &asked).await.json();
    let all = gateway.get("/api/me/export", "ana").await.json();
    let [held] = &all["responses"].as_array().unwrap()[..] else {
        panic!("{all}")
    };
    assert_eq!(held["run_id"], given["lotoai"]["run_id"]);
    assert_eq!(held["repeated"]["instructions"], "Be brief.");
    assert_eq!(held["input_tokens"], 12);
    let pool = server.pool();
    let count = async || -> i64 {
        let rows = sqlx::query_scalar("select count(*) from responses");
        rows.fetch_one(&pool).await.unwrap()
    };
    assert_eq!(count().await, 1);
    let erase = "/api/me/data?confirm=erase-everything";
    let erase = gateway.request(Method::DELETE, erase, "ana");
    assert_eq!(gateway.send(erase).await.status, StatusCode::OK);
    assert_eq!(count().await, 0);
}
