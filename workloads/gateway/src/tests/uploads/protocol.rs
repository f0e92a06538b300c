//! What requests say and are told.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};

use super::{Resumable, at};
use crate::tests::support::{Gateway, Parts};

const NAMED: &str = "filename YS50eHQ=";

#[tokio::test]
async fn the_server_says_what_it_speaks() {
    let gateway = Gateway::start(Parts::default()).await;
    let reply = gateway
        .send(gateway.request(Method::OPTIONS, "/api/uploads", "ana"))
        .await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    assert_eq!(reply.header("tus-version"), "1.0.0");
    assert_eq!(
        reply.header("tus-extension"),
        "creation,expiration,termination"
    );
    assert_eq!(reply.header("tus-max-size"), "100000");
    // Every answer says the version, also one that a layer before gives; no other path's does.
    let stranger = Request::builder()
        .method(Method::POST)
        .uri("/api/uploads")
        .body(Body::empty());
    let reply = gateway.send(stranger.unwrap()).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert_eq!(reply.header("tus-resumable"), "1.0.0");
    let reply = gateway.get("/api/me", "ana").await;
    assert_eq!(reply.header("tus-resumable"), "");
}

#[tokio::test]
async fn another_version_is_told_ours() {
    let gateway = Gateway::start(Parts::default()).await;
    let client = Resumable::of(&gateway, "ana");
    for version in [None, Some("0.2.2")] {
        for method in [Method::POST, Method::HEAD, Method::PATCH, Method::DELETE] {
            let path = match method {
                Method::POST => "/api/uploads",
                _ => "/api/uploads/019aab4e-0000-7000-8000-000000000000",
            };
            let mut request = client.request(method.clone(), path);
            request.headers_mut().remove("tus-resumable");
            if let Some(version) = version {
                let version = version.parse().unwrap();
                request.headers_mut().insert("tus-resumable", version);
            }
            let reply = gateway.send(request).await;
            assert_eq!(reply.status, StatusCode::PRECONDITION_FAILED, "{method}");
            assert_eq!(reply.header("tus-version"), "1.0.0");
        }
    }
}

#[rstest::rstest]
#[case::too_large(100_001, NAMED, 413, "document_too_large")]
#[case::empty(0, NAMED, 400, "invalid_value")]
#[case::no_name(1, "", 400, "invalid_value")]
#[case::kind(1, "filename YS5wZGY=", 415, "unsupported_media_type")]
#[case::foreign_base(
    1,
    "filename YS50eHQ=,knowledge_base aHI=",
    403,
    "knowledge_base_forbidden"
)]
#[tokio::test]
async fn what_cannot_be_taken_is_refused_before_a_byte_is_sent(
    #[case] size: usize,
    #[case] metadata: &str,
    #[case] status: u16,
    #[case] code: &str,
) {
    // There is no database: nothing of this may get that far.
    let gateway = Gateway::start(Parts::default()).await;
    let reply = Resumable::of(&gateway, "ana").ask(size, metadata).await;
    assert_eq!((reply.status.as_u16(), &*reply.code()), (status, code));
    // The control: the largest one that may be gets as far as that.
    let reply = Resumable::of(&gateway, "ana").ask(100_000, NAMED).await;
    assert_eq!(reply.code(), "storage_unavailable");
}

#[tokio::test]
async fn a_piece_must_be_the_next_one_and_no_longer_than_announced() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let upload = Resumable::of(&gateway, "ana").begin("a.txt", 6).await;
    assert_eq!(at(&upload.add(0, "abc").await), (204, "3"));
    for offset in [0, 2, 4, 6] {
        let reply = upload.add(offset, "def").await;
        assert_eq!(
            (reply.status.as_u16(), &*reply.code()),
            (409, "upload_offset_mismatch")
        );
    }
    assert_eq!(upload.add(3, "defg").await.code(), "upload_too_long");
    let mut request = upload.piece(3, "def");
    request
        .headers_mut()
        .insert("content-type", "text/plain".parse().unwrap());
    assert_eq!(gateway.send(request).await.code(), "unsupported_media_type");
    let mut request = upload.piece(3, "def");
    request.headers_mut().remove("upload-offset");
    assert_eq!(gateway.send(request).await.code(), "invalid_value");
    // Nothing of all that was stored; the control is.
    let reply = upload.look().await;
    assert_eq!(at(&reply), (200, "3"));
    assert_eq!(reply.header("upload-length"), "6");
    assert_eq!(reply.header("upload-metadata"), NAMED);
    assert_eq!(reply.header("cache-control"), "no-store");
    assert!(reply.header("upload-expires").ends_with(" GMT"));
    assert_eq!(at(&upload.add(3, "def").await), (204, "6"));
}

/// Ids of others look like ids of nothing.
#[tokio::test]
async fn an_upload_is_its_owners_alone() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let hers = Resumable::of(&gateway, "ana").begin("a.txt", 4).await;
    let mut unknown = Resumable::of(&gateway, "eve");
    unknown.path = "/api/uploads/019aab4e-0000-7000-8000-000000000000".to_owned();
    let foreign = hers.at(&gateway, "eve").within(&["admins"]);
    for (foreign, unknown) in [
        (foreign.look().await, unknown.look().await),
        (foreign.add(0, "evil").await, unknown.add(0, "evil").await),
        (foreign.end().await, unknown.end().await),
    ] {
        assert_eq!(foreign.status, StatusCode::NOT_FOUND);
        assert_eq!(
            (foreign.headers, foreign.body),
            (unknown.headers, unknown.body)
        );
    }
    unknown.path = "/api/uploads/none".to_owned();
    assert_eq!(unknown.look().await.status, StatusCode::NOT_FOUND);
    assert_eq!(at(&hers.add(0, "text").await), (204, "4"), "the control");
}

#[tokio::test]
async fn unfinished_uploads_of_a_person_are_counted() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let pool = server.pool();
    sqlx::query(
        "insert into uploads (id, owner, knowledge_base, name, media_type, metadata, size,
                              expires_at, document_id)
         select gen_random_uuid(), owner, 'default', 'a.txt', 'text/plain', '', 1,
                now() + interval '1 hour' * case when owner = 'late' then -1 else 1 end,
                case when owner = 'done' then gen_random_uuid() end
         from unnest(array['ana', 'late', 'done']) owner, generate_series(1, 50)",
    )
    .execute(&pool)
    .await
    .unwrap();
    let ask = async |subject| Resumable::of(&gateway, subject).ask(1, NAMED).await;
    let reply = ask("ana").await;
    assert_eq!(
        (reply.status.as_u16(), &*reply.code()),
        (429, "too_many_uploads")
    );
    assert_eq!(reply.header("retry-after"), "60");
    // The controls: somebody else's, expired and finished ones count for nobody.
    for subject in ["bo", "late", "done"] {
        assert_eq!(ask(subject).await.status, StatusCode::CREATED, "{subject}");
    }
}
