//! Browser sessions: how long they last, who sees them, and what ends them.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use wiremock::matchers::{body_string_contains, method, path};
use wiremock::{Mock, ResponseTemplate};

use super::browser::{
    ANA, Person, begin, cookie, me, sign_in, sign_in_as, token_answer, tokens, with_cookies,
};
use super::keys::{ISSUER, Signer, publish, realm};
use super::support::{Gateway, PUBLIC_URL, Parts, config};

pub(super) const EVE: Person<'static> = Person {
    subject: "eve",
    groups: &[],
    provider_session: "kc-eve-1",
};

async fn change(pool: &PgPool, assignment: &'static str) {
    let statement = format!("update sessions set {assignment}");
    let statement = sqlx::query(sqlx::AssertSqlSafe(statement));
    statement.execute(pool).await.unwrap();
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_when_its_time_is_over() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let pool = server.pool();
    let session = sign_in(&gateway, 300).await;
    change(&pool, "last_used_at = now() - interval '59 minutes'").await;
    assert_eq!(me(&gateway, &session).await.status, StatusCode::OK);
    gateway.settle().await;
    // The use was noted: another 59 minutes may pass.
    let idle: bool =
        sqlx::query_scalar("select last_used_at > now() - interval '1 minute' from sessions")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert!(idle);
    change(&pool, "last_used_at = now() - interval '61 minutes'").await;
    assert_eq!(me(&gateway, &session).await.code(), "session_expired");

    change(&pool, "last_used_at = now()").await;
    assert_eq!(me(&gateway, &session).await.status, StatusCode::OK);
    let hours: f64 = sqlx::query_scalar(
        "select extract(epoch from expires_at - created_at)::float8 / 3600 from sessions",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert!((hours - 10.0).abs() < 0.01, "{hours}");
    change(&pool, "expires_at = now()").await;
    assert_eq!(me(&gateway, &session).await.code(), "session_expired");
    assert_eq!(
        gateway.state.store.sweep_identity(3600).await.unwrap(),
        1,
        "what has ended is deleted"
    );
}

#[tokio::test]
async fn the_use_of_a_session_is_noted_once_a_minute() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let pool = server.pool();
    sign_in(&gateway, 300).await;
    let hash: Vec<u8> = sqlx::query_scalar("select id_hash from sessions")
        .fetch_one(&pool)
        .await
        .unwrap();
    let hash = hash.try_into().unwrap();
    // As many requests do that have read the row before any of them has noted its use.
    let touched = async || -> String {
        gateway.state.store.touch_session(&hash).await.unwrap();
        let noted = sqlx::query_scalar("select last_used_at::text from sessions");
        noted.fetch_one(&pool).await.unwrap()
    };
    let fresh = touched().await;
    change(&pool, "last_used_at = now() - interval '2 minutes'").await;
    let first = touched().await;
    assert_ne!(first, fresh, "the control: after a minute it is noted");
    assert_eq!(touched().await, first);
}

#[tokio::test]
async fn people_see_and_end_their_own_sessions_only() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let here = sign_in(&gateway, 300).await;
    let there = sign_in(&gateway, 300).await;
    let eves = sign_in_as(&gateway, EVE, 300).await;
    let list = |session: String| {
        let gateway = &gateway;
        async move { with_cookies(gateway, Method::GET, "/api/sessions", &session, None).await }
    };
    let listed = list(here.clone()).await.json();
    let items = listed["items"].as_array().unwrap();
    let current: Vec<_> = items.iter().map(|it| it["current"].as_bool()).collect();
    assert_eq!(current, [Some(false), Some(true)], "newest first");
    let fields: Vec<_> = items[0].as_object().unwrap().keys().cloned().collect();
    let mut expected = [
        "id",
        "user_agent",
        "created_at",
        "last_used_at",
        "expires_at",
        "current",
    ];
    expected.sort_unstable();
    let mut fields = fields;
    fields.sort_unstable();
    assert_eq!(fields, expected, "neither a hash nor a token");

    let other = format!("/api/sessions/{}", items[0]["id"].as_str().unwrap());
    let delete = |session: String, path: String| {
        let gateway = &gateway;
        async move { with_cookies(gateway, Method::DELETE, &path, &session, Some(PUBLIC_URL)).await }
    };
    let foreign = delete(eves.clone(), other.clone()).await;
    let unknown = "/api/sessions/019aab4e-0000-7000-8000-000000000000".to_owned();
    let unknown = delete(eves.clone(), unknown).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    assert_eq!(
        (foreign.status, &foreign.body),
        (unknown.status, &unknown.body)
    );
    assert_eq!(me(&gateway, &there).await.status, StatusCode::OK);

    assert_eq!(
        delete(here.clone(), other.clone()).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(me(&gateway, &there).await.code(), "session_expired");
    assert_eq!(me(&gateway, &here).await.status, StatusCode::OK);
    assert_eq!(
        delete(here.clone(), other).await.code(),
        "session_not_found"
    );
    // The list of a program with a token of the same person.
    let reply = gateway.get("/api/sessions?limit=1", "ana").await.json();
    assert_eq!(reply["items"][0]["current"], false);
    assert_eq!(reply["next_cursor"], Value::Null);
}

#[tokio::test]
async fn a_session_that_ends_ends_its_open_answers_on_every_replica() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let replica = gateway.replica(&server).await;
    let session = sign_in(&gateway, 300).await;
    let eves = sign_in_as(&gateway, EVE, 300).await;
    let request = |session: &str| {
        Request::builder()
            .header("cookie", session)
            .header("origin", PUBLIC_URL)
            .body(Body::empty())
            .unwrap()
    };
    let here = gateway.open(request(&session)).await;
    let there = replica.open(request(&session)).await;
    let mut control = replica.open(request(&eves)).await;
    let reply = with_cookies(
        &gateway,
        Method::POST,
        "/auth/logout",
        &session,
        Some(PUBLIC_URL),
    );
    assert_eq!(reply.await.status, StatusCode::NO_CONTENT);
    for answer in [here, there] {
        let rest = answer.rest().await;
        assert!(rest.contains(r#""code":"signed_out""#), "{rest}");
        assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
    }
    assert!(control.goes_on().await, "Eve is still signed in");
}

#[tokio::test]
async fn pages_of_sessions_hold_each_of_them_once() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let here = sign_in(&gateway, 300).await;
    for _ in 0..2 {
        sign_in(&gateway, 300).await;
        sign_in_as(&gateway, EVE, 300).await;
    }
    let page = async |query: String| {
        let path = format!("/api/sessions?{query}");
        let reply = with_cookies(&gateway, Method::GET, &path, &here, None).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        reply.json()
    };
    let ids = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap().iter();
        items
            .map(|it| it["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = page("limit=200".to_owned()).await;
    assert_eq!((ids(&all).len(), &all["next_cursor"]), (3, &Value::Null));
    let first = page("limit=2".to_owned()).await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = page(format!("limit=2&cursor={cursor}")).await;
    assert_eq!([ids(&first), ids(&second)].concat(), ids(&all));
    assert_eq!(
        (ids(&first).len(), &second["next_cursor"]),
        (2, &Value::Null)
    );
    // The oldest of them is the one that asks.
    assert_eq!(second["items"][0]["current"], true);
    let path = "/api/sessions?cursor=e30";
    let forged = with_cookies(&gateway, Method::GET, path, &here, None).await;
    assert_eq!(
        (forged.status, forged.code().as_str()),
        (StatusCode::BAD_REQUEST, "invalid_value")
    );
}

#[tokio::test]
async fn a_session_that_is_deleted_ends_its_open_answers_and_no_others() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let replica = gateway.replica(&server).await;
    let lost = sign_in(&gateway, 300).await;
    let kept = sign_in(&gateway, 300).await;
    let request = |session: &str| {
        Request::builder()
            .header("cookie", session)
            .header("origin", PUBLIC_URL)
            .body(Body::empty())
            .unwrap()
    };
    let here = gateway.open(request(&lost)).await;
    let there = replica.open(request(&lost)).await;
    let mut control = replica.open(request(&kept)).await;
    let listed = with_cookies(&gateway, Method::GET, "/api/sessions", &kept, None).await;
    let listed = listed.json();
    let items = listed["items"].as_array().unwrap().iter();
    let other = items
        .filter(|it| it["current"] == false)
        .collect::<Vec<_>>();
    let path = format!("/api/sessions/{}", other[0]["id"].as_str().unwrap());
    let reply = with_cookies(&gateway, Method::DELETE, &path, &kept, Some(PUBLIC_URL)).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT, "{reply:?}");
    for answer in [here, there] {
        let rest = answer.rest().await;
        assert!(rest.contains(r#""code":"signed_out""#), "{rest}");
        assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
    }
    assert!(control.goes_on().await, "the other session is still there");
}

#[tokio::test]
async fn a_new_sign_in_of_a_browser_ends_its_old_session() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let old = sign_in(&gateway, 300).await;
    let elsewhere = sign_in(&gateway, 300).await;
    let (query, attempt) = begin(&gateway).await;
    let answer = tokens(&gateway, ANA, 300, Some(&query["nonce"]));
    let answer = ResponseTemplate::new(200).set_body_json(answer);
    token_answer(&gateway, "authorization_code", answer).await;
    let callback = format!("/auth/callback?code=c&state={}", query["state"]);
    let cookies = format!("{attempt}; {old}");
    let reply = with_cookies(&gateway, Method::GET, &callback, &cookies, None).await;
    let new = cookie(&reply, "__Host-lotoai");
    assert_ne!(
        new, old,
        "a session never keeps the cookie from before a sign-in"
    );
    assert_eq!(me(&gateway, &new).await.status, StatusCode::OK);
    assert_eq!(me(&gateway, &old).await.code(), "session_expired");
    assert_eq!(me(&gateway, &elsewhere).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_group_that_was_lost_is_gone_with_the_next_token() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let session = sign_in(&gateway, 10).await;
    let without = Person { groups: &[], ..ANA };
    let answer = tokens(&gateway, without, 300, None);
    let answer = ResponseTemplate::new(200).set_body_json(answer);
    token_answer(&gateway, "refresh_token", answer).await;
    assert_eq!(me(&gateway, &session).await.json()["groups"], json!([]));
}

#[tokio::test]
async fn a_stay_at_a_provider_of_others_is_ended_by_the_browser() {
    let Some(server) = super::postgres::start() else {
        return;
    };
    let pool = server.pool();
    let signer = Signer::ec("key-1");
    let realm = realm(&[&signer]).await;
    let mut config = config(&realm.uri(), "http://127.0.0.1:1");
    // What is not the platform's own has no address inside; here it is reached under its own.
    let issuer = format!("{}/realms/lotoai", realm.uri());
    config.oidc.internal_url = None;
    config.oidc.issuer = issuer.parse().unwrap();
    realm.reset().await;
    super::keys::publish_as(&realm, &issuer, &[&signer]).await;
    let parts = Parts {
        pool,
        ..Parts::default()
    };
    let gateway = Gateway::with_config(&config, parts, realm, signer);
    let request = Request::builder().uri("/auth/login").body(Body::empty());
    let reply = gateway.send(request.unwrap()).await;
    let attempt = cookie(&reply, "__Host-lotoai-login");
    let url = url::Url::parse(reply.header("location")).unwrap();
    let query: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
    let mut answer = tokens(&gateway, ANA, 300, Some(&query["nonce"]));
    for name in ["access_token", "id_token"] {
        let text = answer[name].as_str().unwrap();
        let mut claims = super::keys::claims_of(text);
        assert_eq!(claims["iss"], ISSUER);
        claims["iss"] = json!(issuer);
        answer[name] = json!(gateway.signer.sign(&claims));
    }
    let id_token = answer["id_token"].as_str().unwrap().to_owned();
    let answer = ResponseTemplate::new(200).set_body_json(answer);
    token_answer(&gateway, "authorization_code", answer).await;
    let callback = format!("/auth/callback?code=c&state={}", query["state"]);
    let reply = with_cookies(&gateway, Method::GET, &callback, &attempt, None).await;
    let session = cookie(&reply, "__Host-lotoai");
    Mock::given(method("POST"))
        .and(path("/realms/lotoai/protocol/openid-connect/revoke"))
        .and(body_string_contains("token=refresh-1"))
        .respond_with(ResponseTemplate::new(200))
        .expect(1)
        .mount(&gateway.realm)
        .await;
    let reply = with_cookies(
        &gateway,
        Method::POST,
        "/auth/logout",
        &session,
        Some(PUBLIC_URL),
    )
    .await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert!(reply.header("set-cookie").contains("Max-Age=0"));
    let leave = url::Url::parse(reply.json()["sign_out_url"].as_str().unwrap()).unwrap();
    assert!(leave.path().ends_with("/logout"), "{leave}");
    let query: std::collections::HashMap<_, _> = leave.query_pairs().into_owned().collect();
    assert_eq!(query["client_id"], "lotoai-web");
    assert_eq!(query["post_logout_redirect_uri"], format!("{PUBLIC_URL}/"));
    assert_eq!(query["id_token_hint"], id_token);
    assert_eq!(me(&gateway, &session).await.code(), "session_expired");
}

#[tokio::test]
async fn a_key_that_was_changed_a_moment_ago_refuses_nobody() {
    let gateway = Gateway::start(Parts::default()).await;
    let with = |token: String| {
        let request = Request::builder()
            .uri("/api/me")
            .header("authorization", format!("Bearer {token}"))
            .body(Body::empty());
        gateway.send(request.unwrap())
    };
    // An unknown key has the provider asked just before the keys change.
    let stranger = Signer::ec("stranger").token("eve", &[]);
    assert_eq!(
        with(stranger.clone()).await.status,
        StatusCode::UNAUTHORIZED
    );
    gateway.realm.reset().await;
    let next = Signer::ec("key-2");
    publish(&gateway.realm, &[&gateway.signer, &next]).await;
    let people = (0..20).map(|at| {
        let signer = if at % 2 == 0 { &next } else { &gateway.signer };
        with(signer.token(&format!("person-{at}"), &[]))
    });
    for reply in futures::future::join_all(people).await {
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    }
    assert_eq!(with(stranger).await.status, StatusCode::UNAUTHORIZED);
}
