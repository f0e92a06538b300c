//! The platform as a whole.

use serde_json::{Value, json};

use super::{Case, merge};

pub(super) fn platform_cases() -> Vec<Case> {
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
            "tls.authoritySecretName",
            json!({ "tls": { "authoritySecretName": "platform-ca" } }),
            "given in Secret platform-ca",
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
            "observability.metrics.external.fromNamespaces{}",
            scraper(json!({})),
            r#""namespaceSelector":{"matchLabels":{"leaf":"green"}}"#,
        ),
        (
            "observability.metrics.external.fromPods{}",
            scraper(json!({ "fromPods": { "leaf": "blue" } })),
            r#""podSelector":{"matchLabels":{"leaf":"blue"}}"#,
        ),
        (
            "deletionPolicy",
            json!({ "deletionPolicy": "Delete" }),
            r#""whenDeleted":"Delete""#,
        ),
        (
            "credentials.rotate{}",
            json!({ "credentials": { "rotate": { "gateway-postgres": "leaf-7" } } }),
            r#""rotation":"leaf-7""#,
        ),
        (
            "credentials.given{}.name",
            json!({ "credentials": { "given": {
                "gateway-postgres": { "name": "vault-gateway-postgres" },
            } } }),
            r#"Given { secret: "vault-gateway-postgres", key: "password" }"#,
        ),
        ("suspend", json!({ "suspend": true }), r#""replicas":0"#),
        ("paused", json!({ "paused": true }), r#""reason":"Paused""#),
    ]
}

fn scraper(extra: Value) -> Value {
    let mut external = json!({ "fromNamespaces": { "leaf": "green" } });
    merge(&mut external, extra);
    json!({ "observability": { "metrics": { "external": external } } })
}

fn issuer_elsewhere(extra: Value) -> Value {
    let mut external = json!({ "issuerURL": "https://leaf.example.com/staff/",
                               "clientID": "app", "clientSecretName": "sign-in" });
    merge(&mut external, extra);
    json!({ "identity": { "external": external } })
}
