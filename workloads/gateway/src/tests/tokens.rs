use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use wiremock::MockServer;

use super::key_rotation::fetch;
use super::keys::{CERTS, Signer, claims, publish, realm};
use super::support::{Gateway, Parts, Reply};
use crate::identity::token::now;

async fn me(gateway: &Gateway, authorization: Option<&str>) -> Reply {
    let mut request = Request::builder().uri("/api/me");
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    gateway.send(request.body(Body::empty()).unwrap()).await
}

async fn with_token(gateway: &Gateway, token: &str) -> Reply {
    me(gateway, Some(&format!("Bearer {token}"))).await
}

fn changed(field: &str, value: Value) -> Value {
    let mut claims = claims("ana");
    claims[field] = value;
    claims
}

fn without(field: &str) -> Value {
    let mut claims = claims("ana");
    claims.as_object_mut().unwrap().remove(field);
    claims
}

#[tokio::test]
async fn good_tokens_of_both_algorithms_are_accepted() {
    let (ec, rsa) = (Signer::ec("ec"), Signer::rsa("rsa"));
    let realm = realm(&[&ec, &rsa]).await;
    let rsa_token = rsa.token("bo", &["/staff", "admins"]);
    let gateway = Gateway::with_realm(Parts::default(), realm, ec);
    let reply = with_token(&gateway, &gateway.signer.token("ana", &[])).await;
    assert_eq!(reply.json()["subject"], "ana");
    let reply = with_token(&gateway, &rsa_token).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.json()["name"], "bo-name");
    assert_eq!(reply.json()["groups"], json!(["staff", "admins"]));
    assert_eq!(reply.json()["admin"], true);
}

#[rstest::rstest]
#[case::expired(changed("exp", json!(now() - 31)), "token_expired")]
#[case::not_yet(changed("nbf", json!(now() + 60)), "token_not_yet_valid")]
#[case::audience(changed("aud", json!("account")), "token_wrong_audience")]
#[case::client_as_audience(changed("aud", json!("lotoai-web")), "token_wrong_audience")]
#[case::no_audience(without("aud"), "token_invalid")]
#[case::issuer(changed("iss", json!("https://evil.example.org/realms/lotoai")), "token_wrong_issuer")]
#[case::no_issuer(without("iss"), "token_invalid")]
#[case::no_expiry(without("exp"), "token_invalid")]
#[case::no_subject(without("sub"), "token_invalid")]
#[case::id_token(changed("typ", json!("ID")), "token_invalid")]
#[case::groups(changed("groups", json!("admins")), "token_invalid")]
#[tokio::test]
async fn a_bad_claim_is_refused(#[case] claims: Value, #[case] code: &str) {
    let gateway = Gateway::start(Parts::default()).await;
    let reply = with_token(&gateway, &gateway.signer.sign(&claims)).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::UNAUTHORIZED, code)
    );
    assert!(reply.header("www-authenticate").contains("invalid_token"));
    assert_eq!(reply.header("content-type"), "application/problem+json");
}

#[rstest::rstest]
#[case::just_expired(changed("exp", json!(now() - 5)))]
#[case::almost_valid(changed("nbf", json!(now() + 20)))]
#[case::one_audience(changed("aud", json!("lotoai")))]
#[tokio::test]
async fn clocks_may_differ_a_little(#[case] claims: Value) {
    let gateway = Gateway::start(Parts::default()).await;
    let reply = with_token(&gateway, &gateway.signer.sign(&claims)).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let rsa = Signer::rsa("key");
    let realm = realm(&[&rsa]).await;
    let good = rsa.token("ana", &[]);
    let confused = rsa.confused(&claims("admin"));
    let gateway = Gateway::with_realm(Parts::default(), realm, rsa);
    assert_eq!(with_token(&gateway, &good).await.status, StatusCode::OK);

    let payload = part(&changed("sub", json!("admin")));
    let none = format!("{}.{payload}.", part(&json!({"alg": "none", "kid": "key"})));
    let other_key = Signer::rsa("key").token("admin", &[]);
    let other_algorithm = Signer::ec("key").token("admin", &[]);
    let unknown_key = Signer::rsa("unknown").token("admin", &[]);
    let mut pieces: Vec<&str> = good.split('.').collect();
    pieces[1] = &payload;
    let swapped = pieces.join(".");
    let long = "x".repeat(20_000);
    let forged = [
        ("none", none.as_str()),
        ("another key", &other_key),
        ("another algorithm", &other_algorithm),
        ("an unknown key", &unknown_key),
        ("swapped claims", &swapped),
        ("garbage", "garbage"),
        ("dots", ".."),
        ("long", &long),
    ];
    let confused = confused.iter().map(|(form, token)| (*form, token.as_str()));
    for (name, token) in forged.into_iter().chain(confused) {
        let reply = with_token(&gateway, token).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{name}");
        assert!(reply.code().starts_with("token_"), "{name}: {reply:?}");
    }
}

#[rstest::rstest]
#[case(None)]
#[case(Some("Bearer"))]
#[case(Some("Bearer "))]
#[case(Some("Basic YTpi"))]
#[case(Some("token"))]
#[tokio::test]
async fn without_a_token_the_caller_is_told_what_to_send(#[case] authorization: Option<&str>) {
    let gateway = Gateway::start(Parts::default()).await;
    let reply = me(&gateway, authorization).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert_eq!(reply.code(), "sign_in_required");
    assert_eq!(reply.header("www-authenticate"), r#"Bearer realm="lotoai""#);
}

async fn fetches(realm: &MockServer) -> usize {
    let requests = realm.received_requests().await.unwrap();
    requests
        .iter()
        .filter(|request| request.url.path() == CERTS)
        .count()
}

#[tokio::test]
async fn unknown_keys_do_not_flood_the_provider() {
    let gateway = Gateway::start(Parts::default()).await;
    let stranger = Signer::ec("stranger");
    for subject in 0..200 {
        let token = stranger.token(&subject.to_string(), &[]);
        assert_eq!(
            with_token(&gateway, &token).await.status,
            StatusCode::UNAUTHORIZED
        );
    }
    assert_eq!(fetches(&gateway.realm).await, 1);
}

#[tokio::test]
async fn many_unknown_keys_ask_the_provider_once_a_second() {
    let gateway = Gateway::start(Parts::default()).await;
    let began = std::time::Instant::now();
    let strangers: Vec<String> = (0..100)
        .map(|at| Signer::ec(&format!("stranger-{at}")).token("eve", &[]))
        .collect();
    let asking = strangers.iter().map(|token| with_token(&gateway, token));
    for reply in futures::future::join_all(asking).await {
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    }
    let seconds = began.elapsed().as_secs() as usize;
    assert!(fetches(&gateway.realm).await <= seconds + 2);
}

#[tokio::test]
async fn known_keys_work_while_the_provider_is_away() {
    let gateway = Gateway::start(Parts::default()).await;
    let token = |subject| gateway.signer.token(subject, &[]);
    assert_eq!(
        with_token(&gateway, &token("ana")).await.status,
        StatusCode::OK
    );
    gateway.realm.reset().await;
    assert_eq!(
        with_token(&gateway, &token("ana")).await.status,
        StatusCode::OK
    );
    assert_eq!(
        with_token(&gateway, &token("bo")).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn without_any_key_the_answer_is_that_nobody_can_be_checked() {
    let gateway = Gateway::start(Parts::default()).await;
    gateway.realm.reset().await;
    let reply = with_token(&gateway, &gateway.signer.token("ana", &[])).await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.code(), "identity_unavailable");
    assert_eq!(reply.header("retry-after"), "2");
}

#[tokio::test]
async fn a_withdrawn_key_ends_the_verdicts_that_it_gave() {
    let gateway = Gateway::start(Parts::default()).await;
    let token = gateway.signer.token("ana", &[]);
    assert_eq!(with_token(&gateway, &token).await.status, StatusCode::OK);
    gateway.realm.reset().await;
    publish(&gateway.realm, &[&Signer::ec("key-2")]).await;
    fetch(&gateway).await.unwrap();
    assert_eq!(
        with_token(&gateway, &token).await.status,
        StatusCode::UNAUTHORIZED
    );
}
