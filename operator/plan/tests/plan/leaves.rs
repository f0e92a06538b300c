//! Every leaf of the spec reaches an object or the status: a leaf without a line here fails.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::common::{credentials, operator, provided, resource};
use kube_core::CustomResourceExt as _;
use lotoai_api::LotoAI;
use lotoai_plan::{Outcome, Pass, ProbeOutcome, build, gates, required_secrets, status, validate};
use serde_json::{Value, json};

/// Path of the leaf, what is added to the smallest spec, and a text that then appears.
type Case = (&'static str, Value, &'static str);

fn gateway(settings: Value) -> Value {
    json!({ "components": { "gateway": settings } })
}

fn provider(extra: Value) -> Value {
    let mut provider = json!({ "name": "leafy", "kind": "OpenAICompatible",
                               "baseURL": "http://vllm:8000/v1" });
    merge(&mut provider, extra);
    json!({ "agents": { "providers": [provider] } })
}

fn role(extra: Value) -> Value {
    let mut role = json!({ "name": "leafy", "description": "d", "prompt": "p",
                           "models": [{ "provider": "local", "model": "m" }] });
    merge(&mut role, extra);
    json!({ "agents": { "roles": [role] } })
}

fn http_tool(extra: Value) -> Value {
    let mut http = json!({ "url": "http://example.com/" });
    merge(&mut http, extra);
    tool(json!({ "http": http }))
}

fn tool(extra: Value) -> Value {
    let mut tool = json!({ "name": "leafy", "description": "d" });
    merge(&mut tool, extra);
    json!({ "mcp": { "tools": [tool] } })
}

fn all_pods(extra: Value) -> Value {
    json!({ "pods": extra })
}

fn toleration(extra: Value) -> Value {
    let mut toleration = json!({ "key": "leaf", "effect": "NoExecute" });
    merge(&mut toleration, extra);
    json!({ "tolerations": [toleration] })
}

/// Adds the keys of one object to another.
fn merge(object: &mut Value, extra: Value) {
    let (Some(object), Value::Object(extra)) = (object.as_object_mut(), extra) else {
        panic!("not objects");
    };
    object.extend(extra);
}

fn cases() -> Vec<Case> {
    let mut cases = platform_cases();
    cases.extend(agent_cases());
    cases.extend(tool_cases());
    cases.extend(storage_cases());
    cases.extend(component_cases());
    cases.extend(pod_cases());
    cases.extend(edge_cases());
    cases.extend(external_cases());
    cases.extend(delegated_cases());
    cases
}

/// With a certificate that browsers trust, which some of the rules ask for.
fn traefik(rules: Value) -> Value {
    json!({ "edge": { "traefik": rules, "tls": { "secretName": "ai-example-com" } } })
}

/// Another way in than Traefik, from namespaces with this label.
fn other_edge(way: Value) -> Value {
    let mut edge = json!({ "fromNamespaces": { "leaf": "green" } });
    merge(&mut edge, way);
    json!({ "edge": edge })
}

fn issuer_elsewhere(extra: Value) -> Value {
    let mut external = json!({ "issuerURL": "https://leaf.example.com/staff/",
                               "clientID": "app", "clientSecretName": "sign-in" });
    merge(&mut external, extra);
    json!({ "identity": { "external": external } })
}

fn issuer(extra: Value) -> Value {
    let mut issuer = json!({ "name": "leafy" });
    merge(&mut issuer, extra);
    json!({ "edge": { "tls": { "certManager": { "issuerRef": issuer } } } })
}

fn parent(extra: Value) -> Value {
    let mut parent = json!({ "name": "leafy" });
    merge(&mut parent, extra);
    other_edge(json!({ "gatewayAPI": { "parentRefs": [parent] } }))
}

fn edge_cases() -> Vec<Case> {
    let ingress = json!({ "ingress": { "className": "leafy", "annotations": { "a/b": "fern" } } });
    let limit = json!({ "rateLimit": { "requestsPerSecond": 471, "burst": 972 } });
    let hsts =
        json!({ "securityHeaders": { "hstsSeconds": 86471, "hstsIncludeSubdomains": true } });
    vec![
        (
            "edge.maxUploadSize",
            json!({ "edge": { "maxUploadSize": "71Mi" } }),
            "74448896",
        ),
        (
            "edge.fromNamespaces{}",
            other_edge(ingress.clone()),
            r#""matchLabels":{"leaf":"green"}"#,
        ),
        (
            "edge.ingress.className",
            other_edge(ingress.clone()),
            r#""ingressClassName":"leafy""#,
        ),
        (
            "edge.ingress.annotations{}",
            other_edge(ingress),
            r#""a/b":"fern""#,
        ),
        (
            "edge.gatewayAPI.parentRefs[].name",
            parent(json!({})),
            r#""name":"leafy""#,
        ),
        (
            "edge.gatewayAPI.parentRefs[].namespace",
            parent(json!({ "namespace": "meadow" })),
            r#""namespace":"meadow""#,
        ),
        (
            "edge.gatewayAPI.parentRefs[].sectionName",
            parent(json!({ "sectionName": "https" })),
            r#""sectionName":"https""#,
        ),
        (
            "edge.tls.certManager.issuerRef.name",
            issuer(json!({})),
            r#""name":"leafy""#,
        ),
        (
            "edge.tls.certManager.issuerRef.kind",
            issuer(json!({ "kind": "ClusterIssuer" })),
            r#""kind":"ClusterIssuer""#,
        ),
        (
            "edge.tls.certManager.issuerRef.group",
            issuer(json!({ "group": "leaf.example.com" })),
            r#""group":"leaf.example.com""#,
        ),
        (
            "edge.traefik.rateLimit.requestsPerSecond",
            traefik(limit.clone()),
            "471",
        ),
        ("edge.traefik.rateLimit.burst", traefik(limit), "972"),
        (
            "edge.traefik.allowedCIDRs[]",
            traefik(json!({ "allowedCIDRs": ["192.0.2.0/24"] })),
            "192.0.2.0/24",
        ),
        (
            "edge.traefik.securityHeaders.hstsSeconds",
            traefik(hsts.clone()),
            "86471",
        ),
        (
            "edge.traefik.securityHeaders.hstsIncludeSubdomains",
            traefik(hsts),
            "stsIncludeSubdomains",
        ),
    ]
}

fn external_postgres(extra: Value) -> Value {
    let mut external = json!({ "url": "postgres://leaf.example.com:6471",
                               "adminSecretName": "postgres-admin" });
    merge(&mut external, extra);
    json!({ "data": { "postgres": { "external": external } } })
}

fn external_clickhouse() -> Value {
    json!({ "data": { "clickhouse": { "external": {
        "url": "https://leaf.example.com:8471",
        "adminSecretName": "clickhouse-admin",
        "caSecretName": "company-ca",
    } } } })
}

fn external_objects() -> Value {
    json!({ "data": { "objectStorage": { "external": {
        "url": "https://leaf.example.com:9471",
        "region": "meadow-1",
        "bucket": "leaves",
        "pathStyle": false,
        "credentialsSecretName": "s3-key",
        "caSecretName": "company-ca",
    } } } })
}

fn external_rabbitmq() -> Value {
    json!({ "messaging": { "rabbitmq": { "external": {
        "url": "amqps://leaf.example.com:5471",
        "managementURL": "https://leaf.example.com:15471",
        "virtualHost": "leaves",
        "adminSecretName": "rabbitmq-admin",
        "caSecretName": "company-ca",
    } } } })
}

fn external_cases() -> Vec<Case> {
    const CA: &str = r#""secretName":"company-ca""#;
    let authority = json!({ "caSecretName": "company-ca" });
    vec![
        (
            "data.postgres.external.url",
            external_postgres(json!({})),
            "leaf.example.com:6471",
        ),
        (
            "data.postgres.external.tls",
            external_postgres(json!({ "tls": false })),
            "sslmode=disable",
        ),
        (
            "data.postgres.external.adminSecretName",
            external_postgres(json!({})),
            r#""name":"postgres-admin""#,
        ),
        (
            "data.postgres.external.caSecretName",
            external_postgres(authority),
            CA,
        ),
        (
            "data.clickhouse.external.url",
            external_clickhouse(),
            "https://leaf.example.com:8471",
        ),
        (
            "data.clickhouse.external.adminSecretName",
            external_clickhouse(),
            r#""name":"clickhouse-admin""#,
        ),
        (
            "data.clickhouse.external.caSecretName",
            external_clickhouse(),
            CA,
        ),
        (
            "data.objectStorage.external.url",
            external_objects(),
            "https://leaf.example.com:9471",
        ),
        (
            "data.objectStorage.external.region",
            external_objects(),
            "meadow-1",
        ),
        (
            "data.objectStorage.external.bucket",
            external_objects(),
            r#""value":"leaves""#,
        ),
        (
            "data.objectStorage.external.pathStyle",
            external_objects(),
            r#""name":"S3_PATH_STYLE","value":"false""#,
        ),
        (
            "data.objectStorage.external.credentialsSecretName",
            external_objects(),
            r#""name":"s3-key""#,
        ),
        (
            "data.objectStorage.external.caSecretName",
            external_objects(),
            CA,
        ),
        (
            "messaging.rabbitmq.external.url",
            external_rabbitmq(),
            "amqps://leaf.example.com:5471/leaves",
        ),
        (
            "messaging.rabbitmq.external.managementURL",
            external_rabbitmq(),
            "https://leaf.example.com:15471",
        ),
        (
            "messaging.rabbitmq.external.virtualHost",
            external_rabbitmq(),
            "leaves",
        ),
        (
            "messaging.rabbitmq.external.adminSecretName",
            external_rabbitmq(),
            r#""name":"rabbitmq-admin""#,
        ),
        (
            "messaging.rabbitmq.external.caSecretName",
            external_rabbitmq(),
            CA,
        ),
    ]
}

fn delegated_cases() -> Vec<Case> {
    let of = |delegated: Value| json!({ "data": { "postgres": { "delegated": delegated } } });
    vec![
        (
            "data.postgres.delegated.operator",
            of(json!({ "operator": "CloudNativePG" })),
            r#""apiVersion":"postgresql.cnpg.io/v1""#,
        ),
        (
            "data.postgres.delegated.instances",
            of(json!({ "instances": 7 })),
            r#""instances":7"#,
        ),
        (
            "data.postgres.delegated.storage.size",
            of(json!({ "storage": { "size": "71Gi" } })),
            r#""size":"71Gi""#,
        ),
        (
            "data.postgres.delegated.storage.storageClassName",
            of(json!({ "storage": { "storageClassName": "leaf" } })),
            r#""storageClass":"leaf""#,
        ),
    ]
}

fn platform_cases() -> Vec<Case> {
    vec![
        ("profile", json!({ "profile": "Small" }), "1280Mi"),
        (
            "url",
            json!({ "url": "https://leaf.example.com" }),
            "https://leaf.example.com",
        ),
        (
            "edge.service.type",
            json!({ "edge": { "service": { "type": "LoadBalancer" } } }),
            r#""type":"LoadBalancer""#,
        ),
        (
            "edge.service.httpsNodePort",
            json!({ "edge": { "service": { "type": "NodePort", "httpsNodePort": 30471 } } }),
            r#""nodePort":30471"#,
        ),
        (
            "edge.tls.secretName",
            json!({ "edge": { "tls": { "secretName": "ai-example-com" } } }),
            r#""secretName":"ai-example-com""#,
        ),
        (
            "identity.firstUser.username",
            json!({ "identity": { "firstUser": { "username": "leafy" } } }),
            "username: leafy",
        ),
        (
            "identity.external.issuerURL",
            issuer_elsewhere(json!({})),
            "https://leaf.example.com/staff/",
        ),
        (
            "identity.external.clientID",
            issuer_elsewhere(json!({ "clientID": "leafy" })),
            r#""name":"OIDC_CLIENT_ID","value":"leafy""#,
        ),
        (
            "identity.external.clientSecretName",
            issuer_elsewhere(json!({})),
            r#""key":"clientSecret","name":"sign-in""#,
        ),
        (
            "identity.external.audience",
            issuer_elsewhere(json!({ "audience": "api://leaf" })),
            r#""name":"OIDC_AUDIENCE","value":"api://leaf""#,
        ),
        (
            "identity.external.caSecretName",
            issuer_elsewhere(json!({ "caSecretName": "company-ca" })),
            "/etc/lotoai-ca/keycloak/ca.crt",
        ),
        (
            "identity.external.groupsClaim",
            issuer_elsewhere(json!({ "groupsClaim": "leaves" })),
            r#""name":"OIDC_GROUPS_CLAIM","value":"leaves""#,
        ),
        (
            "identity.external.adminGroup",
            issuer_elsewhere(json!({ "adminGroup": "gardeners" })),
            r#""name":"OIDC_ADMIN_GROUP","value":"gardeners""#,
        ),
        (
            "identity.external.scopes[]",
            issuer_elsewhere(json!({ "scopes": ["leaf", "tree"] })),
            r#""name":"OIDC_SCOPES","value":"leaf tree""#,
        ),
        (
            "identity.firstUser.email",
            json!({ "identity": { "firstUser": { "email": "leaf@example.com" } } }),
            "email: leaf@example.com",
        ),
        (
            "rag.chunk.maxCharacters",
            json!({ "rag": { "chunk": { "maxCharacters": 3471 } } }),
            r#""value":"3471""#,
        ),
        (
            "rag.chunk.overlapCharacters",
            json!({ "rag": { "chunk": { "overlapCharacters": 71 } } }),
            r#""value":"71""#,
        ),
        (
            "images.registry",
            json!({ "images": { "registry": "leaf.corp/mirror" } }),
            "leaf.corp/mirror/library/postgres",
        ),
        (
            "images.overrides{}",
            json!({ "images": { "overrides": { "agents": "leaf.corp/agents:7" } } }),
            r#""image":"leaf.corp/agents:7""#,
        ),
        (
            "images.pullPolicy",
            json!({ "images": { "pullPolicy": "Always" } }),
            r#""imagePullPolicy":"Always""#,
        ),
        (
            "images.pullSecrets[].name",
            json!({ "images": { "pullSecrets": [{ "name": "leaf" }] } }),
            r#""imagePullSecrets":[{"name":"leaf"}]"#,
        ),
        (
            "observability.otlpEndpoint",
            json!({ "observability": { "otlpEndpoint": "http://leaf:4317" } }),
            r#""value":"http://leaf:4317""#,
        ),
        (
            "deletionPolicy",
            json!({ "deletionPolicy": "Delete" }),
            r#""whenDeleted":"Delete""#,
        ),
        ("paused", json!({ "paused": true }), r#""reason":"Paused""#),
    ]
}

fn agent_cases() -> Vec<Case> {
    let key = |reference: Value| provider(json!({ "apiKeySecretRef": reference }));
    vec![
        (
            "agents.providers[].name",
            provider(json!({})),
            "name: leafy",
        ),
        (
            "agents.providers[].kind",
            provider(json!({ "kind": "Anthropic", "apiKeySecretRef": { "name": "openai" } })),
            "kind: Anthropic",
        ),
        (
            "agents.providers[].baseURL",
            provider(json!({ "baseURL": "http://leaf:8000/v1" })),
            "baseURL: http://leaf:8000/v1",
        ),
        (
            "agents.providers[].apiKeySecretRef.name",
            key(json!({ "name": "openai" })),
            r#"{"key":"apiKey","name":"openai"}"#,
        ),
        (
            "agents.providers[].apiKeySecretRef.key",
            key(json!({ "name": "ai-example-com", "key": "tls.key" })),
            r#"{"key":"tls.key","name":"ai-example-com"}"#,
        ),
        ("agents.roles[].name", role(json!({})), "name: leafy"),
        (
            "agents.roles[].description",
            role(json!({ "description": "of a leaf" })),
            "description: of a leaf",
        ),
        (
            "agents.roles[].prompt",
            role(json!({ "prompt": "a leaf" })),
            "prompt: a leaf",
        ),
        (
            "agents.roles[].models[].provider",
            json!({ "agents": {
                "providers": [{ "name": "leafy", "kind": "OpenAICompatible", "baseURL": "http://x:1" }],
                "roles": [{ "name": "r", "description": "d", "prompt": "p",
                            "models": [{ "provider": "leafy", "model": "m" }] }],
            } }),
            "provider: leafy",
        ),
        (
            "agents.roles[].models[].model",
            role(json!({ "models": [{ "provider": "local", "model": "leaf-7b" }] })),
            "model: leaf-7b",
        ),
        (
            "agents.roles[].groups[]",
            role(json!({ "groups": ["leaf-readers"] })),
            "- leaf-readers",
        ),
    ]
}

fn tool_cases() -> Vec<Case> {
    let script = |extra: Value| {
        let mut script = json!({ "source": "true" });
        merge(&mut script, extra);
        tool(json!({ "script": script }))
    };
    vec![
        ("mcp.tools[].name", script(json!({})), "name: leafy"),
        (
            "mcp.tools[].description",
            tool(json!({ "description": "of a leaf", "script": { "source": "true" } })),
            "description: of a leaf",
        ),
        (
            "mcp.tools[].inputSchema",
            tool(json!({ "script": { "source": "true" },
                         "inputSchema": { "type": "object", "title": "leaf" } })),
            "title: leaf",
        ),
        (
            "mcp.tools[].groups[]",
            tool(json!({ "script": { "source": "true" }, "groups": ["leaf-users"] })),
            "- leaf-users",
        ),
        (
            "mcp.tools[].http.method",
            http_tool(json!({ "method": "PATCH" })),
            "method: PATCH",
        ),
        (
            "mcp.tools[].http.url",
            http_tool(json!({ "url": "http://leaf.example.com/" })),
            "url: http://leaf.example.com/",
        ),
        (
            "mcp.tools[].http.headers{}",
            http_tool(json!({ "headers": { "x-leaf": "green" } })),
            "x-leaf: green",
        ),
        (
            "mcp.tools[].http.timeoutSeconds",
            http_tool(json!({ "timeoutSeconds": 71 })),
            "timeoutSeconds: 71",
        ),
        (
            "mcp.tools[].script.source",
            script(json!({ "source": "echo leaf" })),
            "source: echo leaf",
        ),
        (
            "mcp.tools[].script.timeoutSeconds",
            script(json!({ "timeoutSeconds": 71 })),
            "timeoutSeconds: 71",
        ),
    ]
}

/// The same two leaves of every volume.
fn storage_cases() -> Vec<Case> {
    let of = |storage: Value, path: &[&str]| {
        let storage = json!({ "storage": storage });
        path.iter()
            .rev()
            .fold(storage, |inner, key| json!({ (*key): inner }))
    };
    let both = |size, class, path: &[&str]| -> [Case; 2] {
        [
            (
                size,
                of(json!({ "size": "71Gi" }), path),
                r#""storage":"71Gi""#,
            ),
            (
                class,
                of(json!({ "storageClassName": "leaf" }), path),
                r#""storageClassName":"leaf""#,
            ),
        ]
    };
    [
        both("rag.storage.size", "rag.storage.storageClassName", &["rag"]),
        both(
            "data.postgres.storage.size",
            "data.postgres.storage.storageClassName",
            &["data", "postgres"],
        ),
        both(
            "data.clickhouse.storage.size",
            "data.clickhouse.storage.storageClassName",
            &["data", "clickhouse"],
        ),
        both(
            "data.objectStorage.storage.size",
            "data.objectStorage.storage.storageClassName",
            &["data", "objectStorage"],
        ),
        both(
            "messaging.rabbitmq.storage.size",
            "messaging.rabbitmq.storage.storageClassName",
            &["messaging", "rabbitmq"],
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn component_cases() -> Vec<Case> {
    let resources = |side: &str, what: &str, amount: &str| {
        gateway(json!({ "resources": { side: { what: amount } } }))
    };
    let autoscaling = |extra: Value| {
        let mut autoscaling = json!({ "maxReplicas": 9 });
        merge(&mut autoscaling, extra);
        gateway(json!({ "autoscaling": autoscaling }))
    };
    vec![
        (
            "components{}.replicas",
            gateway(json!({ "replicas": 7 })),
            r#""replicas":7"#,
        ),
        (
            "components{}.autoscaling.minReplicas",
            autoscaling(json!({ "minReplicas": 7 })),
            r#""minReplicas":7"#,
        ),
        (
            "components{}.autoscaling.maxReplicas",
            autoscaling(json!({})),
            r#""maxReplicas":9"#,
        ),
        (
            "components{}.autoscaling.targetCPUUtilization",
            autoscaling(json!({ "targetCPUUtilization": 71 })),
            r#""averageUtilization":71"#,
        ),
        (
            "components{}.resources.requests.cpu",
            resources("requests", "cpu", "71m"),
            r#""cpu":"71m""#,
        ),
        (
            "components{}.resources.requests.memory",
            resources("requests", "memory", "71Mi"),
            r#""memory":"71Mi""#,
        ),
        (
            "components{}.resources.limits.cpu",
            resources("limits", "cpu", "7"),
            r#""cpu":"7""#,
        ),
        (
            "components{}.resources.limits.memory",
            resources("limits", "memory", "771Mi"),
            r#""memory":"771Mi""#,
        ),
        (
            "components{}.nodeSelector{}",
            gateway(json!({ "nodeSelector": { "leaf": "green" } })),
            r#""nodeSelector":{"leaf":"green"}"#,
        ),
        (
            "components{}.tolerations[].key",
            gateway(toleration(json!({}))),
            r#""key":"leaf""#,
        ),
        (
            "components{}.tolerations[].operator",
            gateway(toleration(json!({ "operator": "Exists" }))),
            r#""operator":"Exists""#,
        ),
        (
            "components{}.tolerations[].value",
            gateway(toleration(json!({ "value": "green" }))),
            r#""value":"green""#,
        ),
        (
            "components{}.tolerations[].effect",
            gateway(toleration(json!({ "effect": "PreferNoSchedule" }))),
            r#""effect":"PreferNoSchedule""#,
        ),
        (
            "components{}.tolerations[].tolerationSeconds",
            gateway(toleration(json!({ "tolerationSeconds": 71 }))),
            r#""tolerationSeconds":71"#,
        ),
        (
            "components{}.podLabels{}",
            gateway(json!({ "podLabels": { "leaf": "green" } })),
            r#""leaf":"green""#,
        ),
        (
            "components{}.podAnnotations{}",
            gateway(json!({ "podAnnotations": { "leaf": "green" } })),
            r#""leaf":"green""#,
        ),
    ]
}

fn pod_cases() -> Vec<Case> {
    vec![
        (
            "pods.nodeSelector{}",
            all_pods(json!({ "nodeSelector": { "leaf": "green" } })),
            r#""nodeSelector":{"leaf":"green"}"#,
        ),
        (
            "pods.tolerations[].key",
            all_pods(toleration(json!({}))),
            r#""key":"leaf""#,
        ),
        (
            "pods.tolerations[].operator",
            all_pods(toleration(json!({ "operator": "Exists" }))),
            r#""operator":"Exists""#,
        ),
        (
            "pods.tolerations[].value",
            all_pods(toleration(json!({ "value": "green" }))),
            r#""value":"green""#,
        ),
        (
            "pods.tolerations[].effect",
            all_pods(toleration(json!({ "effect": "PreferNoSchedule" }))),
            r#""effect":"PreferNoSchedule""#,
        ),
        (
            "pods.tolerations[].tolerationSeconds",
            all_pods(toleration(json!({ "tolerationSeconds": 71 }))),
            r#""tolerationSeconds":71"#,
        ),
        (
            "pods.labels{}",
            all_pods(json!({ "labels": { "leaf": "green" } })),
            r#""leaf":"green""#,
        ),
        (
            "pods.annotations{}",
            all_pods(json!({ "annotations": { "leaf": "green" } })),
            r#""leaf":"green""#,
        ),
        (
            "pods.priorityClassName",
            all_pods(json!({ "priorityClassName": "leaf" })),
            r#""priorityClassName":"leaf""#,
        ),
    ]
}

/// Collects the paths of all parts of a schema that have no parts themselves.
fn walk(schema: &Value, path: &str, leaves: &mut BTreeSet<String>) {
    let mut inner = Vec::new();
    for (name, part) in schema["properties"].as_object().into_iter().flatten() {
        let dot = if path.is_empty() { "" } else { "." };
        inner.push((format!("{path}{dot}{name}"), part));
    }
    for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            inner.push((format!("{path}{mark}"), &schema[key]));
        }
    }
    if inner.is_empty() {
        leaves.insert(path.to_owned());
    }
    for (path, part) in inner {
        walk(part, &path, leaves);
    }
}

fn leaves() -> BTreeSet<String> {
    let crd = serde_json::to_value(LotoAI::crd()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut leaves = BTreeSet::new();
    walk(&schema["properties"]["spec"], "", &mut leaves);
    leaves
}

/// All that comes of a resource, as one text. Texts inside of objects are there as they are.
fn outcome(lotoai: &LotoAI) -> String {
    let env = operator("minimal");
    let observed = provided();
    let platform = validate(lotoai, &observed, &env).unwrap();
    let prepared = build(&platform, &credentials(&platform));
    let gates = gates(&platform, &prepared, &observed);
    let outcome = if lotoai.spec.paused {
        Outcome::Paused {
            platform: &platform,
        }
    } else {
        Outcome::Reconciled {
            platform: &platform,
            prepared: &prepared,
            gates: &gates,
        }
    };
    let pass = Pass {
        lotoai,
        env: &env,
        observed: &observed,
        probe: &ProbeOutcome::Pending,
        outcome,
    };
    let status = status(&pass, "2026-11-22T10:00:00Z".parse().unwrap());
    let mut text = serde_json::to_string(&status).unwrap();
    for object in prepared.objects() {
        text.push_str(&object.body.to_string());
    }
    for map in &prepared.config_maps {
        for file in map.data.iter().flat_map(|data| data.values()) {
            text.push_str(file);
        }
    }
    for secret in required_secrets(&platform) {
        write!(text, "{:?}", secret.kind).unwrap();
    }
    text
}

#[test]
fn every_leaf_of_the_spec_reaches_an_object_or_the_status() {
    let minimal = serde_json::to_value(resource("minimal")).unwrap();
    let before = outcome(&serde_json::from_value(minimal.clone()).unwrap());
    let mut faults = Vec::new();
    for (leaf, extra, text) in cases() {
        let mut object = minimal.clone();
        merge(&mut object["spec"], extra);
        let lotoai: LotoAI = serde_json::from_value(object).unwrap();
        if let Err(errors) = lotoai.validate_cel() {
            faults.push(format!("{leaf}: the case is refused: {errors}"));
            continue;
        }
        if before.contains(text) {
            faults.push(format!("{leaf}: {text} is there without it"));
        }
        if !outcome(&lotoai).contains(text) {
            faults.push(format!("{leaf}: {text} appears nowhere"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_leaf_of_the_schema_has_a_case() {
    let cases: BTreeSet<String> = cases().iter().map(|case| case.0.to_owned()).collect();
    let leaves = leaves();
    let missing: Vec<_> = leaves.difference(&cases).collect();
    assert!(missing.is_empty(), "add a case for {missing:#?}");
    let gone: Vec<_> = cases.difference(&leaves).collect();
    assert!(gone.is_empty(), "the spec has no {gone:#?}");
}
