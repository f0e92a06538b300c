//! Passes that did not come to their end, or were not to: what is said of a platform of which they
//! saw little or nothing.

use lotoai_api::{LotoAIStatus, reasons};

use super::super::{Child, Pass};
use super::{
    FALSE, Say, TRUE, UNKNOWN, Verdict, available, holds, only, say, was_ready, was_up,
    with_overdue,
};
use crate::probe::ProbeOutcome;
use crate::validate::Invalid;

pub(super) fn deleting() -> Verdict {
    let deleting = say(reasons::DELETING, "The platform is being deleted");
    Verdict {
        reconciling: Some(deleting.clone()),
        ..only(FALSE, deleting)
    }
}

pub(super) fn paused(overdue: Option<&str>) -> Verdict {
    let message = "The operator changes nothing and asks nothing while spec.paused is true; set it \
                   to false to go on";
    only(
        UNKNOWN,
        say(reasons::PAUSED, with_overdue(message, overdue)),
    )
}

/// The resource cannot be carried out. Nothing was changed, so the platform of before runs on, if
/// there is one.
pub(super) fn invalid(
    pass: &Pass<'_>,
    before: &LotoAIStatus,
    told: &LotoAIStatus,
    faults: &[Invalid],
) -> Verdict {
    let fault = fault(faults);
    let (status, ready) = match pass.probe {
        ProbeOutcome::Answered if was_up(before) => (TRUE, answers_all_the_same(told, &fault)),
        // Where to ask is not known either, and nobody has asked since the operator's start.
        ProbeOutcome::Pending if was_ready(before) => (UNKNOWN, fault.clone()),
        _ => (FALSE, fault.clone()),
    };
    Verdict {
        stalled: Some(fault),
        ..only(status, ready)
    }
}

fn answers_all_the_same(told: &LotoAIStatus, fault: &Say) -> Say {
    let answers = available(told);
    let message = format!(
        "{}; the resource as it stands now is not carried out: {}",
        answers.message, fault.message
    );
    say(answers.reason, message)
}

fn fault(faults: &[Invalid]) -> Say {
    let reason = faults
        .first()
        .map_or(reasons::INVALID_SPEC, |fault| fault.reason);
    let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
    say(reason, texts.join("; "))
}

/// A stage failed, and is tried again.
pub(super) fn failed(
    pass: &Pass<'_>,
    before: &LotoAIStatus,
    told: &LotoAIStatus,
    children: &[Child],
    message: String,
) -> Verdict {
    let failed = say(reasons::RECONCILE_FAILED, message);
    let (status, ready) = match (pass.probe, pass.outcome.platform()) {
        // What serves goes on serving while the operator has trouble.
        (ProbeOutcome::Answered, _) if was_up(before) => (TRUE, available(told)),
        (ProbeOutcome::Pending, Some(_)) if holds(pass, before, told, children) => {
            (TRUE, available(told))
        }
        // An operator that has just started has seen nothing of the platform yet.
        (ProbeOutcome::Pending, None) if was_ready(before) => (UNKNOWN, failed.clone()),
        _ => (FALSE, failed.clone()),
    };
    Verdict {
        reconciling: Some(failed),
        ..only(status, ready)
    }
}
