//! Who finds which documents.

use axum::http::{Method, StatusCode};
use lotoai_policy::documents::{uploaded_by, visible_to};
use lotoai_policy::{Caller, Proof};
use serde_json::Value;
use uuid::Uuid;

use super::{form, post, upload};
use crate::store::NewDocument;
use crate::tests::support::{Gateway, Parts};

#[tokio::test]
async fn a_group_has_its_own_knowledge_base() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let body = |name| {
        form(&[
            ("knowledge_base", None, b"hr"),
            ("file", Some(name), b"secret"),
        ])
    };
    let document = post(&gateway, "ana", &["hr"], body("a.txt")).await.json();
    let path = format!("/api/documents/{}", document["id"].as_str().unwrap());
    let get = |subject, groups: &[&str]| gateway.request_in(Method::GET, &path, subject, groups);
    assert_eq!(
        gateway.send(get("bo", &["hr"])).await.status,
        StatusCode::OK
    );
    assert_eq!(
        gateway.send(get("bo", &["admins"])).await.status,
        StatusCode::OK
    );
    for (subject, group, may_change) in [
        ("ana", "hr", true),
        ("bo", "hr", false),
        ("bo", "admins", true),
    ] {
        let told = gateway.send(get(subject, &[group])).await.json();
        assert_eq!(told["may_change"], may_change, "{subject} of {group}");
        let list = gateway.request_in(Method::GET, "/api/documents", subject, &[group]);
        let list = gateway.send(list).await.json();
        assert_eq!(list["items"][0], told);
        let retry = gateway.request_in(Method::POST, &format!("{path}/retry"), subject, &[group]);
        let is_refused = gateway.send(retry).await.status == StatusCode::FORBIDDEN;
        assert_eq!(is_refused, !may_change, "{subject} of {group}");
    }
    assert_eq!(document["may_change"], true);
    let foreign = gateway.send(get("bo", &["sales"])).await;
    let unknown = gateway
        .get("/api/documents/00000000-0000-0000-0000-000000000000", "bo")
        .await;
    assert_eq!(
        (foreign.status, &foreign.body),
        (StatusCode::NOT_FOUND, &unknown.body)
    );

    for number in 0..4 {
        upload(&gateway, "ana", &format!("{number}.txt"), "text").await;
    }
    let page = gateway.get("/api/documents?limit=3", "bo").await.json();
    assert_eq!(page["items"].as_array().unwrap().len(), 3);
    assert_eq!(page["items"][0]["name"], "3.txt", "the newest is first");
    let next = format!(
        "/api/documents?limit=3&cursor={}",
        page["next_cursor"].as_str().unwrap()
    );
    let rest = gateway.get(&next, "bo").await.json();
    assert_eq!(
        rest["items"].as_array().unwrap().len(),
        1,
        "without what is not bo's to see"
    );
    assert_eq!(rest["next_cursor"], Value::Null);
    let only = gateway
        .get("/api/documents?knowledge_base=hr", "ana")
        .await
        .json();
    assert_eq!(only["items"][0]["name"], "a.txt");

    server.lose();
    let reply = gateway.get("/api/documents", "ana").await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (503, "storage_unavailable")
    );
}

/// The statements find what the policy says, and nothing else.
#[tokio::test]
async fn the_database_finds_what_the_policy_says() {
    const STORED: [(&str, &[&str]); 6] = [
        ("ana", &[]),
        ("ana", &["*"]),
        ("ana", &["hr", "admins"]),
        ("bo", &["hr"]),
        ("bo", &["ana"]),
        ("eve", &["hr-2", "sales"]),
    ];
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let store = &gateway.state.store;
    let owned = |words: &[&str]| words.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
    let stored = STORED.map(|(owner, groups)| NewDocument {
        id: Uuid::now_v7(),
        owner: owner.to_owned(),
        groups: owned(groups),
        knowledge_base: "default".to_owned(),
        name: format!("{owner} for {groups:?}.txt"),
        media_type: "text/plain".to_owned(),
        size: 1,
        content_hash: "0".repeat(64),
        object_key: Uuid::now_v7().to_string(),
    });
    let mut change = store.begin().await.unwrap();
    for new in &stored {
        change.upsert_document(new).await.unwrap();
    }
    change.commit().await.unwrap();

    let callers: [(&str, &[&str]); 6] = [
        ("ana", &[]),
        ("ana", &["hr"]),
        ("eve", &[]),
        ("eve", &["hr", "sales"]),
        ("hr", &["h", "HR", "hr-"]),
        ("root", &["admins"]),
    ];
    let mut asked = vec![uploaded_by("ana"), uploaded_by("nobody")];
    asked.extend(callers.map(|(subject, groups)| {
        visible_to(Caller {
            subject,
            groups: &owned(groups),
            proof: Proof::Person,
        })
    }));
    let mut counts = Vec::new();
    for visible in asked {
        let page = store.documents(&visible, None, None, 100).await.unwrap();
        for new in &stored {
            let expected = visible.includes(&new.owner, &new.groups);
            let one = store.document(&visible, new.id).await.unwrap();
            let listed = page.iter().any(|it| it.id == new.id);
            assert_eq!(
                (one.is_some(), listed),
                (expected, expected),
                "{visible:?}: {}",
                new.name
            );
        }
        counts.push(page.len());
    }
    assert_eq!(counts, [3, 0, 3, 4, 2, 4, 1, 6], "the control");
}
