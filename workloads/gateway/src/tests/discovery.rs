use std::time::Duration;

use clap::Parser as _;
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::keys::{DISCOVERY, ISSUER};
use super::support::config;
use crate::config::{Config, OidcArgs};
use crate::identity::discovery::{Discovery, DiscoveryError, Endpoints, SignOut};
use crate::identity::provider::ProviderHttp;

fn discovery(oidc: &OidcArgs) -> Discovery {
    Discovery::new(oidc, ProviderHttp::new(None).unwrap())
}

/// The managed Keycloak: its issuer is the public URL, and `server` stands for its Service.
fn behind(server: &MockServer) -> OidcArgs {
    config(&server.uri(), "http://127.0.0.1:1").oidc
}

/// An issuer that is reached under its own address.
fn outside(issuer: &str) -> OidcArgs {
    let arguments = [
        "gateway".to_owned(),
        "--oidc-issuer".to_owned(),
        issuer.to_owned(),
        "--oidc-audience=app".to_owned(),
        "--oidc-client-id=app".to_owned(),
        "--oidc-client-secret=s".to_owned(),
    ];
    let others = "--postgres-url=postgres://x/y --postgres-username=u --postgres-password=p \
                  --rabbitmq-url=amqp://x/y --rabbitmq-username=u --rabbitmq-password=p \
                  --s3-url=http://x --s3-bucket=b --s3-username=u --s3-password=p \
                  --orchestrator-url=http://x --orchestrator-token=t \
                  --model-server-url=http://x --model-server-token=m --public-url=https://x \
                  --session-key=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let others = others.split_whitespace().map(str::to_owned);
    Config::try_parse_from(arguments.into_iter().chain(others))
        .unwrap()
        .oidc
}

/// A document of which everything is under `base`.
fn document(issuer: &str, base: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{base}/auth"),
        "token_endpoint": format!("{base}/token"),
        "jwks_uri": format!("{base}/keys"),
        "end_session_endpoint": format!("{base}/logout"),
        "revocation_endpoint": format!("{base}/revoke"),
    })
}

async fn publish(server: &MockServer, at: &str, answer: ResponseTemplate) {
    Mock::given(method("GET"))
        .and(path(at))
        .respond_with(answer)
        .mount(server)
        .await;
}

fn ok(document: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(document)
}

async fn read(oidc: &OidcArgs) -> Result<Endpoints, DiscoveryError> {
    let found = discovery(oidc).endpoints().await?;
    Ok((*found).clone())
}

#[tokio::test]
async fn what_the_gateway_calls_itself_is_moved_behind_the_edge() {
    let server = MockServer::start().await;
    // A Keycloak that gives its public address to everybody.
    publish(&server, DISCOVERY, ok(&document(ISSUER, ISSUER))).await;
    let found = read(&behind(&server)).await.unwrap();
    let inside = format!("{}/realms/lotoai", server.uri());
    assert_eq!(found.authorization.as_str(), format!("{ISSUER}/auth"));
    assert_eq!(found.token.as_str(), format!("{inside}/token"));
    assert_eq!(found.jwks.as_str(), format!("{inside}/keys"));
    let logout = format!("{inside}/logout").parse().unwrap();
    assert_eq!(found.sign_out, Some(SignOut::EndSession(logout)));
    assert!(!found.secret_in_form);
}

#[rstest::rstest]
#[case("")]
#[case("/")]
#[case("/tenant/v2.0")]
#[case("/tenant/")]
#[tokio::test]
async fn an_issuer_outside_is_taken_letter_by_letter(#[case] place: &str) {
    let server = MockServer::start().await;
    let issuer = format!("{}{place}", server.uri());
    let at = format!(
        "{}/.well-known/openid-configuration",
        place.trim_end_matches('/')
    );
    // Endpoints of some providers are on other hosts.
    let mut said = document(&issuer, "https://login.example.org/x");
    said["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]);
    publish(&server, &at, ok(&said)).await;
    let found = read(&outside(&issuer)).await.unwrap();
    assert_eq!(found.token.as_str(), "https://login.example.org/x/token");
    let revoke = "https://login.example.org/x/revoke".parse().unwrap();
    assert_eq!(found.sign_out, Some(SignOut::Revoke(revoke)));
    assert!(found.secret_in_form);
}

#[tokio::test]
async fn where_to_sign_out_need_not_be_said() {
    let server = MockServer::start().await;
    let mut said = document(ISSUER, ISSUER);
    said.as_object_mut().unwrap().remove("end_session_endpoint");
    publish(&server, DISCOVERY, ok(&said)).await;
    assert_eq!(read(&behind(&server)).await.unwrap().sign_out, None);
}

#[rstest::rstest]
#[case::refused(ResponseTemplate::new(500), "failed to read")]
#[case::not_json(ResponseTemplate::new(200).set_body_string("<html>"), "failed to understand")]
#[case::lacks_parts(ok(&json!({ "issuer": ISSUER })), "failed to understand")]
#[case::too_large(ResponseTemplate::new(200).set_body_bytes(vec![b' '; 300 * 1024]), "longer than")]
#[case::redirect(
    ResponseTemplate::new(302).insert_header("location", "https://evil.example.org/"),
    "failed to read"
)]
#[case::wrong_issuer(ok(&document("https://evil.example.org", ISSUER)), "calls itself")]
#[case::issuer_with_a_slash(ok(&document(&format!("{ISSUER}/"), ISSUER)), "calls itself")]
#[case::plain_http(ok(&document(ISSUER, "http://ai.example.org/realms/lotoai")), "is not an https")]
#[case::no_url(ok(&document(ISSUER, "")), "is not an https")]
#[case::another_realm(ok(&document(ISSUER, &ISSUER.replace("https", "http"))), "is not an https")]
#[tokio::test]
async fn a_document_that_cannot_be_used_says_why(
    #[case] answer: ResponseTemplate,
    #[case] why: &str,
) {
    let server = MockServer::start().await;
    publish(&server, DISCOVERY, answer).await;
    let error = read(&behind(&server)).await.unwrap_err();
    let message = crate::error::chain(&error);
    assert!(message.contains(why), "{message}");
}

#[tokio::test]
async fn an_issuer_that_is_away_is_asked_again_after_a_pause() {
    let oidc = outside("http://127.0.0.1:1");
    let discovery = discovery(&oidc);
    let first = discovery.endpoints().await.unwrap_err();
    assert!(matches!(first, DiscoveryError::Fetch { .. }), "{first:?}");
    let second = discovery.endpoints().await.unwrap_err();
    assert!(matches!(second, DiscoveryError::Again { .. }), "{second:?}");
    assert_eq!(second.to_string(), crate::error::chain(&first));
}

#[tokio::test]
async fn what_was_read_is_kept_and_outlives_the_provider() {
    let server = MockServer::start().await;
    publish(&server, DISCOVERY, ok(&document(ISSUER, ISSUER))).await;
    let discovery = discovery(&behind(&server));
    let first = discovery.endpoints().await.unwrap();
    server.reset().await;
    assert_eq!(discovery.endpoints().await.unwrap(), first);
    assert!(server.received_requests().await.unwrap().is_empty());
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(601)).await;
    tokio::time::resume();
    assert_eq!(discovery.endpoints().await.unwrap(), first);
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}
