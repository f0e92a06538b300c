//! Providers, roles and tools.

use serde_json::{Value, json};

use super::{Case, merge};

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

pub(super) fn agent_cases() -> Vec<Case> {
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

pub(super) fn tool_cases() -> Vec<Case> {
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
            "mcp.tools[].approval",
            tool(json!({ "script": { "source": "true" }, "approval": "OnWrite" })),
            "approval: OnWrite",
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
