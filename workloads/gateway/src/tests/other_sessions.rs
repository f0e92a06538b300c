//! The end of all sessions of a person but the one that asks.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, ResponseTemplate};

use super::browser::{ANA, LOGOUT, Person, me, sign_in, sign_in_as, with_cookies};
use super::ends::{lock, somebody_waits};
use super::sessions::EVE;
use super::support::{Gateway, PUBLIC_URL, Parts};

/// As many calls as the provider must be told of sessions that ended.
async fn told(gateway: &Gateway, times: u64) {
    Mock::given(method("POST"))
        .and(path(LOGOUT))
        .respond_with(ResponseTemplate::new(204))
        .expect(times)
        .mount(&gateway.realm)
        .await;
}

async fn end_others(gateway: &Gateway, session: &str) -> Value {
    let call = with_cookies(
        gateway,
        Method::DELETE,
        "/api/sessions",
        session,
        Some(PUBLIC_URL),
    );
    let reply = call.await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    gateway.settle().await;
    reply.json()
}

#[tokio::test]
async fn a_person_ends_all_other_sessions_and_stays_signed_in() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let elsewhere = Person {
        provider_session: "kc-ana-2",
        ..ANA
    };
    let here = sign_in(&gateway, 300).await;
    let phone = sign_in_as(&gateway, elsewhere, 300).await;
    let laptop = sign_in_as(&gateway, elsewhere, 300).await;
    let eves = sign_in_as(&gateway, EVE, 300).await;
    told(&gateway, 2).await;
    assert_eq!(end_others(&gateway, &here).await, json!({ "sessions": 2 }));
    for gone in [&phone, &laptop] {
        assert_eq!(me(&gateway, gone).await.code(), "session_expired");
    }
    // The controls: who asked goes on, and nobody else's session ended.
    for (session, subject) in [(&here, "ana"), (&eves, "eve")] {
        assert_eq!(me(&gateway, session).await.json()["subject"], subject);
    }
    assert_eq!(end_others(&gateway, &here).await, json!({ "sessions": 0 }));
    // From another site it is refused, and nothing ends.
    let evil = Some("https://evil.example.org");
    let path = "/api/sessions";
    let other = sign_in_as(&gateway, elsewhere, 300).await;
    let reply = with_cookies(&gateway, Method::DELETE, path, &here, evil).await;
    assert_eq!(reply.code(), "cross_site_request");
    assert_eq!(me(&gateway, &other).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_session_that_is_being_renewed_is_waited_for_and_ends() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let elsewhere = Person {
        provider_session: "kc-ana-2",
        ..ANA
    };
    let here = sign_in(&gateway, 300).await;
    let phone = sign_in_as(&gateway, elsewhere, 300).await;
    told(&gateway, 1).await;
    // As a renewal does.
    let renewing = lock(&server, "update sessions set last_used_at = now()").await;
    let renewed = async {
        somebody_waits(&server).await;
        renewing.commit().await.unwrap();
    };
    let (ended, ()) = tokio::join!(end_others(&gateway, &here), renewed);
    assert_eq!(ended, json!({ "sessions": 1 }));
    assert_eq!(me(&gateway, &phone).await.code(), "session_expired");
    assert_eq!(me(&gateway, &here).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_stay_that_the_caller_rests_on_is_not_ended_at_the_provider() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    // Two sessions of one stay: a browser that lost our cookie and kept the provider's.
    let lost = sign_in(&gateway, 300).await;
    let here = sign_in(&gateway, 300).await;
    told(&gateway, 0).await;
    assert_eq!(end_others(&gateway, &here).await, json!({ "sessions": 1 }));
    assert_eq!(me(&gateway, &lost).await.code(), "session_expired");
    assert_eq!(me(&gateway, &here).await.status, StatusCode::OK);
    gateway.realm.verify().await;
}

#[tokio::test]
async fn an_access_token_has_no_session_and_ends_them_all() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let session = sign_in(&gateway, 300).await;
    let eves = sign_in_as(&gateway, EVE, 300).await;
    told(&gateway, 1).await;
    let request = gateway.request(Method::DELETE, "/api/sessions", "ana");
    assert_eq!(gateway.send(request).await.json(), json!({ "sessions": 1 }));
    gateway.settle().await;
    assert_eq!(me(&gateway, &session).await.code(), "session_expired");
    assert_eq!(me(&gateway, &eves).await.status, StatusCode::OK);
}
