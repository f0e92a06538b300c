//! Address, profile, roles, tools, knowledge, images and telemetry.

use serde_json::{Value, json};

use super::Broken;

fn provider(provider: Value) -> Value {
    json!({ "agents": { "providers": [provider] } })
}

fn role(changes: &Value) -> Value {
    let mut role = json!({
        "name": "r", "description": "d", "prompt": "p",
        "models": [{ "provider": "local", "model": "m" }],
    });
    let changes = changes.as_object().unwrap().clone();
    role.as_object_mut().unwrap().extend(changes);
    json!({ "agents": { "roles": [role] } })
}

fn tool(changes: &Value) -> Value {
    let mut tool = json!({ "name": "t", "description": "d" });
    let changes = changes.as_object().unwrap().clone();
    tool.as_object_mut().unwrap().extend(changes);
    json!({ "mcp": { "tools": [tool] } })
}

pub(super) fn broken() -> Vec<Broken> {
    let key = json!({ "name": "k" });
    let mut all = vec![
        (
            "http",
            json!({ "url": "http://lotoai.localhost" }),
            "url must be https://",
        ),
        (
            "a path",
            json!({ "url": "https://a.example/x" }),
            "without a path",
        ),
        (
            "upper case",
            json!({ "url": "https://A.example" }),
            "lower-case host",
        ),
        (
            "an IP address",
            json!({ "url": "https://192.0.2.1" }),
            "not an IP address",
        ),
        (
            "a port of six digits",
            json!({ "url": "https://a.example:123456" }),
            "with a port",
        ),
        (
            "a user",
            json!({ "url": "https://me@a.example" }),
            "lower-case host",
        ),
        (
            "too long",
            json!({ "url": format!("https://{}.example", "a".repeat(250)) }),
            "spec.url: Too long",
        ),
        (
            "profile",
            json!({ "profile": "Huge" }),
            "supported values: \"Demo\"",
        ),
        (
            "a policy",
            json!({ "deletionPolicy": "Keep" }),
            "supported values: \"Retain\"",
        ),
        (
            "paused by a word",
            json!({ "paused": "yes" }),
            "spec.paused",
        ),
        (
            "an address without @",
            json!({ "identity": { "firstUser": { "email": "ana.example" } } }),
            "must be an address like",
        ),
        (
            "a user name with a space",
            json!({ "identity": { "firstUser": { "username": "ana b" } } }),
            "spec.identity.firstUser.username",
        ),
        (
            "an OTLP endpoint with TLS",
            json!({ "observability": { "otlpEndpoint": "https://otel:4317" } }),
            "must be http://",
        ),
        (
            "metrics for nobody",
            json!({ "observability": { "metrics": {} } }),
            "spec.observability.metrics.external: Required value",
        ),
        (
            "metrics for all namespaces",
            json!({ "observability": { "metrics": { "external": { "fromNamespaces": {} } } } }),
            "spec.observability.metrics.external.fromNamespaces",
        ),
    ];
    all.extend([
        ("a provider without key", provider(json!({ "name": "openai", "kind": "OpenAI" })), "needs apiKeySecretRef"),
        ("a compatible provider without address", provider(json!({ "name": "x", "kind": "OpenAICompatible" })), "needs baseURL"),
        ("a provider named local", provider(json!({ "name": "local", "kind": "OpenAICompatible", "baseURL": "http://x:1/v1" })), "may not be named local"),
        ("an unknown kind", provider(json!({ "name": "x", "kind": "Gemini", "apiKeySecretRef": key })), "supported values: \"OpenAI\""),
        ("a query in an address", provider(json!({ "name": "x", "kind": "OpenAICompatible", "baseURL": "http://x/v1?a=b" })), "without query"),
        ("a key's Secret with a namespace", provider(json!({ "name": "x", "kind": "XAI", "apiKeySecretRef": { "name": "other/k" } })), "apiKeySecretRef.name"),
        ("a Secret's name from a template", provider(json!({ "name": "x", "kind": "XAI", "apiKeySecretRef": { "name": "{{ .name }}" } })), "apiKeySecretRef.name"),
        ("a key with a slash", provider(json!({ "name": "x", "kind": "XAI", "apiKeySecretRef": { "name": "k", "key": "a/b" } })), "apiKeySecretRef.key"),
        ("two providers of one name", json!({ "agents": { "providers": [
            { "name": "x", "kind": "XAI", "apiKeySecretRef": key },
            { "name": "x", "kind": "OpenAI", "apiKeySecretRef": key },
        ] } }), "Duplicate value"),
        ("a role with an unknown provider", role(&json!({ "models": [{ "provider": "nobody", "model": "m" }] })), "must name a provider of agents.providers, or local"),
        ("a role named probe", role(&json!({ "name": "probe" })), "may not be named lotoai or probe"),
        ("a role without models", role(&json!({ "models": [] })), "should have at least 1 items"),
        ("a role with six models", role(&json!({ "models": vec![json!({ "provider": "local", "model": "m" }); 6] })), "must have at most 5 items"),
        ("a prompt that is too long", role(&json!({ "prompt": "p".repeat(20_001) })), "prompt: Too long"),
        ("a group without a name", role(&json!({ "groups": [""] })), "groups[0]"),
        ("a role from a template", role(&json!({ "name": "{{role}}" })), "spec.agents.roles[0].name"),
    ]);
    all.extend([
        (
            "a tool that does nothing",
            tool(&json!({})),
            "exactly one of http and script",
        ),
        (
            "a tool that does both",
            tool(
                &json!({ "http": { "url": "https://a.example" }, "script": { "source": "true" } }),
            ),
            "exactly one of http and script",
        ),
        (
            "another scheme",
            tool(&json!({ "http": { "url": "ftp://a.example" } })),
            "must begin with http",
        ),
        (
            "an unknown method",
            tool(&json!({ "http": { "url": "https://a.example", "method": "TRACE" } })),
            "supported values: \"GET\"",
        ),
        (
            "no time at all",
            tool(&json!({ "script": { "source": "true", "timeoutSeconds": 0 } })),
            "timeoutSeconds",
        ),
        (
            "more than the tool server gives",
            tool(&json!({ "http": { "url": "https://a.example", "timeoutSeconds": 101 } })),
            "less than or equal to 100",
        ),
        (
            "an empty script",
            tool(&json!({ "script": { "source": "" } })),
            "script.source",
        ),
        (
            "a tool named with a space",
            tool(&json!({ "name": "a tool", "script": { "source": "true" } })),
            "spec.mcp.tools[0].name",
        ),
        (
            "an overlap as long as the chunk",
            json!({ "rag": { "chunk": { "maxCharacters": 300, "overlapCharacters": 299 } } }),
            "at most half",
        ),
        (
            "a chunk that is too small",
            json!({ "rag": { "chunk": { "maxCharacters": 199 } } }),
            "greater than or equal to 200",
        ),
        (
            "a chunk that is too large",
            json!({ "rag": { "chunk": { "maxCharacters": 4001 } } }),
            "less than or equal to 4000",
        ),
        (
            "an image without version",
            json!({ "images": { "overrides": { "gateway": "a.example/gateway" } } }),
            "needs a tag other than latest",
        ),
        (
            "an image by latest",
            json!({ "images": { "overrides": { "gateway": "a.example/gateway:latest" } } }),
            "needs a tag other than latest",
        ),
        (
            "an image of nobody",
            json!({ "images": { "overrides": { "mailer": "a.example/mailer:1" } } }),
            "must be one of",
        ),
        (
            "a registry with a scheme",
            json!({ "images": { "registry": "HTTPS://a.example" } }),
            "spec.images.registry",
        ),
        (
            "when to pull",
            json!({ "images": { "pullPolicy": "Sometimes" } }),
            "supported values: \"Always\"",
        ),
    ]);
    all
}
