//! What Secrets hold, what stores make of it, and what pods begin with.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{EnvVar, Pod, Secret};
use lotoai_api::Store;
use lotoai_plan::credentials::digest;
use lotoai_plan::rotation::{self, Step, has_own_administrator};
use lotoai_plan::{
    Credentials, Node, Observed, Platform, Prepared, ResourceSet, SecretKind, SecretSpec, Value,
    required_secrets,
};

use super::world::World;

impl World {
    /// What the Secrets hold, and for those that are not there yet what they will hold.
    pub(super) fn credentials(&self, platform: &Platform) -> Credentials {
        let required = required_secrets(platform);
        let values = required.iter().map(|spec| {
            let found = self.observed.secrets.get(spec.name());
            let made = || data(spec, &self.observed);
            let data = found.map_or_else(made, |found| found.data.clone().unwrap());
            let data = data.into_iter().map(|(key, value)| (key, value.0));
            (spec.name().to_owned(), data.collect())
        });
        Credentials::new(&required, values.collect()).unwrap()
    }

    /// Makes the Secrets that are missing.
    pub(super) fn make_secrets(&mut self) {
        for spec in required_secrets(&self.platform()) {
            let secret = Secret {
                metadata: spec.metadata.clone(),
                data: Some(data(&spec, &self.observed)),
                ..Secret::default()
            };
            let name = spec.name().to_owned();
            self.observed.secrets.entry(name).or_insert(secret);
        }
    }

    /// Takes the steps of rotations that are due, at most so many.
    pub(super) fn rotate(&mut self, most: usize) -> usize {
        let (platform, set, _) = self.plan();
        let changes = rotation::next(&platform, &set, &self.observed, self.now);
        let taken = changes.len().min(most);
        for change in changes.into_iter().take(most) {
            self.made += 1;
            let new = match &change.given {
                Some(given) => self.secret(given, change.key).unwrap(),
                None => format!("new-{}", self.made),
            };
            let secret = self.observed.secrets.get_mut(&change.secret).unwrap();
            let data = secret.data.as_mut().unwrap();
            let annotations = secret.metadata.annotations.get_or_insert_default();
            match change.step {
                Step::Introduce => {
                    if let Some(username) = &change.username {
                        data.insert(rotation::STANDBY_USERNAME.to_owned(), text(username));
                    }
                    let key = rotation::standby_key(change.key).unwrap();
                    data.insert(key.to_owned(), text(&new));
                    if change.request.is_empty() {
                        annotations.remove(rotation::REQUEST);
                    } else {
                        annotations.insert(rotation::REQUEST.to_owned(), change.request);
                    }
                    annotations.insert(rotation::STATE.to_owned(), rotation::INTRODUCED.to_owned());
                }
                Step::Promote => {
                    for (key, standby) in rotation::PLACES {
                        // An account that has no other keeps its name.
                        let Some(other) = data.remove(standby) else {
                            continue;
                        };
                        let one = data.insert(key.to_owned(), other).unwrap();
                        data.insert(standby.to_owned(), one);
                    }
                    annotations.insert(rotation::STATE.to_owned(), rotation::PROMOTED.to_owned());
                    if let Some(until) = change.until {
                        annotations.insert(rotation::UNTIL.to_owned(), until.to_string());
                    }
                }
                Step::Retire => {
                    data.retain(|key, _| !key.starts_with("standby-"));
                    annotations.remove(rotation::STATE);
                    annotations.remove(rotation::UNTIL);
                }
            }
        }
        taken
    }

    /// One value of a Secret.
    pub(super) fn secret(&self, name: &str, key: &str) -> Option<String> {
        let value = self.observed.secret_value(name, key)?;
        Some(String::from_utf8(value.to_vec()).unwrap())
    }

    pub(super) fn environment(&self, variables: &[EnvVar]) -> BTreeMap<String, String> {
        let value = |variable: &EnvVar| {
            let source = variable.value_from.as_ref();
            let key = source.and_then(|source| source.secret_key_ref.as_ref())?;
            Some((variable.name.clone(), self.secret(&key.name, &key.key)?))
        };
        variables.iter().filter_map(value).collect()
    }

    /// What a provision Job makes of its store.
    pub(super) fn provision(&mut self, store: Store, set: &ResourceSet<Prepared>, job: &Job) {
        let platform = self.platform();
        let name = platform.node_name(Node::Provision(store));
        let mut maps = set.config_maps.iter();
        let map = maps
            .find(|map| map.metadata.name.as_ref() == Some(&name))
            .unwrap();
        let file = &map.data.as_ref().unwrap()["provision.yaml"];
        let file: serde_json::Value = serde_yaml_ng::from_str(file).unwrap();
        let container = &job
            .spec
            .as_ref()
            .unwrap()
            .template
            .spec
            .as_ref()
            .unwrap()
            .containers[0];
        let passwords = self.environment(container.env.as_deref().unwrap());
        let password =
            |end: &str| passwords.get(&format!("{}_PASSWORD{end}", store.name().to_uppercase()));
        if has_own_administrator(store) && platform.topology.external(store).is_none() {
            let (wanted, standby) = (password("").unwrap(), password("_STANDBY"));
            let known = self
                .administrators
                .entry(store)
                .or_insert_with(|| wanted.clone());
            assert!(
                known == wanted || Some(&*known) == standby,
                "the administrator of {store:?} is refused"
            );
            known.clone_from(wanted);
        }
        if store == Store::Clickhouse && platform.topology.external(store).is_none() {
            // Its servers follow their file.
            let users = administrators(set);
            let (wanted, standby) = (password("").unwrap(), password("_STANDBY"));
            for password in [Some(wanted), standby].into_iter().flatten() {
                let is_known = users.contains(&digest(password.as_bytes()));
                assert!(is_known, "an administrator of {store:?} is refused");
            }
        }
        let accounts = self.accounts.entry(store).or_default();
        let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
        let mut users = list(&file["users"]);
        let mut retired = list(&file["retired"]);
        for database in list(&file["databases"]) {
            users.extend(list(&database["logins"]));
            retired.extend(list(&database["retired"]));
        }
        for user in users {
            let name = user["username"].as_str().unwrap().to_owned();
            let password = passwords[user["password_env"].as_str().unwrap()].clone();
            accounts.insert(name, password);
        }
        // A client has one secret at a time.
        for client in list(&file["clients"]) {
            let name = client["client_id"].as_str().unwrap().to_owned();
            let secret = passwords[client["secret_env"].as_str().unwrap()].clone();
            accounts.insert(name, secret);
        }
        for name in retired {
            accounts.remove(name.as_str().unwrap());
        }
    }

    pub(super) fn remember(&mut self) {
        let pods: Vec<Pod> = self.observed.pods.values().cloned().collect();
        let mut started = BTreeMap::new();
        for pod in pods {
            let name = pod.metadata.name.clone().unwrap();
            let annotations = pod.metadata.annotations.unwrap();
            let digest = annotations["lotoai.dev/config-hash"].clone();
            let before = self.started.get(&name).filter(|before| before.0 == digest);
            let state = before.cloned().unwrap_or_else(|| {
                let container = &pod.spec.as_ref().unwrap().containers[0];
                let variables = container.env.as_deref().unwrap_or_default();
                (digest, self.environment(variables))
            });
            if before.is_none() {
                *self.starts.entry(name.clone()).or_default() += 1;
            }
            started.insert(name, state);
        }
        self.started = started;
    }
}

/// The file of ClickHouse's administrators.
pub(super) fn administrators(set: &ResourceSet<Prepared>) -> String {
    let mut secrets = set.secrets.iter();
    let name = Some("demo-clickhouse-config");
    let secret = secrets.find(|secret| secret.metadata.name.as_deref() == name);
    let data = secret.unwrap().data.as_ref().unwrap();
    String::from_utf8(data["users.xml"].0.clone()).unwrap()
}

fn text(value: &str) -> ByteString {
    ByteString(value.as_bytes().to_vec())
}

/// What a Secret holds when it is made.
fn data(spec: &SecretSpec, observed: &Observed) -> BTreeMap<String, ByteString> {
    let value = |key: &str| match &spec.kind {
        SecretKind::Values(values) => match &values[key] {
            Value::Given { secret, key } => {
                let given = observed.secret_value(secret, key).unwrap();
                String::from_utf8(given.to_vec()).unwrap()
            }
            Value::Fixed(given) | Value::First(given) | Value::Account { first: given, .. } => {
                given.clone()
            }
            Value::Random { .. } => format!("first-{}-{key}", spec.name()),
        },
        SecretKind::Authority | SecretKind::Certificate { .. } => format!("pem-{key}"),
    };
    let keys = spec.keys().into_iter();
    keys.map(|key| (key.to_owned(), text(&value(key))))
        .collect()
}
