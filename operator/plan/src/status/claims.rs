//! Volume claims that get no volume. A claim whose volume is made where its pod comes to run waits
//! for the pod, so only the words of the cluster tell one from a claim that nobody serves.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod};
use lotoai_api::reasons;

use super::pods::{Failure, cut, unschedulable};
use super::uncreated::{is_grown, last};
use crate::observed::Observed;
use crate::platform::Platform;
use crate::resources::ObjectId;

/// A driver may need this long to get up; only then a person must act.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);
/// Reasons of events that say how far a claim is, and not that anything is wrong.
const WAITS: [&str; 5] = [
    "WaitForFirstConsumer",
    "WaitForPodScheduled",
    "Provisioning",
    "ExternalProvisioning",
    "ProvisioningSucceeded",
];

/// UIDs of the claims that are no longer young and have no volume: their events may say why.
#[must_use]
pub fn without_volume(observed: &Observed, now: Timestamp) -> Vec<String> {
    let claims = observed.claims.values();
    claims
        .filter(|claim| !is_bound(claim) && is_grown(&claim.metadata, now))
        .filter_map(|claim| claim.metadata.uid.clone())
        .collect()
}

fn phase(claim: &PersistentVolumeClaim) -> Option<&str> {
    claim.status.as_ref()?.phase.as_deref()
}

/// One of which nothing is known yet counts as one with a volume.
fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    phase(claim).is_none_or(|phase| phase == "Bound")
}

/// A claim of a pod that has no volume.
pub(super) struct Unbound<'a> {
    name: &'a str,
    claim: &'a PersistentVolumeClaim,
}

impl<'a> Unbound<'a> {
    /// The first of a pod.
    pub(super) fn of(observed: &'a Observed, pod: &'a Pod) -> Option<Self> {
        let volumes = pod.spec.as_ref()?.volumes.iter().flatten();
        let mut claims = volumes.filter_map(|volume| {
            let name = &volume.persistent_volume_claim.as_ref()?.claim_name;
            let claim = observed.claims.get(name)?;
            Some(Self { name, claim })
        });
        claims.find(|unbound| !is_bound(unbound.claim))
    }

    /// The claim, where its volume should come from, and what the cluster says of it.
    pub(super) fn text(&self, said: Option<&str>) -> String {
        let Self { name, claim } = self;
        let class = claim.spec.as_ref();
        let class = class.and_then(|spec| spec.storage_class_name.as_deref());
        let class = match class {
            Some("") => "without a storage class".to_owned(),
            Some(class) => format!("of storage class {class}"),
            None => "of no storage class: the cluster has no default one".to_owned(),
        };
        let phase = phase(claim).unwrap_or("Pending");
        let said = said.map_or_else(String::new, |said| format!(": {}", cut(said)));
        format!("PersistentVolumeClaim {name} ({class}) is {phase}{said}")
    }

    /// The commands that tell more.
    pub(super) fn next(&self, namespace: &str) -> String {
        let name = self.name;
        format!("kubectl -n {namespace} describe pvc {name}  and  kubectl get storageclass")
    }

    /// The last event about the claim that says what is wrong with it.
    pub(super) fn complaint(&self, observed: &'a Observed) -> Option<&'a str> {
        let uid = self.claim.metadata.uid.as_ref()?;
        let about = |event: &&Event| event.involved_object.uid.as_ref() == Some(uid);
        let wrong = |event: &&Event| {
            let reason = event.reason.as_deref().unwrap_or_default();
            !WAITS.contains(&reason)
        };
        let events = observed.events.values().filter(about).filter(wrong);
        events
            .max_by_key(|event| last(event))
            .and_then(|event| event.message.as_deref())
    }
}

/// What keeps a pod from a node because of a claim, with the words of the cluster.
struct Trouble<'a> {
    unbound: Unbound<'a>,
    said: &'a str,
    since: Option<Timestamp>,
}

impl<'a> Trouble<'a> {
    fn of(observed: &'a Observed, pod: &'a Pod) -> Option<Self> {
        if pod.spec.as_ref()?.node_name.is_some() {
            return None;
        }
        let unbound = Unbound::of(observed, pod)?;
        let scheduling = unschedulable(pod);
        let by_scheduler = scheduling
            .and_then(|condition| condition.message.as_deref())
            .filter(|message| {
                let message = message.to_lowercase();
                message.contains("persistentvolume") || message.contains("persistent volume")
            });
        let said = unbound.complaint(observed).or(by_scheduler)?;
        let refused = scheduling.and_then(|condition| condition.last_transition_time.as_ref());
        let made = unbound.claim.metadata.creation_timestamp.as_ref();
        let since = refused.or(made).map(|time| time.0);
        Some(Self {
            unbound,
            said,
            since,
        })
    }

    /// When patience ends.
    fn end(&self) -> Option<Timestamp> {
        self.since?.checked_add(PATIENCE).ok()
    }
}

/// Why a pod is on no node, when a claim of it is to blame.
pub(super) fn failure(
    platform: &Platform,
    observed: &Observed,
    pod: &Pod,
    now: Timestamp,
) -> Option<Failure> {
    let trouble = Trouble::of(observed, pod)?;
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let unbound = &trouble.unbound;
    Some(Failure {
        reason: reasons::VOLUME_PENDING,
        message: format!(
            "Pod {name}: {}; see  {}",
            unbound.text(Some(trouble.said)),
            unbound.next(&platform.namespace)
        ),
        needs_a_person: trouble.end().is_some_and(|end| end <= now),
        object: ObjectId::new("Pod", name),
    })
}

/// When [`failure`] says something else of the same pod, by nothing but time.
pub(super) fn due(observed: &Observed, pod: &Pod) -> Option<Timestamp> {
    Trouble::of(observed, pod)?.end()
}
