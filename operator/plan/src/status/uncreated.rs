//! Pods that are never made: a quota, a policy, or an account that is not there keeps a workload's
//! controller from making them. No pod shows it.
//!
//! The controller of a Deployment says so in a condition. Those of StatefulSets and Jobs say it in
//! events only, which are read for workloads that have been short of pods for a while.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use lotoai_api::reasons;

use super::pods::{Failure, cut};
use crate::observed::Observed;
use crate::platform::Platform;
use crate::resources::ObjectId;

/// A controller makes the pods of a new object well within this time.
const YOUTH: SignedDuration = SignedDuration::from_secs(30);
/// Somebody may be giving back what a quota counts; only then a person must act.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// A text of the cluster, and the command that shows what is behind it. `{ns}` is the namespace.
const NEXT: [(&str, &str); 6] = [
    ("quota", "kubectl -n {ns} describe resourcequota"),
    ("usage per ", "kubectl -n {ns} describe limitrange"),
    ("ratio per ", "kubectl -n {ns} describe limitrange"),
    (
        "violates PodSecurity",
        "kubectl get namespace {ns} --show-labels",
    ),
    ("service account", "kubectl -n {ns} get serviceaccount"),
    ("PriorityClass", "kubectl get priorityclass"),
];
/// The command for everything else.
const ANY: &str = "kubectl -n {ns} get events --field-selector reason=FailedCreate";

/// UIDs of the StatefulSets and Jobs that are no longer young and have fewer pods than they ask
/// for: their events may say why.
#[must_use]
pub fn short_of_pods(observed: &Observed, now: Timestamp) -> Vec<String> {
    let sets = observed.stateful_sets.values();
    let sets = sets.filter(|set| lacks_pods(set)).map(|set| &set.metadata);
    let jobs = observed.jobs.values();
    let jobs = jobs.filter(|job| has_no_pod(job)).map(|job| &job.metadata);
    sets.chain(jobs)
        .filter(|metadata| is_grown(metadata, now))
        .filter_map(|metadata| metadata.uid.clone())
        .collect()
}

/// Whether an object is there for long enough that somebody should have taken it up.
pub(super) fn is_grown(metadata: &ObjectMeta, now: Timestamp) -> bool {
    let made = metadata.creation_timestamp.as_ref();
    made.is_some_and(|made| now.duration_since(made.0) >= YOUTH)
}

fn lacks_pods(set: &StatefulSet) -> bool {
    let asked = set.spec.as_ref().and_then(|spec| spec.replicas);
    let made = set.status.as_ref().map_or(0, |status| status.replicas);
    made < asked.unwrap_or(1)
}

/// A Job that should run and has had no pod yet.
fn has_no_pod(job: &Job) -> bool {
    let is_suspended = job.spec.as_ref().and_then(|spec| spec.suspend);
    let status = job.status.clone().unwrap_or_default();
    let counts = [
        status.active,
        status.succeeded,
        status.failed,
        status.terminating,
    ];
    let is_over = status
        .conditions
        .iter()
        .flatten()
        .any(|condition| condition.status == "True");
    is_suspended != Some(true) && !is_over && counts.into_iter().flatten().sum::<i32>() == 0
}

/// Why the pods of a workload object or Job are not made, if its controller says so.
pub(super) fn failure(
    platform: &Platform,
    observed: &Observed,
    object: &ObjectId,
    now: Timestamp,
) -> Option<Failure> {
    let refused = Refused::of(observed, object)?;
    let cause = cut(cause(&refused.message));
    let mut known = NEXT.iter();
    let next = known.find(|(text, _)| cause.contains(text));
    let next = next.map_or(ANY, |(_, command)| *command);
    Some(Failure {
        reason: reasons::POD_CREATION_FAILED,
        message: format!(
            "{} {}: its pods are not created: {cause}; see  {}",
            object.kind,
            object.name,
            next.replace("{ns}", &platform.namespace)
        ),
        needs_a_person: refused.end().is_some_and(|end| end <= now),
        object: object.clone(),
    })
}

/// When [`failure`] says something else of the same object, by nothing but time.
pub(super) fn due(observed: &Observed, object: &ObjectId, now: Timestamp) -> Option<Timestamp> {
    Refused::of(observed, object)?
        .end()
        .filter(|end| *end > now)
}

/// What a controller says of pods that it cannot make.
struct Refused {
    message: String,
    since: Option<Timestamp>,
}

impl Refused {
    fn of(observed: &Observed, object: &ObjectId) -> Option<Self> {
        let name = &object.name;
        match object.kind.as_str() {
            "Deployment" => Self::of_deployment(observed.deployments.get(name)?),
            "StatefulSet" => {
                let set = observed.stateful_sets.get(name)?;
                Self::of_events(observed, &set.metadata).filter(|_| lacks_pods(set))
            }
            "Job" => {
                let job = observed.jobs.get(name)?;
                Self::of_events(observed, &job.metadata).filter(|_| has_no_pod(job))
            }
            _ => None,
        }
    }

    fn of_deployment(deployment: &Deployment) -> Option<Self> {
        let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
        let failed = conditions.iter().find(|condition| {
            condition.type_ == "ReplicaFailure"
                && condition.status == "True"
                && condition.reason.as_deref() == Some("FailedCreate")
        })?;
        Some(Self {
            message: failed.message.clone().unwrap_or_default(),
            since: failed.last_transition_time.as_ref().map(|time| time.0),
        })
    }

    /// The last word of the object's controller, unless it has made a pod since.
    fn of_events(observed: &Observed, object: &ObjectMeta) -> Option<Self> {
        let uid = object.uid.as_ref()?;
        let told = |reason: &str| {
            let events = observed.events.values();
            events
                .filter(|event| {
                    event.involved_object.uid.as_ref() == Some(uid)
                        && event.reason.as_deref() == Some(reason)
                })
                .max_by_key(|event| last(event))
        };
        let failed = told("FailedCreate")?;
        let made = told("SuccessfulCreate").and_then(last);
        if made.is_some() && made >= last(failed) {
            return None;
        }
        Some(Self {
            message: failed.message.clone().unwrap_or_default(),
            since: first(failed).max(made),
        })
    }

    /// When patience ends.
    fn end(&self) -> Option<Timestamp> {
        self.since?.checked_add(PATIENCE).ok()
    }
}

/// When an event was seen last, whichever way it was recorded.
pub(super) fn last(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref();
    let repeated = series.and_then(|series| Some(series.last_observed_time.as_ref()?.0));
    let stamped = event.last_timestamp.as_ref().map(|time| time.0);
    repeated.max(stamped).max(first(event))
}

/// When an event was seen first.
fn first(event: &Event) -> Option<Timestamp> {
    let stamped = event.first_timestamp.as_ref().map(|time| time.0);
    let timed = event.event_time.as_ref().map(|time| time.0);
    let made = event.metadata.creation_timestamp.as_ref();
    stamped.or(timed).or(made.map(|time| time.0))
}

/// What is wrong, without the name of the pod, which is another one at every attempt.
fn cause(message: &str) -> &str {
    [" is forbidden: ", " is invalid: ", " failed error: "]
        .into_iter()
        .find_map(|before| Some(message.split_once(before)?.1))
        .unwrap_or(message)
}
