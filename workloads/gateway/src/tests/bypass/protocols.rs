//! What one protocol checked and another did not.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use lotoai_contracts::METHODS;
use lotoai_contracts::v1::ListModelsRequest;
use lotoai_contracts::v1::orchestrator_client::OrchestratorClient;
use serde_json::{Value, json};
use tonic::transport::Endpoint;

use crate::identity::token::now;
use crate::tests::api_keys::key;
use crate::tests::budgets::question;
use crate::tests::conversations::talk;
use crate::tests::keys::{Signer, claims};
use crate::tests::orchestrator;
use crate::tests::support::{Gateway, Parts, Reply};

/// What services of gRPC have beside methods of their own.
const COMMON: [&str; 2] = [
    "/grpc.health.v1.Health/Check",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];
/// Routes of the gateway: those that lead to a method of the orchestrator, and others.
const ROUTES: [&str; 8] = [
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/models",
    "/api/approvals",
    "/api/approvals/0191f0c4-0000-7000-8000-000000000001",
    "/api/me",
    "/auth/login",
    "/",
];

/// Asks an address for its models over gRPC, as an orchestrator is asked.
async fn models_of(address: &str, token: &str) -> Result<usize, tonic::Status> {
    let endpoint = Endpoint::from_shared(address.to_owned()).unwrap();
    let channel = endpoint.connect().await.unwrap();
    let mut request = tonic::Request::new(ListModelsRequest { caller: None });
    let token = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", token);
    let mut client = OrchestratorClient::new(channel);
    let models = client.list_models(request).await?;
    Ok(models.into_inner().models.len())
}

/// There is no second protocol on the gateway's port that could know other rules.
#[tokio::test]
async fn cve_2026_27111_grpc_is_never_served() {
    let (orchestrator, _) = orchestrator::start().await;
    let parts = Parts {
        orchestrator: orchestrator.clone(),
        ..Parts::default()
    };
    let gateway = Gateway::start(parts).await;
    let admin = gateway.signer.token("root", &["admins"]);
    assert!(METHODS.contains(&"/lotoai.v1.Orchestrator/Answer"));
    let paths = METHODS.iter().copied();
    for path in paths.chain(COMMON).chain(ROUTES) {
        for kind in [
            "application/grpc",
            "application/grpc+proto",
            "application/grpc-web",
            "application/grpc-web-text",
            "application/connect+proto",
        ] {
            for token in [None, Some(&admin)] {
                let mut request = Request::builder()
                    .method(Method::POST)
                    .uri(path)
                    .header("content-type", kind)
                    .header("te", "trailers");
                if let Some(token) = token {
                    request = request.header("authorization", format!("Bearer {token}"));
                }
                // An empty message.
                let request = request.body(Body::from(&b"\0\0\0\0\0"[..])).unwrap();
                let reply = gateway.send(request).await;
                assert!(reply.status.is_client_error(), "{path} {kind}: {reply:?}");
                assert!(!reply.headers.contains_key("grpc-status"), "{path} {kind}");
                let answered = reply.header("content-type");
                assert!(!answered.contains("grpc"), "{path} {kind}: {answered}");
            }
        }
    }
    // And by a client of gRPC over a real connection.
    let (address, _server) = gateway.serve().await;
    for token in [admin.as_str(), "t"] {
        let refused = models_of(&format!("http://{address}"), token).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    // The control: where it is served the same client is answered.
    assert_eq!(models_of(&orchestrator, "t").await.unwrap(), 2);
}

/// The same question to an API by its name.
async fn ask(gateway: &Gateway, api: &str, token: Option<&str>, more: &Value) -> Reply {
    let mut body: Value = serde_json::from_str(&question("lotoai", more)).unwrap();
    if api == "/v1/responses" {
        let fields = body.as_object_mut().unwrap();
        fields.remove("messages");
        fields.remove("max_tokens");
        fields.insert("input".to_owned(), json!("¿Cuántos?"));
        if let Some(metadata) = fields.remove("metadata") {
            let id = metadata["conversation_id"].clone();
            fields.insert("conversation".to_owned(), id);
        }
    }
    let mut request = Request::builder().method(Method::POST).uri(api);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Body::from(body.to_string())).unwrap();
    gateway.send(request).await
}

/// Two ways to ask the same, with one rule on who may.
#[tokio::test]
async fn cve_2026_27111_chat_and_responses_refuse_the_same_callers() {
    let Some((server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let made = async |fields: Value| key(&gateway, "ana", &[], &fields).await;
    let chat = made(json!({ "name": "chat" })).await;
    let reader = made(json!({ "name": "reader", "scopes": ["conversations:read"] })).await;
    let embeds = made(json!({ "name": "embeds", "scopes": ["embeddings"] })).await;
    let writer = made(json!({ "name": "writer", "models": ["writer"] })).await;
    let ended = made(json!({ "name": "ended" })).await;
    sqlx::query("update api_keys set expires_at = now() where name = 'ended'")
        .execute(&server.pool())
        .await
        .unwrap();
    let signed = |field: &str, value: Value| {
        let mut claims = claims("ana");
        claims[field] = value;
        gateway.signer.sign(&claims)
    };
    let hers = talk(&gateway, "ana", &json!({})).await;
    let before = seen.count();
    let new = json!({});
    let goes_on = json!({ "store": true, "metadata": { "conversation_id": hers } });
    let eve = gateway.signer.token("eve", &["admins"]);
    let refused = [
        ("nobody", None, &new),
        ("no token", Some("x".to_owned()), &new),
        ("an old token", Some(signed("exp", json!(now() - 60))), &new),
        (
            "another audience",
            Some(signed("aud", json!("account"))),
            &new,
        ),
        ("an ID token", Some(signed("typ", json!("ID"))), &new),
        (
            "another signer",
            Some(Signer::ec("key-1").token("ana", &[])),
            &new,
        ),
        ("a key that ended", Some(ended), &new),
        ("a key to read", Some(reader), &new),
        ("a key to embed", Some(embeds), &new),
        ("a key for another model", Some(writer), &new),
        ("somebody else's conversation", Some(eve), &goes_on),
        ("a key that may not read it", Some(chat.clone()), &goes_on),
    ];
    for (caller, token, more) in &refused {
        let by_chat = ask(&gateway, "/v1/chat/completions", token.as_deref(), more).await;
        let by_responses = ask(&gateway, "/v1/responses", token.as_deref(), more).await;
        assert!(by_chat.status.is_client_error(), "{caller}: {by_chat:?}");
        assert_eq!(
            (by_chat.status, by_chat.code()),
            (by_responses.status, by_responses.code()),
            "{caller}"
        );
    }
    assert_eq!(seen.count(), before, "no model was asked for any of them");
    // The controls: who may, may by both.
    let ana = gateway.signer.token("ana", &[]);
    for (token, more) in [(&ana, &new), (&ana, &goes_on), (&chat, &new)] {
        for api in ["/v1/chat/completions", "/v1/responses"] {
            let reply = ask(&gateway, api, Some(token.as_str()), more).await;
            assert_eq!(reply.status, StatusCode::OK, "{api}: {reply:?}");
        }
    }
    gateway.settle().await;
}
