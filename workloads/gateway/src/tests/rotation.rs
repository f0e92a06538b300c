//! Secrets of the gateway that are made anew while it is used.

use axum::http::{Method, StatusCode};
use serde_json::json;
use wiremock::matchers::{basic_auth, body_string_contains, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::browser::{ANA, LOGOUT, TOKEN, begin, sign_in, token_answer, tokens, with_cookies};
use super::keys::{Signer, realm};
use super::postgres;
use super::support::{Gateway, PUBLIC_URL, Parts, config};

/// What `config` gives the gateway.
const IN_USE: &str = "client-secret";
const STANDBY: &str = "other-secret";

/// The provider does not know this secret of the client.
async fn forget(realm: &MockServer, secret: &str, word: &str) {
    Mock::given(method("POST"))
        .and(path(TOKEN))
        .and(basic_auth("lotoai-web", secret))
        .respond_with(ResponseTemplate::new(401).set_body_json(json!({ "error": word })))
        .with_priority(1)
        .mount(realm)
        .await;
}

/// A gateway with a database that knows both secrets, or one. `None` when there is no PostgreSQL.
async fn gateway(standby: Option<&str>) -> Option<(postgres::Database, Gateway)> {
    let server = postgres::start()?;
    let signer = Signer::ec("key-1");
    let realm = realm(&[&signer]).await;
    let parts = Parts {
        pool: server.pool(),
        ..Parts::default()
    };
    let mut config = config(&realm.uri(), &parts.orchestrator);
    config.oidc.client_secret_standby = standby.map(Into::into);
    let gateway = Gateway::with_config(&config, parts, realm, signer);
    Some((server, gateway))
}

async fn asked(gateway: &Gateway, grant: &str) -> usize {
    let requests = gateway.realm.received_requests().await.unwrap();
    let grant = format!("grant_type={grant}");
    let of_that = requests
        .iter()
        .filter(|request| String::from_utf8_lossy(&request.body).contains(&grant));
    of_that.count()
}

#[tokio::test]
async fn either_secret_signs_in_and_refreshes() {
    for (unknown, word) in [
        (IN_USE, "unauthorized_client"),
        (IN_USE, "invalid_client"),
        (STANDBY, "invalid_client"),
    ] {
        let Some((_server, gateway)) = gateway(Some(STANDBY)).await else {
            return;
        };
        forget(&gateway.realm, unknown, word).await;
        let session = sign_in(&gateway, 10).await;
        let answer = ResponseTemplate::new(200).set_body_json(tokens(&gateway, ANA, 300, None));
        token_answer(&gateway, "refresh_token", answer).await;
        let reply = with_cookies(&gateway, Method::GET, "/api/me", &session, None).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        let attempts = if unknown == IN_USE { 2 } else { 1 };
        assert_eq!(
            asked(&gateway, "authorization_code").await,
            attempts,
            "{word}"
        );
        assert_eq!(asked(&gateway, "refresh_token").await, attempts, "{word}");
    }
}

#[tokio::test]
async fn without_the_other_one_an_unknown_secret_signs_nobody_in() {
    let gateway = Gateway::start(Parts::default()).await;
    forget(&gateway.realm, IN_USE, "unauthorized_client").await;
    let (query, attempt) = begin(&gateway).await;
    let callback = format!("/auth/callback?code=c&state={}", query["state"]);
    let reply = with_cookies(&gateway, Method::GET, &callback, &attempt, None).await;
    assert_eq!(reply.code(), "sign_in_failed");
    assert_eq!(asked(&gateway, "authorization_code").await, 1);
}

#[tokio::test]
async fn a_session_that_ended_is_not_asked_for_twice() {
    let Some((_server, gateway)) = gateway(Some(STANDBY)).await else {
        return;
    };
    let session = sign_in(&gateway, 10).await;
    let ended = ResponseTemplate::new(400).set_body_json(json!({ "error": "invalid_grant" }));
    token_answer(&gateway, "refresh_token", ended).await;
    let reply = with_cookies(&gateway, Method::GET, "/api/me", &session, None).await;
    assert_eq!(reply.code(), "session_expired");
    assert_eq!(asked(&gateway, "refresh_token").await, 1);
}

#[tokio::test]
async fn a_sign_out_is_told_with_the_secret_that_is_known() {
    let Some((_server, gateway)) = gateway(Some(STANDBY)).await else {
        return;
    };
    let session = sign_in(&gateway, 300).await;
    for (secret, status) in [(IN_USE, 401), (STANDBY, 204)] {
        Mock::given(method("POST"))
            .and(path(LOGOUT))
            .and(body_string_contains(format!("client_secret={secret}")))
            .respond_with(ResponseTemplate::new(status))
            .expect(1)
            .mount(&gateway.realm)
            .await;
    }
    let ours = Some(PUBLIC_URL);
    let reply = with_cookies(&gateway, Method::POST, "/auth/logout", &session, ours).await;
    assert!(reply.status.is_success(), "{reply:?}");
    gateway.realm.verify().await;
}

/// Another replica of a gateway, with other keys: the first seals, the second opens too.
async fn with_keys(
    of: &Gateway,
    server: &postgres::Database,
    key: &str,
    standby: Option<&str>,
) -> Gateway {
    let parts = Parts {
        pool: server.pool(),
        ..Parts::default()
    };
    let mut config = config(&of.realm.uri(), &parts.orchestrator);
    config.session_key = key.parse().unwrap();
    config.session_key_standby = standby.map(|key| key.parse().unwrap());
    let unused = MockServer::start().await;
    Gateway::with_config(&config, parts, unused, Signer::ec("unused"))
}

#[tokio::test]
async fn a_session_outlives_the_key_that_sealed_it_while_that_still_opens() {
    const OLD: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const NEW: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let session = sign_in(&gateway, 300).await;
    let (_, attempt) = begin(&gateway).await;
    for (key, standby, goes_on) in [
        (OLD, Some(NEW), true),
        (NEW, Some(OLD), true),
        (NEW, None, false),
    ] {
        let replica = with_keys(&gateway, &server, key, standby).await;
        let reply = with_cookies(&replica, Method::GET, "/api/me", &session, None).await;
        assert_eq!(reply.status == StatusCode::OK, goes_on, "{reply:?}");
        // So does a sign-in that has begun: only its answer is another one.
        let callback = "/auth/callback?code=c&state=x";
        let reply = with_cookies(&replica, Method::GET, callback, &attempt, None).await;
        let told = reply.json().to_string();
        assert_eq!(
            told.contains("not the last that this browser began"),
            goes_on,
            "{told}"
        );
    }
}
