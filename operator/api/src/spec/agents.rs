//! Model providers, and the roles that use them.

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{ObjectName, RoleName};

/// Model providers, and the roles that use them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = kube_core::Rule::new(
        "!has(self.roles) || self.roles.all(role, role.models.all(model, \
         model.provider == 'local' || (has(self.providers) && \
         self.providers.exists(provider, provider.name == model.provider))))",
    ).message(
        "every model of agents.roles must name a provider of agents.providers, or local",
    ),
)]
pub struct Agents {
    /// Providers beside `local`, which is always there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = kube_core::ListMerge::Map(vec!["name".to_owned()]))]
    pub providers: Vec<Provider>,
    /// Roles; each is a model of the public API. Empty: the built-in `assistant` and `writer`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = kube_core::ListMerge::Map(vec!["name".to_owned()]))]
    pub roles: Vec<Role>,
}

/// A service that runs models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = kube_core::Rule::new("self.name != 'local'").message(
        "a provider may not be named local: that is the platform's own model-server",
    ),
    validation = kube_core::Rule::new(
        "self.kind != 'OpenAICompatible' || has(self.baseURL)",
    ).message("a provider of kind OpenAICompatible needs baseURL, for example http://vllm:8000/v1"),
    validation = kube_core::Rule::new(
        "self.kind == 'OpenAICompatible' || has(self.apiKeySecretRef)",
    ).message(
        "a provider of kind OpenAI, Anthropic or XAI needs apiKeySecretRef: create a Secret with \
         the key and name it",
    ),
)]
pub struct Provider {
    /// Name that models refer to.
    pub name: RoleName,
    /// Which API it speaks.
    pub kind: ProviderKind,
    /// Address of the API; the provider's own when it is not set.
    #[serde(default, rename = "baseURL", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = kube_core::Rule::new(
        "self.matches('^https?://[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?(:[1-9][0-9]{0,4})?(/[-._~/a-zA-Z0-9]*)?$')",
    ).message("baseURL must be an http:// or https:// address without query"))]
    pub base_url: Option<String>,
    /// The key to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_secret_ref: Option<SecretKeyRef>,
}

/// Which API a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ProviderKind {
    /// api.openai.com.
    OpenAI,
    /// api.anthropic.com.
    Anthropic,
    /// api.x.ai.
    XAI,
    /// Any server with OpenAI's chat completions, for example vLLM.
    OpenAICompatible,
}

/// One key of a Secret in the namespace of the resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(with = "ObjectName")]
    pub name: String,
    /// Key in it.
    #[serde(default = "default_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

fn default_key() -> String {
    "apiKey".to_owned()
}

/// A role: a prompt and the models that play it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = kube_core::Rule::new("self.name != 'lotoai' && self.name != 'probe'").message(
        "a role may not be named lotoai or probe: the platform answers to these names itself",
    ),
)]
pub struct Role {
    /// Name of the role, and of its model in the public API.
    pub name: RoleName,
    /// What the role is good at. The orchestrator decides by it.
    #[schemars(length(min = 1, max = 500))]
    pub description: String,
    /// Instructions that are put before every conversation.
    #[schemars(length(min = 1, max = 20000))]
    pub prompt: String,
    /// Models in order of preference; the next one answers when one fails.
    #[schemars(length(min = 1, max = 5))]
    pub models: Vec<ModelRef>,
    /// Groups that may use it; empty: everybody who is signed in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 100)))]
    pub groups: Vec<String>,
}

/// A model of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelRef {
    /// Name of the provider, or `local`.
    pub provider: RoleName,
    /// Name of the model, as the provider knows it.
    #[schemars(length(min = 1, max = 200))]
    pub model: String,
}
