//! What each store needs, as the file says it.

use std::path::Path;

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use snafu::{OptionExt, ResultExt};
use url::Url;

use crate::error::{Error, NoSecretSnafu, ParseFileSnafu, ReadFileSnafu};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostgresPlan {
    /// Whether the server serves others as well: then the administrator's database is left as it
    /// is.
    #[serde(default)]
    pub(crate) shared: bool,
    pub(crate) databases: Vec<Database>,
}

/// A database, the role that owns it, and who may sign in for it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Database {
    pub(crate) database: String,
    pub(crate) owner: String,
    /// The owner itself, or members of it that work in its name.
    pub(crate) logins: Vec<Login>,
    /// Roles that may not sign in any more.
    #[serde(default)]
    pub(crate) retired: Vec<String>,
}

/// Who may sign in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password_env: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RabbitmqPlan {
    pub(crate) vhost: String,
    pub(crate) users: Vec<RabbitmqUser>,
    /// Users that must not be there.
    #[serde(default)]
    pub(crate) retired: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RabbitmqUser {
    pub(crate) username: String,
    pub(crate) password_env: String,
    /// Whether it may publish events.
    #[serde(default)]
    pub(crate) publish: bool,
    /// The queue that it may read.
    pub(crate) queue: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct S3Plan {
    /// Buckets in a store that has no interface to make accounts with.
    #[serde(default)]
    pub(crate) buckets: Vec<String>,
    pub(crate) users: Vec<S3User>,
    /// Users that must not be there.
    #[serde(default)]
    pub(crate) retired: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct S3User {
    pub(crate) username: String,
    pub(crate) password_env: String,
    pub(crate) bucket: String,
    pub(crate) access: Access,
}

/// What a user may do with the objects of its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Access {
    Read,
    ReadWrite,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeycloakPlan {
    pub(crate) realm: String,
    pub(crate) audience: String,
    pub(crate) public_url: Url,
    /// Where the gateway hears that a session ended, as Keycloak reaches it.
    #[serde(default)]
    pub(crate) back_channel_logout_url: Option<Url>,
    pub(crate) clients: Vec<ConfidentialClient>,
    pub(crate) first_user: FirstUser,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfidentialClient {
    pub(crate) client_id: String,
    pub(crate) secret_env: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FirstUser {
    pub(crate) username: String,
    pub(crate) password_env: String,
    pub(crate) email: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClickhousePlan {
    /// Name of the cluster, when there are several servers.
    pub(crate) cluster: Option<String>,
    /// Address of each server, when each has to be asked; none asks the one that the store's address
    /// leads to.
    #[serde(default)]
    pub(crate) servers: Vec<Url>,
    pub(crate) users: Vec<ClickhouseUser>,
    /// Users that must not be there.
    #[serde(default)]
    pub(crate) retired: Vec<String>,
}

/// A user and the database that is its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClickhouseUser {
    pub(crate) database: String,
    pub(crate) username: String,
    pub(crate) password_env: String,
}

/// Reads the file, which says what one store needs.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = std::fs::read_to_string(path).context(ReadFileSnafu { path })?;
    serde_yaml_ng::from_str(&text).context(ParseFileSnafu { path })
}

/// Gives the value of a variable.
type LookUp = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The passwords that the file names.
pub(crate) struct Secrets {
    look_up: LookUp,
}

impl Secrets {
    pub(crate) fn from_env() -> Self {
        Self {
            look_up: Box::new(|name| std::env::var(name).ok()),
        }
    }

    #[cfg(test)]
    pub(crate) fn from_pairs(pairs: &[(&str, &str)]) -> Self {
        let map: std::collections::BTreeMap<String, String> = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Self {
            look_up: Box::new(move |name| map.get(name).cloned()),
        }
    }

    /// The password of `of`. An empty variable counts as one that is not set.
    pub(crate) fn get(&self, variable: &str, of: &str) -> Result<SecretString, Error> {
        (self.look_up)(variable)
            .filter(|value| !value.is_empty())
            .map(SecretString::from)
            .context(NoSecretSnafu { variable, of })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENTATION: &str = include_str!("../../../docs/workloads/provision.md");

    fn parse<T: DeserializeOwned>(text: &str) -> Result<T, serde_yaml_ng::Error> {
        serde_yaml_ng::from_str(text)
    }

    /// The example of the documentation that begins with the comment `# <store>`.
    fn example(store: &str) -> &'static str {
        let (_, rest) = DOCUMENTATION
            .split_once(&format!("```yaml\n# {store}\n"))
            .unwrap();
        rest.split_once("```").unwrap().0
    }

    #[test]
    fn the_examples_of_the_documentation_are_accepted() {
        assert_eq!(
            parse::<PostgresPlan>(example("postgres"))
                .unwrap()
                .databases
                .len(),
            2
        );
        let rabbitmq: RabbitmqPlan = parse(example("rabbitmq")).unwrap();
        assert_eq!(rabbitmq.users[1].queue.as_deref(), Some("analytics"));
        assert!(rabbitmq.users[0].publish && !rabbitmq.users[1].publish);
        let s3: S3Plan = parse(example("s3")).unwrap();
        assert_eq!(
            [s3.users[0].access, s3.users[1].access],
            [Access::ReadWrite, Access::Read]
        );
        let keycloak: KeycloakPlan = parse(example("keycloak")).unwrap();
        assert_eq!(keycloak.clients[0].client_id, "lotoai-web");
        assert_eq!(
            parse::<ClickhousePlan>(example("clickhouse"))
                .unwrap()
                .users
                .len(),
            1
        );
    }

    #[test]
    fn an_unknown_field_is_named() {
        let error = parse::<ClickhousePlan>("{ users: [], user: x }")
            .unwrap_err()
            .to_string();
        assert!(error.contains("unknown field `user`"), "{error}");
    }

    #[test]
    fn a_missing_or_empty_password_is_named() {
        let secrets = Secrets::from_pairs(&[("EMPTY", "")]);
        for variable in ["EMPTY", "ABSENT"] {
            let error = secrets.get(variable, "gateway").unwrap_err().to_string();
            assert!(
                error.starts_with(variable) && error.contains("gateway"),
                "{error}"
            );
        }
    }
}
