//! The model provider that the environment of `make up` names, as a part of the resource.
//!
//! The key goes to the cluster through the standard input of kubectl: it is never an argument,
//! which every user of the machine could read, and never a file.

use serde_json::{Value, json};

use crate::error::{RefusedSnafu, Result};
use crate::text;

/// Secret with the key, in the namespace of the platform.
const SECRET: &str = "model-provider";
/// Key in the Secret; the default of the resource.
const SECRET_KEY: &str = "apiKey";
/// What answers when the provider does not: the model in the image of model-server.
const FALLBACK: (&str, &str) = ("local", "smollm2-135m-instruct");

/// Variable with the name of the model.
const MODEL: &str = "LOTOAI_MODEL";
/// Variable with the address of a server that speaks OpenAI's API.
const URL: &str = "LOTOAI_PROVIDER_URL";
/// Variable with the key of that server, if it wants one.
const KEY: &str = "LOTOAI_PROVIDER_KEY";

/// A provider that is known by its key alone.
struct Known {
    variable: &'static str,
    name: &'static str,
    kind: &'static str,
    /// A current model that is quick and not dear.
    model: &'static str,
}

/// In this order: the first whose key is set is used.
const KNOWN: [Known; 3] = [
    Known {
        variable: "OPENAI_API_KEY",
        name: "openai",
        kind: "OpenAI",
        model: "gpt-5-mini",
    },
    Known {
        variable: "ANTHROPIC_API_KEY",
        name: "anthropic",
        kind: "Anthropic",
        model: "claude-sonnet-4-5",
    },
    Known {
        variable: "XAI_API_KEY",
        name: "xai",
        kind: "XAI",
        model: "grok-4",
    },
];

/// A provider and the model to use there. It has no `Debug`: it holds a key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Provider {
    name: &'static str,
    kind: &'static str,
    model: String,
    base_url: Option<String>,
    key: Option<String>,
    /// The variable that asked for it.
    because: &'static str,
}

impl Provider {
    /// The provider that this process's environment asks for; `None` when it asks for none.
    ///
    /// # Errors
    /// When variables contradict each other or one is missing.
    pub(crate) fn from_environment() -> Result<Option<Self>> {
        Self::choose(|name| std::env::var(name).ok())
    }

    fn choose(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        // An empty variable is how a shell or a CI system says "not set".
        let variable = |name: &str| {
            let text = variable(name)?.trim().to_owned();
            (!text.is_empty()).then_some(text)
        };
        let refuse = |message: String| RefusedSnafu { message }.fail();
        if let Some(url) = variable(URL) {
            let Some(model) = variable(MODEL) else {
                return refuse(text::url_without_model());
            };
            return Ok(Some(Self {
                name: "compatible",
                kind: "OpenAICompatible",
                model,
                base_url: Some(url.trim_end_matches('/').to_owned()),
                key: variable(KEY),
                because: URL,
            }));
        }
        if variable(KEY).is_some() {
            return refuse(text::key_without_url());
        }
        let found = KNOWN
            .iter()
            .find_map(|known| Some((known, variable(known.variable)?)));
        let Some((known, key)) = found else {
            if variable(MODEL).is_some() {
                return refuse(text::model_without_provider());
            }
            return Ok(None);
        };
        Ok(Some(Self {
            name: known.name,
            kind: known.kind,
            model: variable(MODEL).unwrap_or_else(|| known.model.to_owned()),
            base_url: None,
            key: Some(key),
            because: known.variable,
        }))
    }

    /// What is used, for people; never the key.
    pub(crate) fn describe(&self) -> String {
        let address = self
            .base_url
            .as_ref()
            .map_or_else(String::new, text::provider_at);
        let key = if self.key.is_some() {
            text::key_in_secret(SECRET)
        } else {
            text::no_key()
        };
        text::provider(self.kind, &self.model, address, self.because, key)
    }

    /// The Secret with the key; `None` when the provider wants none.
    pub(crate) fn secret(&self) -> Option<Value> {
        let key = self.key.as_ref()?;
        Some(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": SECRET },
            "type": "Opaque",
            "stringData": { SECRET_KEY: key },
        }))
    }

    /// `spec.agents`: this provider, and `roles` on its model with the local one behind it.
    pub(crate) fn agents(&self, roles: &Value) -> Value {
        let mut provider = json!({ "name": self.name, "kind": self.kind });
        if let Some(url) = &self.base_url {
            provider["baseURL"] = json!(url);
        }
        if self.key.is_some() {
            provider["apiKeySecretRef"] = json!({ "name": SECRET, "key": SECRET_KEY });
        }
        let models = json!([
            { "provider": self.name, "model": self.model },
            { "provider": FALLBACK.0, "model": FALLBACK.1 },
        ]);
        let mut roles = roles.clone();
        for role in roles.as_array_mut().into_iter().flatten() {
            role["models"] = models.clone();
        }
        json!({ "providers": [provider], "roles": roles })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The provider that these variables ask for, or the refusal.
    fn choose(variables: &[(&str, &str)]) -> std::result::Result<Option<Provider>, String> {
        let find = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Provider::choose(find).map_err(|error| error.to_string())
    }

    fn chosen(variables: &[(&str, &str)]) -> Provider {
        choose(variables).unwrap().unwrap()
    }

    #[test]
    fn without_variables_the_platform_keeps_to_itself() {
        assert!(choose(&[]).unwrap().is_none());
        assert!(choose(&[("OPENAI_API_KEY", " ")]).unwrap().is_none());
    }

    #[test]
    fn a_key_chooses_the_provider_and_its_model() {
        for (variable, kind, name) in [
            ("OPENAI_API_KEY", "OpenAI", "openai"),
            ("ANTHROPIC_API_KEY", "Anthropic", "anthropic"),
            ("XAI_API_KEY", "XAI", "xai"),
        ] {
            let provider = chosen(&[(variable, "secret-1")]);
            let agents = provider.agents(&json!([{ "name": "writer", "prompt": "p" }]));
            assert_eq!(
                agents["providers"],
                json!([{ "name": name, "kind": kind,
                    "apiKeySecretRef": { "name": "model-provider", "key": "apiKey" } }])
            );
            let model = provider.model.clone();
            assert!(!model.is_empty());
            assert_eq!(
                agents["roles"],
                json!([{ "name": "writer", "prompt": "p", "models": [
                    { "provider": name, "model": model },
                    { "provider": "local", "model": "smollm2-135m-instruct" },
                ] }])
            );
            let other = chosen(&[(variable, "secret-1"), ("LOTOAI_MODEL", "other")]);
            assert_eq!(other.model, "other");
        }
    }

    #[test]
    fn the_key_is_in_the_secret_and_nowhere_else() {
        let provider = chosen(&[("OPENAI_API_KEY", "secret-1")]);
        let secret = provider.secret().unwrap();
        assert_eq!(secret["stringData"]["apiKey"], "secret-1");
        assert!(!provider.describe().contains("secret-1"));
        let roles = json!([{ "name": "assistant" }]);
        assert!(!provider.agents(&roles).to_string().contains("secret-1"));
    }

    #[test]
    fn an_address_comes_before_the_known_providers() {
        let url = ("LOTOAI_PROVIDER_URL", "http://vllm.models:8000/v1/");
        let model = ("LOTOAI_MODEL", "qwen3-32b");
        let provider = chosen(&[url, model, ("OPENAI_API_KEY", "secret-1")]);
        assert!(provider.secret().is_none());
        assert_eq!(
            provider.agents(&json!([]))["providers"],
            json!([{ "name": "compatible", "kind": "OpenAICompatible",
                "baseURL": "http://vllm.models:8000/v1" }])
        );
        let provider = chosen(&[url, model, ("LOTOAI_PROVIDER_KEY", "secret-2")]);
        assert_eq!(
            provider.secret().unwrap()["stringData"]["apiKey"],
            "secret-2"
        );
    }

    #[test]
    fn half_a_provider_is_refused_with_the_fix() {
        for (variables, fix) in [
            (&[("LOTOAI_PROVIDER_URL", "http://x/v1")], "LOTOAI_MODEL="),
            (
                &[("LOTOAI_PROVIDER_KEY", "secret-1")],
                "LOTOAI_PROVIDER_URL",
            ),
            (&[("LOTOAI_MODEL", "m")], "OPENAI_API_KEY"),
        ] {
            let refusal = choose(variables).err().unwrap();
            assert!(refusal.contains(fix), "{refusal}");
            assert!(!refusal.contains("secret-1"), "{refusal}");
        }
    }
}
