//! Answers of others while they are given.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::json;

use crate::tests::api_keys::{bearing, every_scope, key};
use crate::tests::streams::{Listening, PATIENCE, resumable, resume, start};
use crate::tests::support::Gateway;

const UNKNOWN: &str = "019aab4e-0000-7000-8000-000000000000";

/// Somebody by name, with an access token or a key.
type Stranger = (&'static str, String);

fn request(method: Method, id: &str, token: &str) -> Request<Body> {
    let verb = if method == Method::GET {
        "stream"
    } else {
        "cancel"
    };
    let path = format!("/v1/chat/completions/{id}/{verb}");
    bearing(method, &path, token)
}

/// Neither is it read nor stopped by these, in any form of its id, and it looks like none.
async fn is_not_there(gateway: &Gateway, run_id: &str, strangers: &[Stranger]) {
    let simple = run_id.replace('-', "");
    let forms = [
        run_id.to_owned(),
        format!("chatcmpl-{run_id}"),
        simple.clone(),
        format!("chatcmpl-{simple}"),
        run_id.to_uppercase(),
    ];
    for (name, token) in strangers {
        for method in [Method::GET, Method::POST] {
            let unknown = request(method.clone(), UNKNOWN, token);
            let unknown = gateway.send(unknown).await;
            for form in &forms {
                let reply = gateway.send(request(method.clone(), form, token)).await;
                assert_eq!(reply.status, StatusCode::NOT_FOUND, "{name}: {reply:?}");
                assert_eq!(
                    (&reply.headers, &reply.body),
                    (&unknown.headers, &unknown.body),
                    "{method} {form} by {name}"
                );
            }
        }
    }
}

/// A stream that is being written is nobody's but its asker's: not another person's, not another
/// key's of the same person, at no replica, neither to read nor to stop.
#[tokio::test]
async fn cve_2026_31950_a_live_stream_is_its_askers_alone() {
    let Some((server, gateway, seen)) = start(PATIENCE).await else {
        return;
    };
    let other = gateway.replica(&server).await;
    let every = |name: &str| json!({ "name": name, "scopes": every_scope() });
    let asks = key(&gateway, "ana", &[], &every("asks")).await;
    let idle = key(&gateway, "ana", &[], &every("idle")).await;
    let eves = key(&gateway, "eve", &[], &every("eves")).await;
    let token = |subject: &str, groups: &[&str]| gateway.signer.token(subject, groups);

    let mut by_token = Listening::begun(&gateway, &seen, 0, "uno").await;
    let mut question = bearing(Method::POST, "/v1/chat/completions", &asks);
    *question.body_mut() = Body::from(resumable("told"));
    let mut by_key = Listening::to(&gateway, question).await;
    seen.tell(1, Some("uno"));
    by_key.until("uno").await;
    let (of_token, of_key) = (by_token.run_id(), by_key.run_id());

    let others = [
        ("another person", token("eve", &[])),
        ("an administrator", token("root", &["admins"])),
        ("another person's key", eves),
        ("another key of the person", idle),
    ];
    let mut of_tokens = others.to_vec();
    of_tokens.push(("a key of the person who asked without one", asks.clone()));
    for replica in [&gateway, &other] {
        is_not_there(replica, &of_token, &of_tokens).await;
        is_not_there(replica, &of_key, &others).await;
    }
    let stopped: i64 = sqlx::query_scalar("select count(*) from answer_streams where stop_wanted")
        .fetch_one(&server.pool())
        .await
        .unwrap();
    assert_eq!(stopped, 0, "nobody's word was passed on");

    // The controls: both go on, are read at the other replica, and stopped, by who asked.
    for (answer, listening) in [(0, &mut by_token), (1, &mut by_key)] {
        seen.tell(answer, Some(" dos"));
        listening.until("uno dos").await;
    }
    let mut again = Listening::to(&other, resume(&other, &of_token, "ana", None)).await;
    again.until("uno dos").await;
    let reads = request(Method::GET, &of_key, &asks);
    let mut again_by_key = Listening::to(&other, reads).await;
    again_by_key.until("uno dos").await;
    for (id, token) in [(&of_token, &token("ana", &[])), (&of_key, &asks)] {
        let reply = other.send(request(Method::POST, id, token)).await;
        assert_eq!(reply.status, StatusCode::NO_CONTENT, "{reply:?}");
    }
    for mut listening in [by_token, by_key, again, again_by_key] {
        listening.rest().await;
        assert_eq!(listening.error(), "answer_stopped");
    }
}
