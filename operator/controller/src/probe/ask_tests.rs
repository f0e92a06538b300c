use std::sync::Arc;

use lotoai_testing::{Authority, Issued};
use rstest::rstest;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use wiremock::matchers::{body_partial_json, body_string_contains, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::error::chain;

const TOKEN_PATH: &str = "/realms/lotoai/protocol/openid-connect/token";

fn target(server: &MockServer) -> Target {
    // Plain HTTP keeps the test about the conversation; certificates are the library's business.
    Target {
        question: ProbeQuestion {
            url: "http://ai.example:8443".to_owned(),
            edge_host: server.address().ip().to_string(),
            edge_port: server.address().port(),
            token_path: Some(TOKEN_PATH),
            path: "/v1/chat/completions",
            model: "probe",
            credential_secret: "demo-operator-traefik".to_owned(),
            tls_secret: "demo-tls".to_owned(),
            self_signed: true,
        },
        roots: String::new(),
        proof: Proof::Client {
            token_path: TOKEN_PATH,
            id: "lotoai-probe".to_owned(),
            secret: "s3cret".to_owned(),
            standby: None,
        },
    }
}

/// The same with these secrets of the client.
fn target_with(server: &MockServer, secret: &str, standby: Option<&str>) -> Target {
    Target {
        proof: Proof::Client {
            token_path: TOKEN_PATH,
            id: "lotoai-probe".to_owned(),
            secret: secret.to_owned(),
            standby: standby.map(str::to_owned),
        },
        ..target(server)
    }
}

async fn platform(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path(TOKEN_PATH))
        .and(header("host", "ai.example:8443"))
        .and(body_string_contains("grant_type=client_credentials"))
        .and(body_string_contains("client_id=lotoai-probe"))
        .and(body_string_contains("client_secret=s3cret"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "access_token": "t0ken" })))
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .and(path("/v1/chat/completions"))
        .and(header("host", "ai.example:8443"))
        .and(header("authorization", "Bearer t0ken"))
        .and(body_partial_json(
            json!({ "model": "probe", "store": false }),
        ))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

fn answer(content: &str, citations: usize) -> ResponseTemplate {
    let citations: Vec<_> = (1..=citations)
        .map(|number| json!({ "number": number }))
        .collect();
    ResponseTemplate::new(200).set_body_json(json!({
        "choices": [{ "message": { "role": "assistant", "content": content } }],
        "lotoai": { "citations": citations },
    }))
}

#[tokio::test]
async fn an_answer_with_a_citation_is_good() {
    let server = platform(answer("With citations [1].", 1)).await;
    Https.ask(&target(&server)).await.unwrap();
}

#[tokio::test]
async fn a_token_that_the_gateway_knows_is_sent_as_it_is() {
    let server = platform(answer("With citations [1].", 1)).await;
    let target = Target {
        proof: Proof::Token("t0ken".to_owned()),
        ..target(&server)
    };
    Https.ask(&target).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1, "no token is asked for");
}

/// A platform whose Keycloak knows the client by `s3cret` and meets any other with this status.
async fn strict(status: u16) -> MockServer {
    let server = platform(answer("With citations [1].", 1)).await;
    let refusal = json!({ "error": "invalid_client", "error_description": "Invalid client" });
    Mock::given(path(TOKEN_PATH))
        .respond_with(ResponseTemplate::new(status).set_body_json(refusal))
        .with_priority(9)
        .mount(&server)
        .await;
    server
}

#[rstest]
#[case::the_first_is_known("s3cret", Some("0ther"), 2)]
#[case::the_other_is_known("0ther", Some("s3cret"), 3)]
#[tokio::test]
async fn a_client_whose_secret_is_made_anew_is_known_by_either(
    #[case] secret: &str,
    #[case] standby: Option<&str>,
    #[case] requests: usize,
    #[values(400, 401)] refusal: u16,
) {
    let server = strict(refusal).await;
    let target = target_with(&server, secret, standby);
    Https.ask(&target).await.unwrap();
    assert_eq!(server.received_requests().await.unwrap().len(), requests);
}

#[rstest]
#[case::there_is_no_other(401, "0ther", None, 1)]
#[case::neither_is_known(401, "0ther", Some("an0ther"), 2)]
#[case::it_is_no_refusal(503, "0ther", Some("s3cret"), 1)]
#[tokio::test]
async fn a_client_that_is_not_known_is_a_failure(
    #[case] status: u16,
    #[case] secret: &str,
    #[case] standby: Option<&str>,
    #[case] requests: usize,
) {
    let server = strict(status).await;
    let target = target_with(&server, secret, standby);
    let error = chain(&Https.ask(&target).await.unwrap_err());
    assert!(
        error.contains("get a token") && error.contains(&status.to_string()),
        "{error}"
    );
    assert!(
        !error.contains("0ther") && !error.contains("s3cret"),
        "{error}"
    );
    assert_eq!(server.received_requests().await.unwrap().len(), requests);
}

#[rstest]
#[case::empty(answer("  ", 1), "the answer is empty")]
#[case::no_citation(answer("Hello.", 0), "the answer cites no passage")]
#[case::no_json(ResponseTemplate::new(200).set_body_string("<html>"), "not the JSON that was expected")]
#[case::openai_error(
    ResponseTemplate::new(503).set_body_json(json!({ "error": { "message": "orchestrator is away" } })),
    "HTTP 503 Service Unavailable: orchestrator is away"
)]
#[case::plain_error(ResponseTemplate::new(502).set_body_string("Bad\n Gateway"), "HTTP 502 Bad Gateway: Bad Gateway")]
#[case::too_large(ResponseTemplate::new(200).set_body_string("x".repeat(MAX_BODY + 1)), "larger than")]
#[tokio::test]
async fn anything_else_is_a_failure_that_says_why(
    #[case] response: ResponseTemplate,
    #[case] cause: &str,
) {
    let server = platform(response).await;
    let error = chain(&Https.ask(&target(&server)).await.unwrap_err());
    assert!(error.contains(cause), "{cause:?} is not in {error:?}");
    assert!(
        !error.contains("t0ken") && !error.contains("s3cret"),
        "{error}"
    );
}

#[tokio::test]
async fn a_refused_client_names_the_step() {
    let server = MockServer::start().await;
    Mock::given(path(TOKEN_PATH))
        .respond_with(ResponseTemplate::new(401).set_body_json(
            json!({ "error": "unauthorized_client", "error_description": "Invalid client" }),
        ))
        .mount(&server)
        .await;
    let error = chain(&Https.ask(&target(&server)).await.unwrap_err());
    assert!(
        error.contains("get a token") && error.contains("401") && error.contains("Invalid client"),
        "{error}"
    );
}

#[tokio::test]
async fn an_edge_that_is_away_is_a_failure() {
    let server = MockServer::start().await;
    let mut gone = target(&server);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    gone.question.edge_port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = chain(&Https.ask(&gone).await.unwrap_err());
    assert!(error.contains("get a token"), "{error}");
}

/// An edge that shows this certificate, with nobody behind it.
async fn showing(issued: &Issued) -> SocketAddr {
    let certificate = CertificateDer::from(issued.der.clone());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(issued.key_der.clone()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(acceptor.accept(stream).await);
        }
    });
    address
}

/// As the Secret of the edge holds it: `ca.crt`, then `tls.crt`.
fn held(authority: Option<&Authority>, issued: &Issued) -> String {
    let authority = authority.map(Authority::pem).unwrap_or_default();
    format!("{authority}\n{}", issued.pem)
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_names_the_secret_and_what_to_put_there() {
    let (authority, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let issued = authority.issue(&["ai.example"]).unwrap();
    let edge = showing(&issued).await;
    let mut target = target(&MockServer::start().await);
    target.proof = Proof::Token("t0ken".to_owned());
    target.question = ProbeQuestion {
        url: "https://ai.example".to_owned(),
        edge_host: edge.ip().to_string(),
        edge_port: edge.port(),
        self_signed: false,
        ..target.question
    };
    let ask = async |roots: String| {
        let target = Target {
            roots,
            ..target.clone()
        };
        chain(&Https.ask(&target).await.unwrap_err())
    };
    let alone = ask(held(None, &issued)).await;
    assert!(
        alone.contains("nothing in Secret \"demo-tls\" vouches") && alone.contains("as ca.crt"),
        "{alone}"
    );
    // An authority of the same name with another key.
    let another = ask(held(Some(&other), &issued)).await;
    assert!(
        another.contains("nothing in Secret \"demo-tls\" vouches")
            && another.contains("its ca.crt is not the authority"),
        "{another}"
    );
    // The control: who is vouched for is believed, and says nothing here.
    let believed = ask(held(Some(&authority), &issued)).await;
    assert!(
        believed.contains("failed to get an answer") && !believed.contains("vouches"),
        "{believed}"
    );
}
