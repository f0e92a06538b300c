use axum::http::{Method, StatusCode};
use serde_json::json;
use wiremock::matchers::{body_string_contains, method, path};
use wiremock::{Mock, ResponseTemplate};

use super::browser::{
    ANA, LOGOUT, TOKEN, begin, id_token, sign_in, token_answer, tokens, with_cookies,
};
use super::keys::{Signer, claims};
use super::support::{Gateway, PUBLIC_URL, Parts};

#[tokio::test]
async fn the_browser_is_sent_away_with_code_pkce_state_and_nonce() {
    let gateway = Gateway::start(Parts::default()).await;
    let (query, _) = begin(&gateway).await;
    assert_eq!(query["response_type"], "code");
    assert_eq!(query["code_challenge_method"], "S256");
    assert_eq!(query["client_id"], "lotoai-web");
    assert_eq!(query["redirect_uri"], format!("{PUBLIC_URL}/auth/callback"));
    assert!(query["scope"].contains("openid"));
    let (other, _) = begin(&gateway).await;
    for name in ["state", "nonce", "code_challenge"] {
        assert!(query[name].len() >= 20);
        assert_ne!(query[name], other[name], "{name} must differ each time");
    }
}

#[tokio::test]
async fn a_return_that_does_not_fit_is_refused() {
    let gateway = Gateway::start(Parts::default()).await;
    let (query, attempt) = begin(&gateway).await;
    let (_, other_attempt) = begin(&gateway).await;
    let good = format!("/auth/callback?code=c&state={}", query["state"]);
    for (name, path, cookies) in [
        ("no cookie", good.as_str(), ""),
        ("another browser's cookie", &good, &other_attempt),
        ("a forged cookie", &good, "__Host-lotoai-login=AAAA"),
        ("another state", "/auth/callback?code=c&state=x", &attempt),
        ("no state", "/auth/callback?code=c", &attempt),
    ] {
        let reply = with_cookies(&gateway, Method::GET, path, cookies, None).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{name}");
        assert_eq!(reply.code(), "sign_in_expired", "{name}");
    }
    let no_code = format!("/auth/callback?state={}", query["state"]);
    let reply = with_cookies(&gateway, Method::GET, &no_code, &attempt, None).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (400, "sign_in_failed")
    );
    let refused = format!(
        "/auth/callback?error=access_denied&state={}",
        query["state"]
    );
    let reply = with_cookies(&gateway, Method::GET, &refused, &attempt, None).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (403, "sign_in_refused")
    );
    // Nobody answers for the code: that is not the person's fault.
    gateway.realm.reset().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_delay(std::time::Duration::from_secs(60)))
        .mount(&gateway.realm)
        .await;
    let reply = with_cookies(&gateway, Method::GET, &good, &attempt, None).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (503, "identity_unavailable")
    );
}

#[tokio::test]
async fn an_id_token_for_another_attempt_or_of_another_key_is_refused() {
    let gateway = Gateway::start(Parts::default()).await;
    let stranger = Signer::ec("key-1");
    for forge in [
        |gateway: &Gateway, _: &Signer, _: &str| id_token(&gateway.signer, ANA, "another nonce"),
        |_: &Gateway, stranger: &Signer, nonce: &str| id_token(stranger, ANA, nonce),
        |gateway: &Gateway, _: &Signer, nonce: &str| {
            let mut claims = claims("ana");
            claims["nonce"] = json!(nonce);
            gateway.signer.sign(&claims) // for audience lotoai, not for the client
        },
    ] {
        let (query, attempt) = begin(&gateway).await;
        let mut answer = tokens(&gateway, ANA, 300, None);
        answer["id_token"] = json!(forge(&gateway, &stranger, &query["nonce"]));
        let guard = Mock::given(method("POST"))
            .and(path(TOKEN))
            .respond_with(ResponseTemplate::new(200).set_body_json(answer))
            .mount_as_scoped(&gateway.realm)
            .await;
        let callback = format!("/auth/callback?code=c&state={}", query["state"]);
        let reply = with_cookies(&gateway, Method::GET, &callback, &attempt, None).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (400, "sign_in_failed")
        );
        drop(guard);
    }
}

#[tokio::test]
async fn a_session_from_sign_in_to_sign_out() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let pool = server.pool();
    let session = sign_in(&gateway, 300).await;
    let reply = with_cookies(&gateway, Method::GET, "/api/me", &session, None).await;
    assert_eq!(reply.json()["groups"], json!(["staff"]));

    // Neither the cookie nor a token can be read from the database.
    let rows: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as("select id_hash, sealed from sessions")
        .fetch_all(&pool)
        .await
        .unwrap();
    let value = session.split_once('=').unwrap().1;
    assert_eq!(rows.len(), 1);
    let stored = [rows[0].0.clone(), rows[0].1.clone()].concat();
    let holds = |needle: &str| {
        stored
            .windows(needle.len())
            .any(|it| it == needle.as_bytes())
    };
    assert!(!holds(value) && !holds("refresh-1"));

    // Another site's page can neither change nor sign out.
    let path = "/api/conversations/019aab4e-0000-7000-8000-000000000000";
    let evil = Some("https://evil.example.org");
    for origin in [None, evil] {
        let reply = with_cookies(&gateway, Method::DELETE, path, &session, origin).await;
        assert_eq!(reply.code(), "cross_site_request");
        let reply = with_cookies(&gateway, Method::POST, "/auth/logout", &session, origin).await;
        assert_eq!(reply.code(), "cross_site_request");
    }
    let ours = Some(PUBLIC_URL);
    let reply = with_cookies(&gateway, Method::DELETE, path, &session, ours).await;
    assert_eq!(
        reply.code(),
        "conversation_not_found",
        "the control: our page gets through"
    );

    Mock::given(method("POST"))
        .and(wiremock::matchers::path(LOGOUT))
        .and(body_string_contains("refresh_token=refresh-1"))
        .respond_with(ResponseTemplate::new(204))
        .expect(1)
        .mount(&gateway.realm)
        .await;
    let reply = with_cookies(&gateway, Method::POST, "/auth/logout", &session, ours).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    assert!(reply.header("set-cookie").contains("Max-Age=0"));
    let reply = with_cookies(&gateway, Method::GET, "/api/me", &session, None).await;
    assert_eq!(reply.code(), "session_expired");
    let forged = "__Host-lotoai=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let reply = with_cookies(&gateway, Method::GET, "/api/me", forged, None).await;
    assert_eq!(reply.code(), "session_expired");
}

#[tokio::test]
async fn an_access_token_is_refreshed_in_time_and_once() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let session = sign_in(&gateway, 10).await;
    let answer = tokens(&gateway, ANA, 300, None);
    Mock::given(method("POST"))
        .and(path(TOKEN))
        .and(body_string_contains("grant_type=refresh_token"))
        .and(body_string_contains("refresh_token=refresh-1"))
        .respond_with(ResponseTemplate::new(200).set_body_json(answer))
        .expect(1)
        .mount(&gateway.realm)
        .await;
    let ask = || with_cookies(&gateway, Method::GET, "/api/me", &session, None);
    let replies = futures::future::join_all((0..4).map(|_| ask())).await;
    assert!(
        replies.iter().all(|reply| reply.status == StatusCode::OK),
        "{replies:?}"
    );
    gateway.realm.verify().await;
}

#[tokio::test]
async fn a_session_that_the_provider_ended_is_over() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let session = sign_in(&gateway, 10).await;
    let ask = || with_cookies(&gateway, Method::GET, "/api/me", &session, None);
    // While the provider is away, what is left of the token is used.
    token_answer(&gateway, "refresh_token", ResponseTemplate::new(503)).await;
    assert_eq!(ask().await.status, StatusCode::OK);
    gateway.realm.reset().await;
    let ended = ResponseTemplate::new(400).set_body_json(json!({"error": "invalid_grant"}));
    token_answer(&gateway, "refresh_token", ended).await;
    assert_eq!(ask().await.code(), "session_expired");
    // It stays over, without asking the provider again.
    gateway.realm.reset().await;
    assert_eq!(ask().await.code(), "session_expired");
}
