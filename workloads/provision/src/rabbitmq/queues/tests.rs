use wiremock::matchers::{method, path, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::config::RabbitmqAdmin;
use crate::http::client;

const GATEWAY: &str = "/api/queues/lotoai/gateway";

fn state(state: impl Into<Value>) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "state": state.into() }))
}

/// A broker whose queues run and were there (status 204) or not (201).
async fn broker(declared: u16) -> MockServer {
    let server = MockServer::start().await;
    for (verb, at, answer) in [
        ("GET", "^/api/queues/", state("running")),
        ("PUT", "^/api/queues/", ResponseTemplate::new(declared)),
        ("POST", "^/api/bindings/", ResponseTemplate::new(201)),
    ] {
        Mock::given(method(verb))
            .and(path_regex(at))
            .respond_with(answer)
            .with_priority(9)
            .mount(&server)
            .await;
    }
    server
}

/// The first answers about queue `gateway`.
async fn first(server: &MockServer, times: u64, answer: ResponseTemplate) {
    Mock::given(method("GET"))
        .and(path(GATEWAY))
        .respond_with(answer)
        .up_to_n_times(times)
        .mount(server)
        .await;
}

async fn deleted(server: &MockServer, times: u64) {
    Mock::given(method("DELETE"))
        .and(path(GATEWAY))
        .respond_with(ResponseTemplate::new(204))
        .expect(times)
        .mount(server)
        .await;
}

async fn run(server: &MockServer, start: Duration) -> Result<(), HttpError> {
    let admin = RabbitmqAdmin {
        rabbitmq_url: server.uri().parse().unwrap(),
        rabbitmq_username: "admin".to_owned(),
        rabbitmq_password: "secret".into(),
        rabbitmq_password_standby: None,
        rabbitmq_ca_file: None,
    };
    put(&Api {
        client: client(None).unwrap(),
        admin: &admin,
        vhost: "lotoai",
        start,
    })
    .await
}

/// What was asked about queue `gateway` and its bindings, without the questions for its state.
async fn changes(server: &MockServer) -> Vec<String> {
    let requests = server.received_requests().await.unwrap();
    let changes = requests.iter().filter(|request| {
        request.method.as_str() != "GET" && request.url.path().ends_with("/gateway")
    });
    changes.map(|request| request.method.to_string()).collect()
}

#[tokio::test]
async fn a_queue_whose_statistics_are_late_is_waited_for() {
    let server = broker(204).await;
    first(&server, 1, state(Value::Null)).await;
    deleted(&server, 0).await;
    run(&server, START).await.unwrap();
}

#[tokio::test]
async fn a_queue_that_was_there_without_a_leader_is_made_again_with_its_bindings() {
    let server = broker(204).await;
    first(&server, 1, state(Value::Null)).await;
    deleted(&server, 1).await;
    run(&server, Duration::ZERO).await.unwrap();
    assert_eq!(
        changes(&server).await,
        [
            "PUT", "POST", "POST", "POST", "DELETE", "PUT", "POST", "POST", "POST"
        ]
    );
}

#[tokio::test]
async fn a_queue_that_has_no_leader_when_made_again_is_an_error_that_names_it() {
    let server = broker(204).await;
    first(&server, 2, state("down")).await;
    deleted(&server, 1).await;
    let error = run(&server, Duration::ZERO).await.unwrap_err().to_string();
    assert!(
        error.contains("queue \"gateway\": its state is \"down\""),
        "{error}"
    );
}

#[tokio::test]
async fn a_new_queue_is_left_to_the_next_attempt() {
    let server = broker(201).await;
    first(&server, 1, state(Value::Null)).await;
    deleted(&server, 0).await;
    let error = run(&server, Duration::ZERO).await.unwrap_err().to_string();
    assert!(
        error.contains("its state is \"unknown\" after 0 s"),
        "{error}"
    );
}

#[tokio::test]
async fn a_queue_in_another_state_keeps_its_messages() {
    let server = broker(204).await;
    first(&server, 1, state("minority")).await;
    deleted(&server, 0).await;
    assert!(run(&server, Duration::ZERO).await.is_err());
    let server = broker(204).await;
    first(&server, 1, state("flow")).await;
    deleted(&server, 0).await;
    run(&server, Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_broker_that_fails_meanwhile_costs_no_queue() {
    let server = broker(204).await;
    first(&server, 1, state(Value::Null)).await;
    first(&server, 1, ResponseTemplate::new(503)).await;
    deleted(&server, 0).await;
    let error = run(&server, START).await.unwrap_err();
    assert!(matches!(error, HttpError::Status { .. }), "{error}");
}
