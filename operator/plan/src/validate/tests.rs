use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use lotoai_api::spec::PullPolicy;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn env() -> OperatorEnv {
    OperatorEnv {
        namespace: "lotoai-system".to_owned(),
        version: "0.1.0".to_owned(),
        images: BTreeMap::from([(
            "agents".to_owned(),
            "localhost/lotoai/agents:local".to_owned(),
        )]),
        pull_policy: PullPolicy::IfNotPresent,
        otlp_endpoint: Some("http://default-collector:4317".to_owned()),
    }
}

fn resource(spec: Value) -> LotoAI {
    serde_json::from_value(json!({
        "apiVersion": "lotoai.dev/v1alpha1",
        "kind": "LotoAI",
        "metadata": { "name": "demo", "namespace": "ai", "uid": "u" },
        "spec": spec,
    }))
    .unwrap()
}

fn secrets(name: &str, keys: &[(&str, &str)]) -> Observed {
    let data = keys
        .iter()
        .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())))
        .collect();
    Observed {
        secrets: BTreeMap::from([(
            name.to_owned(),
            Secret {
                data: Some(data),
                ..Secret::default()
            },
        )]),
        ..Observed::default()
    }
}

fn tls() -> Value {
    json!({ "url": "https://ai.example.com", "edge": { "tls": { "secretName": "cert" } } })
}

fn openai() -> Value {
    json!({ "url": "https://ai.example.com", "agents": { "providers": [{
        "name": "openai", "kind": "OpenAI", "apiKeySecretRef": { "name": "key" },
    }] } })
}

#[test]
fn an_empty_spec_gets_roles_and_tools() {
    let lotoai = resource(json!({ "url": "https://ai.example.com/" }));
    let platform = validate(&lotoai, &Observed::default(), &env()).unwrap();
    let roles: Vec<_> = platform
        .spec
        .agents
        .roles
        .iter()
        .map(|r| r.name.as_str())
        .collect();
    assert_eq!(roles, ["assistant", "writer"]);
    let tools: Vec<_> = platform
        .spec
        .mcp
        .tools
        .iter()
        .map(|t| t.name.as_str())
        .collect();
    assert_eq!(tools, ["platform_usage", "working_days"]);
    assert_eq!(platform.url.url, "https://ai.example.com");
    assert_eq!(platform.url.port, 443);
    assert_eq!(
        platform.otlp_endpoint.as_deref(),
        Some("http://default-collector:4317")
    );
}

#[rstest]
#[case(json!({ "url": "http://ai.example.com" }), "spec.url", "InvalidSpec")]
#[case(json!({ "url": "https://ai.example.com/path" }), "spec.url", "InvalidSpec")]
#[case(json!({ "url": "https://u:p@ai.example.com" }), "spec.url", "InvalidSpec")]
#[case(json!({ "url": "https://" }), "spec.url", "InvalidSpec")]
#[case(json!({ "url": "https://ai.example.com/#x" }), "spec.url", "InvalidSpec")]
#[case(json!({ "url": "https://10.0.0.7" }), "spec.url", "InvalidSpec")]
#[case(json!({ "url": "https://10.0.0.7:8443" }), "spec.url", "InvalidSpec")]
#[case(json!({ "url": "https://[fd00::7]" }), "spec.url", "InvalidSpec")]
#[case(tls(), "spec.edge.tls.secretName", "SecretNotFound")]
#[case(
    json!({ "url": "https://a.b", "edge": { "ingress": { "className": "nginx",
        "annotations": { "not a name": "x" } } } }),
    "spec.edge.ingress.annotations[not a name]",
    "InvalidSpec"
)]
#[case(
    json!({ "url": "https://a.b", "edge": {
        "ingress": { "className": "nginx" }, "fromNamespaces": { "/name": "x" } } }),
    "spec.edge.fromNamespaces[/name]",
    "InvalidSpec"
)]
#[case(
    json!({ "url": "https://a.b", "edge": {
        "traefik": {}, "ingress": { "className": "nginx" } } }),
    "spec.edge.ingress",
    "InvalidSpec"
)]
#[case(
    json!({ "url": "https://a.b", "edge": { "ingress": { "className": "nginx" } },
        "components": { "traefik": {} } }),
    "spec.components[traefik]",
    "InvalidSpec"
)]
#[case(
    json!({ "url": "https://a.b", "edge": { "maxUploadSize": "257Mi" } }),
    "spec.edge.maxUploadSize",
    "InvalidSpec"
)]
#[case(
    json!({ "url": "https://a.b", "edge": { "maxUploadSize": "much" } }),
    "spec.edge.maxUploadSize",
    "InvalidSpec"
)]
#[case(
    json!({ "url": "https://a.b", "edge": { "traefik": {
        "allowedCIDRs": ["192.0.2.0/24", "192.0.2.0/33"] } } }),
    "spec.edge.traefik.allowedCIDRs[1]",
    "InvalidSpec"
)]
#[case(
    openai(),
    "spec.agents.providers[openai].apiKeySecretRef",
    "SecretNotFound"
)]
#[case(
    json!({ "url": "https://a.b", "rag": { "chunk": {
        "maxCharacters": 300, "overlapCharacters": 200 } } }),
    "spec.rag.chunk.overlapCharacters",
    "InvalidSpec"
)]
#[case(
    json!({ "url": "https://a.b", "images": { "overrides": { "mailer": "a/b:1" } } }),
    "spec.images.overrides[mailer]",
    "InvalidSpec"
)]
#[case(
    json!({ "url": "https://a.b", "components": { "mailer": {} } }),
    "spec.components[mailer]",
    "InvalidSpec"
)]
#[case(
    json!({ "url": "https://a.b", "components": { "provision": { "replicas": 2 } } }),
    "spec.components[provision]",
    "InvalidSpec"
)]
#[case(
    json!({ "url": "https://a.b", "components": { "provision": {
        "autoscaling": { "maxReplicas": 3 } } } }),
    "spec.components[provision]",
    "InvalidSpec"
)]
#[case(
    json!({ "url": "https://a.b", "components": { "gateway": { "resources": {
        "requests": { "memory": "2Gi" }, "limits": { "memory": "1500Mi" } } } } }),
    "spec.components[gateway].resources.requests.memory",
    "InvalidSpec"
)]
#[case(
    json!({ "url": "https://a.b", "components": { "postgres": { "replicas": 2 } } }),
    "spec.components[postgres]",
    "InvalidSpec"
)]
#[case(
    json!({ "url": "https://a.b", "pods": { "nodeSelector": { "a b": "c" } } }),
    "spec.pods.nodeSelector",
    "InvalidSpec"
)]
#[case(
    json!({ "url": "https://a.b", "components": { "agents": {
        "podLabels": { "lotoai.dev/x": "y" } } } }),
    "spec.components[agents].podLabels",
    "InvalidSpec"
)]
#[case(
    json!({ "url": "https://a.b", "mcp": { "tools": [
        { "name": "t", "description": "d", "inputSchema": { "type": "array" },
          "script": { "source": "true" } },
    ] } }),
    "spec.mcp.tools[t].inputSchema",
    "InvalidSpec"
)]
#[case(
    json!({ "url": "https://a.b", "mcp": { "tools": [
        { "name": "t", "description": "d", "http": { "url": "http://{host}/x" } },
    ] } }),
    "spec.mcp.tools[t].http.url",
    "InvalidSpec"
)]
#[case(
    json!({ "url": "https://a.b", "mcp": { "tools": [
        { "name": "t", "description": "d", "http": { "url": "http://ana:secret@host/x" } },
    ] } }),
    "spec.mcp.tools[t].http.url",
    "InvalidSpec"
)]
#[case(
    json!({ "url": "https://a.b", "mcp": { "tools": [
        { "name": "t", "description": "d", "script": { "source": "true" } },
        { "name": "t", "description": "d", "script": { "source": "true" } },
    ] } }),
    "spec.mcp.tools[t]",
    "InvalidSpec"
)]
fn refuses(#[case] spec: Value, #[case] field: &str, #[case] reason: &str) {
    let faults = validate(&resource(spec), &Observed::default(), &env()).unwrap_err();
    let found: Vec<_> = faults
        .iter()
        .map(|f| (f.field.as_str(), f.reason))
        .collect();
    assert_eq!(found, [(field, reason)]);
}

#[rstest]
#[case("https://ai.example.com", "https://ai.example.com", 443)]
#[case("https://ai.example.com/", "https://ai.example.com", 443)]
#[case("https://ai.example.com:443", "https://ai.example.com", 443)]
#[case("https://localhost:8443/", "https://localhost:8443", 8443)]
fn the_public_url_is_an_origin(#[case] text: &str, #[case] origin: &str, #[case] port: u16) {
    let lotoai = resource(json!({ "url": text }));
    let platform = validate(&lotoai, &Observed::default(), &env()).unwrap();
    assert_eq!(platform.url.url, origin);
    assert_eq!(platform.url.port, port);
}

fn tool(url: &str) -> Value {
    json!({ "url": "https://a.b", "mcp": { "tools": [
        { "name": "t", "description": "d", "http": { "url": url } },
    ] } })
}

fn provider(url: &str) -> Value {
    json!({ "url": "https://a.b", "agents": { "providers": [
        { "name": "p", "kind": "OpenAI", "baseURL": url },
    ] } })
}

#[rstest]
#[case::a_password(tool("http://ana:hunter2@host/x"))]
#[case::a_user(tool("http://hunter2@host/x"))]
#[case::a_password_with_a_slash(tool("https://svc:pa/hunter2@host/x"))]
#[case::a_key_after_a_host_that_varies(tool("https://{host}/x?api_key=hunter2"))]
#[case::a_key_after_a_port_that_is_none(tool("https://host:port/x?api_key=hunter2"))]
#[case::of_a_provider(provider("https://svc:pa/hunter2@host/v1"))]
#[case::of_the_platform(json!({ "url": "https://ana:hunter2@a.b" }))]
#[case::of_the_platform_with_a_slash(json!({ "url": "https://svc:pa/hunter2@a.b" }))]
fn what_an_address_holds_is_not_repeated(#[case] spec: Value) {
    let faults = validate(&resource(spec), &Observed::default(), &env()).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].reason, reasons::INVALID_SPEC);
    assert!(!faults[0].message.contains("hunter2"), "{}", faults[0]);
}

#[rstest]
#[case(tool("https://host/{id}?key={key}"))]
#[case(provider("https://host/v1"))]
fn an_address_of_others_that_is_one_is_taken(#[case] spec: Value) {
    let platform = validate(&resource(spec), &Observed::default(), &env());
    assert!(platform.is_ok(), "{platform:?}");
}

#[test]
fn tells_all_faults_at_once() {
    let mut lotoai = resource(json!({
        "url": "ftp://x",
        "edge": { "tls": { "secretName": "cert" } },
        "components": { "mailer": {} },
    }));
    lotoai.metadata.name = Some("Demo".to_owned());
    let faults = validate(&lotoai, &Observed::default(), &env()).unwrap_err();
    let fields: Vec<_> = faults.iter().map(|f| f.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "metadata.name",
            "spec.url",
            "spec.components[mailer]",
            "spec.edge.tls.secretName"
        ]
    );
}

#[test]
fn a_secret_without_its_key_is_told_apart_from_no_secret() {
    let observed = secrets("key", &[("other", "x"), ("apiKey", "")]);
    let faults = validate(&resource(openai()), &observed, &env()).unwrap_err();
    assert_eq!(faults[0].reason, reasons::SECRET_KEY_MISSING);
    let observed = secrets("key", &[("apiKey", "sk")]);
    let platform = validate(&resource(openai()), &observed, &env()).unwrap();
    let digest = &platform.provided[&("key".to_owned(), "apiKey".to_owned())];
    assert_eq!(*digest, crate::credentials::digest(b"sk"));
}

#[test]
fn images_come_from_the_resource_then_the_operator_then_the_table() {
    let lotoai = resource(json!({ "url": "https://a.b", "images": {
        "registry": "r.corp", "overrides": { "gateway": "other/gateway:7" },
    } }));
    let platform = validate(&lotoai, &Observed::default(), &env()).unwrap();
    assert_eq!(platform.images[&Component::Gateway], "other/gateway:7");
    assert_eq!(
        platform.images[&Component::Agents],
        "r.corp/lotoai/agents:local"
    );
    assert_eq!(
        platform.images[&Component::RagServer],
        "r.corp/lotoai/rag-server:0.1.0"
    );
    assert_eq!(platform.provision_image, "r.corp/lotoai/provision:0.1.0");
}

#[test]
fn referenced_secrets_are_those_that_the_resource_names() {
    let mut spec = openai();
    spec["edge"] = tls()["edge"].clone();
    let names = referenced_secrets("demo", &resource(spec.clone()).spec);
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["cert", "key"]);
    spec["edge"] = json!({ "tls": { "certManager": { "issuerRef": { "name": "ca" } } } });
    let names = referenced_secrets("demo", &resource(spec).spec);
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        ["demo-edge-tls", "key"]
    );
}

#[rstest]
#[case("Certificate", json!({ "tls": { "certManager": { "issuerRef": { "name": "ca" } } } }),
    "spec.edge.tls.certManager", "install cert-manager")]
#[case("HTTPRoute", json!({ "gatewayAPI": { "parentRefs": [{ "name": "public" }] } }),
    "spec.edge.gatewayAPI", "install the Gateway API")]
#[case("BackendTLSPolicy", json!({ "gatewayAPI": { "parentRefs": [{ "name": "public" }] } }),
    "spec.edge.gatewayAPI", "Gateway API 1.4")]
fn a_kind_that_the_cluster_lacks_is_told_with_the_way_out(
    #[case] kind: &str,
    #[case] edge: Value,
    #[case] field: &str,
    #[case] fix: &str,
) {
    let lotoai = resource(json!({ "url": "https://a.b", "edge": edge }));
    assert!(validate(&lotoai, &Observed::default(), &env()).is_ok());
    let observed = Observed {
        missing_kinds: [kind.to_owned()].into(),
        ..Observed::default()
    };
    let faults = validate(&lotoai, &observed, &env()).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].field, field);
    assert_eq!(faults[0].reason, reasons::DEPENDENCY_MISSING);
    assert!(faults[0].message.contains(fix), "{}", faults[0]);
}
