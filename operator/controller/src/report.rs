//! Report: writes the status and publishes events.
//!
//! Needs a client; the only writer of the status. It runs after every pass, good or bad.

use jiff::Timestamp;
use k8s_controller::events::{Event, EventRecorder, EventType};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource, ResourceExt};
use lotoai_api::{LotoAI, LotoAIStatus, reasons};
use serde_json::json;
use snafu::{ResultExt, Snafu};

use crate::error::chain;

/// Field manager of the status, apart from [`crate::apply::FIELD_MANAGER`] so that neither takes
/// fields from the other.
pub const FIELD_MANAGER: &str = "lotoai-operator-status";

/// Why the status could not be written.
#[derive(Debug, Snafu)]
pub enum Error {
    /// The API server refused or did not answer.
    #[snafu(display("failed to patch the status of {name:?}"))]
    PatchStatus {
        /// Name of the resource.
        name: String,
        /// What the API server said.
        #[snafu(source(from(kube::Error, Box::new)))]
        source: Box<kube::Error>,
    },
}

impl Error {
    /// What the API server said.
    #[must_use]
    pub fn kube(&self) -> Option<&kube::Error> {
        match self {
            Self::PatchStatus { source, .. } => Some(source),
        }
    }
}

/// Writes `status` unless the resource has it already, times aside. Returns whether it wrote.
///
/// # Errors
/// When the API server refuses. A resource that is gone is no error.
pub async fn write(client: &Client, loto: &LotoAI, status: &LotoAIStatus) -> Result<bool, Error> {
    if loto
        .status
        .as_ref()
        .is_some_and(|current| timeless(current) == timeless(status))
    {
        return Ok(false);
    }
    let name = loto.name_any();
    let api: Api<LotoAI> = Api::namespaced(client.clone(), &loto.namespace().unwrap_or_default());
    // The UID keeps the status of a deleted resource from a new one of the same name.
    let body = json!({
        "apiVersion": LotoAI::api_version(&()),
        "kind": LotoAI::kind(&()),
        "metadata": { "name": name, "uid": loto.uid() },
        "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    match api.patch_status(&name, &params, &Patch::Apply(&body)).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(refusal)) if refusal.is_not_found() => Ok(false),
        Err(error) => Err(error).context(PatchStatusSnafu { name }),
    }
}

/// The status with all times set to zero.
fn timeless(status: &LotoAIStatus) -> LotoAIStatus {
    let mut status = status.clone();
    for condition in &mut status.conditions {
        condition.last_transition_time = Time(Timestamp::UNIX_EPOCH);
    }
    status
}

/// Publishes what changed between the status that was and the one that is.
pub async fn transitions(
    recorder: &EventRecorder,
    loto: &LotoAI,
    before: Option<&LotoAIStatus>,
    after: &LotoAIStatus,
) {
    for event in changes(before, after) {
        publish(recorder, loto, &event).await;
    }
}

/// Publishes that a pass failed, with the whole chain of causes.
pub async fn failure<K>(recorder: &EventRecorder, object: &K, error: &crate::Error)
where
    K: Resource<DynamicType = ()>,
{
    let event = event(EventType::Warning, error.reason(), &chain(error));
    publish(recorder, object, &event).await;
}

async fn publish<K>(recorder: &EventRecorder, object: &K, event: &Event)
where
    K: Resource<DynamicType = ()>,
{
    // An event is a courtesy: a platform must not fail because one could not be published.
    if let Err(error) = recorder.publish(object, event).await {
        tracing::warn!(reason = event.reason, error = %chain(&error), "failed to publish an event");
    }
}

fn event(type_: EventType, reason: &str, note: &str) -> Event {
    Event {
        type_,
        reason: reason.to_owned(),
        action: "Reconcile".to_owned(),
        note: Some(note.to_owned()),
        related: None,
    }
}

/// One event for each condition whose status changed, and for a `Stalled` or `Degraded` that is
/// there for another reason than before.
fn changes(before: Option<&LotoAIStatus>, after: &LotoAIStatus) -> Vec<Event> {
    let mut events = Vec::new();
    for type_ in [reasons::READY, reasons::STALLED, reasons::DEGRADED] {
        let was = before.and_then(|status| status.condition(type_));
        let is = after.condition(type_);
        let was_true = was.is_some_and(|condition| condition.status == "True");
        let is_true = is.is_some_and(|condition| condition.status == "True");
        let Some(is) = is else { continue };
        let same_reason = was.is_some_and(|was| was.reason == is.reason);
        let bad = type_ != reasons::READY;
        if bad && is_true && !(was_true && same_reason) || !bad && was_true && !is_true {
            events.push(event(EventType::Warning, &is.reason, &is.message));
        } else if !bad && is_true && !was_true || is.reason == reasons::PAUSED && !same_reason {
            events.push(event(EventType::Normal, &is.reason, &is.message));
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
    use rstest::rstest;

    use super::*;

    fn status(conditions: &[(&str, &str, &str)], second: i64) -> LotoAIStatus {
        let conditions = conditions
            .iter()
            .map(|(type_, status, reason)| Condition {
                type_: (*type_).to_owned(),
                status: (*status).to_owned(),
                reason: (*reason).to_owned(),
                message: String::new(),
                observed_generation: Some(1),
                last_transition_time: Time(Timestamp::from_second(second).unwrap()),
            })
            .collect();
        LotoAIStatus {
            conditions,
            ..LotoAIStatus::default()
        }
    }

    #[rstest]
    #[case::first_look(&[], &[("Ready", "False", "Progressing")], &[])]
    #[case::became_ready(
        &[("Ready", "False", "Progressing")], &[("Ready", "True", "Available")], &["Available"]
    )]
    #[case::stays_ready(
        &[("Ready", "True", "Available")], &[("Ready", "True", "Available")], &[]
    )]
    #[case::was_lost(
        &[("Ready", "True", "Available")], &[("Ready", "False", "ProbeFailed")], &["ProbeFailed"]
    )]
    #[case::stalled(
        &[("Ready", "False", "Progressing")],
        &[("Ready", "False", "ImagePullFailed"), ("Stalled", "True", "ImagePullFailed")],
        &["ImagePullFailed"]
    )]
    #[case::goes_on_stalling(
        &[("Stalled", "True", "ImagePullFailed")], &[("Stalled", "True", "ImagePullFailed")], &[]
    )]
    #[case::stalls_for_another_reason(
        &[("Stalled", "True", "ImagePullFailed")],
        &[("Stalled", "True", "SecretNotFound")],
        &["SecretNotFound"]
    )]
    #[case::paused(
        &[("Ready", "False", "Progressing")], &[("Ready", "False", "Paused")], &["Paused"]
    )]
    fn events_come_on_transitions_only(
        #[case] before: &[(&str, &str, &str)],
        #[case] after: &[(&str, &str, &str)],
        #[case] expected: &[&str],
    ) {
        let events = changes(Some(&status(before, 0)), &status(after, 9));
        let reasons: Vec<_> = events.iter().map(|event| event.reason.as_str()).collect();
        assert_eq!(reasons, expected);
    }

    #[test]
    fn a_status_that_differs_in_times_only_is_the_same() {
        let one = status(&[("Ready", "True", "Available")], 1);
        let other = status(&[("Ready", "True", "Available")], 2);
        assert_eq!(timeless(&one), timeless(&other));
        assert_ne!(timeless(&one), timeless(&status(&[], 1)));
    }
}
