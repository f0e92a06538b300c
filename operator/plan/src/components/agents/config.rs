//! `agents.yaml`: the built-in provider, declared providers, and roles.

use k8s_openapi::api::core::v1::ConfigMap;
use lotoai_api::spec::{ModelRef, Provider, ProviderKind, Role};
use lotoai_api::{Component, LOCAL_PROVIDER};
use serde::Serialize;

use crate::components::shared::config::config_map;
use crate::env::{address, upper};
use crate::graph::Node;
use crate::platform::Platform;

#[derive(Serialize)]
struct File<'a> {
    providers: Vec<ProviderEntry<'a>>,
    roles: Vec<RoleEntry<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProviderEntry<'a> {
    name: &'a str,
    kind: &'static str,
    #[serde(rename = "baseURL", skip_serializing_if = "Option::is_none")]
    base_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key_env: Option<String>,
}

#[derive(Serialize)]
struct RoleEntry<'a> {
    name: &'a str,
    description: &'a str,
    prompt: &'a str,
    models: &'a [ModelRef],
    groups: &'a [String],
}

/// Variable with the key of a provider.
pub(super) fn key_variable(provider: &Provider) -> String {
    format!("PROVIDER_{}_API_KEY", upper(provider.name.as_str()))
}

pub(super) fn build(platform: &Platform) -> ConfigMap {
    let mut providers = vec![ProviderEntry {
        name: LOCAL_PROVIDER,
        kind: "Local",
        base_url: Some(format!(
            "{}/v1",
            address(platform, "https", Component::ModelServer, 8080)
        )),
        api_key_env: Some("MODEL_SERVER_TOKEN".to_owned()),
    }];
    providers.extend(platform.spec.agents.providers.iter().map(|provider| {
        ProviderEntry {
            name: provider.name.as_str(),
            kind: kind(provider.kind),
            base_url: provider.base_url.clone(),
            api_key_env: provider
                .api_key_secret_ref
                .as_ref()
                .map(|_| key_variable(provider)),
        }
    }));
    let file = File {
        providers,
        roles: platform.spec.agents.roles.iter().map(role).collect(),
    };
    // Serialising texts and lists of texts cannot fail.
    let text = serde_yaml_ng::to_string(&file).unwrap_or_default();
    config_map(
        platform,
        Node::Component(Component::Agents),
        &[("agents.yaml", text)],
    )
}

const fn kind(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::OpenAI => "OpenAI",
        ProviderKind::Anthropic => "Anthropic",
        ProviderKind::XAI => "XAI",
        ProviderKind::OpenAICompatible => "OpenAICompatible",
    }
}

fn role(role: &Role) -> RoleEntry<'_> {
    let Role {
        name,
        description,
        prompt,
        models,
        groups,
    } = role;
    RoleEntry {
        name: name.as_str(),
        description,
        prompt,
        models,
        groups,
    }
}
