//! Every write may be sent again with its `Idempotency-Key`, and is done once.

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode};
use lotoai_policy::Needs;

use super::platform::{Platform, Proof};
use super::requests::{path_of, request};
use crate::routes::table;
use crate::tests::support::Reply;

/// What the same request with the same key gets.
#[derive(Debug, Clone, Copy)]
enum Again {
    /// The answer of before.
    Replayed,
    /// The word that it was done, since its answer is not stored: it was not to be, or is a secret.
    NotKept,
}

/// Every route that writes.
const CASES: [(&str, &str, Again); 26] = [
    // Asked with `store: false`.
    ("POST", "/v1/chat/completions", Again::NotKept),
    ("POST", "/v1/responses", Again::NotKept),
    ("POST", "/v1/chat/completions/{id}/cancel", Again::Replayed),
    ("POST", "/v1/embeddings", Again::Replayed),
    ("DELETE", "/v1/responses/{id}", Again::Replayed),
    ("POST", "/v1/responses/{id}/cancel", Again::Replayed),
    ("POST", "/api/documents", Again::Replayed),
    ("DELETE", "/api/documents/{id}", Again::Replayed),
    ("POST", "/api/documents/{id}/retry", Again::Replayed),
    ("POST", "/api/uploads", Again::Replayed),
    ("PATCH", "/api/uploads/{id}", Again::Replayed),
    ("DELETE", "/api/uploads/{id}", Again::Replayed),
    ("PATCH", "/api/conversations/{id}", Again::Replayed),
    ("DELETE", "/api/conversations/{id}", Again::Replayed),
    ("POST", "/api/conversations/{id}/restore", Again::Replayed),
    ("POST", "/api/conversations/{id}/branch", Again::Replayed),
    ("POST", "/api/approvals/{id}", Again::Replayed),
    // The text of a key is shown once.
    ("POST", "/api/keys", Again::NotKept),
    ("DELETE", "/api/keys/{id}", Again::Replayed),
    ("DELETE", "/api/sessions/{id}", Again::Replayed),
    ("DELETE", "/api/sessions", Again::Replayed),
    ("DELETE", "/api/users/{id}/data", Again::Replayed),
    ("POST", "/api/admin/budgets", Again::Replayed),
    ("PUT", "/api/admin/budgets/{id}", Again::Replayed),
    ("DELETE", "/api/admin/budgets/{id}", Again::Replayed),
    ("DELETE", "/api/admin/sessions/{id}", Again::Replayed),
];
/// It ends what a caller is known by, so it comes last.
const LAST: (&str, &str, Again) = ("DELETE", "/api/me/data", Again::Replayed);

fn writes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn is_replayed(reply: &Reply) -> bool {
    reply.header("idempotency-replayed") == "true"
}

#[tokio::test]
async fn every_write_that_is_sent_again_with_its_key_is_done_once() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    let cases: Vec<_> = CASES.into_iter().chain([LAST]).collect();
    let table = table();
    let there: BTreeSet<(&str, &str)> = table
        .iter()
        .filter(|route| writes(&route.method) && route.needs != Needs::Nothing)
        .map(|route| (route.method.as_str(), route.path))
        .collect();
    let said = cases.iter().map(|(method, path, _)| (*method, *path));
    assert_eq!(
        said.collect::<BTreeSet<_>>(),
        there,
        "every route that writes has a case"
    );
    let token = platform.gateway.signer.token("ana", &["hr", "admins"]);
    let ana = Proof::Bearer(token);
    for (at, (method, route, again)) in cases.into_iter().enumerate() {
        let path = path_of(route, &platform.things().await);
        let method: Method = method.parse().unwrap();
        let send = |key: String| {
            let mut request = request(&method, &path, &ana);
            let key = key.parse().unwrap();
            request.headers_mut().insert("idempotency-key", key);
            platform.ask(request)
        };
        let first = send(format!("first {at}")).await;
        assert!(first.status.is_success(), "{method} {path}: {first:?}");
        assert!(!is_replayed(&first), "{method} {path}: {first:?}");
        let second = send(format!("first {at}")).await;
        match again {
            Again::Replayed => {
                assert_eq!(
                    (second.status, &second.body),
                    (first.status, &first.body),
                    "{method} {path}"
                );
                assert!(is_replayed(&second), "{method} {path}: {second:?}");
            }
            Again::NotKept => assert_eq!(
                (second.status, second.code().as_str()),
                (StatusCode::CONFLICT, "idempotency_answer_not_kept"),
                "{method} {path}"
            ),
        }
        // The control: with another key it is a request of its own, whatever becomes of it.
        let other = send(format!("other {at}")).await;
        assert!(!is_replayed(&other), "{method} {path}: {other:?}");
        let refused =
            other.status == StatusCode::CONFLICT && other.code().starts_with("idempotency");
        assert!(!refused, "{method} {path}: {other:?}");
    }
    platform.check_statuses();
}
