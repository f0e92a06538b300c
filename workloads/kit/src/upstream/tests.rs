use clap::Parser;
use wiremock::matchers::{header, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

#[derive(Debug, Parser)]
struct Config {
    #[command(flatten)]
    agents: AgentsArgs,
    #[command(flatten)]
    rag_server: RagServerArgs,
}

fn config() -> Config {
    Config::try_parse_from([
        "test",
        "--agents-url=http://agents:50051",
        "--agents-token=agents-token",
        "--rag-server-url=http://rag:50051",
        "--rag-server-token=rag-token",
    ])
    .unwrap()
}

#[test]
fn two_services_in_one_configuration_do_not_mix() {
    let config = config();
    assert_eq!(config.agents.url.host_str(), Some("agents"));
    assert_eq!(config.rag_server.url.host_str(), Some("rag"));
    assert_eq!(config.rag_server.token.expose_secret(), "rag-token");
}

#[test]
fn a_missing_variable_is_named_as_it_is_set() {
    let error = Config::try_parse_from(["test"]).unwrap_err();
    let text = crate::config_error::describe(&<Config as clap::CommandFactory>::command(), &error);
    for variable in [
        "AGENTS_URL",
        "AGENTS_TOKEN",
        "RAG_SERVER_URL",
        "RAG_SERVER_TOKEN",
    ] {
        assert!(
            text.contains(&format!("{variable} is not set; set it")),
            "{text}"
        );
    }
}

#[test]
fn an_idle_connection_is_given_up_before_a_server_that_stops_may_close_it() {
    assert!(IDLE_TIMEOUT < crate::Limits::default().quiet);
}

#[test]
fn a_token_is_never_printed() {
    let config = config();
    let printed = format!(
        "{config:?} {:?}",
        bearer(&config.agents.url, &config.agents.token)
    );
    assert!(!printed.contains("agents-token"), "{printed}");
}

#[tokio::test]
async fn every_http_request_carries_the_token_and_redirects_are_not_followed() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(header("authorization", "Bearer t0ken"))
        .respond_with(ResponseTemplate::new(302).insert_header("location", "http://elsewhere/"))
        .expect(1)
        .mount(&server)
        .await;
    let url: Url = server.uri().parse().unwrap();
    let client = http_client(&url, &"t0ken".into(), &TlsArgs::default()).unwrap();
    assert_eq!(client.get(url).send().await.unwrap().status(), 302);
}

#[test]
fn a_token_that_cannot_stand_in_a_header_is_an_error_that_does_not_show_it() {
    let url: Url = "http://agents:50051".parse().unwrap();
    let error = http_client(&url, &"line\nbreak".into(), &TlsArgs::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("visible ASCII"), "{error}");
    assert!(!error.contains("break"), "{error}");
}

#[cfg(feature = "grpc")]
#[tokio::test]
async fn a_channel_is_made_without_a_server_and_adds_the_token() {
    use tonic::service::Interceptor;

    grpc_channel(
        &"http://127.0.0.1:1".parse().unwrap(),
        &"t0ken".into(),
        &TlsArgs::default(),
    )
    .unwrap();
    let mut value: tonic::metadata::AsciiMetadataValue = "Bearer t0ken".parse().unwrap();
    value.set_sensitive(true);
    let request = Bearer { value }.call(tonic::Request::new(())).unwrap();
    assert_eq!(
        request.metadata().get("authorization").unwrap(),
        "Bearer t0ken"
    );
}
