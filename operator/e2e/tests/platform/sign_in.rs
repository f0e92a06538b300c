//! Who is let in: with the positive control beside every refusal.

use reqwest::StatusCode;

use crate::support::{ready, run};

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
