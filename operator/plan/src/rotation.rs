//! Rotation of credentials, one step of one Secret at a time.
//!
//! A Secret of an edge has two places: the credential that callers use, and a standby beside it
//! while both must be valid. Which of the two is the newer one is in an annotation, so that
//! everything is decided from what was read, and an operator that was killed goes on where it was:
//!
//! 1. [`Step::Introduce`]: a new credential in the standby's place. Whoever is called (a store
//!    through its provision Job, or a workload of ours) learns it beside the old one.
//! 2. [`Step::Promote`], once it knows both: they change places, so that callers restart with the
//!    new one.
//! 3. [`Step::Retire`], once no pod of a caller has the old one: the standby goes, and whoever is
//!    called forgets it.
//!
//! In a store the two are accounts of different names, which take turns. Secrets that are at the
//! same step take the next one together, so that a pod restarts once for all of them.

use lotoai_api::Store;
use lotoai_api::spec::LotoAISpec;

use crate::credentials::{PASSWORD, TOKEN, USERNAME};
use crate::gate::complete_job;
use crate::graph::{CredentialKind, Edge, Node, Topology};
use crate::labels;
use crate::observed::Observed;
use crate::platform::Platform;
use crate::resources::{Prepared, ResourceSet};
use crate::rollout::{pods, runs_planned};

/// Key of the standby's user name.
pub const STANDBY_USERNAME: &str = "standby-username";
/// Key of the standby's password.
pub const STANDBY_PASSWORD: &str = "standby-password";
/// Key of the standby's token.
pub const STANDBY_TOKEN: &str = "standby-token";
/// Annotation of a Secret: the request that its newest credential was made for.
pub const REQUEST: &str = "lotoai.dev/rotation";
/// Annotation of a Secret during a rotation: [`INTRODUCED`] or [`PROMOTED`].
pub const STATE: &str = "lotoai.dev/rotation-state";
/// The standby is the new credential.
pub const INTRODUCED: &str = "Introduced";
/// The standby is the old credential.
pub const PROMOTED: &str = "Promoted";
/// Key of `spec.credentials.rotate` that stands for every credential.
pub const ALL: &str = "all";

/// The key under which the standby of a value lies.
#[must_use]
pub fn standby_key(key: &str) -> Option<&'static str> {
    match key {
        USERNAME => Some(STANDBY_USERNAME),
        PASSWORD => Some(STANDBY_PASSWORD),
        TOKEN => Some(STANDBY_TOKEN),
        _ => None,
    }
}

/// What a Secret of an edge holds, as far as it is no secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Account that callers use; none for a token.
    pub username: Option<String>,
    /// The other account that is valid.
    pub standby: Option<String>,
    /// Whether another credential is valid.
    pub has_standby: bool,
}

/// What the Secrets of the edges hold, by name.
pub(crate) fn held(observed: &Observed) -> std::collections::BTreeMap<String, Held> {
    let text = |name: &str, key: &str| {
        let value = observed.secret_value(name, key)?;
        String::from_utf8(value.to_vec()).ok()
    };
    let ours = observed.secrets.iter().filter(|(_, secret)| {
        let labels = secret.metadata.labels.as_ref();
        labels.is_some_and(|labels| labels.contains_key(labels::CREDENTIAL))
    });
    ours.map(|(name, _)| {
        let has = |key| observed.secret_value(name, key).is_some();
        let held = Held {
            username: text(name, USERNAME),
            standby: text(name, STANDBY_USERNAME),
            has_standby: has(STANDBY_PASSWORD) || has(STANDBY_TOKEN),
        };
        (name.clone(), held)
    })
    .collect()
}

/// The account that takes turns with this one.
#[must_use]
pub fn second(store: Store, username: &str) -> String {
    // ClickHouse would want dashes quoted.
    let separator = if store == Store::Clickhouse { '_' } else { '-' };
    format!("{username}{separator}b")
}

/// The edges whose credential can be made anew while it is used.
///
/// Not those to Keycloak: what it gave to one client it takes back from no other, so everybody
/// would be signed out.
pub fn edges(topology: &Topology) -> impl Iterator<Item = &Edge> {
    topology.edges().iter().filter(|edge| {
        matches!(edge.from, Node::Component(_))
            && match edge.credential {
                CredentialKind::Token => true,
                CredentialKind::Account(store, _) => store != Store::Keycloak,
                // Qdrant takes one key at a time.
                CredentialKind::ApiKey(_)
                | CredentialKind::None
                | CredentialKind::Admin(_)
                | CredentialKind::Given(_) => false,
            }
    })
}

/// The name of an edge's credential in the resource.
#[must_use]
pub fn name(edge: &Edge) -> String {
    format!("{}-{}", edge.from.name(), edge.to)
}

/// The request that an edge's credential should have been made for.
#[must_use]
pub fn request<'a>(spec: &'a LotoAISpec, edge: &Edge) -> Option<&'a str> {
    let rotate = &spec.credentials.rotate;
    let own = rotate.get(&name(edge)).or_else(|| rotate.get(ALL));
    own.map(String::as_str)
}

/// What becomes of a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A new standby is made.
    Introduce,
    /// Credential and standby change places.
    Promote,
    /// The standby goes.
    Retire,
}

/// A step of a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Name of the Secret.
    pub secret: String,
    /// What becomes of it.
    pub step: Step,
    /// The request that it answers.
    pub request: String,
    /// Account of a new standby; none for a token.
    pub username: Option<String>,
}

/// Where a credential is in its rotation, for the status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The request that the newest credential was, or will be, made for.
    pub request: Option<String>,
    /// What is done and what is waited for; nothing when there is no rotation.
    pub message: Option<String>,
}

struct Rotation<'a> {
    platform: &'a Platform,
    prepared: &'a ResourceSet<Prepared>,
    observed: &'a Observed,
}

/// The steps that may be taken now.
#[must_use]
pub fn next(
    platform: &Platform,
    prepared: &ResourceSet<Prepared>,
    observed: &Observed,
) -> Vec<Change> {
    if platform.spec.suspend {
        return Vec::new();
    }
    let rotation = Rotation {
        platform,
        prepared,
        observed,
    };
    [Step::Introduce, Step::Promote, Step::Retire]
        .into_iter()
        .flat_map(|step| rotation.together(step))
        .collect()
}

/// Where the credential of an edge is.
#[must_use]
pub fn progress(
    platform: &Platform,
    prepared: Option<&ResourceSet<Prepared>>,
    observed: &Observed,
    edge: &Edge,
) -> Progress {
    let secret = platform.edge_secret(edge.from, edge.to);
    let request = request(&platform.spec, edge);
    if !observed.secrets.contains_key(&secret) {
        return Progress {
            request: request.map(str::to_owned),
            message: None,
        };
    }
    let message = prepared.and_then(|prepared| {
        let rotation = Rotation {
            platform,
            prepared,
            observed,
        };
        let step = rotation.due(edge)?;
        let said = match step {
            Step::Introduce => "is made anew",
            Step::Promote => "the new one becomes known beside the old one",
            Step::Retire => "the new one comes into use",
        };
        let waits = rotation.obstacles(edge, step);
        Some(if waits.is_empty() {
            said.to_owned()
        } else {
            format!("{said}: waits for {}", waits.join(", "))
        })
    });
    Progress {
        request: annotation(observed, &secret, REQUEST).map(str::to_owned),
        message,
    }
}

fn annotation<'a>(observed: &'a Observed, secret: &str, key: &str) -> Option<&'a str> {
    let annotations = observed
        .secrets
        .get(secret)?
        .metadata
        .annotations
        .as_ref()?;
    annotations.get(key).map(String::as_str)
}

impl Rotation<'_> {
    /// A step of all Secrets that it is due for; nothing while one of them has to wait.
    fn together(&self, step: Step) -> Vec<Change> {
        let due: Vec<&Edge> = edges(&self.platform.topology)
            .filter(|edge| self.due(edge) == Some(step))
            .collect();
        let mut waits = due.iter().flat_map(|edge| self.obstacles(edge, step));
        if waits.next().is_some() {
            return Vec::new();
        }
        due.into_iter()
            .map(|edge| self.change(edge, step))
            .collect()
    }

    /// The step that comes next for an edge, whether or not it may be taken yet.
    fn due(&self, edge: &Edge) -> Option<Step> {
        let secret = self.platform.edge_secret(edge.from, edge.to);
        let found = self.observed.secrets.get(&secret)?;
        if found.metadata.deletion_timestamp.is_some() {
            return None;
        }
        match annotation(self.observed, &secret, STATE) {
            Some(INTRODUCED) => Some(Step::Promote),
            Some(_) => Some(Step::Retire),
            None => {
                let wanted = request(&self.platform.spec, edge)?;
                (annotation(self.observed, &secret, REQUEST) != Some(wanted))
                    .then_some(Step::Introduce)
            }
        }
    }

    /// What a step has to wait for.
    fn obstacles(&self, edge: &Edge, step: Step) -> Vec<String> {
        let mut waits = Vec::new();
        // Two Jobs of a store that know different accounts must never run at once: the older one
        // would void what the newer one has made.
        if let CredentialKind::Account(store, _) = edge.credential {
            let job = Node::Provision(store);
            if !self.is_provisioned(job) {
                waits.push(job.name());
            }
        }
        let used_by = match (step, edge.credential, edge.from) {
            (Step::Promote, CredentialKind::Token, _) => Some(edge.to),
            (Step::Retire, _, Node::Component(caller)) => Some(caller),
            _ => None,
        };
        let settled =
            |component| runs_planned(self.platform, self.prepared, self.observed, component);
        waits.extend(
            used_by
                .filter(|component| !settled(*component))
                .map(|component| component.to_string()),
        );
        waits
    }

    fn is_provisioned(&self, job: Node) -> bool {
        complete_job(self.prepared, self.observed, job).is_some()
            && pods(self.platform, self.observed, job).next().is_none()
    }

    fn change(&self, edge: &Edge, step: Step) -> Change {
        let secret = self.platform.edge_secret(edge.from, edge.to);
        let request = match step {
            Step::Introduce => request(&self.platform.spec, edge),
            Step::Promote | Step::Retire => annotation(self.observed, &secret, REQUEST),
        };
        let username = match (step, edge.credential) {
            (Step::Introduce, CredentialKind::Account(store, name)) => {
                let first = self.platform.topology.account(store, name);
                let held = self.platform.held.get(&secret);
                let used = held.and_then(|held| held.username.as_deref());
                Some(if used == Some(first.as_str()) {
                    second(store, &first)
                } else {
                    first
                })
            }
            _ => None,
        };
        Change {
            secret,
            step,
            request: request.unwrap_or_default().to_owned(),
            username,
        }
    }
}
