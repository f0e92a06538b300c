//! Report: writes the status and publishes events.
//!
//! Needs a client; the only writer of the status. It runs after every pass, good or bad.

use jiff::Timestamp;
use k8s_controller::events::{Event, EventRecorder, EventType};
use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, ApiResource, Patch, PatchParams};
use kube::{Client, Resource, ResourceExt};
use lotoai_api::spec::DeletionPolicy;
use lotoai_api::{LotoAI, LotoAIStatus};
use lotoai_plan::events::{Event as Told, Tone};
use lotoai_plan::{ObjectId, owned_kinds};
use serde_json::{Value, json};
use snafu::{ResultExt, Snafu};

use crate::error::chain;

/// Field manager of the status, apart from [`crate::apply::FIELD_MANAGER`] so that neither takes
/// fields from the other.
pub const FIELD_MANAGER: &str = "lotoai-operator-status";

/// Bytes of the longest note: the API server refuses an event with a longer one.
const MAX_NOTE: usize = 1024;

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
    // The UID keeps the status of a deleted resource from a new one of the same name.
    let metadata = json!({ "name": loto.name_any(), "uid": loto.uid() });
    patch(client, loto, metadata, status).await
}

/// Takes the word back that data would stay, before anything is written by which they would go. Returns
/// whether the resource is still there.
///
/// # Errors
/// When the API server refuses, or the resource is not the one that was read any more: somebody may have
/// set the policy back, and trust that word.
pub async fn withdraw(client: &Client, loto: &LotoAI) -> Result<bool, Error> {
    let stays = |status: &&LotoAIStatus| status.deletion_policy == Some(DeletionPolicy::Retain);
    let Some(said) = loto.status.as_ref().filter(stays) else {
        return Ok(true);
    };
    if loto.spec.deletion_policy == DeletionPolicy::Retain {
        return Ok(true);
    }
    let status = LotoAIStatus {
        deletion_policy: Some(DeletionPolicy::Delete),
        ..said.clone()
    };
    let metadata = json!({
        "name": loto.name_any(), "uid": loto.uid(), "resourceVersion": loto.resource_version(),
    });
    patch(client, loto, metadata, &status).await
}

/// Writes `status` of the resource that `metadata` tells. Returns whether there is one.
async fn patch(
    client: &Client,
    loto: &LotoAI,
    metadata: Value,
    status: &LotoAIStatus,
) -> Result<bool, Error> {
    let name = loto.name_any();
    let api: Api<LotoAI> = Api::namespaced(client.clone(), &loto.namespace().unwrap_or_default());
    let body = json!({
        "apiVersion": LotoAI::api_version(&()),
        "kind": LotoAI::kind(&()),
        "metadata": metadata,
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

/// Publishes events of a pass over a resource.
pub async fn tell(recorder: &EventRecorder, loto: &LotoAI, events: Vec<Told>) {
    let namespace = loto.namespace().unwrap_or_default();
    for event in events {
        publish(recorder, loto, &published(event, &namespace)).await;
    }
}

/// Publishes why a pass failed over a resource of which no status can be written.
pub async fn failed<K>(recorder: &EventRecorder, object: &K, error: &crate::Error)
where
    K: Resource<DynamicType = ()>,
{
    let event = Event {
        type_: EventType::Warning,
        reason: error.reason().to_owned(),
        action: error.attempt().to_owned(),
        note: Some(note(chain(error))),
        related: None,
    };
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

fn published(event: Told, namespace: &str) -> Event {
    Event {
        type_: match event.tone {
            Tone::Normal => EventType::Normal,
            Tone::Warning => EventType::Warning,
        },
        reason: event.reason,
        action: event.action.to_owned(),
        note: Some(note(event.note)),
        related: event.about.map(|object| reference(object, namespace)),
    }
}

/// A text of no more than [`MAX_NOTE`] bytes, cut between two characters.
fn note(mut text: String) -> String {
    const CUT: char = '…';
    if text.len() > MAX_NOTE {
        text.truncate(text.floor_char_boundary(MAX_NOTE - CUT.len_utf8()));
        text.push(CUT);
    }
    text
}

/// What an event points to: an owned object or a pod.
fn reference(object: ObjectId, namespace: &str) -> ObjectReference {
    let owned = owned_kinds().into_iter().map(|owned| owned.resource);
    let api_version = owned
        .chain([ApiResource::erase::<Pod>(&())])
        .find(|resource| resource.kind == object.kind)
        .map(|resource| resource.api_version);
    ObjectReference {
        api_version,
        kind: Some(object.kind),
        namespace: Some(namespace.to_owned()),
        name: Some(object.name),
        ..ObjectReference::default()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

    use super::*;

    fn status(conditions: &[&str], second: i64) -> LotoAIStatus {
        let conditions = conditions.iter().map(|type_| Condition {
            type_: (*type_).to_owned(),
            status: "True".to_owned(),
            reason: "Available".to_owned(),
            message: String::new(),
            observed_generation: Some(1),
            last_transition_time: Time(Timestamp::from_second(second).unwrap()),
        });
        LotoAIStatus {
            conditions: conditions.collect(),
            ..LotoAIStatus::default()
        }
    }

    #[test]
    fn a_status_that_differs_in_times_only_is_the_same() {
        let (one, other) = (status(&["Ready"], 1), status(&["Ready"], 2));
        assert_eq!(timeless(&one), timeless(&other));
        assert_ne!(timeless(&one), timeless(&status(&[], 1)));
    }

    #[test]
    fn a_note_is_cut_by_its_bytes_and_between_characters() {
        for fits in [
            "",
            "short",
            &"x".repeat(MAX_NOTE),
            &"é".repeat(MAX_NOTE / 2),
        ] {
            assert_eq!(note(fits.to_owned()), fits);
        }
        for (character, bytes) in [("x", MAX_NOTE), ("é", MAX_NOTE - 1), ("…", MAX_NOTE - 1)] {
            let cut = note(character.repeat(MAX_NOTE + 1));
            assert_eq!(cut.len(), bytes, "{character}");
            assert!(cut.starts_with(character) && cut.ends_with('…'), "{cut}");
        }
    }

    #[test]
    fn an_event_points_to_the_object_at_fault() {
        let kinds = [
            ("Pod", "v1"),
            ("Job", "batch/v1"),
            ("Deployment", "apps/v1"),
        ];
        for (kind, version) in kinds {
            let reference = reference(ObjectId::new(kind, "demo-a"), "default");
            assert_eq!(reference.api_version.as_deref(), Some(version));
            assert_eq!(reference.kind.as_deref(), Some(kind));
            assert_eq!(reference.name.as_deref(), Some("demo-a"));
            assert_eq!(reference.namespace.as_deref(), Some("default"));
        }
    }
}
