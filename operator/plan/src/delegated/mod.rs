//! Stores that another operator of the cluster runs for the platform.
//!
//! The one place that says how. Each of those operators has a file here with the object that asks
//! it for a store, where the store's address, authority and administrator come from, which pods are
//! the store's, and how its state is read. Builders, gates, policies and status ask [`Delegated`];
//! none of them names an operator. `docs/delegated-stores.md` has the steps to add one.

mod cloudnative_pg;

use std::collections::BTreeMap;

use lotoai_api::spec::{LotoAISpec, PostgresOperator, Storage};
use lotoai_api::versions::Source;
use lotoai_api::{Store, reasons};

use crate::credentials::digest;
use crate::graph::{External, Topology};
use crate::observed::Observed;
use crate::platform::Platform;
use crate::resources::{Prepared, ResourceSet};
use crate::validate::Invalid;

/// An operator that runs stores for platforms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// CloudNativePG: PostgreSQL.
    CloudNativePg,
}

impl Operator {
    /// Name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CloudNativePg => "CloudNativePG",
        }
    }

    /// Kind of the object that asks it for a store.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::CloudNativePg => cloudnative_pg::KIND,
        }
    }

    /// The same as kubectl wants it, with the group: others have kinds of this name too.
    #[must_use]
    pub const fn resource(self) -> &'static str {
        match self {
            Self::CloudNativePg => cloudnative_pg::RESOURCE,
        }
    }

    /// The image that it is told to run.
    #[must_use]
    pub const fn image(self) -> Source {
        match self {
            Self::CloudNativePg => lotoai_api::versions::CLOUDNATIVE_PG_POSTGRES,
        }
    }
}

/// A store that another operator runs for the platform, and for nobody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegated {
    /// Who runs it.
    pub operator: Operator,
    /// Field of the resource that asks for it.
    pub field: &'static str,
    /// Name of the object that asks the operator for it.
    pub object: String,
    /// How many servers there are.
    pub instances: i32,
    /// Volume of each.
    pub storage: Storage,
    /// Labels that the operator gives to the store's pods, and to no others.
    pub pods: BTreeMap<String, String>,
    /// Names and keys of the Secrets that the operator makes and the platform reads.
    pub secrets: Vec<(String, &'static str)>,
}

/// How far a store is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// Servers that serve.
    pub ready: i32,
    /// What keeps the store from being whole.
    pub wait: Option<Wait>,
}

/// Something that the other operator has not done yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// Its own words where it has any, for people.
    pub message: String,
    /// Whether it will not mend itself.
    pub needs_a_person: bool,
}

impl Wait {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            needs_a_person: false,
        }
    }
}

impl Delegated {
    /// How far the store is. It is whole when its operator says so and has made all Secrets.
    #[must_use]
    pub fn state(&self, observed: &Observed) -> State {
        let mut state = match self.operator {
            Operator::CloudNativePg => cloudnative_pg::state(self, observed),
        };
        if state.wait.is_none() {
            state.wait = self.missing_secret(observed);
        }
        state
    }

    fn missing_secret(&self, observed: &Observed) -> Option<Wait> {
        let mut secrets = self.secrets.iter();
        let (secret, key) =
            secrets.find(|(secret, key)| observed.secret_value(secret, key).is_none())?;
        Some(Wait::new(format!(
            "it has not made Secret {secret} with key {key} yet"
        )))
    }

    /// Whether the object that asks for it is there.
    #[must_use]
    pub fn exists(&self, observed: &Observed) -> bool {
        match self.operator {
            Operator::CloudNativePg => observed.clusters.contains_key(&self.object),
        }
    }

    /// Whether nothing of it runs, because it was asked to rest or not asked for at all.
    #[must_use]
    pub fn sleeps(&self, observed: &Observed) -> bool {
        match self.operator {
            Operator::CloudNativePg => observed
                .clusters
                .get(&self.object)
                .is_none_or(cloudnative_pg::sleeps),
        }
    }

    /// UID of the object that asks for it: another object is another, empty store.
    fn uid(&self, observed: &Observed) -> Option<String> {
        match self.operator {
            Operator::CloudNativePg => observed.clusters.get(&self.object)?.metadata.uid.clone(),
        }
    }
}

/// The delegated stores of a resource of this name: the only place that looks at which ones.
#[must_use]
pub fn stores(spec: &LotoAISpec, platform: &str) -> BTreeMap<Store, External> {
    let postgres = spec.data.postgres.delegated.as_ref().and_then(|asked| {
        let store = match asked.operator {
            PostgresOperator::CloudNativePg => {
                cloudnative_pg::store(spec.profile, asked, platform)?
            }
        };
        Some((Store::Postgres, store))
    });
    postgres.into_iter().collect()
}

/// The objects that ask for the platform's delegated stores.
#[must_use]
pub fn build(platform: &Platform) -> ResourceSet<Prepared> {
    let mut set = ResourceSet::default();
    for (_, _, delegated) in platform.topology.delegated_stores() {
        match delegated.operator {
            Operator::CloudNativePg => {
                set.clusters
                    .push(cloudnative_pg::build(platform, delegated));
            }
        }
    }
    set
}

/// Operators that are asked for a store and are not installed.
pub(crate) fn missing(topology: &Topology, observed: &Observed) -> Vec<Invalid> {
    let asked = topology.delegated_stores();
    asked
        .filter(|(_, _, delegated)| observed.missing_kinds.contains(delegated.operator.kind()))
        .map(|(_, _, delegated)| Invalid {
            field: delegated.field.to_owned(),
            message: format!(
                "the cluster has no kind {}: install {}, which is to run this store; nothing is \
                 run in its place",
                delegated.operator.resource(),
                delegated.operator.name(),
            ),
            reason: reasons::DEPENDENCY_MISSING,
        })
        .collect()
}

/// Names of the Secrets that other operators make for a resource of this name.
pub(crate) fn secrets(spec: &LotoAISpec, platform: &str) -> Vec<String> {
    let stores = stores(spec, platform).into_values();
    stores
        .filter_map(|store| store.delegated)
        .flat_map(|delegated| delegated.secrets.into_iter().map(|(secret, _)| secret))
        .collect()
}

/// Digests of what other operators have made, so that pods restart when they make it anew.
pub(crate) fn issued(
    topology: &Topology,
    observed: &Observed,
) -> BTreeMap<(String, String), String> {
    topology
        .delegated_stores()
        .flat_map(|(_, _, delegated)| &delegated.secrets)
        .filter_map(|(secret, key)| {
            let value = observed.secret_value(secret, key)?;
            Some(((secret.clone(), (*key).to_owned()), digest(value)))
        })
        .collect()
}

/// UIDs of the objects that ask for delegated stores, by name.
pub(crate) fn uids(topology: &Topology, observed: &Observed) -> BTreeMap<String, String> {
    topology
        .delegated_stores()
        .filter_map(|(_, _, delegated)| Some((delegated.object.clone(), delegated.uid(observed)?)))
        .collect()
}
