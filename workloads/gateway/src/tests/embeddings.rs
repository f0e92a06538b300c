//! `POST /v1/embeddings`: who may, what is taken, and what is made of what the model server says.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use wiremock::MockServer;

use super::api_keys::{bearing, key};
use super::model_server::{self, MODEL, NO_TOKEN, asked};
use super::support::{Gateway, Parts, Reply};
use super::{orchestrator, postgres};
use crate::domain::embedding_request::MAX_BODY_BYTES;

const PATH: &str = "/v1/embeddings";

/// A gateway without a database: nothing counts in a budget.
async fn gateway() -> (Gateway, MockServer) {
    let server = model_server::start().await;
    let parts = Parts {
        model_server: server.uri(),
        ..Parts::default()
    };
    (Gateway::start(parts).await, server)
}

/// One with a database.
async fn stored() -> Option<(postgres::Database, Gateway, MockServer)> {
    let server = model_server::start().await;
    let (orchestrator, _) = orchestrator::start().await;
    let parts = Parts {
        orchestrator,
        model_server: server.uri(),
        ..Parts::default()
    };
    let (database, gateway) = Gateway::stored(parts).await?;
    Some((database, gateway, server))
}

fn with(mut request: Request<Body>, body: &Value) -> Request<Body> {
    *request.body_mut() = Body::from(body.to_string());
    request
}

async fn embed(gateway: &Gateway, more: Value) -> Reply {
    let mut body = json!({ "model": MODEL, "input": "a" });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let request = gateway.request(Method::POST, PATH, "ana");
    gateway.send(with(request, &body)).await
}

#[tokio::test]
async fn vectors_are_given_as_the_model_server_wrote_them() {
    let (gateway, server) = gateway().await;
    let reply = embed(&gateway, json!({ "input": "¿Cuántos?" })).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert_eq!(reply.header("content-type"), "application/json");
    let list = reply.json();
    assert_eq!(
        (&list["object"], &list["model"]),
        (&json!("list"), &json!(MODEL))
    );
    assert_eq!(list["data"][0]["embedding"], json!([1.0, 0.0]));
    assert_eq!(list["usage"]["prompt_tokens"], model_server::TOKENS);

    let more = json!({ "input": ["a", "b"], "encoding_format": "base64", "user": "u" });
    let list = embed(&gateway, more).await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    assert_eq!(list["data"][1]["embedding"], "AACAPwAAAAA=");
    let expected = [
        json!({ "model": MODEL, "input": ["¿Cuántos?"], "encoding_format": "float" }),
        json!({ "model": MODEL, "input": ["a", "b"], "encoding_format": "base64" }),
    ];
    assert_eq!(asked(&server).await, expected, "and no word of the caller");
}

#[rstest::rstest]
#[case(json!({"model": "lotoai"}), 404, "model_not_found", "model")]
#[case(json!({"model": "text-embedding-3-small"}), 404, "model_not_found", "model")]
#[case(json!({"input": [1, -2]}), 400, "invalid_value", "input[1]")]
#[case(json!({"input": [[1], []]}), 400, "invalid_value", "input[1]")]
#[case(json!({"input": vec!["a"; 2049]}), 400, "invalid_value", "input")]
#[case(json!({"texts": "a"}), 400, "unknown_parameter", "texts")]
#[tokio::test]
async fn what_cannot_be_meant_is_refused_before_anybody_is_asked(
    #[case] more: Value,
    #[case] status: u16,
    #[case] code: &str,
    #[case] param: &str,
) {
    let (gateway, server) = gateway().await;
    let reply = embed(&gateway, more).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (status, code)
    );
    assert_eq!(reply.json()["error"]["param"], param);
    assert!(asked(&server).await.is_empty());
}

#[rstest::rstest]
#[case::texts(json!(vec!["a"; 600]), json!("a"))]
#[case::tokens(json!(vec![[15_339, 1_917]; 600]), json!([15_339, 1_917]))]
#[tokio::test]
async fn more_inputs_than_the_model_server_takes_go_in_batches(
    #[case] input: Value,
    #[case] each: Value,
) {
    let (gateway, server) = gateway().await;
    let reply = embed(&gateway, json!({ "input": input })).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let list = reply.json();
    let data = list["data"].as_array().unwrap().iter();
    assert!(
        data.clone()
            .all(|one| one["embedding"] == json!([1.0, 0.0]))
    );
    let places: Vec<u64> = data.map(|one| one["index"].as_u64().unwrap()).collect();
    assert_eq!(places, (0..600).collect::<Vec<_>>());
    let tokens = 600 * model_server::TOKENS;
    assert_eq!(
        list["usage"],
        json!({ "prompt_tokens": tokens, "total_tokens": tokens })
    );
    // The fake says of the first text of each call that it was longer than the model reads.
    assert_eq!(list["truncated"], json!([0, 256, 512]));
    let asked = asked(&server).await;
    let sizes: Vec<_> = asked
        .iter()
        .map(|it| it["input"].as_array().unwrap())
        .collect();
    let sizes: Vec<_> = sizes.iter().map(|it| (it.len(), &it[0])).collect();
    assert_eq!(sizes, [(256, &each), (256, &each), (88, &each)]);
}

#[rstest::rstest]
#[case::one(json!([15_339, NO_TOKEN]), "input[1]")]
#[case::several(json!([[15_339], [15_339, NO_TOKEN]]), "input[1][1]")]
#[tokio::test]
async fn a_number_that_is_no_token_is_named_as_it_was_sent(
    #[case] input: Value,
    #[case] param: &str,
) {
    let (gateway, _server) = gateway().await;
    let reply = embed(&gateway, json!({ "input": input })).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{reply:?}");
    let error = &reply.json()["error"];
    assert_eq!(error["param"], param);
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with(&format!("{param} is")), "{message}");
}

#[tokio::test]
async fn a_body_that_is_too_long_or_no_json_is_refused() {
    let (gateway, server) = gateway().await;
    let send = async |body: Vec<u8>| {
        let mut request = gateway.request(Method::POST, PATH, "ana");
        *request.body_mut() = Body::from(body);
        let reply = gateway.send(request).await;
        (reply.status.as_u16(), reply.code())
    };
    let too_long = send(vec![b' '; MAX_BODY_BYTES + 1]).await;
    assert_eq!(too_long, (413, "request_too_large".to_owned()));
    let broken = send(br#"{"model": "#.to_vec()).await;
    assert_eq!(broken, (400, "invalid_json".to_owned()));
    assert!(asked(&server).await.is_empty());
}

#[tokio::test]
async fn dimensions_that_the_model_does_not_make_are_refused() {
    let (gateway, _server) = gateway().await;
    let reply = embed(&gateway, json!({ "dimensions": 256 })).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::BAD_REQUEST, "invalid_value")
    );
    assert_eq!(reply.json()["error"]["param"], "dimensions");
    // The control: its own are taken.
    let own = json!({ "dimensions": model_server::DIMENSIONS });
    assert_eq!(embed(&gateway, own).await.status, StatusCode::OK);
}

#[rstest::rstest]
#[case("busy", 429, "overloaded", "2")]
#[case("fails", 503, "model_server_unavailable", "2")]
#[case("stranger", 503, "model_server_unavailable", "2")]
#[case("short", 502, "answer_incomplete", "")]
#[case("nonsense", 502, "answer_incomplete", "")]
#[tokio::test]
async fn a_model_server_that_does_not_answer_well_is_a_typed_failure(
    #[case] text: &str,
    #[case] status: u16,
    #[case] code: &str,
    #[case] retry_after: &str,
) {
    let (gateway, _server) = gateway().await;
    let reply = embed(&gateway, json!({ "input": text })).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (status, code)
    );
    assert_eq!(reply.header("retry-after"), retry_after);
    assert!(!reply.body.contains("10.0.0.7"), "{reply:?}");
}

#[tokio::test]
async fn without_the_model_server_there_are_no_vectors_and_all_else_goes_on() {
    let gateway = Gateway::start(Parts::default()).await;
    let reply = embed(&gateway, json!({})).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "model_server_unavailable")
    );
    assert_eq!(gateway.get("/api/me", "ana").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_key_needs_the_scope_and_the_model() {
    let Some((_database, gateway, server)) = stored().await else {
        return;
    };
    let send = async |key: &str, model: &str| {
        let body = json!({ "model": model, "input": "a" });
        gateway
            .send(with(bearing(Method::POST, PATH, key), &body))
            .await
    };
    let chat = key(&gateway, "ana", &[], &json!({ "name": "chat" })).await;
    let reply = send(&chat, MODEL).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::FORBIDDEN, "key_scope_missing")
    );
    assert!(reply.body.contains("scope embeddings"), "{reply:?}");
    let other = json!({ "name": "o", "scopes": ["embeddings"], "models": ["writer"] });
    let other = key(&gateway, "ana", &[], &other).await;
    let (there, not) = (send(&other, MODEL).await, send(&other, "nobody").await);
    assert_eq!(there.code(), "model_not_found");
    assert_eq!((there.status, &there.body), (not.status, &not.body));
    assert!(asked(&server).await.is_empty());
    // The control.
    let good = json!({ "name": "g", "scopes": ["embeddings"], "models": [MODEL] });
    let good = key(&gateway, "ana", &[], &good).await;
    assert_eq!(send(&good, MODEL).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_model_is_listed_for_whoever_may_use_it() {
    let Some((_database, gateway, _server)) = stored().await else {
        return;
    };
    let listed = async |request: Request<Body>| -> Vec<(String, String)> {
        let list = gateway.send(request).await.json();
        let models = list["data"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        models
            .map(|model| (text(&model["id"]), text(&model["type"])))
            .collect()
    };
    let pair = |id: &str, kind: &str| (id.to_owned(), kind.to_owned());
    let answering = [pair("lotoai", "chat"), pair("writer", "chat")];
    let all = [&answering[..], &[pair(MODEL, "embedding")]].concat();
    let person = gateway.request(Method::GET, "/v1/models", "ana");
    assert_eq!(listed(person).await, all);
    let chat = key(&gateway, "ana", &[], &json!({ "name": "chat" })).await;
    let of_chat = bearing(Method::GET, "/v1/models", &chat);
    assert_eq!(listed(of_chat).await, answering);
    let both = json!({ "name": "both", "scopes": ["chat", "embeddings"] });
    let both = key(&gateway, "ana", &[], &both).await;
    assert_eq!(listed(bearing(Method::GET, "/v1/models", &both)).await, all);

    // What a key is for is what it finds, and a key for something else finds nothing.
    let embed = json!({ "name": "embed", "scopes": ["embeddings"] });
    let embed = key(&gateway, "ana", &[], &embed).await;
    let of_embed = bearing(Method::GET, "/v1/models", &embed);
    assert_eq!(listed(of_embed).await, [pair(MODEL, "embedding")]);
    let files = json!({ "name": "files", "scopes": ["documents:read"] });
    let files = key(&gateway, "ana", &[], &files).await;
    let of_files = bearing(Method::GET, "/v1/models", &files);
    assert!(listed(of_files).await.is_empty());

    let path = format!("/v1/models/{MODEL}");
    let shown = gateway.get(&path, "ana").await.json();
    assert_eq!(shown["type"], "embedding");
    let shown = gateway.send(bearing(Method::GET, &path, &embed)).await;
    assert_eq!(shown.json()["type"], "embedding");
    let role = bearing(Method::GET, "/v1/models/writer", &embed);
    assert_eq!(gateway.send(role).await.code(), "model_not_found");
    let hidden = gateway.send(bearing(Method::GET, &path, &chat)).await;
    assert_eq!(hidden.code(), "model_not_found");
}

#[tokio::test]
async fn a_request_that_is_sent_again_asks_nobody_again() {
    let Some((_database, gateway, server)) = stored().await else {
        return;
    };
    let send = async || {
        let mut request = gateway.request(Method::POST, PATH, "ana");
        let again = "vectors-that-are-wanted-once".parse().unwrap();
        request.headers_mut().insert("idempotency-key", again);
        let body = json!({ "model": MODEL, "input": "a" });
        gateway.send(with(request, &body)).await
    };
    let (first, again) = (send().await, send().await);
    assert_eq!(first.status, StatusCode::OK, "{first:?}");
    assert_eq!(first.body, again.body);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(asked(&server).await.len(), 1);
}
