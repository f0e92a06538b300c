//! A model provider with a key: a server of this test, which the platform's pods reach at the
//! host's end of the cluster's link.

use std::net::TcpListener;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use lotoai_e2e::{Platform, PublicClient};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{NAME, NAMESPACE, pods, ready, run, set_spec, wait_for, wait_ready};
use crate::workloads::all_logs;

const SECRET: &str = "far-provider";
/// What the server says to everything, and no model of the platform would.
const ANSWER: &str = "A heron told me so.";

#[test]
fn a_provider_with_a_key_answers_and_the_key_stays_secret() {
    let Ok(instance) = std::env::var("LOTOAI_E2E_INSTANCE") else {
        println!(
            "SKIPPED a_provider_with_a_key_answers_and_the_key_stays_secret: pods of this cluster \
             may not reach this machine"
        );
        return;
    };
    run(|| async move {
        let (platform, client) = ready().await;
        let key = format!("sk-test-{:x}-{NAME}", std::process::id());
        let server = serve(&instance).await;
        let secrets: Api<Secret> = Api::namespaced(platform.kube.clone(), NAMESPACE);
        secrets
            .create(&PostParams::default(), &secret(&key))
            .await
            .unwrap();
        let before = platform.resources().get(NAME).await.unwrap().data["spec"]["agents"].clone();
        let address = server.uri();
        set_spec(&platform, &json!({ "agents": with_provider(&address) })).await;
        // The roles are put back whatever happens here, or later tests would ask this server.
        let outcome = AssertUnwindSafe(used_and_kept(&platform, &client, &server, &key))
            .catch_unwind()
            .await;
        let roles = json!({ "providers": before["providers"], "roles": before["roles"] });
        set_spec(&platform, &json!({ "agents": roles })).await;
        secrets
            .delete(SECRET, &DeleteParams::default())
            .await
            .unwrap();
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
        wait_ready(&platform, Duration::from_secs(300)).await;
        let answer = answered(&client, |text| !text.is_empty() && text != ANSWER).await;
        println!("the local model again: {answer:?}");
    });
}

/// A server that speaks OpenAI's API at an address that pods reach.
async fn serve(instance: &str) -> MockServer {
    let instance = lotoai_local::Instance::new(instance).unwrap();
    let listener = TcpListener::bind((instance.network().host, 0)).unwrap();
    let server = MockServer::builder().listener(listener).start().await;
    let piece = |delta: Value, end: Value| {
        let chunk = json!({
            "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{ "index": 0, "delta": delta, "finish_reason": end }],
        });
        format!("data: {chunk}\n\n")
    };
    let text = piece(json!({ "content": ANSWER }), Value::Null);
    let stream = text + &piece(json!({}), json!("stop")) + "data: [DONE]\n\n";
    Mock::given(method("POST"))
        .and(path("/v1/chat/completions"))
        .respond_with(ResponseTemplate::new(200).set_body_raw(stream, "text/event-stream"))
        .mount(&server)
        .await;
    server
}

fn secret(key: &str) -> Secret {
    serde_json::from_value(json!({
        "metadata": { "name": SECRET }, "stringData": { "apiKey": key },
    }))
    .unwrap()
}

/// `spec.agents` with one role on the server alone: when it answers, the server did.
fn with_provider(address: &str) -> Value {
    let role = |name: &str, provider: &str, model: &str| {
        json!({
            "name": name, "description": "Texts", "prompt": "Be brief.",
            "models": [{ "provider": provider, "model": model }],
        })
    };
    json!({
        "providers": [{
            "name": "far", "kind": "OpenAICompatible", "baseURL": format!("{address}/v1"),
            "apiKeySecretRef": { "name": SECRET },
        }],
        "roles": [
            role("assistant", "local", "smollm2-135m-instruct"),
            role("writer", "far", "m"),
        ],
    })
}

/// Asks role `writer` until `is_right` of the answer: a pod with the former roles may still be
/// asked for a moment.
async fn answered(client: &PublicClient, is_right: impl Fn(&str) -> bool) -> String {
    let question = "Write one sentence about birds.";
    wait_for("an answer", Duration::from_secs(180), async || {
        let answer = client.ask("writer", question).await;
        let text = answer.map_err(|error| error.to_string())?.text;
        if is_right(text.trim()) {
            Ok(text)
        } else {
            Err(text)
        }
    })
    .await
}

async fn used_and_kept(platform: &Platform, client: &PublicClient, server: &MockServer, key: &str) {
    wait_ready(platform, Duration::from_secs(300)).await;
    answered(client, |text| text == ANSWER).await;
    let asked = server.received_requests().await.unwrap();
    assert!(!asked.is_empty());
    for request in &asked {
        let sent = request.headers.get("authorization");
        let sent = sent.and_then(|value| value.to_str().ok());
        assert_eq!(sent, Some(format!("Bearer {key}").as_str()));
    }
    // The log of a pod on its way out may be gone while it is read.
    wait_for("former pods to go", Duration::from_secs(120), async || {
        let all = pods(platform).await;
        let leaving = all
            .iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_some());
        match leaving.count() {
            0 => Ok(()),
            count => Err(format!("{count} pods are leaving")),
        }
    })
    .await;
    for ((component, container), text) in all_logs(platform).await {
        assert!(
            !text.contains(key),
            "the key is in a log of {component} ({container})"
        );
    }
    let object = platform.resources().get(NAME).await.unwrap();
    let object = serde_json::to_string(&object).unwrap();
    assert!(!object.contains(key), "the key is in the resource");
    let maps: Api<ConfigMap> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    for map in maps.list(&ListParams::default()).await.unwrap() {
        let text = serde_json::to_string(&map).unwrap();
        assert!(!text.contains(key), "the key is in {:?}", map.metadata.name);
    }
}
