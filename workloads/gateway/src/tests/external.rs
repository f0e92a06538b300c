//! A provider that is not the platform's own: people are identified by their ID token.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use url::Url;
use wiremock::matchers::{body_string_contains, method, path};
use wiremock::{Mock, ResponseTemplate};

use super::keys::{ISSUER, Signer, realm};
use super::support::{Gateway, Parts, Reply, config};
use crate::identity::token::now;

const TOKEN: &str = "/realms/lotoai/protocol/openid-connect/token";

fn claims(extra: Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": "lotoai-web", "sub": "00u1", "email": "ana@example.org",
        "iat": now(), "exp": now() + 300, "https://example.org/teams": ["sales", "admins"],
    });
    let extra = extra.as_object().unwrap().clone();
    claims.as_object_mut().unwrap().extend(extra);
    claims
}

async fn gateway(parts: Parts, admin_group: &str) -> Gateway {
    let signer = Signer::ec("key-1");
    let realm = realm(&[&signer]).await;
    let mut config = config(&realm.uri(), &parts.orchestrator);
    config.oidc.audience = config.oidc.client_id.clone();
    config.oidc.groups_claim = "https://example.org/teams".to_owned();
    config.oidc.admin_group = admin_group.to_owned();
    Gateway::with_config(&config, parts, realm, signer)
}

async fn me(gateway: &Gateway, name: &str, value: &str) -> Reply {
    let request = Request::builder()
        .uri("/api/me")
        .header(name, value)
        .body(Body::empty());
    gateway.send(request.unwrap()).await
}

#[rstest::rstest]
#[case("", json!(["sales"]), false)]
#[case("support", json!(["sales"]), false)]
#[case("sales", json!(["sales", "admins"]), true)]
#[case("admins", json!(["sales", "admins"]), true)]
#[tokio::test]
async fn the_named_claim_and_group_count_and_no_others(
    #[case] admin_group: &str,
    #[case] groups: Value,
    #[case] admin: bool,
) {
    let gateway = gateway(Parts::default(), admin_group).await;
    // `groups` is not the claim that the configuration names.
    let token = gateway.signer.sign(&claims(json!({ "groups": ["root"] })));
    let reply = me(&gateway, "authorization", &format!("Bearer {token}")).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let said = reply.json();
    assert_eq!(said["name"], "ana@example.org");
    assert_eq!(
        (&said["groups"], said["admin"].as_bool()),
        (&groups, Some(admin))
    );
}

#[tokio::test]
async fn a_person_whose_access_token_says_nothing_is_known_by_the_id_token() {
    let server = super::postgres::start();
    let Some(server) = server else { return };
    let pool = server.pool();
    let parts = Parts {
        pool,
        ..Parts::default()
    };
    let gateway = gateway(parts, "sales").await;
    let begin = Request::builder().uri("/auth/login").body(Body::empty());
    let begin = gateway.send(begin.unwrap()).await;
    let url = Url::parse(begin.header("location")).unwrap();
    let query: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
    let cookie = |reply: &Reply| {
        let value = reply.header("set-cookie");
        value.split(';').next().unwrap().to_owned()
    };
    let answer = |exp: u64, nonce: Option<&str>| {
        let id_token = claims(json!({ "exp": exp, "nonce": nonce }));
        ResponseTemplate::new(200).set_body_json(json!({
            "access_token": "opaque", "token_type": "Bearer", "expires_in": 3600,
            "refresh_token": "refresh-1", "id_token": gateway.signer.sign(&id_token),
        }))
    };
    for (grant, answer) in [
        // The ID token ends before the access token: that is what counts.
        (
            "authorization_code",
            answer(now() + 5, Some(&query["nonce"])),
        ),
        ("refresh_token", answer(now() + 300, None)),
    ] {
        Mock::given(method("POST"))
            .and(path(TOKEN))
            .and(body_string_contains(format!("grant_type={grant}")))
            .respond_with(answer)
            .expect(1)
            .mount(&gateway.realm)
            .await;
    }
    let callback = Request::builder()
        .uri(format!("/auth/callback?code=c&state={}", query["state"]))
        .header("cookie", cookie(&begin))
        .body(Body::empty());
    let reply = gateway.send(callback.unwrap()).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{reply:?}");
    for _ in 0..2 {
        let reply = me(&gateway, "cookie", &cookie(&reply)).await;
        assert_eq!(reply.json()["subject"], "00u1", "{reply:?}");
    }
    gateway.realm.verify().await;
}

const PROBE: &str = "probe-token-of-32-bytes-or-more-x";

/// A gateway that knows the probe, with an orchestrator that answers.
async fn probed(orchestrator: &str) -> Gateway {
    let signer = Signer::ec("key-1");
    let realm = realm(&[&signer]).await;
    let parts = Parts {
        orchestrator: orchestrator.to_owned(),
        ..Parts::default()
    };
    let mut config = config(&realm.uri(), &parts.orchestrator);
    config.probe_token = Some(PROBE.to_owned().into());
    Gateway::with_config(&config, parts, realm, signer)
}

async fn ask(gateway: &Gateway, route: &str, token: &str, model: &str) -> Reply {
    let body = json!({
        "model": model, "store": false, "messages": [{ "role": "user", "content": "?" }],
    });
    let request = Request::builder()
        .method("POST")
        .uri(route)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()));
    gateway.send(request.unwrap()).await
}

#[tokio::test]
async fn the_probe_may_ask_its_question_while_people_can_sign_in() {
    const CHAT: &str = "/v1/chat/completions";
    // Nobody answers here: getting as far as that is what is looked at.
    let gateway = probed("http://127.0.0.1:1").await;
    let reply = ask(&gateway, CHAT, PROBE, "probe").await;
    assert_eq!(
        reply.code(),
        "identity_unavailable",
        "no keys were fetched yet"
    );
    let signer = gateway.signer.token("ana", &[]);
    assert_eq!(
        ask(&gateway, CHAT, &signer, "probe").await.status.as_u16() / 100,
        5
    );
    let reply = ask(&gateway, CHAT, PROBE, "probe").await;
    assert_ne!(reply.code(), "identity_unavailable", "{reply:?}");
    assert_ne!(reply.status, StatusCode::FORBIDDEN, "{reply:?}");
    assert_ne!(reply.status, StatusCode::UNAUTHORIZED, "{reply:?}");

    assert_eq!(
        ask(&gateway, CHAT, PROBE, "lotoai").await.code(),
        "probe_only"
    );
    assert_eq!(
        ask(&gateway, "/api/documents", PROBE, "probe").await.code(),
        "probe_only"
    );
    let reply = me(&gateway, "authorization", &format!("Bearer {PROBE}")).await;
    assert_eq!(reply.code(), "probe_only");
    for wrong in ["probe", &PROBE[1..], &format!("{PROBE}x")] {
        let reply = ask(&gateway, CHAT, wrong, "probe").await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn while_the_probes_token_is_made_anew_two_are_taken_and_no_third() {
    const OTHER: &str = "other-token-of-32-bytes-or-more-x";
    for (standby, other_is_known) in [(Some(OTHER), true), (None, false)] {
        let signer = Signer::ec("key-1");
        let realm = realm(&[&signer]).await;
        let parts = Parts::default();
        let mut config = config(&realm.uri(), &parts.orchestrator);
        config.probe_token = Some(PROBE.to_owned().into());
        config.probe_token_standby = standby.map(Into::into);
        let gateway = Gateway::with_config(&config, parts, realm, signer);
        for (token, is_known) in [(PROBE, true), (OTHER, other_is_known), ("x", false)] {
            let reply = me(&gateway, "authorization", &format!("Bearer {token}")).await;
            // A known one may do something else.
            let expected = if is_known {
                "probe_only"
            } else {
                "token_invalid"
            };
            assert_eq!(reply.code(), expected, "{standby:?}");
        }
    }
}

#[tokio::test]
async fn without_a_probe_token_nobody_is_the_probe() {
    let gateway = Gateway::start(Parts::default()).await;
    for token in [PROBE, "x"] {
        let reply = me(&gateway, "authorization", &format!("Bearer {token}")).await;
        assert_eq!(reply.code(), "token_invalid");
    }
}
