//! Sessions that the provider ends.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::browser::{ANA, Person, sign_in_as, with_cookies};
use super::keys::{ISSUER, Signer, claims, realm};
use super::support::{Gateway, PUBLIC_URL, Parts, Reply, config};
use crate::identity::token::now;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const SECOND: Person<'static> = Person {
    provider_session: "kc-ana-2",
    ..ANA
};

fn logout(id: &str, change: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": "lotoai-web", "iat": now(), "exp": now() + 120, "jti": id,
        "typ": "Logout", "events": { EVENT: {} },
    });
    let change = change.as_object().unwrap().clone();
    claims.as_object_mut().unwrap().extend(change);
    claims
}

async fn say(gateway: &Gateway, token: &str) -> Reply {
    let form = format!("logout_token={token}");
    let request = Request::builder()
        .method(Method::POST)
        .uri("/auth/back-channel-logout")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form));
    gateway.send(request.unwrap()).await
}

async fn alive(gateway: &Gateway, session: &str) -> bool {
    let reply = with_cookies(gateway, Method::GET, "/api/me", session, None).await;
    match reply.status {
        StatusCode::OK => true,
        _ => {
            assert_eq!(reply.code(), "session_expired");
            false
        }
    }
}

#[tokio::test]
async fn a_logout_at_the_provider_ends_that_session_and_its_answers_everywhere() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let replica = gateway.replica(&server).await;
    let first = sign_in_as(&gateway, ANA, 300).await;
    let second = sign_in_as(&gateway, SECOND, 300).await;
    let request = |session: &str| {
        Request::builder()
            .header("cookie", session)
            .header("origin", PUBLIC_URL)
            .body(Body::empty())
            .unwrap()
    };
    let ended = replica.open(request(&first)).await;
    let mut control = replica.open(request(&second)).await;

    let token = logout("1", &json!({ "sub": "ana", "sid": "kc-ana-1" }));
    let token = gateway.signer.sign(&token);
    let reply = say(&gateway, &token).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert_eq!(reply.header("cache-control"), "no-store");
    for gateway in [&gateway, &replica] {
        assert!(!alive(gateway, &first).await);
        assert!(alive(gateway, &second).await, "another session stays");
    }
    let rest = ended.rest().await;
    assert!(rest.contains(r#""code":"signed_out""#), "{rest}");
    assert!(control.goes_on().await);

    // The same token does not end a session that began since.
    let again = sign_in_as(&gateway, ANA, 300).await;
    let reply = say(&gateway, &token).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::BAD_REQUEST, "logout_token_invalid")
    );
    assert!(alive(&gateway, &again).await);
    // One without a session ends all of the person's, and nobody else's.
    let eve = Person {
        subject: "eve",
        provider_session: "kc-eve",
        ..ANA
    };
    let eves = sign_in_as(&gateway, eve, 300).await;
    let token = gateway.signer.sign(&logout("2", &json!({ "sub": "ana" })));
    assert_eq!(say(&gateway, &token).await.status, StatusCode::OK);
    assert!(!alive(&gateway, &again).await && !alive(&gateway, &second).await);
    assert!(alive(&gateway, &eves).await);
    // One that ends nothing is none the worse for it.
    let token = logout("3", &json!({ "sid": "unheard-of" }));
    let reply = say(&gateway, &gateway.signer.sign(&token)).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(alive(&gateway, &eves).await);
}

#[tokio::test]
async fn what_is_no_logout_token_ends_nothing() {
    let Some(server) = super::postgres::start() else {
        return;
    };
    let pool = server.pool();
    let signer = Signer::rsa("key-1");
    let realm = realm(&[&signer]).await;
    let parts = Parts {
        pool,
        ..Parts::default()
    };
    let gateway = Gateway::with_realm(parts, realm, signer);
    let session = sign_in_as(&gateway, ANA, 300).await;
    let who = json!({ "sub": "ana", "sid": "kc-ana-1" });
    let good = |id: &str| logout(id, &who);
    let changed = |field: &str, value: Value| {
        let mut claims = good(field);
        claims[field] = value;
        gateway.signer.sign(&claims)
    };
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let none = json!({ "alg": "none", "kid": "key-1" });
    let none = format!("{}.{}.", part(&none), part(&good("none")));
    let confused = gateway.signer.confused(&good("shared"));
    let mut access = claims("ana");
    access["aud"] = json!("lotoai-web");
    let forged = [
        ("audience", changed("aud", json!("another-client"))),
        ("issuer", changed("iss", json!("https://evil.example.org"))),
        ("expired", changed("exp", json!(now() - 31))),
        ("no expiry", changed("exp", Value::Null)),
        ("old", changed("iat", json!(now() - 400))),
        ("nonce", changed("nonce", json!("n"))),
        ("no event", changed("events", json!({}))),
        (
            "event that is no object",
            changed("events", json!({ EVENT: 1 })),
        ),
        ("no id", changed("jti", Value::Null)),
        ("nobody", gateway.signer.sign(&logout("nobody", &json!({})))),
        ("access token", gateway.signer.sign(&access)),
        (
            "another key",
            Signer::rsa("key-1").sign(&good("another key")),
        ),
        (
            "unknown key",
            Signer::ec("key-9").sign(&good("unknown key")),
        ),
        ("alg none", none),
        ("garbage", "garbage".to_owned()),
        ("nothing", String::new()),
    ];
    for (name, token) in forged.into_iter().chain(confused) {
        let reply = say(&gateway, &token).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (StatusCode::BAD_REQUEST, "logout_token_invalid"),
            "{name}"
        );
        assert!(alive(&gateway, &session).await, "{name}");
    }
    // The control: what all of them were made of does end it.
    let reply = say(&gateway, &gateway.signer.sign(&good("good"))).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(!alive(&gateway, &session).await);
}

#[tokio::test]
async fn a_logout_token_lets_nobody_in() {
    let signer = Signer::ec("key-1");
    let realm = realm(&[&signer]).await;
    let mut config = config(&realm.uri(), "http://127.0.0.1:1");
    // People are known by ID tokens here, which have the audience of logout tokens.
    config.oidc.audience = config.oidc.client_id.clone();
    let gateway = Gateway::with_config(&config, Parts::default(), realm, signer);
    let ask = |claims: &Value| {
        let token = gateway.signer.sign(claims);
        let request = Request::builder()
            .uri("/api/me")
            .header("authorization", format!("Bearer {token}"))
            .body(Body::empty());
        gateway.send(request.unwrap())
    };
    let mut claims = logout("1", &json!({ "sub": "ana" }));
    claims.as_object_mut().unwrap().remove("typ");
    assert_eq!(ask(&claims).await.code(), "token_invalid");
    claims.as_object_mut().unwrap().remove("events");
    assert_eq!(ask(&claims).await.status, StatusCode::OK, "the control");
}

#[tokio::test]
async fn a_provider_is_told_when_nothing_could_be_ended() {
    let gateway = Gateway::start(Parts::default()).await;
    let token = gateway.signer.sign(&logout("1", &json!({ "sub": "ana" })));
    let reply = say(&gateway, &token).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable")
    );
}
