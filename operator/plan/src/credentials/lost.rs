//! Administrators whose password is in the data of their store. The store took it from the Secret when
//! the data were made and never looks there again: another one would lock the platform out for ever.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use lotoai_api::{Component, Store};

use super::{PASSWORD, SecretKind, SecretSpec, Value};
use crate::components::shared::workload::DATA;
use crate::graph::Node;
use crate::names::data_component;
use crate::observed::Observed;
use crate::platform::Platform;
use crate::rotation;

/// What holds the data of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// Volume claims, or what asks another operator for the store.
    kind: &'static str,
    /// At least one: any server of a cluster tells the others.
    names: Vec<String>,
    /// The StatefulSet that would make the claims again at once.
    stateful_set: Option<String>,
}

impl Data {
    /// What must be deleted for the store to begin anew.
    pub(super) fn all(&self) -> String {
        match &self.stateful_set {
            Some(name) => format!("StatefulSet/{name} and its volume claims"),
            None => self.to_string(),
        }
    }

    /// The same without what is on its way out: what is being deleted, and what goes with a StatefulSet
    /// that is gone or is not this platform's, whose resource was deleted a moment ago.
    fn without_leaving(&self, platform: &Platform, observed: &Observed) -> Option<Self> {
        let set = self.stateful_set.as_ref();
        let set = set.and_then(|name| observed.stateful_sets.get(name));
        let set = set.map(|set| &set.metadata).filter(|set| {
            set.deletion_timestamp.is_none() && owners(set).any(|it| it.uid == platform.uid)
        });
        let goes = |owner: &OwnerReference| {
            owner.kind == "StatefulSet"
                && set.is_none_or(|set| set.uid.as_deref() != Some(owner.uid.as_str()))
        };
        let stays = |name: &&String| {
            let metadata = match self.stateful_set {
                Some(_) => observed.claims.get(*name).map(|claim| &claim.metadata),
                None => observed.clusters.get(*name).map(|store| &store.metadata),
            };
            metadata.is_none_or(|metadata| {
                metadata.deletion_timestamp.is_none() && !owners(metadata).any(goes)
            })
        };
        let names: Vec<String> = self.names.iter().filter(stays).cloned().collect();
        (!names.is_empty()).then(|| Self {
            names,
            ..self.clone()
        })
    }
}

fn owners(metadata: &ObjectMeta) -> impl Iterator<Item = &OwnerReference> {
    metadata.owner_references.iter().flatten()
}

impl fmt::Display for Data {
    /// Kind and name of the first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.names.first().map_or("", String::as_str);
        write!(f, "{}/{first}", self.kind)?;
        match self.names.len() {
            0 | 1 => Ok(()),
            all => write!(f, " (and {} more)", all - 1),
        }
    }
}

/// The data that hold the password of a store's administrator, once there are any. One that somebody
/// gives is known beside them.
pub(super) fn data(platform: &Platform, store: Store, kind: &SecretKind) -> Option<Data> {
    let SecretKind::Values(values) = kind else {
        return None;
    };
    let is_made = matches!(values.get(PASSWORD), Some(Value::Random { .. }));
    if !is_made || !rotation::has_own_administrator(store) {
        return None;
    }
    let object = platform.data_object(store)?;
    let component = data_component(store);
    let there = platform.volumes.keys();
    let data = if let Some(delegated) = platform.topology.delegated(component) {
        Data {
            kind: delegated.operator.kind(),
            names: there.filter(|name| **name == object).cloned().collect(),
            stateful_set: None,
        }
    } else {
        let set = platform.component_name(component);
        let claims = format!("{DATA}-{set}-");
        let is_claim = |name: &&String| {
            let number = name.strip_prefix(&claims);
            number.is_some_and(|number| number.parse::<u16>().is_ok())
        };
        Data {
            kind: "PersistentVolumeClaim",
            names: there.filter(is_claim).cloned().collect(),
            stateful_set: Some(set),
        }
    };
    (!data.names.is_empty()).then_some(data)
}

/// A Secret that is gone while what its password is for is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Name of the Secret.
    pub secret: String,
    /// The data.
    pub data: Data,
}

/// What is told of these: which Secrets, where their passwords are, and both ways out.
#[must_use]
pub fn told(lost: &[Lost]) -> String {
    let secrets = lost.iter().map(|lost| format!("Secret/{}", lost.secret));
    let (password, secret) = if lost.len() == 1 {
        ("its password is", "the Secret")
    } else {
        ("their passwords are", "the Secrets")
    };
    let each = |text: fn(&Data) -> String| {
        let mut texts: Vec<String> = lost.iter().map(|lost| text(&lost.data)).collect();
        // Keycloak and PostgreSQL have theirs together.
        texts.sort();
        texts.dedup();
        texts.join(", ")
    };
    format!(
        "{}: {password} in the data of {}, which no other opens; restore {secret} from a backup, or \
         delete {} to begin anew without those data",
        secrets.collect::<Vec<_>>().join(", "),
        each(Data::to_string),
        each(Data::all),
    )
}

/// The `required` Secrets that must not be made. Data that are on their way out count no more.
#[must_use]
pub fn lost(platform: &Platform, observed: &Observed, required: &[SecretSpec]) -> Vec<Lost> {
    let keycloak = platform.admin_secret(Store::Keycloak);
    let is_there = |spec: &SecretSpec| observed.secrets.contains_key(spec.name());
    let is_new = |spec: &SecretSpec| spec.name() == keycloak && is_new(platform, observed);
    let all = required.iter();
    all.filter(|spec| !is_there(spec) && !is_new(spec))
        .filter_map(|spec| {
            Some(Lost {
                secret: spec.name().to_owned(),
                data: spec.data.as_ref()?.without_leaving(platform, observed)?,
            })
        })
        .collect()
}

/// Whether Keycloak comes to a database that others have used without it, as when a resource that
/// knew people elsewhere was made anew: the platform's other credentials are there, and nothing of
/// Keycloak is. Its account is made after its administrator.
fn is_new(platform: &Platform, observed: &Observed) -> bool {
    let keycloak = Component::Keycloak;
    let account = platform.edge_secret(Node::Component(keycloak), Component::Postgres);
    let set = platform.component_name(keycloak);
    observed.secrets.contains_key(&platform.session_secret())
        && !observed.secrets.contains_key(&account)
        && !observed.stateful_sets.contains_key(&set)
}

#[cfg(test)]
mod tests;
