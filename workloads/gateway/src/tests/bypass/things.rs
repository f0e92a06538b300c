//! What belongs to others.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::tests::support::{Gateway, Reply};

/// An upload, as a form with a file and a knowledge base.
fn upload(request: Request<Body>, name: &str, knowledge_base: &str) -> Request<Body> {
    const BOUNDARY: &str = "a-boundary-that-no-file-holds";
    let (mut parts, _) = request.into_parts();
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    parts.headers.insert("content-type", kind.parse().unwrap());
    let field = |name: &str, content: &str| {
        format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name={name}\r\n\r\n{content}\r\n")
    };
    let body = [
        field("\"knowledge_base\"", knowledge_base),
        field(&format!("\"file\"; filename=\"{name}\""), "text"),
        format!("--{BOUNDARY}--\r\n"),
    ];
    Request::from_parts(parts, Body::from(body.concat()))
}

async fn add(gateway: &Gateway, subject: &str, groups: &[&str], base: &str) -> Reply {
    let post = gateway.request_in(Method::POST, "/api/documents", subject, groups);
    gateway.send(upload(post, "plan.txt", base)).await
}

/// A thing of somebody else cannot be hung onto one's own request.
#[tokio::test]
async fn cve_2026_45402_what_is_anothers_is_no_part_of_ones_own_request() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let question = |id: &Value| {
        json!({
            "model": "lotoai", "store": true, "metadata": { "conversation_id": id },
            "messages": [{ "role": "user", "content": "what did I say before?" }],
        })
        .to_string()
    };
    let hers = gateway.chat("ana", question(&Value::Null)).await.json();
    let hers = &hers["lotoai"]["conversation_id"];
    let foreign = gateway.chat("eve", question(hers)).await;
    let unknown = json!("019aab4e-0000-7000-8000-000000000000");
    let unknown = gateway.chat("eve", question(&unknown)).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    assert_eq!(
        (foreign.status, &foreign.body),
        (unknown.status, &unknown.body)
    );
    assert_eq!(
        gateway.chat("ana", question(hers)).await.status,
        StatusCode::OK
    );
}

/// A knowledge base is its own name and nothing that begins or ends like it.
#[tokio::test]
async fn cve_2026_45398_a_knowledge_base_is_not_told_by_how_it_begins() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let document = add(&gateway, "ana", &["hr-secret"], "hr-secret").await;
    assert_eq!(document.status, StatusCode::ACCEPTED, "{document:?}");
    let path = format!("/api/documents/{}", document.json()["id"].as_str().unwrap());
    for group in ["hr", "hr-", "hr-secret2", "HR-SECRET", "secret", "%", "*"] {
        let reply = add(&gateway, "eve", &[group], "hr-secret").await;
        assert_eq!(reply.code(), "knowledge_base_forbidden", "{group}");
        let get = gateway.request_in(Method::GET, &path, "eve", &[group]);
        assert_eq!(
            gateway.send(get).await.code(),
            "document_not_found",
            "{group}"
        );
    }
    for name in [
        "019aab4e-0000-7000-8000-000000000000",
        "default/../hr-secret",
    ] {
        let reply = add(&gateway, "eve", &[], name).await;
        assert!(reply.status.is_client_error(), "{name}: {reply:?}");
    }
    let get = gateway.request_in(Method::GET, &path, "bo", &["hr-secret"]);
    assert_eq!(
        gateway.send(get).await.status,
        StatusCode::OK,
        "the control"
    );
}

/// Who may read may not delete.
#[tokio::test]
async fn cve_2026_45671_who_may_read_may_not_delete() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let document = add(&gateway, "ana", &["hr"], "hr").await.json();
    let path = format!("/api/documents/{}", document["id"].as_str().unwrap());
    let retry = format!("{path}/retry");
    let send = |method: Method, path: &str, subject: &str| {
        gateway.send(gateway.request_in(method, path, subject, &["hr"]))
    };
    assert_eq!(send(Method::GET, &path, "bo").await.status, StatusCode::OK);
    for (method, path) in [(Method::DELETE, &path), (Method::POST, &retry)] {
        assert_eq!(send(method, path, "bo").await.code(), "not_your_document");
    }
    let reply = send(Method::DELETE, &path, "ana").await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT, "the control");
}

/// Every way to write an id asks whose the thing is.
#[tokio::test]
async fn cve_2026_55255_every_form_of_an_id_asks_for_its_owner() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let document = add(&gateway, "ana", &["hr"], "hr").await.json();
    let id = document["id"].as_str().unwrap();
    let simple = id.replace('-', "");
    let forms = [
        id.to_owned(),
        simple.clone(),
        id.to_uppercase(),
        format!("urn:uuid:{id}"),
        format!("%7B{id}%7D"),
        format!("{id}%00"),
        format!("%20{id}"),
        "plan.txt".to_owned(),
        "hr/plan.txt".to_owned(),
    ];
    for form in &forms {
        for method in [Method::GET, Method::DELETE] {
            let path = format!("/api/documents/{form}");
            let reply = gateway
                .send(gateway.request_in(method, &path, "eve", &["sales"]))
                .await;
            assert_eq!(reply.status, StatusCode::NOT_FOUND, "{form}");
        }
    }
    // The same name in a knowledge base of one's own is another document.
    let other = add(&gateway, "eve", &["hr"], "hr").await.json();
    assert_ne!(other["id"], document["id"]);
    for form in [id, &simple] {
        let path = format!("/api/documents/{form}");
        let get = gateway.request_in(Method::GET, &path, "ana", &[]);
        assert_eq!(
            gateway.send(get).await.status,
            StatusCode::OK,
            "the control"
        );
    }
}

/// What is shown of a document is as much its reader's as the document.
#[tokio::test]
async fn cve_2026_41949_a_list_shows_what_its_reader_may_read() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    add(&gateway, "ana", &["hr"], "hr").await;
    for query in ["", "?knowledge_base=hr", "?limit=200"] {
        let path = format!("/api/documents{query}");
        let reply = gateway
            .send(gateway.request_in(Method::GET, &path, "eve", &["sales"]))
            .await;
        assert_eq!(reply.json()["items"], json!([]), "{query}");
        let reply = gateway
            .send(gateway.request_in(Method::GET, &path, "bo", &["hr"]))
            .await;
        assert_eq!(reply.json()["items"][0]["name"], "plan.txt", "the control");
    }
}
