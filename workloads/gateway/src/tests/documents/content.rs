//! The bytes of a document, given back.

use std::future::ready;
use std::sync::Mutex;

use axum::body::{Bytes, to_bytes};
use axum::http::{Method, StatusCode};
use futures::TryStreamExt as _;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use tower::ServiceExt as _;
use uuid::Uuid;

use super::upload;
use crate::export::document::download;
use crate::failure::Failure;
use crate::identity::{Credential, Identity};
use crate::store::Document;
use crate::tests::support::{Gateway, Parts};

/// What comes back is what was sent, to be saved under its name and never to be shown.
#[tokio::test]
async fn a_document_is_given_back_as_a_file() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let page = "<script>alert(\"año\")</script>";
    for (name, media_type, disposition) in [
        (
            "plan.html",
            "text/html",
            "attachment; filename=\"plan.html\"",
        ),
        (
            "año.md",
            "text/markdown",
            "attachment; filename=\"a_o.md\"; filename*=UTF-8''a%C3%B1o.md",
        ),
    ] {
        let document = upload(&gateway, "ana", name, page).await.json();
        let path = format!(
            "/api/documents/{}/content",
            document["id"].as_str().unwrap()
        );
        let file = gateway.get(&path, "ana").await;
        assert_eq!((file.status, file.body.as_str()), (StatusCode::OK, page));
        for (header, value) in [
            ("content-type", media_type),
            ("content-disposition", disposition),
            ("content-length", &*page.len().to_string()),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(file.header(header), value, "{header} of {name}");
        }
        // The rule of the document itself: everybody reads the default knowledge base.
        let head = gateway.request(Method::HEAD, &path, "eve");
        let head = gateway.send(head).await;
        assert_eq!(head.status, StatusCode::OK);
        assert_eq!(head.header("content-length"), page.len().to_string());
    }
}

/// What is in memory of a file counts until it is taken.
#[tokio::test]
async fn a_file_has_room_until_it_is_taken() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let text = "x".repeat(60_000);
    let document = upload(&gateway, "ana", "plan.txt", &text).await.json();
    let path = format!(
        "/api/documents/{}/content",
        document["id"].as_str().unwrap()
    );
    let admission = &gateway.state.admission;
    let all = admission.room(u64::MAX).unwrap();
    let refused = gateway.get(&path, "ana").await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (429, "overloaded")
    );
    drop(all);
    let request = gateway.request(Method::GET, &path, "ana");
    let response = gateway.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    // Also when all of it is written.
    gateway.settle().await;
    assert!(admission.room(u64::MAX).is_err());
    drop(response);
    assert!(admission.room(u64::MAX).is_ok(), "it is let go");
    // The control: it is whole.
    assert_eq!(gateway.get(&path, "ana").await.body, text);
}

#[tokio::test]
async fn a_file_whose_bytes_are_lost_is_a_500() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let document = upload(&gateway, "ana", "plan.txt", "the plan").await;
    let path = format!(
        "/api/documents/{}/content",
        document.json()["id"].as_str().unwrap()
    );
    assert_eq!(gateway.get(&path, "ana").await.body, "the plan");
    let mut all = gateway.objects.list(None);
    while let Some(object) = all.try_next().await.unwrap() {
        gateway.objects.delete(&object.location).await.unwrap();
    }
    let reply = gateway.get(&path, "ana").await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (500, "internal_error")
    );
}

/// The row of a document whose bytes are under this key.
fn row(object_key: &str) -> Document {
    Document {
        id: Uuid::nil(),
        name: "plan.txt".to_owned(),
        media_type: "text/plain".to_owned(),
        size: 8,
        knowledge_base: "default".to_owned(),
        status: "indexed".to_owned(),
        step: None,
        done: 0,
        total: 0,
        steps: Vec::new(),
        chunks: None,
        error: None,
        created_at: String::new(),
        owner: "ana".to_owned(),
        groups: Vec::new(),
        content_hash: String::new(),
        object_key: object_key.to_owned(),
    }
}

/// Its row is read, then its bytes are found to be gone: what the row says then is what counts.
#[tokio::test]
async fn a_file_that_changes_while_it_is_asked_for_is_what_it_is_then() {
    let gateway = Gateway::start(Parts::default()).await;
    let bytes = Bytes::from_static(b"the plan");
    let newer = Path::from("newer");
    let put = gateway.objects.put(&newer, bytes.into());
    put.await.unwrap();
    let ana = Identity {
        subject: "ana".to_owned(),
        name: "Ana".to_owned(),
        groups: Vec::new(),
        expires_at: 0,
        issued_at: 0,
        credential: Credential::Token,
    };
    let given = async |keys: &[&str]| {
        let keys = Mutex::new(keys.iter());
        let next = || {
            let key = keys.lock().unwrap().next();
            let row = key.map(|key| row(key));
            ready(row.ok_or_else(|| Failure::not_found("document")))
        };
        download(&gateway.state, &ana, next).await
    };
    let deleted = given(&["older"]).await.unwrap_err();
    assert_eq!(deleted.code, "document_not_found");
    let uploaded_again = given(&["older", "newer"]).await.unwrap();
    let bytes = to_bytes(uploaded_again.into_body(), 100).await.unwrap();
    assert_eq!(bytes, "the plan");
    let lost = given(&["older", "older"]).await.unwrap_err();
    assert_eq!(lost.code, "internal_error");
}
