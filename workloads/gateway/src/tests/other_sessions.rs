//! The end of a person's other sessions, of one or of all of them, and what the provider is told.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, ResponseTemplate};

use super::browser::{ANA, LOGOUT, Person, me, sign_in, sign_in_as, with_cookies};
use super::ends::{lock, somebody_waits};
use super::sessions::EVE;
use super::support::{Gateway, PUBLIC_URL, Parts};

/// The same person in another browser, where she has a stay of its own at the provider.
const ELSEWHERE: Person = Person {
    provider_session: "kc-ana-2",
    ..ANA
};

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
    let here = sign_in(&gateway, 300).await;
    let phone = sign_in_as(&gateway, ELSEWHERE, 300).await;
    let laptop = sign_in_as(&gateway, ELSEWHERE, 300).await;
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
    let other = sign_in_as(&gateway, ELSEWHERE, 300).await;
    let reply = with_cookies(&gateway, Method::DELETE, path, &here, evil).await;
    assert_eq!(reply.code(), "cross_site_request");
    assert_eq!(me(&gateway, &other).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_provider_is_told_though_who_ends_a_session_leaves() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let here = sign_in(&gateway, 300).await;
    let phone = sign_in_as(&gateway, ELSEWHERE, 300).await;
    told(&gateway, 2).await;
    for (method, path) in [
        (Method::DELETE, "/api/sessions"),
        (Method::POST, "/auth/logout"),
    ] {
        // Both wait where they delete the session.
        let held = lock(&server, "update sessions set last_used_at = now()").await;
        tokio::select! {
            reply = with_cookies(&gateway, method, path, &here, Some(PUBLIC_URL)) => {
                panic!("{reply:?}")
            }
            () = somebody_waits(&server) => {}
        }
        held.rollback().await.unwrap();
        gateway.settle().await;
    }
    for gone in [&phone, &here] {
        assert_eq!(me(&gateway, gone).await.code(), "session_expired");
    }
    gateway.realm.verify().await;
}

#[tokio::test]
async fn a_session_that_is_being_renewed_is_waited_for_and_ends() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let here = sign_in(&gateway, 300).await;
    let phone = sign_in_as(&gateway, ELSEWHERE, 300).await;
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

/// Identities of a person's sessions, newest first, as the one with this cookie sees them.
async fn listed(gateway: &Gateway, session: &str) -> Vec<String> {
    let list = with_cookies(gateway, Method::GET, "/api/sessions", session, None).await;
    let list = list.json();
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|it| it["id"].as_str().unwrap().to_owned())
        .collect()
}

async fn end_one(gateway: &Gateway, session: &str, id: &str) {
    let path = format!("/api/sessions/{id}");
    let call = with_cookies(gateway, Method::DELETE, &path, session, Some(PUBLIC_URL));
    let reply = call.await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT, "{reply:?}");
    gateway.settle().await;
}

#[tokio::test]
async fn a_stay_ends_at_the_provider_with_the_last_session_that_rests_on_it() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let here = sign_in(&gateway, 300).await;
    // A browser that lost our cookie and kept the provider's.
    let lost = sign_in_as(&gateway, ELSEWHERE, 300).await;
    let phone = sign_in_as(&gateway, ELSEWHERE, 300).await;
    let eves = sign_in_as(
        &gateway,
        Person {
            provider_session: "kc-ana-2",
            ..EVE
        },
        300,
    )
    .await;
    let ids = listed(&gateway, &here).await;
    let [of_phone, of_lost, _] = ids.as_slice() else {
        panic!("{ids:?}");
    };
    {
        let nothing = Mock::given(method("POST"))
            .and(path(LOGOUT))
            .respond_with(ResponseTemplate::new(204))
            .expect(0);
        let _nothing = nothing.mount_as_scoped(&gateway.realm).await;
        end_one(&gateway, &here, of_lost).await;
    }
    assert_eq!(me(&gateway, &lost).await.code(), "session_expired");
    for goes_on in [&here, &phone] {
        assert_eq!(me(&gateway, goes_on).await.status, StatusCode::OK);
    }
    told(&gateway, 1).await;
    end_one(&gateway, &here, of_phone).await;
    gateway.realm.verify().await;
    assert_eq!(me(&gateway, &phone).await.code(), "session_expired");
    // The controls: the stay of who asked, and somebody else's session.
    for goes_on in [&here, &eves] {
        assert_eq!(me(&gateway, goes_on).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn what_has_ended_or_asks_itself_keeps_no_stay_alive() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    // A session that ends itself signs out, though another one rests on its stay.
    let other = sign_in(&gateway, 300).await;
    let own = sign_in(&gateway, 300).await;
    told(&gateway, 2).await;
    let ids = listed(&gateway, &own).await;
    end_one(&gateway, &own, &ids[0]).await;
    assert_eq!(me(&gateway, &own).await.code(), "session_expired");

    // The other one was not used for too long, and is still there.
    sqlx::query("update sessions set last_used_at = now() - interval '61 minutes'")
        .execute(&server.pool())
        .await
        .unwrap();
    assert_eq!(me(&gateway, &other).await.code(), "session_expired");
    let phone = sign_in(&gateway, 300).await;
    let here = sign_in_as(&gateway, ELSEWHERE, 300).await;
    let ids = listed(&gateway, &here).await;
    end_one(&gateway, &here, &ids[1]).await;
    assert_eq!(me(&gateway, &phone).await.code(), "session_expired");
    assert_eq!(me(&gateway, &here).await.status, StatusCode::OK);
    gateway.realm.verify().await;
}

#[tokio::test]
async fn an_administrator_finds_the_sessions_of_others_and_ends_one() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let anas = sign_in(&gateway, 300).await;
    let eves = sign_in_as(&gateway, EVE, 300).await;
    told(&gateway, 1).await;
    let ask = async |method: Method, path: &str, groups: &[&str]| {
        let request = gateway.request_in(method, path, "root", groups);
        gateway.send(request).await
    };
    let subjects = |body: &Value| -> Vec<Value> {
        let items = body["items"].as_array().unwrap().iter();
        items.map(|session| session["subject"].clone()).collect()
    };
    let all = ask(Method::GET, "/api/admin/sessions", &["admins"]).await;
    assert_eq!(subjects(&all.json()), ["eve", "ana"], "the newest first");
    let hers = ask(Method::GET, "/api/admin/sessions?subject=ana", &["admins"]).await;
    let hers = hers.json();
    assert_eq!(subjects(&hers), ["ana"]);
    assert_eq!(hers["items"][0]["current"], false);
    let id = hers["items"][0]["id"].as_str().unwrap();
    let path = format!("/api/admin/sessions/{id}");
    for (method, path) in [
        (Method::GET, "/api/admin/sessions"),
        (Method::DELETE, path.as_str()),
    ] {
        let refused = ask(method, path, &["staff"]).await;
        assert_eq!(refused.code(), "admin_required");
    }
    assert_eq!(me(&gateway, &anas).await.status, StatusCode::OK);
    let ended = ask(Method::DELETE, &path, &["admins"]).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT, "{ended:?}");
    assert_eq!(me(&gateway, &anas).await.code(), "session_expired");
    assert_eq!(
        me(&gateway, &eves).await.status,
        StatusCode::OK,
        "the control"
    );
    for gone in [path.as_str(), "/api/admin/sessions/x"] {
        let reply = ask(Method::DELETE, gone, &["admins"]).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{reply:?}");
    }
    gateway.settle().await;
    gateway.realm.verify().await;
}
