//! A browser, as far as the gateway sees one, and the answers of the provider that it needs.

use std::collections::HashMap;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use url::Url;
use wiremock::matchers::{body_string_contains, header_exists, method, path};
use wiremock::{Mock, ResponseTemplate};

use super::keys::{ISSUER, Signer};
use super::support::{Gateway, Reply};
use crate::identity::token::now;

pub(crate) const TOKEN: &str = "/realms/lotoai/protocol/openid-connect/token";
pub(crate) const LOGOUT: &str = "/realms/lotoai/protocol/openid-connect/logout";

pub(crate) async fn with_cookies(
    gateway: &Gateway,
    method: Method,
    path: &str,
    cookies: &str,
    origin: Option<&str>,
) -> Reply {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("cookie", cookies);
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    gateway.send(request.body(Body::empty()).unwrap()).await
}

/// What a browser with this session is told of itself.
pub(crate) async fn me(gateway: &Gateway, session: &str) -> Reply {
    with_cookies(gateway, Method::GET, "/api/me", session, None).await
}

/// `name=value` of a cookie that a reply sets.
pub(crate) fn cookie(reply: &Reply, name: &str) -> String {
    let values = reply.headers.get_all("set-cookie").iter();
    let all: Vec<&str> = values.map(|value| value.to_str().unwrap()).collect();
    let found = all
        .iter()
        .find(|value| value.starts_with(&format!("{name}=")));
    let value = found.unwrap_or_else(|| panic!("{name} is not among {all:?}"));
    for attribute in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(value.contains(attribute), "{value}");
    }
    value.split(';').next().unwrap().to_owned()
}

/// Begins a sign-in: the query that the browser takes to the provider, and its cookie.
pub(crate) async fn begin(gateway: &Gateway) -> (HashMap<String, String>, String) {
    let request = Request::builder()
        .uri("/auth/login?return_to=/c/1")
        .body(Body::empty());
    let reply = gateway.send(request.unwrap()).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{reply:?}");
    let url = Url::parse(reply.header("location")).unwrap();
    assert!(
        url.as_str()
            .starts_with(&format!("{ISSUER}/protocol/openid-connect/auth?"))
    );
    (
        url.query_pairs().into_owned().collect(),
        cookie(&reply, "__Host-lotoai-login"),
    )
}

/// Who signs in, and the provider's word for the session.
#[derive(Clone, Copy)]
pub(crate) struct Person<'p> {
    pub(crate) subject: &'p str,
    pub(crate) groups: &'p [&'p str],
    pub(crate) provider_session: &'p str,
}

pub(crate) const ANA: Person<'static> = Person {
    subject: "ana",
    groups: &["staff"],
    provider_session: "kc-ana-1",
};

pub(crate) fn id_token(signer: &Signer, person: Person<'_>, nonce: &str) -> String {
    signer.sign(&json!({
        "iss": ISSUER, "aud": "lotoai-web", "sub": person.subject, "typ": "ID",
        "iat": now(), "exp": now() + 300, "nonce": nonce, "sid": person.provider_session,
    }))
}

pub(crate) async fn token_answer(gateway: &Gateway, grant: &str, answer: ResponseTemplate) {
    Mock::given(method("POST"))
        .and(path(TOKEN))
        .and(header_exists("authorization"))
        .and(body_string_contains(format!("grant_type={grant}")))
        .respond_with(answer)
        .with_priority(1)
        .mount(&gateway.realm)
        .await;
}

pub(crate) fn tokens(
    gateway: &Gateway,
    person: Person<'_>,
    expires_in: u64,
    nonce: Option<&str>,
) -> Value {
    let mut tokens = json!({
        "access_token": gateway.signer.token(person.subject, person.groups),
        "token_type": "Bearer", "expires_in": expires_in, "refresh_token": "refresh-1",
    });
    if let Some(nonce) = nonce {
        tokens["id_token"] = json!(id_token(&gateway.signer, person, nonce));
    }
    tokens
}

/// A whole sign-in of Ana; the session's cookie.
pub(crate) async fn sign_in(gateway: &Gateway, expires_in: u64) -> String {
    sign_in_as(gateway, ANA, expires_in).await
}

/// A whole sign-in; the session's cookie.
pub(crate) async fn sign_in_as(gateway: &Gateway, person: Person<'_>, expires_in: u64) -> String {
    let (query, attempt) = begin(gateway).await;
    let answer = tokens(gateway, person, expires_in, Some(&query["nonce"]));
    // A code of its own, so that each sign-in gets its own answer.
    let code = format!("code-of-{}", query["nonce"]);
    Mock::given(method("POST"))
        .and(path(TOKEN))
        .and(header_exists("authorization"))
        .and(body_string_contains("grant_type=authorization_code"))
        .and(body_string_contains(format!("code={code}")))
        .respond_with(ResponseTemplate::new(200).set_body_json(answer))
        .mount(&gateway.realm)
        .await;
    let callback = format!("/auth/callback?code={code}&state={}", query["state"]);
    let reply = with_cookies(gateway, Method::GET, &callback, &attempt, None).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{reply:?}");
    assert_eq!(reply.header("location"), "/c/1");
    cookie(&reply, "__Host-lotoai")
}
