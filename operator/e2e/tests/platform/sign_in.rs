//! Who is let in: with the positive control beside every refusal.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use lotoai_e2e::{Platform, PublicClient};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::keycloak::Keycloak;
use crate::support::{FIRST_TOKEN, NAME, NAMESPACE, get_with, ready, run, wait_for};

/// Clocks may differ by this much: the gateway accepts a token for so long after its end.
const SKEW: Duration = Duration::from_secs(30);
/// How long another signing key may take until it has signed, and the questions that are asked with it.
const KEY_LIMIT: Duration = Duration::from_secs(60);
const ROUNDS: u32 = 10;

#[test]
fn only_a_token_for_this_platform_is_let_in() {
    run(|| async {
        let (_, client) = ready().await;
        let (good, _) = client.token_of("lotoai-cli").await.unwrap();
        // A real token of the same realm and user, but for another audience.
        let (other_audience, _) = client.token_of("admin-cli").await.unwrap();
        let (head, _) = good.rsplit_once('.').unwrap();
        let cases = [
            ("none", None, 401),
            ("garbage", Some("garbage".to_owned()), 401),
            ("without a signature", Some(format!("{head}.")), 401),
            ("for another audience", Some(other_audience), 401),
            ("good", Some(good.clone()), 200),
        ];
        for (name, token, expected) in cases {
            for path in [
                "/v1/models",
                "/api/me",
                "/api/documents",
                "/api/conversations",
            ] {
                let mut request = client.http().get(format!("{}{path}", client.url()));
                if let Some(token) = &token {
                    request = request.bearer_auth(token);
                }
                let response = request.send().await.unwrap();
                assert_eq!(
                    response.status().as_u16(),
                    expected,
                    "token {name} on {path}"
                );
                if expected == 401 {
                    let challenge = response.headers().get("www-authenticate").cloned();
                    let body: serde_json::Value = response.json().await.unwrap();
                    let text = body["error"]["message"]
                        .as_str()
                        .or(body["detail"].as_str());
                    assert!(text.is_some_and(|text| !text.is_empty()), "{path}: {body}");
                    assert!(challenge.is_some(), "{path}: no WWW-Authenticate");
                }
            }
        }
    });
}

#[test]
fn sign_in_goes_through_the_issuer_with_pkce() {
    run(|| async {
        let (_, client) = ready().await;
        let response = client
            .http()
            .get(format!("{}/auth/login", client.url()))
            .send()
            .await
            .unwrap();
        assert!(response.status().is_redirection(), "{}", response.status());
        let target = response.headers()["location"].to_str().unwrap().to_owned();
        assert!(
            target.starts_with(&format!("{}/realms/lotoai/", client.url())),
            "{target}"
        );
        for part in [
            "code_challenge=",
            "code_challenge_method=S256",
            "state=",
            "nonce=",
        ] {
            assert!(target.contains(part), "{part} is not in {target}");
        }
    });
}

#[test]
fn the_admin_console_is_not_public() {
    run(|| async {
        let (_, client) = ready().await;
        for path in [
            "/admin/master/console/",
            "/admin/realms",
            "/metrics",
            "/health",
        ] {
            let response = client
                .http()
                .get(format!("{}{path}", client.url()))
                .send()
                .await
                .unwrap();
            let keycloak = response.headers().contains_key("x-powered-by-keycloak");
            let body = response.text().await.unwrap();
            assert!(
                !keycloak && !body.contains("Keycloak Administration"),
                "{path} leads to keycloak"
            );
            assert!(!body.contains("# HELP"), "{path} shows metrics");
        }
        let realm = client
            .http()
            .get(format!(
                "{}/realms/lotoai/.well-known/openid-configuration",
                client.url()
            ))
            .send()
            .await
            .unwrap();
        assert_eq!(realm.status(), StatusCode::OK, "the positive control");
    });
}

/// Waits for the end of the first token of this process, which most other tests leave behind.
#[test]
fn an_expired_token_is_refused() {
    run(|| async {
        let (_, client) = ready().await;
        // `ready` has seen it accepted: that is the positive control.
        let first = FIRST_TOKEN.get().unwrap();
        let left = first.expires.saturating_duration_since(Instant::now());
        println!("the first token has {} s left", left.as_secs());
        let body = wait_for(
            "the first token to be refused",
            left + SKEW + Duration::from_secs(30),
            async || {
                let (status, body) = get_with(&client, &first.token, "/api/me").await?;
                if status == 401 {
                    Ok(body)
                } else {
                    Err(format!("{status}: {body}"))
                }
            },
        )
        .await;
        assert!(Instant::now() > first.expires, "refused too early: {body}");
        assert_eq!(body["code"], "token_expired", "{body}");
        let (status, body) = get_with(&client, &first.token, "/v1/models").await.unwrap();
        assert_eq!(status, 401, "{body}");
        assert_eq!(body["error"]["code"], "token_expired", "{body}");
    });
}

#[test]
fn a_wrong_password_gets_no_token() {
    run(|| async {
        let (platform, client) = ready().await;
        let login = platform.first_user().await.unwrap();
        let form = [
            ("grant_type", "password"),
            ("client_id", "lotoai-cli"),
            ("username", login.username.as_str()),
            ("password", "not the password"),
        ];
        let url = format!(
            "{}/realms/lotoai/protocol/openid-connect/token",
            client.url()
        );
        let response = client.http().post(url).form(&form).send().await.unwrap();
        // 400 by RFC 6749, section 5.2; older issuers say 401.
        assert!(response.status().is_client_error(), "{}", response.status());
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"], "invalid_grant", "{body}");
        assert!(body["access_token"].is_null(), "{body}");
        client.token_of("lotoai-cli").await.unwrap();
    });
}

#[test]
fn a_token_of_another_realm_is_refused() {
    run(|| async {
        let (platform, client) = ready().await;
        let token = administrators_token(&platform).await;
        for path in ["/api/me", "/v1/models"] {
            let (status, body) = get_with(&client, &token, path).await.unwrap();
            assert_eq!(status, 401, "{path}: {body}");
        }
        let (good, _) = client.token_of("lotoai-cli").await.unwrap();
        let (status, body) = get_with(&client, &good, "/api/me").await.unwrap();
        assert_eq!(status, 200, "the positive control: {body}");
    });
}

/// An administrator of the realm rotates its keys while people ask: no question is refused, with a
/// token of before or with one of the new key.
#[test]
fn another_signing_key_signs_nobody_out() {
    run(|| async {
        let (platform, client) = ready().await;
        let Some(keycloak) = Keycloak::of(&platform).await else {
            return;
        };
        let (old, _) = client.token_of("lotoai-cli").await.unwrap();
        let with_new = Cell::new(0_u32);
        let (done, ended) = (Cell::new(false), Cell::new(false));
        // Told at the end, so that the key goes first.
        let refused = RefCell::new(Vec::new());
        let asking = async {
            while !done.get() {
                let fresh = match client.token_of("lotoai-cli").await {
                    Ok((fresh, _)) => fresh,
                    Err(error) => {
                        refused.borrow_mut().push(format!("no token: {error}"));
                        continue;
                    }
                };
                for token in [&old, &fresh] {
                    let outcome = ask_with(&client, token).await;
                    if outcome != Ok(StatusCode::OK) {
                        refused.borrow_mut().push(format!("{outcome:?}"));
                    }
                }
                // With some before the key is there, and all of these after it.
                with_new.update(|count| count + u32::from(!have_same_key(&old, &fresh)));
            }
            ended.set(true);
        };
        let rotating = keycloak.with_another_key(async || {
            wait_for(
                "answers under the other key",
                KEY_LIMIT,
                async || match with_new.get() {
                    ROUNDS.. => Ok(()),
                    count => Err(format!("{count}, {:?}", refused.borrow())),
                },
            )
            .await;
            done.set(true);
            // Whoever has a token of the key is not to lose it on the way.
            wait_for("the last answer", KEY_LIMIT, async || {
                let ended = ended.get().then_some(());
                ended.ok_or_else(|| "it is awaited".to_owned())
            })
            .await;
        });
        futures::join!(asking, rotating);
        assert_eq!(refused.into_inner(), [""; 0]);

        let (after, _) = client.token_of("lotoai-cli").await.unwrap();
        assert!(have_same_key(&old, &after), "the other key is still there");
        assert_eq!(ask_with(&client, &after).await, Ok(StatusCode::OK));
    });
}

/// Whether two tokens say that the same key signed them: their heads hold nothing else that differs.
fn have_same_key(one: &str, other: &str) -> bool {
    one.split('.').next() == other.split('.').next()
}

/// What a question with this very token comes to.
async fn ask_with(client: &PublicClient, token: &str) -> Result<StatusCode, String> {
    let question = json!({
        "model": "probe", "messages": [{ "role": "user", "content": "What answers?" }],
    });
    let request = client
        .http()
        .post(format!("{}/v1/chat/completions", client.url()))
        .timeout(Duration::from_secs(30))
        .bearer_auth(token)
        .json(&question);
    let response = request.send().await.map_err(|error| error.to_string())?;
    Ok(response.status())
}

/// A token of Keycloak's own administrator, from the realm that the edge does not show.
async fn administrators_token(platform: &Platform) -> String {
    let secrets: Api<Secret> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    let secret = secrets
        .get(&format!("{NAME}-keycloak-admin"))
        .await
        .unwrap();
    let data = secret.data.unwrap();
    let text = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
    // The generated password is base64url: nothing in it needs an escape.
    let form = format!(
        "grant_type=password&client_id=admin-cli&username={}&password={}",
        text("username"),
        text("password")
    );
    let path = format!(
        "/api/v1/namespaces/{NAMESPACE}/pods/https:{NAME}-keycloak-0:8443/proxy/realms/master/protocol/\
         openid-connect/token"
    );
    let request = http::Request::post(path)
        .header("content-type", "application/x-www-form-urlencoded")
        // That realm wants TLS, which the way through the API server has.
        .header("x-forwarded-proto", "https")
        .body(form.into_bytes())
        .unwrap();
    let answer: Value = platform.kube.request(request).await.unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}
