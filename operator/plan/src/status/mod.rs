//! Status of a resource, from what was observed and what came of the pass.

mod attempts;
mod children;
mod claims;
mod conditions;
mod ended;
mod pods;
mod stuck;
mod uncreated;
mod upgrade;

use std::collections::BTreeMap;

use jiff::Timestamp;
use lotoai_api::status::CredentialStatus;
use lotoai_api::{LotoAI, LotoAIStatus};

use crate::credentials::{SecretKind, SecretSpec, required_secrets};
use crate::gate::Gates;
use crate::observed::{Observed, OperatorEnv};
use crate::platform::Platform;
use crate::probe::ProbeOutcome;
use crate::resources::{ObjectId, Prepared, ResourceSet};
use crate::retention;
use crate::rotation::{self, Progress};
use crate::tls::life;
use crate::validate::Invalid;
use crate::warnings::warnings;

pub use children::Child;
pub use claims::without_volume;
pub use conditions::MAX_MESSAGE;
pub use uncreated::short_of_pods;

/// What came of a pass.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    /// The resource cannot be carried out.
    Invalid(&'a [Invalid]),
    /// A stage failed; it is tried again.
    Failed {
        /// The platform, when validation passed.
        platform: Option<&'a Platform>,
        /// What failed and why, for people.
        message: &'a str,
    },
    /// `spec.paused` is true: nothing was written.
    Paused {
        /// The platform.
        platform: &'a Platform,
    },
    /// Everything was written that no gate holds back.
    Reconciled {
        /// The platform.
        platform: &'a Platform,
        /// Its objects.
        prepared: &'a ResourceSet<Prepared>,
        /// Its gates.
        gates: &'a Gates,
    },
    /// The cluster refused objects. Everything else was written that depends on none of them.
    Refused {
        /// The platform.
        platform: &'a Platform,
        /// Its objects.
        prepared: &'a ResourceSet<Prepared>,
        /// Its gates.
        gates: &'a Gates,
        /// What was refused and why, for people.
        message: &'a str,
    },
    /// The resource is being deleted.
    Deleting,
}

impl Outcome<'_> {
    /// The platform, where the pass came that far.
    #[must_use]
    pub const fn platform(&self) -> Option<&Platform> {
        match self {
            Self::Invalid(_) | Self::Deleting => None,
            Self::Failed { platform, .. } => *platform,
            Self::Paused { platform }
            | Self::Reconciled { platform, .. }
            | Self::Refused { platform, .. } => Some(platform),
        }
    }

    /// Whether the pass has looked at the cluster, as far as that can be told.
    const fn has_looked(&self) -> bool {
        !matches!(self, Self::Deleting | Self::Failed { platform: None, .. })
    }

    /// What was planned, where the pass came that far.
    const fn planned(&self) -> Option<(&Gates, &ResourceSet<Prepared>)> {
        match self {
            Self::Reconciled {
                gates, prepared, ..
            }
            | Self::Refused {
                gates, prepared, ..
            } => Some((*gates, *prepared)),
            Self::Invalid(_) | Self::Deleting | Self::Failed { .. } | Self::Paused { .. } => None,
        }
    }
}

/// One pass over a resource.
#[derive(Debug, Clone, Copy)]
pub struct Pass<'a> {
    /// The resource with its status of before.
    pub lotoai: &'a LotoAI,
    /// The operator's own settings.
    pub env: &'a OperatorEnv,
    /// What was read.
    pub observed: &'a Observed,
    /// What came of the last probe question.
    pub probe: &'a ProbeOutcome,
    /// What came of the pass.
    pub outcome: Outcome<'a>,
}

/// A status, and what its conditions are about.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// The status to write.
    pub status: LotoAIStatus,
    /// The object at fault, by type of condition.
    pub about: BTreeMap<&'static str, ObjectId>,
    /// The version that a platform which runs another one is being brought to.
    pub upgrading_to: Option<String>,
    /// When the same cluster will be judged otherwise, because patience with a pod ends.
    pub due: Option<Timestamp>,
}

/// The status to write. A condition keeps its transition time while its status stays the same, so
/// a pass in which nothing happened gives the status of before.
#[must_use]
pub fn status(pass: &Pass<'_>, now: Timestamp) -> LotoAIStatus {
    judge(pass, now).status
}

/// [`status()`], with the objects at fault.
#[must_use]
pub fn judge(pass: &Pass<'_>, now: Timestamp) -> Judgement {
    let before = pass.lotoai.status.clone().unwrap_or_default();
    let mut status = LotoAIStatus {
        observed_generation: pass.lotoai.metadata.generation,
        ..before.clone()
    };
    let mut tied = None;
    if pass.outcome.has_looked() {
        let (policy, told) = retention::in_force(pass.lotoai, pass.observed);
        status.deletion_policy = Some(policy);
        tied = told;
    }
    let mut children = Vec::new();
    if let Some(platform) = pass.outcome.platform() {
        let planned = pass.outcome.planned();
        children = children::children(platform, pass.observed, planned, &before, now);
        describe(&mut status, platform, &children);
        status.credentials = credentials(pass, platform, now);
    }
    let version = version(pass, &before, &children);
    let is_behind = version.as_ref().is_some_and(|ran| *ran != pass.env.version);
    let upgrading_to = is_behind.then(|| pass.env.version.clone());
    status.version = version;
    let platform = pass.outcome.platform();
    let overdue = platform.and_then(|platform| life::overdue(platform, pass.observed, now));
    let verdict = conditions::verdict(pass, &before, &status, &children, overdue.as_deref());
    let verdict = conditions::tied(verdict, tied);
    status.conditions = conditions::conditions(&verdict, &before, pass.lotoai, now);
    Judgement {
        status,
        about: conditions::about(&verdict),
        upgrading_to,
        due: children.iter().filter_map(|child| child.due).min(),
    }
}

/// Version of the platform: that of the operator once every part runs what it plans, and until then
/// the one of before. One that was never whole has none.
fn version(pass: &Pass<'_>, before: &LotoAIStatus, children: &[Child]) -> Option<String> {
    let is_whole = matches!(pass.outcome, Outcome::Reconciled { platform, .. }
        if !platform.spec.suspend && children.iter().all(|child| child.settled));
    if is_whole {
        Some(pass.env.version.clone())
    } else {
        before.version.clone()
    }
}

/// Everything but the conditions.
fn describe(status: &mut LotoAIStatus, platform: &Platform, children: &[Child]) {
    status.url = Some(platform.url.url.clone());
    let ours = children.iter().filter(|child| child.component().is_some());
    let ready = ours
        .clone()
        .filter(|child| child.settled && !platform.spec.suspend);
    status.components_ready = Some(format!("{}/{}", ready.count(), ours.count()));
    status.components = children::components(platform, children);
    status.warnings = warnings(platform);
    status.first_user_secret = platform.first_user_secret();
}

/// What a Secret is for, and of an authority that takes over when that will be. It is no rotation:
/// nothing waits for it.
fn purpose(spec: &SecretSpec, observed: &Observed) -> String {
    let held = observed.secrets.get(spec.name());
    let from = held.and_then(life::signs_from);
    match (&spec.kind, from) {
        (SecretKind::Authority, Some(from)) => {
            format!("{} (the next one signs from {from} on)", spec.purpose)
        }
        _ => spec.purpose.clone(),
    }
}

/// Every Secret with a credential, and where each is in its rotation.
fn credentials(pass: &Pass<'_>, platform: &Platform, now: Timestamp) -> Vec<CredentialStatus> {
    let prepared = pass.outcome.planned().map(|(_, prepared)| prepared);
    let mut progress: BTreeMap<String, Progress> = rotation::subjects(&platform.topology)
        .map(|subject| {
            let progress = rotation::progress(platform, prepared, pass.observed, subject, now);
            (subject.secret(platform), progress)
        })
        .collect();
    required_secrets(platform)
        .into_iter()
        .map(|spec| {
            let Progress { request, message } = progress.remove(spec.name()).unwrap_or_default();
            CredentialStatus {
                secret: spec.name().to_owned(),
                purpose: purpose(&spec, pass.observed),
                rotation: request,
                message: message.unwrap_or_default(),
            }
        })
        .collect()
}
