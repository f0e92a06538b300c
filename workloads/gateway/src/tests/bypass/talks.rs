//! What others said, and were answered.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::tests::conversations::{send, talk};
use crate::tests::support::{Gateway, Reply};
use crate::words;

const UNKNOWN: &str = "019aab4e-0000-7000-8000-000000000000";
/// What every answer of the fake orchestrator cites, and from where.
const PASSAGE: &str = "Holidays: 23 days";
const SOURCE: &str = "handbook.md";

/// The text of a value that is one.
fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value}"))
        .to_owned()
}

async fn respond(gateway: &Gateway, subject: &str, more: &Value) -> Reply {
    let mut body = json!({ "model": "lotoai", "store": true, "input": "?" });
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    send(gateway, subject, Method::POST, "/v1/responses", &body).await
}

/// Passages are read with the answer that cites them, by whoever may read that, and nowhere else.
#[tokio::test]
async fn cve_2026_41949_citations_are_their_readers_alone() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let id = talk(&gateway, "ana", &json!({})).await;
    let response = text(&respond(&gateway, "ana", &json!({})).await.json()["id"]);
    words::gather(&gateway.state.store).await.unwrap();
    let of = |id: &str, response: &str| {
        [
            format!("/api/conversations/{id}"),
            format!("/api/conversations/{id}/messages"),
            format!("/api/conversations/{id}/export"),
            format!("/api/conversations/{id}/export?format=markdown"),
            format!("/v1/responses/{response}"),
            format!("/v1/responses/{response}/input_items"),
        ]
    };
    let unknown = of(UNKNOWN, &format!("resp_{}", UNKNOWN.replace('-', "")));
    for (path, unknown) in of(&id, &response).iter().zip(&unknown) {
        let foreign = gateway.get(path, "eve").await;
        let unknown = gateway.get(unknown, "eve").await;
        assert_eq!(foreign.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(
            (&foreign.headers, &foreign.body),
            (&unknown.headers, &unknown.body),
            "{path}"
        );
    }
    // What shows many things shows none of hers.
    let found = "/api/conversations/search?q=Veintitr%C3%A9s";
    let groups: [&[&str]; 2] = [&[], &["admins"]];
    for path in ["/api/conversations", found, "/api/me/export"] {
        for groups in groups {
            let request = gateway.request_in(Method::GET, path, "eve", groups);
            let reply = gateway.send(request).await;
            assert_eq!(reply.status, StatusCode::OK, "{path}");
            for hers in [PASSAGE, SOURCE, id.as_str(), response.as_str()] {
                assert!(!reply.body.contains(hers), "{path}: {hers}");
            }
        }
    }
    // The controls: she reads them in each of these.
    for path in of(&id, &response).iter().take(4) {
        let reply = gateway.get(path, "ana").await;
        assert!(reply.body.contains(SOURCE), "{path}: {reply:?}");
    }
    for path in of(&id, &response).iter().skip(4) {
        assert_eq!(gateway.get(path, "ana").await.status, StatusCode::OK);
    }
    assert!(gateway.get(found, "ana").await.body.contains(&id));
    assert!(
        gateway
            .get("/api/me/export", "ana")
            .await
            .body
            .contains(PASSAGE)
    );
    gateway.settle().await;
}

/// Every way to write the id of an answer or a conversation asks whose it is.
#[tokio::test]
async fn cve_2026_55255_every_form_of_an_answers_id_asks_for_its_owner() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let response = text(&respond(&gateway, "ana", &json!({})).await.json()["id"]);
    let id = talk(&gateway, "ana", &json!({})).await;
    let forms = |uuid: &str| {
        let simple = uuid.replace('-', "");
        let mut forms = vec![
            uuid.to_owned(),
            uuid.to_uppercase(),
            simple.clone(),
            format!("urn:uuid:{uuid}"),
            format!("%7B{uuid}%7D"),
        ];
        for prefix in ["resp_", "chatcmpl-", "msg_", "conv_"] {
            forms.push(format!("{prefix}{uuid}"));
            forms.push(format!("{prefix}{simple}"));
        }
        forms
    };
    let run = response.strip_prefix("resp_").unwrap();
    let run = uuid::Uuid::parse_str(run).unwrap().to_string();
    let mut tried = 0;
    for form in forms(&run).iter().chain(&forms(&id)) {
        for (method, path) in [
            (Method::GET, format!("/v1/responses/{form}")),
            (Method::GET, format!("/v1/responses/{form}/input_items")),
            (Method::GET, format!("/v1/responses/{form}?stream=true")),
            (Method::POST, format!("/v1/responses/{form}/cancel")),
            (Method::DELETE, format!("/v1/responses/{form}")),
            (Method::GET, format!("/v1/chat/completions/{form}/stream")),
            (Method::POST, format!("/v1/chat/completions/{form}/cancel")),
            (Method::GET, format!("/api/conversations/{form}")),
            (Method::GET, format!("/api/conversations/{form}/messages")),
            (Method::DELETE, format!("/api/conversations/{form}")),
            (Method::POST, format!("/api/conversations/{form}/restore")),
        ] {
            let reply = send(&gateway, "eve", method.clone(), &path, &Value::Null).await;
            assert_eq!(reply.status, StatusCode::NOT_FOUND, "{method} {path}");
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried}");
    // The controls: the forms that name them do so for their owner.
    let simple = id.replace('-', "");
    for path in [
        format!("/v1/responses/{response}"),
        format!("/v1/responses/resp_{run}"),
        format!("/api/conversations/{id}"),
        format!("/api/conversations/{simple}"),
        format!("/api/conversations/{}", id.to_uppercase()),
    ] {
        let reply = gateway.get(&path, "ana").await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {reply:?}");
    }
}

/// What somebody else said is no part of one's own branch or question.
#[tokio::test]
async fn cve_2026_45402_what_others_said_is_not_gone_on_from() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let hers = talk(&gateway, "ana", &json!({})).await;
    let path = format!("/api/conversations/{hers}");
    let message = text(&gateway.get(&path, "ana").await.json()["messages"][1]["id"]);
    let response = text(&respond(&gateway, "ana", &json!({})).await.json()["id"]);
    let own = talk(&gateway, "eve", &json!({})).await;
    let asked = seen.count();

    // Her message in a conversation of one's own, and in hers.
    let branch = async |subject: &str, conversation: &str, message: &str| {
        let path = format!("/api/conversations/{conversation}/branch");
        let at = json!({ "message_id": message });
        send(&gateway, subject, Method::POST, &path, &at).await
    };
    let foreign = branch("eve", &own, &message).await;
    let unknown = branch("eve", &own, UNKNOWN).await;
    assert_eq!(foreign.code(), "message_not_found", "{foreign:?}");
    assert_eq!(without_id(&foreign), without_id(&unknown));
    let foreign = branch("eve", &hers, &message).await;
    let unknown = branch("eve", UNKNOWN, &message).await;
    assert_eq!(foreign.code(), "conversation_not_found", "{foreign:?}");
    assert_eq!(without_id(&foreign), without_id(&unknown));

    // Her answer, and her conversation, as what a question goes on from.
    let unknown_response = format!("resp_{}", UNKNOWN.replace('-', ""));
    for (field, foreign, unknown) in [
        ("previous_response_id", &response, &unknown_response),
        ("conversation", &hers, &UNKNOWN.to_owned()),
    ] {
        let foreign = respond(&gateway, "eve", &json!({ field: foreign })).await;
        let unknown = respond(&gateway, "eve", &json!({ field: unknown })).await;
        assert_eq!(
            foreign.status,
            StatusCode::NOT_FOUND,
            "{field}: {foreign:?}"
        );
        assert_eq!(without_id(&foreign), without_id(&unknown), "{field}");
    }
    assert_eq!(seen.count(), asked, "no model heard of it");

    // The controls: she goes on from each of them.
    let made = branch("ana", &hers, &message).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    for (field, value) in [("previous_response_id", &response), ("conversation", &hers)] {
        let reply = respond(&gateway, "ana", &json!({ field: value })).await;
        assert_eq!(reply.status, StatusCode::OK, "{field}: {reply:?}");
    }
    gateway.settle().await;
}

/// A refusal without the id of its request, which is another each time.
fn without_id(reply: &Reply) -> (StatusCode, Value) {
    let mut body = reply.json();
    body["request_id"] = Value::Null;
    (reply.status, body)
}
