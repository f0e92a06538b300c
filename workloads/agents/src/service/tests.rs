//! The gRPC face: roles, bad requests, and a caller who goes away.

#[path = "../../../orchestrator/src/tests/strangers.rs"]
mod strangers;

use std::time::Duration;

use lotoai_contracts::v1::{self, agents_server::Agents as _};
use lotoai_kit::tls::TlsArgs;
use rstest::rstest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tokio_stream::StreamExt;
use tonic::Code;

use super::*;
use crate::{config::Timeouts, provider::Providers, table::Table};

fn service(table: &str) -> AgentsService {
    let timeouts = Timeouts {
        connect: Duration::from_secs(2),
        head: Duration::from_secs(60),
        first_token: Duration::from_secs(60),
        local_first_token: Duration::from_secs(60),
        between_tokens: Duration::from_secs(60),
        total: Duration::from_secs(60),
    };
    let table = Table::parse(table).unwrap();
    let providers = Providers::open(&table, &timeouts, &TlsArgs::default(), |_| {
        Some("k".to_owned())
    })
    .unwrap();
    let completer = Arc::new(Completer::new(table, providers, timeouts));
    AgentsService::new(completer, TaskTracker::new())
}

fn request(messages: Vec<Message>) -> Request<CompleteRequest> {
    Request::new(CompleteRequest {
        run_id: "r".to_owned(),
        role: "r".to_owned(),
        messages,
        ..CompleteRequest::default()
    })
}

fn message(role: &str) -> Message {
    Message {
        role: role.to_owned(),
        content: "Hello?".to_owned(),
        ..Message::default()
    }
}

/// Sends one piece of text, then waits until the other side closes.
async fn one_piece(mut socket: TcpStream, closed: oneshot::Sender<()>) {
    let mut buffer = [0_u8; 4096];
    let _request = socket.read(&mut buffer).await.unwrap();
    let event = "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n";
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n";
    let answer = format!("{head}\r\n{:x}\r\n{event}\r\n", event.len());
    socket.write_all(answer.as_bytes()).await.unwrap();
    // An error or zero bytes both mean that the connection is gone.
    while matches!(socket.read(&mut buffer).await, Ok(1..)) {}
    closed.send(()).unwrap();
}

#[tokio::test]
async fn the_call_to_the_provider_ends_when_the_caller_goes_away() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (closed, is_closed) = oneshot::channel();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        one_piece(socket, closed).await;
    });
    let service = service(&format!(
        "providers: [{{name: p, kind: Local, baseURL: 'http://{address}'}}]\n\
         roles: [{{name: r, models: [{{provider: p, model: m}}]}}]"
    ));
    let mut stream = service
        .complete(request(vec![message("user")]))
        .await
        .unwrap()
        .into_inner();
    let first = stream.next().await.unwrap().unwrap();
    assert_eq!(first.event, Some(Event::Delta("Hel".to_owned())));
    drop(stream);
    tokio::time::timeout(Duration::from_secs(1), is_closed)
        .await
        .unwrap()
        .unwrap();
    service.tasks.close();
    tokio::time::timeout(Duration::from_secs(5), service.tasks.wait())
        .await
        .unwrap();
}

#[tokio::test]
async fn strangers_are_refused_by_all_methods() {
    let routes = crate::routes(service(TWO_ROLES), &strangers::callers());
    strangers::are_refused_by_all_methods("Agents", &routes).await;
}

const TWO_ROLES: &str = "\
providers:
  - {name: far, kind: OpenAI, apiKeyEnv: KEY}
  - {name: near, kind: Local, baseURL: 'http://127.0.0.1:9'}
roles:
  - {name: a, description: first, models: [{provider: far, model: m}], groups: [staff]}
  - {name: b, models: [{provider: near, model: m}, {provider: far, model: m}]}";

#[tokio::test]
async fn roles_are_listed_with_what_they_can_be_trusted_with() {
    let roles = service(TWO_ROLES)
        .list_roles(Request::new(ListRolesRequest {}))
        .await
        .unwrap();
    let roles = roles.into_inner().roles;
    let seen: Vec<_> = roles.iter().map(|r| (r.name.as_str(), r.capable)).collect();
    assert_eq!(seen, [("a", true), ("b", false)]);
    assert_eq!(
        (roles[0].description.as_str(), roles[0].groups.as_slice()),
        ("first", &["staff".to_owned()][..])
    );
}

#[rstest]
#[case::none(Vec::new(), "messages is empty")]
#[case::speaker(vec![message("robot")], "\"robot\"")]
#[case::many(vec![message("user"); 513], "513")]
#[tokio::test]
async fn a_bad_request_names_the_field(#[case] messages: Vec<Message>, #[case] mentions: &str) {
    let status = service(TWO_ROLES)
        .complete(request(messages))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains(mentions), "{status}");
}

fn declared(name: &str, schema: &str) -> v1::Function {
    v1::Function {
        name: name.to_owned(),
        parameters_json: schema.to_owned(),
        ..v1::Function::default()
    }
}

fn named(name: &str) -> Option<v1::FunctionChoice> {
    let mode = v1::function_choice::Mode::Named.into();
    let name = name.to_owned();
    Some(v1::FunctionChoice { mode, name })
}

#[rstest]
#[case::no_name(vec![declared("", "{}")], None, "name is empty")]
#[case::schema(vec![declared("f", "[]")], None, "\"f\" is not a JSON object")]
#[case::choice(vec![declared("f", "{}")], named("g"), "\"g\", which is not declared")]
#[case::many(vec![declared("f", ""); 129], None, "129")]
#[tokio::test]
async fn bad_functions_name_the_field(
    #[case] declared: Vec<v1::Function>,
    #[case] choice: Option<v1::FunctionChoice>,
    #[case] mentions: &str,
) {
    let mut call = request(vec![message("user")]);
    call.get_mut().functions = Some(v1::Functions {
        declared,
        choice,
        parallel: None,
    });
    let status = service(TWO_ROLES).complete(call).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains(mentions), "{status}");
}

#[tokio::test]
async fn a_bad_schema_of_the_answer_names_the_field() {
    let mut call = request(vec![message("user")]);
    call.get_mut().format = Some(v1::AnswerFormat {
        name: "day".to_owned(),
        schema_json: "[]".to_owned(),
        ..v1::AnswerFormat::default()
    });
    let status = service(TWO_ROLES).complete(call).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let expected = "format.schema_json of \"day\" is not a JSON object";
    assert_eq!(status.message(), expected);
}

#[tokio::test]
async fn a_role_that_knows_no_tools_names_the_field() {
    let table = "providers: [{name: near, kind: Local, baseURL: 'http://127.0.0.1:9'}]\n\
                 roles: [{name: r, models: [{provider: near, model: m}]}]";
    let mut call = request(vec![message("user")]);
    call.get_mut().functions = Some(v1::Functions {
        declared: vec![declared("f", "{}")],
        ..v1::Functions::default()
    });
    let stream = service(table).complete(call).await.unwrap().into_inner();
    let events: Vec<_> = stream
        .map(|event| event.unwrap().event.unwrap())
        .collect()
        .await;
    let [Event::Failed(failed)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(
        (
            failed.code.as_str(),
            failed.param.as_str(),
            failed.retryable
        ),
        ("unsupported_parameter", "tools", false)
    );
}

#[test]
fn how_a_model_is_to_write_reaches_the_one_who_asks_it() {
    let sampling = v1::Sampling {
        stop: vec!["END".to_owned()],
        seed: Some(7),
        ..v1::Sampling::default()
    };
    let mut call = request(vec![message("user")]);
    assert_eq!(
        ask(call.get_ref().clone()).unwrap().sampling,
        v1::Sampling::default()
    );
    call.get_mut().sampling = Some(sampling.clone());
    assert_eq!(ask(call.into_inner()).unwrap().sampling, sampling);
}

#[tokio::test]
async fn a_failure_is_the_last_event() {
    let service = service(TWO_ROLES);
    let mut call = request(vec![message("user")]);
    call.get_mut().role = "nobody".to_owned();
    let stream = service.complete(call).await.unwrap().into_inner();
    let events: Vec<_> = stream
        .map(|event| event.unwrap().event.unwrap())
        .collect()
        .await;
    let [Event::Failed(failed)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(
        (failed.code.as_str(), failed.retryable),
        ("unknown_role", false)
    );
}
