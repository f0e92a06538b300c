//! What the conditions say that they did not say before.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use lotoai_api::{LotoAIStatus, reasons};

use super::{Event, Tone, Turn};

/// Characters of a trouble that its end repeats.
const BRIEF: usize = 200;

pub(super) fn is_true(status: Option<&LotoAIStatus>, type_: &str) -> bool {
    status
        .and_then(|status| status.condition(type_))
        .is_some_and(|condition| condition.status == "True")
}

/// It serves, or served until something fell over.
pub(super) fn was_up(status: Option<&LotoAIStatus>) -> bool {
    is_true(status, reasons::READY) || is_true(status, reasons::DEGRADED)
}

/// Ready, and nothing left to do.
pub(super) fn settled(status: &LotoAIStatus) -> bool {
    let is = |type_| is_true(Some(status), type_);
    is(reasons::READY)
        && ![reasons::RECONCILING, reasons::STALLED, reasons::DEGRADED]
            .into_iter()
            .any(is)
}

/// What is wrong, if anything is.
pub(super) fn trouble(status: Option<&LotoAIStatus>) -> Option<&str> {
    [reasons::STALLED, reasons::DEGRADED]
        .into_iter()
        .filter(|type_| is_true(status, type_))
        .find_map(|type_| Some(status?.condition(type_)?.message.as_str()))
}

/// A message without the command to run, which its end has no use for.
pub(super) fn brief(message: &str) -> String {
    let cause = message.split("; see ").next().unwrap_or(message);
    if cause.chars().count() <= BRIEF {
        return cause.to_owned();
    }
    cause.chars().take(BRIEF).chain(['…']).collect()
}

/// The part or field that a message begins with. The rest may change with every look.
fn subject(message: &str) -> &str {
    message
        .split_once(": ")
        .map_or(message, |(subject, _)| subject)
}

/// The states that a platform enters and leaves as somebody wants it.
pub(super) fn milestones(turn: &Turn<'_>) -> Option<Event> {
    let is = turn.after.status.condition(reasons::READY)?;
    let was = turn
        .before
        .and_then(|status| status.condition(reasons::READY));
    let was_reason = was.map_or("", |condition| condition.reason.as_str());
    let (is_true, was_true) = (is.status == "True", was.is_some_and(|c| c.status == "True"));
    let action = match is.reason.as_str() {
        reason if reason == was_reason => return None,
        reasons::PAUSED => "Pause",
        reasons::SUSPENDING | reasons::SUSPENDED => "Suspend",
        reasons::DELETING => "Delete",
        _ if was_reason == reasons::PAUSED => {
            let note = "spec.paused is false: the operator goes on";
            return Some(Event::normal(reasons::RESUMED, "Resume", note));
        }
        _ if [reasons::SUSPENDING, reasons::SUSPENDED].contains(&was_reason) => {
            let note = "spec.suspend is false: the parts start again, the stores first";
            return Some(Event::normal(reasons::RESUMED, "Resume", note));
        }
        // The operator has just started or the address has changed: nothing is wrong.
        reasons::PROBE_PENDING if was_true => "Probe",
        _ if is_true && !was_true => "Probe",
        _ => return None,
    };
    Some(Event::normal(&is.reason, action, is.message.clone()))
}

/// What has become worse. One cause that shows in several conditions is told once.
pub(super) fn troubles(turn: &Turn<'_>) -> Vec<Event> {
    let mut told: Vec<&str> = Vec::new();
    let mut events = Vec::new();
    for type_ in [reasons::STALLED, reasons::READY, reasons::DEGRADED] {
        let Some(is) = turn.after.status.condition(type_) else {
            continue;
        };
        let was = turn.before.and_then(|status| status.condition(type_));
        let failure_tells = is.reason == reasons::RECONCILE_FAILED && turn.facts.failure.is_some();
        if !is_worse(type_, was, is) || told.contains(&is.reason.as_str()) || failure_tells {
            continue;
        }
        told.push(&is.reason);
        let reason = match (is.reason.as_str(), type_) {
            // Alone it would read like the beginning of a roll-out.
            (reasons::PROGRESSING, reasons::READY) => reasons::NOT_READY,
            (reasons::PROGRESSING, _) => type_,
            (reason, _) => reason,
        };
        let event = Event::new(Tone::Warning, reason, action(reason), is.message.clone());
        events.push(event.about(turn.after.about.get(type_).cloned()));
    }
    events
}

fn is_worse(type_: &str, was: Option<&Condition>, is: &Condition) -> bool {
    let was_true = was.is_some_and(|was| was.status == "True");
    if type_ == reasons::READY {
        let wanted = [
            reasons::PAUSED,
            reasons::SUSPENDING,
            reasons::SUSPENDED,
            reasons::DELETING,
            reasons::PROBE_PENDING,
        ];
        return was_true && is.status != "True" && !wanted.contains(&is.reason.as_str());
    }
    let same = was.is_some_and(|was| {
        was.reason == is.reason && subject(&was.message) == subject(&is.message)
    });
    is.status == "True" && !(was_true && same)
}

/// What the operator was at when it found this out.
fn action(reason: &str) -> &'static str {
    match reason {
        reasons::INVALID_SPEC
        | reasons::SECRET_NOT_FOUND
        | reasons::SECRET_KEY_MISSING
        | reasons::DEPENDENCY_MISSING
        | reasons::DOWNGRADE_REFUSED => "Validate",
        reasons::RECONCILE_FAILED => "Apply",
        reasons::PROBE_FAILED => "Probe",
        reasons::PROVISION_FAILED | reasons::AUTH_FAILED | reasons::EXTERNAL_UNREACHABLE => {
            "Provision"
        }
        _ => "Observe",
    }
}
