//! Rules, bounds and defaults of the schema.

use kube_core::CustomResourceExt as _;
use lotoai_api::{Component, LotoAI, Replication};
use rstest::rstest;
use serde_json::{Value, json};

fn resource(name: &str, spec: Value) -> LotoAI {
    serde_json::from_value(json!({
        "apiVersion": "lotoai.dev/v1alpha1",
        "kind": "LotoAI",
        "metadata": { "name": name, "namespace": "ai" },
        "spec": spec,
    }))
    .unwrap()
}

fn with(extra: Value) -> Value {
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

#[rstest]
#[case(json!({ "size": "6Gi" }), Some("size is fixed"))]
#[case(json!({ "storageClassName": "fast" }), Some("storageClassName is fixed"))]
#[case(json!({}), None)]
fn volumes_are_fixed(#[case] storage: Value, #[case] message: Option<&str>) {
    let old = resource(
        "demo",
        with(json!({ "data": { "postgres": { "storage": {} } } })),
    );
    let new = resource(
        "demo",
        with(json!({ "data": { "postgres": { "storage": storage } } })),
    );
    let outcome = new
        .validate_cel_update(&old)
        .map_err(|errors| errors.to_string());
    match (outcome, message) {
        (Ok(()), None) => {}
        (Err(errors), Some(message)) => assert!(errors.contains(message), "{errors}"),
        (outcome, _) => panic!("{outcome:?}"),
    }
}

fn external_postgres() -> Value {
    json!({ "url": "postgres://db.example.com", "adminSecretName": "db-admin" })
}

fn data(store: &str, value: &Value) -> Value {
    with(json!({ "data": { store: value } }))
}

fn rabbitmq(url: &str, management: &str) -> Value {
    with(json!({ "messaging": { "rabbitmq": { "external": {
        "url": url, "managementURL": management, "adminSecretName": "a", "caSecretName": "ca",
    } } } }))
}

fn object_storage(url: &str) -> Value {
    let external = json!({ "url": url, "bucket": "documents", "credentialsSecretName": "key" });
    data("objectStorage", &json!({ "external": external }))
}

#[rstest]
#[case(data("postgres", &json!({ "external": external_postgres() })))]
#[case(data("clickhouse", &json!({ "external": {
    "url": "https://ch.data.svc:8443", "adminSecretName": "a", "caSecretName": "ca" } })))]
#[case(object_storage("https://s3.eu-central-1.amazonaws.com"))]
#[case(rabbitmq("amqps://mq:5671", "http://mq:15672"))]
#[case(rabbitmq("amqp://mq", "https://mq:15671"))]
#[case(data("postgres", &json!({ "delegated": {} })))]
#[case(data("postgres", &json!({ "delegated": {
    "operator": "CloudNativePG", "instances": 9, "storage": { "size": "20Gi" } } })))]
fn accepts_stores_that_others_run(#[case] spec: Value) {
    let outcome = resource("demo", spec).validate_cel();
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[rstest]
#[case(
    data("postgres", &json!({ "storage": {}, "external": external_postgres() })),
    "remove one of them"
)]
#[case(
    data("postgres", &json!({ "storage": {}, "delegated": {} })),
    "or delegated (another operator of the cluster runs it): remove one of them"
)]
#[case(
    data("postgres", &json!({ "external": external_postgres(), "delegated": {} })),
    "remove one of them"
)]
#[case(
    data("postgres", &json!({ "external": { "url": "mysql://db", "adminSecretName": "a" } })),
    "url must be postgres://"
)]
#[case(
    data("postgres", &json!({ "external": {
        "url": "postgres://ana:secret@db", "adminSecretName": "a" } })),
    "belong in the Secret"
)]
#[case(
    data("postgres", &json!({ "external": {
        "url": "postgres://db/x", "adminSecretName": "a" } })),
    "url must be postgres://"
)]
#[case(
    data("postgres", &json!({ "external": {
        "url": "postgres://db", "tls": false, "adminSecretName": "a", "caSecretName": "ca" } })),
    "caSecretName needs TLS"
)]
#[case(
    data("clickhouse", &json!({ "external": {
        "url": "http://ch", "adminSecretName": "a", "caSecretName": "ca" } })),
    "write url with https://"
)]
#[case(rabbitmq("http://mq", "https://mq"), "url must be amqp:// or amqps://")]
#[case(
    rabbitmq("amqps://mq", "amqps://mq"),
    "managementURL must be http:// or https://"
)]
#[case(rabbitmq("amqp://mq", "http://mq"), "caSecretName needs TLS")]
#[case(object_storage("s3://documents"), "url must be http:// or https://")]
fn refuses_external_stores_that_contradict_themselves(#[case] spec: Value, #[case] message: &str) {
    let errors = resource("demo", spec)
        .validate_cel()
        .unwrap_err()
        .to_string();
    assert!(errors.contains(message), "{errors}");
}

#[rstest]
#[case(json!({}), json!({ "external": external_postgres() }), Some("is fixed, because its data"))]
#[case(json!({ "external": external_postgres() }), json!({}), Some("back up the store"))]
#[case(json!({}), json!({ "delegated": {} }), Some("is fixed, because its data"))]
#[case(json!({ "delegated": {} }), json!({}), Some("who runs a store is fixed"))]
#[case(
    json!({ "delegated": {} }),
    json!({ "external": external_postgres() }),
    Some("who runs a store is fixed")
)]
#[case(json!({ "delegated": {} }), json!({ "delegated": { "instances": 3 } }), None)]
#[case(
    json!({ "delegated": {} }),
    json!({ "delegated": { "storage": { "size": "6Gi" } } }),
    Some("storage.size is fixed")
)]
#[case(json!({ "storage": {} }), json!({}), None)]
#[case(json!({}), json!({ "storage": { "size": "5Gi" } }), None)]
#[case(json!({}), json!({ "storage": { "size": "6Gi" } }), Some("storage is fixed"))]
#[case(json!({ "storage": { "size": "6Gi" } }), json!({}), Some("storage is fixed"))]
#[case(
    json!({ "external": external_postgres() }),
    json!({ "external": { "url": "postgres://moved", "adminSecretName": "other" } }),
    None
)]
fn the_mode_of_a_store_is_fixed(
    #[case] old: Value,
    #[case] new: Value,
    #[case] message: Option<&str>,
) {
    let outcome = resource("demo", data("postgres", &new))
        .validate_cel_update(&resource("demo", data("postgres", &old)))
        .map_err(|errors| errors.to_string());
    match (outcome, message) {
        (Ok(()), None) => {}
        (Err(errors), Some(message)) => assert!(errors.contains(message), "{errors}"),
        (outcome, _) => panic!("{outcome:?}"),
    }
}

fn issuer(issuer: &str) -> Value {
    json!({ "external": {
        "issuerURL": issuer, "clientID": "app", "clientSecretName": "sign-in" } })
}

#[rstest]
#[case("https://accounts.google.com")]
#[case("https://tenant.eu.auth0.com/")]
#[case("https://login.microsoftonline.com/0f8fad5b-d9cb-469f-a165-70867728950e/v2.0")]
#[case("https://keycloak.corp:8443/realms/staff")]
fn accepts_issuers_elsewhere(#[case] url: &str) {
    let outcome = resource("demo", with(json!({ "identity": issuer(url) }))).validate_cel();
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[rstest]
#[case("http://login.example.com")]
#[case("https://ana:secret@login.example.com")]
#[case("https://Login.example.com")]
#[case("https://login.example.com?tenant=a")]
#[case("https://login.example.com/a b")]
fn refuses_what_is_no_issuer(#[case] url: &str) {
    let errors = resource("demo", with(json!({ "identity": issuer(url) })))
        .validate_cel()
        .unwrap_err()
        .to_string();
    assert!(errors.contains("issuerURL must be https://"), "{errors}");
}

#[test]
fn people_are_known_in_one_place() {
    let mut both = issuer("https://login.example.com");
    both["firstUser"] = json!({});
    let errors = resource("demo", with(json!({ "identity": both })))
        .validate_cel()
        .unwrap_err()
        .to_string();
    assert!(errors.contains("remove one of them"), "{errors}");
}

#[rstest]
#[case(json!({}), issuer("https://a.example.com"), Some("whether identity is external is fixed"))]
#[case(issuer("https://a.example.com"), json!({}), Some("whether identity is external is fixed"))]
#[case(
    issuer("https://a.example.com"),
    issuer("https://b.example.com"),
    Some("issuerURL is fixed")
)]
#[case(
    issuer("https://a.example.com"),
    json!({ "external": { "issuerURL": "https://a.example.com", "clientID": "other",
                          "clientSecretName": "other", "adminGroup": "staff" } }),
    None
)]
#[case(json!({}), json!({ "firstUser": { "username": "ana" } }), None)]
fn whose_people_they_are_is_fixed(
    #[case] old: Value,
    #[case] new: Value,
    #[case] message: Option<&str>,
) {
    let spec = |identity: &Value| with(json!({ "identity": identity }));
    let outcome = resource("demo", spec(&new))
        .validate_cel_update(&resource("demo", spec(&old)))
        .map_err(|errors| errors.to_string());
    match (outcome, message) {
        (Ok(()), None) => {}
        (Err(errors), Some(message)) => assert!(errors.contains(message), "{errors}"),
        (outcome, _) => panic!("{outcome:?}"),
    }
}

/// Walks through a schema with the path of each part.
fn walk(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        walk(inner, &format!("{path}.{name}"), visit);
    }
    if schema["items"].is_object() {
        walk(&schema["items"], &format!("{path}[]"), visit);
    }
    if schema["additionalProperties"].is_object() {
        walk(
            &schema["additionalProperties"],
            &format!("{path}{{}}"),
            visit,
        );
    }
}

fn schema() -> Value {
    let crd = serde_json::to_value(LotoAI::crd()).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

#[test]
fn every_field_of_the_spec_is_described_and_bounded() {
    let mut faults = Vec::new();
    walk(
        &schema()["properties"]["spec"],
        "spec",
        &mut |path, part| {
            let bounded = match part["type"].as_str() {
                Some("string") => part["maxLength"].is_number() || part["enum"].is_array(),
                Some("array") => part["maxItems"].is_number(),
                Some("object") if part["additionalProperties"].is_object() => {
                    part["maxProperties"].is_number()
                }
                _ => true,
            };
            if !bounded {
                faults.push(format!("{path} has no bound"));
            }
            let named = !path.ends_with(['}', ']']);
            if named && part["description"].as_str().unwrap_or_default().is_empty() {
                faults.push(format!("{path} has no description"));
            }
        },
    );
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn lists_with_names_refuse_duplicates() {
    let mut keyed = Vec::new();
    walk(&schema(), "", &mut |path, part| {
        if part["x-kubernetes-list-type"] == "map" {
            keyed.push(path.to_owned());
        }
    });
    for path in [
        ".spec.agents.providers",
        ".spec.agents.roles",
        ".spec.mcp.tools",
        ".spec.images.pullSecrets",
        ".status.conditions",
        ".status.components",
        ".status.credentials",
    ] {
        assert!(
            keyed.iter().any(|found| found == path),
            "{path} of {keyed:?}"
        );
    }
}

#[test]
fn defaults_are_in_the_schema() {
    let spec = &schema()["properties"]["spec"]["properties"];
    assert_eq!(spec["profile"]["default"], "Demo");
    assert_eq!(spec["deletionPolicy"]["default"], "Retain");
    assert_eq!(spec["paused"]["default"], false);
    let storage = &spec["rag"]["properties"]["storage"]["properties"];
    assert_eq!(storage["size"]["default"], "5Gi");
    let user = &spec["identity"]["properties"]["firstUser"]["properties"];
    assert_eq!(user["username"]["default"], "admin");
    let status = &schema()["properties"]["status"];
    assert_eq!(status["default"]["conditions"][0]["status"], "Unknown");
}

#[test]
fn the_definition_has_its_names_and_columns() {
    let crd = serde_json::to_value(LotoAI::crd()).unwrap();
    assert_eq!(crd["metadata"]["name"], "lotoais.lotoai.dev");
    assert_eq!(crd["spec"]["names"]["shortNames"][0], "loto");
    assert_eq!(crd["spec"]["names"]["categories"][0], "lotoai");
    assert_eq!(crd["spec"]["scope"], "Namespaced");
    let version = &crd["spec"]["versions"][0];
    assert!(version["subresources"]["status"].is_object());
    let columns: Vec<_> = version["additionalPrinterColumns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        columns,
        [
            "Ready",
            "Components",
            "Profile",
            "Version",
            "URL",
            "Message",
            "Age"
        ]
    );
}

#[test]
fn an_unknown_provider_kind_is_no_resource() {
    let spec = with(json!({ "agents": { "providers": [{ "name": "x", "kind": "Oracle" }] } }));
    let outcome = serde_json::from_value::<lotoai_api::LotoAISpec>(spec);
    assert!(outcome.is_err());
}
