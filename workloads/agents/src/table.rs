//! The role table: `agents.yaml`, read strictly.

use std::collections::HashSet;

use serde::Deserialize;
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use url::Url;

/// Providers and the roles that use them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Where models are.
    #[serde(default)]
    pub providers: Vec<Provider>,
    /// What callers can name.
    #[serde(default)]
    pub roles: Vec<Role>,
}

/// The wire dialect of a provider, and whether its models can be trusted to plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Kind {
    /// api.openai.com, chat completions.
    OpenAI,
    /// api.anthropic.com, messages.
    Anthropic,
    /// api.x.ai, chat completions.
    XAI,
    /// Any server with OpenAI's chat completions; `baseURL` is required.
    OpenAICompatible,
    /// The platform's own model server; `baseURL` is required. Never counts as capable.
    Local,
}

impl Kind {
    /// The vendor's public address; `None` when the table must name one.
    fn default_base_url(self) -> Option<&'static str> {
        match self {
            Self::OpenAI => Some("https://api.openai.com/v1"),
            Self::Anthropic => Some("https://api.anthropic.com/v1"),
            Self::XAI => Some("https://api.x.ai/v1"),
            Self::OpenAICompatible | Self::Local => None,
        }
    }

    fn needs_key(self) -> bool {
        matches!(self, Self::OpenAI | Self::Anthropic | Self::XAI)
    }
}

/// One provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Provider {
    /// Name that roles refer to.
    pub name: String,
    /// Dialect.
    pub kind: Kind,
    /// Address up to and including the version segment; optional for the named vendors.
    #[serde(rename = "baseURL")]
    pub base_url: Option<Url>,
    /// Name of the environment variable with the key; optional where no key is needed.
    pub api_key_env: Option<String>,
}

impl Provider {
    /// The address of `path` (for example `chat/completions`) at this provider.
    ///
    /// # Errors
    /// Neither the table nor the vendor gives an address.
    pub fn endpoint(&self, path: &str) -> Result<Url, TableError> {
        let base = match &self.base_url {
            Some(url) => url.clone(),
            None => self
                .kind
                .default_base_url()
                .and_then(|url| Url::parse(url).ok())
                .context(MissingBaseUrlSnafu {
                    provider: &self.name,
                })?,
        };
        let joined = format!("{}/{path}", base.as_str().trim_end_matches('/'));
        Url::parse(&joined).context(EndpointSnafu {
            provider: &self.name,
        })
    }
}

/// One role: a model as callers see it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Name; also the model's name in the public API.
    pub name: String,
    /// What the role is for, for people and for the router.
    #[serde(default)]
    pub description: String,
    /// System prompt put before every conversation.
    #[serde(default)]
    pub prompt: String,
    /// Models in order of preference.
    pub models: Vec<ModelRef>,
    /// Groups that may use the role; empty = everybody who is signed in.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// A model at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRef {
    /// Name of the provider.
    pub provider: String,
    /// The model's name at that provider.
    pub model: String,
}

/// Why a table is refused.
#[derive(Debug, Snafu)]
pub enum TableError {
    /// Not YAML, an unknown or missing field, or a wrong type; the cause names it.
    #[snafu(display("failed to read the YAML"))]
    Yaml {
        /// The cause, with the field and the line.
        source: serde_yaml_ng::Error,
    },
    /// A name is empty, has a forbidden character, or is reserved.
    #[snafu(display(
        "{field} {name:?} is not allowed: use 1 to 63 characters of a-z, 0-9 and `-`, not `lotoai` or `probe`"
    ))]
    Name {
        /// Which name.
        field: &'static str,
        /// The value.
        name: String,
    },
    /// Two entries have one name.
    #[snafu(display("{field} {name:?} appears twice: rename one of them"))]
    Duplicate {
        /// Which name.
        field: &'static str,
        /// The value.
        name: String,
    },
    /// A role has no model.
    #[snafu(display("roles[{role}].models is empty: name at least one provider and model"))]
    NoModels {
        /// The role.
        role: String,
    },
    /// A role refers to a provider that is not in the table.
    #[snafu(display(
        "roles[{role}].models names provider {provider:?}, which is not in providers"
    ))]
    UnknownProvider {
        /// The role.
        role: String,
        /// The missing provider.
        provider: String,
    },
    /// A provider of a kind without a public address has no `baseURL`.
    #[snafu(display("providers[{provider}].baseURL is missing: this kind has no default address"))]
    MissingBaseUrl {
        /// The provider.
        provider: String,
    },
    /// A vendor needs a key and none is named.
    #[snafu(display(
        "providers[{provider}].apiKeyEnv is missing: name the environment variable with the key"
    ))]
    MissingKeyName {
        /// The provider.
        provider: String,
    },
    /// The base address cannot carry a path.
    #[snafu(display("providers[{provider}].baseURL is not a usable address"))]
    Endpoint {
        /// The provider.
        provider: String,
        /// The cause.
        source: url::ParseError,
    },
    /// The base address is neither http nor https.
    #[snafu(display("providers[{provider}].baseURL must begin with http:// or https://"))]
    Scheme {
        /// The provider.
        provider: String,
    },
}

impl Table {
    /// Reads and checks a table.
    ///
    /// # Errors
    /// The first fault, naming the field.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        let table: Self = serde_yaml_ng::from_str(text).context(YamlSnafu)?;
        table.check()?;
        Ok(table)
    }

    /// The role called `name`.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }

    fn check(&self) -> Result<(), TableError> {
        check_names(
            "providers.name",
            self.providers.iter().map(|p| p.name.as_str()),
        )?;
        check_names("roles.name", self.roles.iter().map(|r| r.name.as_str()))?;
        for provider in &self.providers {
            let url = provider.endpoint("")?;
            ensure!(
                matches!(url.scheme(), "http" | "https"),
                SchemeSnafu {
                    provider: &provider.name
                }
            );
            ensure!(
                !provider.kind.needs_key() || provider.api_key_env.is_some(),
                MissingKeyNameSnafu {
                    provider: &provider.name
                }
            );
        }
        for role in &self.roles {
            ensure!(!role.models.is_empty(), NoModelsSnafu { role: &role.name });
            for model in &role.models {
                ensure!(
                    self.providers.iter().any(|p| p.name == model.provider),
                    UnknownProviderSnafu {
                        role: &role.name,
                        provider: &model.provider
                    }
                );
            }
        }
        Ok(())
    }
}

fn check_names<'a>(
    field: &'static str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), TableError> {
    let mut seen = HashSet::new();
    for name in names {
        let well_formed = (1..=63).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        ensure!(
            well_formed && !matches!(name, "lotoai" | "probe"),
            NameSnafu { field, name }
        );
        ensure!(seen.insert(name), DuplicateSnafu { field, name });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use rstest::rstest;

    use super::*;

    const GOOD: &str = r#"
providers:
  - {name: local, kind: Local, baseURL: "http://demo-model-server:8080/v1", apiKeyEnv: MODEL_SERVER_TOKEN}
  - {name: claude, kind: Anthropic, apiKeyEnv: ANTHROPIC_KEY}
roles:
  - {name: assistant, description: "d", prompt: "p", models: [{provider: local, model: smollm2-135m-instruct}], groups: []}
"#;

    fn full(error: &TableError) -> String {
        match error.source() {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        }
    }

    #[test]
    fn a_good_table_is_read() {
        let table = Table::parse(GOOD).unwrap();
        assert_eq!(
            table.role("assistant").unwrap().models[0].model,
            "smollm2-135m-instruct"
        );
        assert_eq!(
            table.providers[0]
                .endpoint("chat/completions")
                .unwrap()
                .as_str(),
            "http://demo-model-server:8080/v1/chat/completions"
        );
        assert_eq!(
            table.providers[1].endpoint("messages").unwrap().as_str(),
            "https://api.anthropic.com/v1/messages"
        );
    }

    #[rstest]
    #[case::unknown_field("providers: []\nroles: []\nextra: 1", "extra")]
    #[case::unknown_role_field(
        "providers: [{name: a, kind: Local, baseURL: 'http://a'}]\nroles: [{name: r, models: [{provider: a, model: m}], promt: x}]",
        "promt"
    )]
    #[case::unknown_kind("providers: [{name: a, kind: Gemini}]", "Gemini")]
    #[case::no_base("providers: [{name: a, kind: Local}]", "providers[a].baseURL")]
    #[case::no_key("providers: [{name: a, kind: OpenAI}]", "providers[a].apiKeyEnv")]
    #[case::scheme("providers: [{name: a, kind: Local, baseURL: 'ftp://a/'}]", "http://")]
    #[case::no_models("roles: [{name: r, models: []}]", "roles[r].models is empty")]
    #[case::unknown_provider("roles: [{name: r, models: [{provider: x, model: m}]}]", "\"x\"")]
    #[case::reserved("roles: [{name: lotoai, models: []}]", "\"lotoai\"")]
    #[case::bad_name("roles: [{name: 'A b', models: []}]", "\"A b\"")]
    #[case::twice(
        "providers: [{name: a, kind: Local, baseURL: 'http://a'}, {name: a, kind: Local, baseURL: 'http://a'}]",
        "appears twice"
    )]
    fn a_bad_table_is_refused_by_name(#[case] text: &str, #[case] mentions: &str) {
        let error = full(&Table::parse(text).unwrap_err());
        assert!(error.contains(mentions), "{error}");
    }
}
