//! `mcp.yaml`: the tools, in the shape of the resource.

use k8s_openapi::api::core::v1::ConfigMap;
use lotoai_api::Component;
use lotoai_api::spec::Tool;
use serde_json::{Value, json};

use crate::components::shared::config::config_map;
use crate::env::address;
use crate::graph::Node;
use crate::platform::Platform;

pub(super) fn build(platform: &Platform) -> ConfigMap {
    let tools: Vec<Value> = platform
        .spec
        .mcp
        .tools
        .iter()
        .map(|tool| entry(platform, tool))
        .collect();
    // Serialising JSON values as YAML cannot fail.
    let text = serde_yaml_ng::to_string(&json!({ "tools": tools })).unwrap_or_default();
    config_map(
        platform,
        Node::Component(Component::McpServer),
        &[("mcp.yaml", text)],
    )
}

/// A tool that calls our own analytics sends the token of that edge; no other tool ever does.
fn entry(platform: &Platform, tool: &Tool) -> Value {
    let mut value = serde_json::to_value(tool).unwrap_or_default();
    let analytics = address(platform, "https", Component::Analytics, 8080);
    let analytics = format!("{analytics}/");
    if tool
        .http
        .as_ref()
        .is_some_and(|http| http.url.starts_with(&analytics))
    {
        value["http"]["tokenEnv"] = "ANALYTICS_TOKEN".into();
    }
    value
}
