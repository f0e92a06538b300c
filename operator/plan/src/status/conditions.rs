//! The roll-up: four conditions by the rules of kstatus.
//!
//! `Ready` says whether the platform serves now, so it stays true through a roll-out that serves
//! on. `Reconciling`, `Stalled` and `Degraded` are present only while they are true.

mod cut_short;
mod retention;

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use lotoai_api::{CredentialStatus, LotoAI, LotoAIStatus, reasons};

pub(super) use retention::tied;

use super::{Child, Outcome, Pass};
use crate::edge;
use crate::probe::{self, ProbeOutcome};
use crate::resources::ObjectId;

/// Messages are cut to this many characters; the schema of conditions allows 32,768.
pub const MAX_MESSAGE: usize = 1024;

/// Reason and message of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Say {
    reason: &'static str,
    message: String,
    /// The object at fault, where one is.
    about: Option<ObjectId>,
}

fn say(reason: &'static str, message: impl Into<String>) -> Say {
    Say {
        reason,
        message: message.into(),
        about: None,
    }
}

impl Say {
    fn about(self, object: &ObjectId) -> Self {
        Self {
            about: Some(object.clone()),
            ..self
        }
    }
}

/// What the conditions say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    ready: (&'static str, Say),
    reconciling: Option<Say>,
    stalled: Option<Say>,
    degraded: Option<Say>,
}

const TRUE: &str = "True";
const FALSE: &str = "False";
const UNKNOWN: &str = "Unknown";

/// A verdict that says no more than whether the platform serves.
fn only(status: &'static str, ready: Say) -> Verdict {
    Verdict {
        ready: (status, ready),
        reconciling: None,
        stalled: None,
        degraded: None,
    }
}

/// `told` is the status as far as it does not depend on the verdict. `overdue` is said of a
/// certificate that should have been renewed.
pub(super) fn verdict(
    pass: &Pass<'_>,
    before: &LotoAIStatus,
    told: &LotoAIStatus,
    children: &[Child],
    overdue: Option<&str>,
) -> Verdict {
    match pass.outcome {
        Outcome::Deleting => cut_short::deleting(),
        Outcome::Invalid(faults) => cut_short::invalid(pass, before, told, faults),
        Outcome::Paused { .. } => cut_short::paused(overdue),
        Outcome::Failed { message, .. } => {
            let message = with_overdue(message, overdue);
            cut_short::failed(pass, before, told, children, message)
        }
        Outcome::Reconciled { platform, .. } if platform.spec.suspend => suspended(children),
        Outcome::Reconciled { .. } => {
            let mut verdict = reconciled(pass, before, told, children);
            if verdict.stalled.is_none() {
                let rotating = || rotating(&told.credentials);
                verdict.reconciling = verdict.reconciling.or_else(rotating);
            }
            verdict
        }
        Outcome::Refused {
            platform, message, ..
        } => {
            let verdict = if platform.spec.suspend {
                suspended(children)
            } else {
                reconciled(pass, before, told, children)
            };
            refused(verdict, with_overdue(message, overdue))
        }
    }
}

/// The verdict over a platform of which the cluster refused something. What it says of the rest
/// stands, but nobody takes the platform for what was asked for.
fn refused(mut verdict: Verdict, message: String) -> Verdict {
    if verdict.stalled.is_some() {
        return verdict;
    }
    let refused = say(reasons::RECONCILE_FAILED, message);
    let (status, ready) = &mut verdict.ready;
    let only_waits = [reasons::PROGRESSING, reasons::PROBE_PENDING];
    if *status == FALSE && only_waits.contains(&ready.reason) {
        *ready = refused.clone();
    }
    verdict.reconciling = Some(refused);
    verdict
}

/// Credentials that are being made anew while everything else is as it should be.
fn rotating(credentials: &[CredentialStatus]) -> Option<Say> {
    let mut under_way = credentials.iter().filter(|one| !one.message.is_empty());
    let first = under_way.next()?;
    let mut message = format!("Secret {}: {}", first.secret, first.message);
    let others = under_way.count();
    if others > 0 {
        message = format!("{message} (and {others} more)");
    }
    Some(say(reasons::ROTATING, message))
}

/// Nothing is wrong, since it was asked for, unless a pod does not go.
fn suspended(children: &[Child]) -> Verdict {
    let running: Vec<String> = children
        .iter()
        .filter(|child| !child.settled)
        .map(|child| named(child, &child.message))
        .collect();
    let (ready, reconciling) = if running.is_empty() {
        let message = "Nothing runs while spec.suspend is true; volumes, Secrets and Services stay; \
                       set it to false to go on";
        (say(reasons::SUSPENDED, message), None)
    } else {
        let stops = say(reasons::SUSPENDING, running.join("; "));
        (stops.clone(), Some(stops))
    };
    let stalled = stalled(children.iter().filter(|child| !child.settled));
    Verdict {
        ready: (FALSE, ready),
        reconciling: reconciling.filter(|_| stalled.is_none()),
        stalled,
        degraded: None,
    }
}

/// The first part that does not mend itself.
fn stalled<'a>(mut children: impl Iterator<Item = &'a Child>) -> Option<Say> {
    children.find_map(|child| {
        let failure = child.failure.as_ref().filter(|it| it.needs_a_person)?;
        Some(say(failure.reason, named(child, &failure.message)).about(&failure.object))
    })
}

fn with_overdue(message: &str, overdue: Option<&str>) -> String {
    match overdue {
        Some(overdue) => format!("{overdue}; {message}"),
        None => message.to_owned(),
    }
}

fn reconciled(
    pass: &Pass<'_>,
    before: &LotoAIStatus,
    told: &LotoAIStatus,
    children: &[Child],
) -> Verdict {
    let unsettled: Vec<&Child> = children.iter().filter(|child| !child.settled).collect();
    let answered = *pass.probe == ProbeOutcome::Answered;
    let down = down(children);
    let trouble = trouble(children.len(), &unsettled).or_else(|| {
        // An answer shows that the edge serves, whatever others have yet to say.
        let wait = edge::wait(pass.outcome.platform()?, pass.observed).filter(|_| !answered)?;
        Some(say(wait.reason, format!("edge: {}", wait.message)).about(&wait.object))
    });
    let ready = match (&trouble, pass.probe) {
        // The first time everything must be there; later only what people need.
        (None, ProbeOutcome::Answered) => (TRUE, available(told)),
        (Some(_), ProbeOutcome::Answered) if was_up(before) => (TRUE, available(told)),
        (_, ProbeOutcome::Pending) if holds(pass, before, told, children) => {
            (TRUE, available(told))
        }
        (Some(trouble), _) => (FALSE, trouble.clone()),
        (None, ProbeOutcome::Pending) => (
            FALSE,
            say(
                reasons::PROBE_PENDING,
                "Every component is ready; the first question through the public URL is on its way",
            ),
        ),
        (None, ProbeOutcome::Failed { message }) => (
            FALSE,
            say(
                reasons::PROBE_FAILED,
                match pass.outcome.platform() {
                    Some(platform) => {
                        let next = probe::next_command(platform, message);
                        format!("The probe question failed: {message}; see  {next}")
                    }
                    None => format!("The probe question failed: {message}"),
                },
            ),
        ),
    };
    // What is as it should be may have left a pod behind that does not go.
    let settled = children.iter().filter(|child| child.settled);
    let stalled = stalled(unsettled.iter().copied().chain(settled));
    let has_answered = was_ready(before) || was(before, reasons::DEGRADED);
    let degraded = down.first().filter(|_| has_answered).map(|first| {
        let texts: Vec<String> = down
            .iter()
            .map(|child| named(child, &child.message))
            .collect();
        say(
            trouble.as_ref().map_or(reasons::PROGRESSING, |t| t.reason),
            texts.join("; "),
        )
        .about(at_fault(first))
    });
    let reconciling = match (&stalled, &trouble, answered) {
        (Some(_), _, _) | (None, None, true) => None,
        (None, Some(trouble), _) => Some(trouble.clone()),
        (None, None, false) => Some(ready.1.clone()),
    };
    Verdict {
        ready,
        reconciling,
        stalled,
        degraded,
    }
}

fn available(told: &LotoAIStatus) -> Say {
    // Not that of the spec, which may be one that cannot be carried out.
    let url = told.url.as_deref().unwrap_or_default();
    say(
        reasons::AVAILABLE,
        format!("Questions are answered at {url}"),
    )
}

/// Components of which no pod serves.
fn down(children: &[Child]) -> Vec<&Child> {
    let components = children.iter().filter(|child| child.component().is_some());
    components
        .filter(|child| !child.settled && !child.serves)
        .collect()
}

/// Whether nothing says that the last answer holds no more, where the operator has not asked yet
/// because it has just started. The generation alone does not tell: a pass that failed before it knew
/// the address has seen it, too.
fn holds(pass: &Pass<'_>, before: &LotoAIStatus, told: &LotoAIStatus, children: &[Child]) -> bool {
    // Without the certificate nobody will be asked.
    let can_ask = pass
        .outcome
        .platform()
        .is_some_and(|platform| edge::certificate(platform, pass.observed).is_none());
    can_ask
        && was_ready(before)
        && before.observed_generation == pass.lotoai.metadata.generation
        && before.url == told.url
        && down(children).is_empty()
}

/// What keeps the platform from being settled: failures first, then what is merely under way.
fn trouble(all: usize, unsettled: &[&Child]) -> Option<Say> {
    let first = unsettled
        .iter()
        .find(|child| child.failure.is_some())
        .or(unsettled.first())?;
    let reason = first
        .failure
        .as_ref()
        .map_or(reasons::PROGRESSING, |failure| failure.reason);
    let mut message = named(first, &first.message);
    if unsettled.len() > 1 {
        message = format!(
            "{message} ({} of {all} parts are not ready)",
            unsettled.len()
        );
    }
    Some(say(reason, message).about(at_fault(first)))
}

fn at_fault(child: &Child) -> &ObjectId {
    child
        .failure
        .as_ref()
        .map_or(&child.object, |failure| &failure.object)
}

fn named(child: &Child, message: &str) -> String {
    format!("{}: {message}", child.node.name())
}

fn was(before: &LotoAIStatus, type_: &str) -> bool {
    before
        .condition(type_)
        .is_some_and(|condition| condition.status == TRUE)
}

/// Whether the platform was ready when that was known last.
fn was_ready(before: &LotoAIStatus) -> bool {
    // Of a resource that nobody has looked at, or that is paused, nothing is known for other reasons.
    let others = [reasons::PENDING, reasons::PAUSED];
    before
        .condition(reasons::READY)
        .is_some_and(|ready| match ready.status.as_str() {
            TRUE => true,
            UNKNOWN => !others.contains(&ready.reason.as_str()),
            _ => false,
        })
}

/// Whether an answer is enough to be ready: the platform was once, though a question may have been lost
/// since.
fn was_up(before: &LotoAIStatus) -> bool {
    was_ready(before) || was(before, reasons::DEGRADED) || before.version.is_some()
}

/// The objects at fault, by type of condition.
pub(super) fn about(verdict: &Verdict) -> BTreeMap<&'static str, ObjectId> {
    [
        (reasons::READY, Some(&verdict.ready.1)),
        (reasons::STALLED, verdict.stalled.as_ref()),
        (reasons::DEGRADED, verdict.degraded.as_ref()),
    ]
    .into_iter()
    .filter_map(|(type_, say)| Some((type_, say?.about.clone()?)))
    .collect()
}

/// The conditions to write, in a fixed order.
pub(super) fn conditions(
    verdict: &Verdict,
    before: &LotoAIStatus,
    lotoai: &LotoAI,
    now: Timestamp,
) -> Vec<Condition> {
    let Verdict {
        ready,
        reconciling,
        stalled,
        degraded,
    } = verdict;
    let present = [
        (reasons::READY, ready.0, Some(&ready.1)),
        (reasons::RECONCILING, TRUE, reconciling.as_ref()),
        (reasons::STALLED, TRUE, stalled.as_ref()),
        (reasons::DEGRADED, TRUE, degraded.as_ref()),
    ];
    present
        .into_iter()
        .filter_map(|(type_, status, say)| {
            let say = say?;
            let since = before
                .condition(type_)
                .filter(|condition| condition.status == status)
                .map_or(Time(now), |condition| {
                    condition.last_transition_time.clone()
                });
            Some(Condition {
                type_: type_.to_owned(),
                status: status.to_owned(),
                reason: say.reason.to_owned(),
                message: say.message.chars().take(MAX_MESSAGE).collect(),
                observed_generation: lotoai.metadata.generation,
                last_transition_time: since,
            })
        })
        .collect()
}
