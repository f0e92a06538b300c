//! Rules that hold for the resource as a whole, its components and its edge.

use lotoai_api::{Component, LotoAI, Replication};
use rstest::rstest;
use serde_json::{Value, json};

pub(crate) fn resource(name: &str, spec: Value) -> LotoAI {
    serde_json::from_value(json!({
        "apiVersion": "lotoai.dev/v1alpha1",
        "kind": "LotoAI",
        "metadata": { "name": name, "namespace": "ai" },
        "spec": spec,
    }))
    .unwrap()
}

pub(crate) fn with(extra: Value) -> Value {
    let mut spec = json!({ "url": "https://ai.example.com" });
    if let (Some(spec), Value::Object(extra)) = (spec.as_object_mut(), extra) {
        spec.extend(extra);
    }
    spec
}

fn role(provider: &str) -> Value {
    json!({ "name": "support", "description": "d", "prompt": "p",
            "models": [{ "provider": provider, "model": "m" }] })
}

#[rstest]
#[case("demo", with(json!({})))]
#[case("a23456789012345678901234567890", with(json!({})))]
#[case("demo", json!({ "url": "https://localhost:30443" }))]
#[case("demo", json!({ "url": "https://10.0.0.7.nip.example:8443" }))]
#[case("demo", with(json!({ "edge": { "service": { "type": "NodePort", "httpsNodePort": 30443 } } })))]
#[case("demo", with(json!({ "edge": {
    "tls": { "secretName": "cert" },
    "traefik": { "rateLimit": {}, "securityHeaders": { "hstsSeconds": 300 } },
} })))]
#[case("demo", with(json!({ "edge": { "traefik": { "securityHeaders": { "hstsSeconds": 0 } } } })))]
#[case("demo", with(json!({ "edge": { "tls": { "certManager": { "issuerRef": { "name": "ca" } } } } })))]
#[case("demo", with(json!({ "edge": {
    "ingress": { "className": "nginx" },
    "fromNamespaces": { "kubernetes.io/metadata.name": "ingress-nginx" },
} })))]
#[case("demo", with(json!({ "edge": {
    "gatewayAPI": { "parentRefs": [{ "name": "public" }] },
    "fromNamespaces": { "kubernetes.io/metadata.name": "infra" },
} })))]
#[case("demo", with(json!({ "agents": { "roles": [role("local")] } })))]
#[case("demo", with(json!({ "agents": {
    "providers": [{ "name": "vllm", "kind": "OpenAICompatible", "baseURL": "http://vllm:8000/v1" }],
    "roles": [role("vllm")],
} })))]
#[case("demo", with(json!({ "agents": { "providers": [
    { "name": "claude", "kind": "Anthropic", "apiKeySecretRef": { "name": "anthropic" } },
] } })))]
#[case("demo", with(json!({ "mcp": { "tools": [
    { "name": "a", "description": "d", "http": { "url": "https://x/{y}" } },
    { "name": "b", "description": "d", "script": { "source": "true" } },
] } })))]
#[case("demo", with(json!({ "components": {
    "rag-server": { "replicas": 1, "resources": { "limits": { "memory": "2Gi" } } },
    "gateway": { "replicas": 20, "podLabels": { "team": "ai" }, "nodeSelector": { "pool": "ai" } },
    "agents": { "autoscaling": { "maxReplicas": 3 } },
    "rabbitmq": { "replicas": 3 }, "minio": { "replicas": 4 }, "keycloak": { "replicas": 2 },
    "provision": { "resources": { "limits": { "memory": "1Gi" } }, "podLabels": { "team": "ai" } },
} })))]
#[case("demo", with(json!({ "profile": "Small", "pods": {
    "tolerations": [
        { "operator": "Exists" },
        { "key": "example.com/gpu", "value": "yes", "effect": "NoExecute", "tolerationSeconds": 9 },
    ],
    "annotations": { "example.com/scrape": "true" },
    "priorityClassName": "high",
} })))]
#[case("demo", with(json!({ "images": { "overrides": { "provision": "r/p:1", "gateway": "r/g:1" } } })))]
#[case("demo", with(json!({ "observability": { "otlpEndpoint": "http://otel:4317" } })))]
#[case("demo", with(json!({ "observability": { "metrics": { "external": {
    "fromNamespaces": { "kubernetes.io/metadata.name": "monitoring" },
    "fromPods": { "app.kubernetes.io/name": "prometheus" },
} } } })))]
fn accepts(#[case] name: &str, #[case] spec: Value) {
    let outcome = resource(name, spec).validate_cel();
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[rstest]
#[case("a234567890123456789012345678901", with(json!({})), "at most 30 characters")]
#[case("1demo", with(json!({})), "begin with a letter")]
#[case("demo", json!({ "url": "http://ai.example.com" }), "url must be https://")]
#[case("demo", json!({ "url": "https://ai.example.com/path" }), "without a path")]
#[case("demo", json!({ "url": "https://AI.example.com" }), "lower-case host")]
#[case("demo", json!({ "url": "https://10.0.0.7" }), "not an IP address")]
#[case("demo", json!({ "url": "https://10.0.0.7:8443" }), "not an IP address")]
#[case(
    "demo",
    with(json!({ "edge": { "service": { "httpsNodePort": 30443 } } })),
    "needs edge.service.type NodePort"
)]
#[case(
    "demo",
    with(json!({ "edge": { "traefik": {}, "ingress": { "className": "nginx" },
        "fromNamespaces": { "a": "b" } } })),
    "exclude one another"
)]
#[case(
    "demo",
    with(json!({ "edge": { "ingress": { "className": "nginx" },
        "gatewayAPI": { "parentRefs": [{ "name": "public" }] },
        "fromNamespaces": { "a": "b" } } })),
    "exclude one another"
)]
#[case(
    "demo",
    with(json!({ "edge": { "ingress": { "className": "nginx" } } })),
    "edge.fromNamespaces goes with"
)]
#[case(
    "demo",
    with(json!({ "edge": { "fromNamespaces": { "a": "b" } } })),
    "edge.fromNamespaces goes with"
)]
#[case(
    "demo",
    with(json!({ "edge": { "ingress": { "className": "nginx" },
        "fromNamespaces": { "a": "b" }, "service": { "type": "LoadBalancer" } } })),
    "remove edge.service"
)]
#[case(
    "demo",
    with(json!({ "edge": { "traefik": { "securityHeaders": { "hstsSeconds": 300 } } } })),
    "needs a certificate that browsers trust"
)]
#[case(
    "demo",
    with(json!({ "edge": { "tls": {
        "secretName": "cert", "certManager": { "issuerRef": { "name": "ca" } } } } })),
    "takes one of secretName and certManager"
)]
#[case(
    "demo",
    with(json!({ "identity": { "firstUser": { "email": "nobody" } } })),
    "must be an address"
)]
#[case(
    "demo",
    with(json!({ "agents": { "roles": [role("openai")] } })),
    "must name a provider of agents.providers"
)]
#[case(
    "demo",
    with(json!({ "agents": { "providers": [{ "name": "vllm", "kind": "OpenAICompatible" }] } })),
    "needs baseURL"
)]
#[case(
    "demo",
    with(json!({ "agents": { "providers": [{ "name": "openai", "kind": "OpenAI" }] } })),
    "needs apiKeySecretRef"
)]
#[case(
    "demo",
    with(json!({ "agents": { "providers": [
        { "name": "local", "kind": "OpenAICompatible", "baseURL": "http://x" },
    ] } })),
    "may not be named local"
)]
#[case(
    "demo",
    with(json!({ "agents": { "roles": [{ "name": "probe", "description": "d", "prompt": "p",
        "models": [{ "provider": "local", "model": "m" }] }] } })),
    "may not be named lotoai or probe"
)]
#[case(
    "demo",
    with(json!({ "mcp": { "tools": [{ "name": "a", "description": "d" }] } })),
    "exactly one of http and script"
)]
#[case(
    "demo",
    with(json!({ "mcp": { "tools": [{ "name": "a", "description": "d",
        "http": { "url": "http://x" }, "script": { "source": "true" } }] } })),
    "exactly one of http and script"
)]
#[case(
    "demo",
    with(json!({ "mcp": { "tools": [
        { "name": "a", "description": "d", "http": { "url": "file:///etc/passwd" } },
    ] } })),
    "must begin with http://"
)]
#[case(
    "demo",
    with(json!({ "rag": { "chunk": { "maxCharacters": 300, "overlapCharacters": 200 } } })),
    "at most half"
)]
#[case("demo", with(json!({ "components": { "mailer": {} } })), "must be a component")]
#[case(
    "demo",
    with(json!({ "components": { "provision": { "replicas": 1 } } })),
    "each Job runs once"
)]
#[case(
    "demo",
    with(json!({ "components": { "provision": { "autoscaling": { "maxReplicas": 3 } } } })),
    "each Job runs once"
)]
#[case(
    "demo",
    with(json!({ "components": { "gateway": {
        "replicas": 2, "autoscaling": { "maxReplicas": 3 },
    } } })),
    "replicas and autoscaling exclude each other"
)]
#[case(
    "demo",
    with(json!({ "components": { "gateway": { "autoscaling": {
        "minReplicas": 4, "maxReplicas": 3,
    } } } })),
    "at most autoscaling.maxReplicas"
)]
#[case(
    "demo",
    with(json!({ "components": { "gateway": { "podLabels": { "lotoai.dev/x": "y" } } } })),
    "keys of podLabels may not begin with"
)]
#[case(
    "demo",
    with(json!({ "components": { "gateway": {
        "podAnnotations": { "app.kubernetes.io/name": "y" },
    } } })),
    "keys of podAnnotations may not begin with"
)]
#[case(
    "demo",
    with(json!({ "pods": { "labels": { "app.kubernetes.io/name": "y" } } })),
    "keys of pods.labels may not begin with"
)]
#[case(
    "demo",
    with(json!({ "pods": { "annotations": { "lotoai.dev/config-hash": "y" } } })),
    "keys of pods.annotations may not begin with"
)]
#[case(
    "demo",
    with(json!({ "pods": { "tolerations": [{ "value": "y" }] } })),
    "without key needs operator Exists"
)]
#[case(
    "demo",
    with(json!({ "pods": { "tolerations": [{ "key": "a", "operator": "Exists", "value": "y" }] } })),
    "has no value"
)]
#[case(
    "demo",
    with(json!({ "components": { "agents": {
        "tolerations": [{ "key": "a", "effect": "NoSchedule", "tolerationSeconds": 5 }],
    } } })),
    "tolerationSeconds needs effect NoExecute"
)]
#[case(
    "demo",
    with(json!({ "images": { "overrides": { "mailer": "a/b:1" } } })),
    "must be one of"
)]
#[case(
    "demo",
    with(json!({ "images": { "overrides": { "gateway": "a/b:latest" } } })),
    "a tag other than latest"
)]
#[case(
    "demo",
    with(json!({ "images": { "overrides": { "gateway": "localhost:5000/b" } } })),
    "a tag other than latest"
)]
#[case(
    "demo",
    with(json!({ "observability": { "otlpEndpoint": "otel:4317" } })),
    "otlpEndpoint must be http"
)]
#[case(
    "demo",
    with(json!({ "observability": { "otlpEndpoint": "https://otel:4317" } })),
    "do not speak TLS"
)]
fn refuses_and_says_the_fix(#[case] name: &str, #[case] spec: Value, #[case] message: &str) {
    let errors = resource(name, spec).validate_cel().unwrap_err().to_string();
    assert!(errors.contains(message), "{errors}");
}

#[test]
fn components_refuse_numbers_that_they_cannot_run_with_and_say_why() {
    for component in Component::ALL {
        let outcome = |settings: Value| {
            let spec = with(json!({ "components": { component.name(): settings } }));
            let outcome = resource("demo", spec).validate_cel();
            outcome.map_err(|errors| errors.to_string())
        };
        assert!(outcome(json!({ "replicas": 1 })).is_ok(), "{component}");
        // How many it may have depends on where its vectors are: see `stores`.
        if component == Component::RagServer {
            continue;
        }
        let Replication::Only { counts, reason } = component.replication() else {
            assert!(outcome(json!({ "replicas": 2 })).is_ok(), "{component}");
            continue;
        };
        let most = counts.iter().max().unwrap();
        for settings in [
            json!({ "replicas": most + 1 }),
            json!({ "autoscaling": { "maxReplicas": 2 } }),
        ] {
            let errors = outcome(settings).unwrap_err();
            assert!(errors.contains(reason), "{errors}");
            assert!(
                errors.contains(&format!("components.{component}.")),
                "{errors}"
            );
        }
    }
}

#[test]
fn an_unknown_provider_kind_is_no_resource() {
    let spec = with(json!({ "agents": { "providers": [{ "name": "x", "kind": "Oracle" }] } }));
    let outcome = serde_json::from_value::<lotoai_api::LotoAISpec>(spec);
    assert!(outcome.is_err());
}
