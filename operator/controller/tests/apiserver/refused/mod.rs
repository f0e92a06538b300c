//! Resources that cannot be carried out: at least nine of ten are refused by `kubectl apply`, and a
//! condition names the field of each of the others.

mod access;
mod edge;
mod pods;
mod stores;
mod workloads;

use std::sync::Arc;
use std::time::Duration;

use kube::api::PostParams;
use lotoai_api::LotoAIStatus;
use serde_json::{Value, json};

use crate::schema::{lotos, resource};
use crate::server;
use crate::world::{Answering, World, wait_for};

/// How long the operator may take to say what is wrong.
const SOON: Duration = Duration::from_secs(10);

/// What is wrong, the spec (with a good `url` if it has none), and a text of the message.
type Broken = (&'static str, Value, &'static str);

fn with_url(mut spec: Value) -> Value {
    let fields = spec.as_object_mut().unwrap();
    fields
        .entry("url")
        .or_insert_with(|| json!("https://lotoai.localhost"));
    spec
}

/// What no rule of the schema can say: it is shown as a condition.
fn noticed_later() -> Vec<Broken> {
    let tool = |url| json!({ "mcp": { "tools": [{ "name": "t", "description": "d", "http": { "url": url } }] } });
    vec![
        (
            "a password in the address of a tool",
            tool("https://user:secret@a.example/x"),
            "spec.mcp.tools[t].http.url: a URL may not hold a user or password",
        ),
        (
            "a host from an argument",
            tool("https://{host}/x"),
            "spec.mcp.tools[t].http.url",
        ),
        (
            "arguments that are no object",
            json!({ "mcp": { "tools": [{
                "name": "t", "description": "d", "inputSchema": { "type": "array" },
                "script": { "source": "true" },
            }] } }),
            "spec.mcp.tools[t].inputSchema",
        ),
        (
            "a range that is none",
            json!({ "edge": { "traefik": { "allowedCIDRs": ["192.0.2.0/33"] } } }),
            "spec.edge.traefik.allowedCIDRs[0]",
        ),
        (
            "a key that is no label",
            json!({ "pods": { "nodeSelector": { "no label!": "x" } } }),
            "spec.pods.nodeSelector",
        ),
        (
            "metrics for a label that is none",
            json!({ "observability": { "metrics": { "external": {
                "fromNamespaces": { "no label!": "x" },
            } } } }),
            "spec.observability.metrics.external.fromNamespaces[no label!]",
        ),
        (
            "a request above its limit",
            json!({ "components": { "gateway": { "resources": {
                "requests": { "memory": "2Gi" }, "limits": { "memory": "1Gi" },
            } } } }),
            "spec.components[gateway].resources.requests.memory",
        ),
        (
            "the operator's own Secret as an authority that is given",
            json!({ "tls": { "authoritySecretName": "demo-ca" } }),
            "spec.tls.authoritySecretName: Secret demo-ca is one that the operator makes",
        ),
        (
            "a credential that there is not",
            json!({ "credentials": { "rotate": { "gateway-nobody": "1" } } }),
            "spec.credentials.rotate[gateway-nobody]",
        ),
        (
            "a credential that cannot be given",
            json!({ "credentials": { "given": { "rabbitmq-cookie": { "name": "vault" } } } }),
            "spec.credentials.given[rabbitmq-cookie]: this one is always made by the operator",
        ),
        (
            "a credential in a Secret that is not there",
            json!({ "credentials": { "given": { "gateway-postgres": { "name": "vault" } } } }),
            "spec.credentials.given[gateway-postgres]: Secret vault does not exist",
        ),
        (
            "a Secret that is not there, as one of another namespace would be",
            json!({ "agents": { "providers": [{
                "name": "openai", "kind": "OpenAI", "apiKeySecretRef": { "name": "elsewhere" },
            }] } }),
            "Secret elsewhere does not exist",
        ),
    ]
}

fn refused() -> Vec<Broken> {
    [
        workloads::broken(),
        edge::broken(),
        stores::broken(),
        pods::broken(),
        access::broken(),
    ]
    .concat()
}

#[tokio::test]
async fn nine_of_ten_are_refused_with_the_fix() {
    let Some(server) = server::shared() else {
        return;
    };
    let (refused, later) = (refused(), noticed_later().len());
    let all = refused.len() + later;
    assert!(refused.len() >= 60, "only {} are refused", refused.len());
    assert!(
        refused.len() * 10 >= all * 9,
        "{later} of {all} are not refused"
    );
    let api = lotos(&server.client(), "broken").await;
    for (what, spec, fix) in refused {
        let broken = resource("a", &with_url(spec));
        let refusal = match api.create(&PostParams::default(), &broken).await {
            Ok(_) => panic!("{what}: accepted"),
            Err(kube::Error::Api(refusal)) => refusal,
            Err(error) => panic!("{what}: {error}"),
        };
        assert_eq!(refusal.code, 422, "{what}: {}", refusal.message);
        assert!(
            refusal.message.contains(fix),
            "{what}: {fix:?} is not in {}",
            refusal.message
        );
    }
}

#[tokio::test]
async fn names_and_a_missing_address_are_refused() {
    let Some(server) = server::shared() else {
        return;
    };
    let api = lotos(&server.client(), "broken-names").await;
    let good = with_url(json!({}));
    for (name, spec, fix) in [
        ("a", &json!({}), "spec.url: Required value"),
        (
            "abcdefghijklmnopqrstuvwxyzabcdefgh",
            &good,
            "at most 30 characters",
        ),
        ("a.b", &good, "lower-case letters, digits and dashes"),
        ("1a", &good, "begin with a letter"),
    ] {
        let created = api
            .create(&PostParams::default(), &resource(name, spec))
            .await;
        let refusal = created.unwrap_err().to_string();
        assert!(refusal.contains(fix), "{name}: {refusal}");
    }
}

#[tokio::test]
async fn a_condition_names_the_field_of_the_rest() {
    let Some(world) = World::new("noticed", &with_url(json!({})), Answering).await else {
        return;
    };
    let lotos = world.lotos();
    let noticed = async {
        for (what, spec, text) in noticed_later() {
            lotos.delete("demo", &Default::default()).await.unwrap();
            world.create("demo", &with_url(spec)).await;
            let says = |status: &LotoAIStatus, type_: &str| {
                let condition = status.condition(type_);
                condition.is_some_and(|condition| {
                    (condition.status == "True") == (type_ == "Stalled")
                        && condition.message.contains(text)
                })
            };
            let said = format!("{what}: conditions with {text:?}");
            wait_for(&said, SOON, async || {
                let status = world.status().await;
                says(&status, "Stalled") && says(&status, "Ready")
            })
            .await;
        }
    };
    let context = Arc::clone(&world.context);
    world.until_killed(context, noticed).await;
}
