//! Pods that neither fail nor become ready: for how long that is nobody's fault.
//!
//! A cluster goes on trying for ever and says so nowhere but in the pod: a probe that never
//! succeeds, a volume that is never attached, a node that is gone. Only time tells such a pod from
//! one that is slow to start.

mod cause;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodCondition};

use super::pods::Failure;
use crate::graph::Node;
use crate::observed::Observed;
use crate::platform::Platform;
use crate::resources::ObjectId;
use crate::rollout::{self, Rollout};

use cause::{Cause, Look};

/// A pod may take this long to become ready, or to end once its grace period is over: twice what
/// the probes give the slowest server for its start, so that a large image and a slow volume fit in
/// as well.
const PATIENCE: SignedDuration = SignedDuration::from_secs(15 * 60);

/// Since when everything that a node needs serves; nothing while it does not. Until then its pods
/// are not at fault.
pub(super) fn free_since(
    platform: &Platform,
    observed: &Observed,
    node: Node,
) -> Option<Timestamp> {
    let serves_since = |need: Node| {
        let Node::Component(component) = need else {
            // A Job that runs again keeps nobody from being ready who was started before.
            return Some(Timestamp::MIN);
        };
        let serves = match platform.topology.delegated(component) {
            Some(delegated) => delegated.state(observed).ready > 0,
            None => {
                Rollout::of(platform, observed, component).is_some_and(|rollout| rollout.serves())
            }
        };
        let pods = rollout::pods(platform, observed, need);
        let first = pods.filter_map(ready_since).min();
        serves.then(|| first.unwrap_or(Timestamp::MIN))
    };
    let mut needs = platform.topology.needs(node).into_iter();
    needs.try_fold(Timestamp::MIN, |latest, need| {
        Some(latest.max(serves_since(need)?))
    })
}

/// When patience with a pod ends; never with one that is ready. `free` is of its node, see
/// [`free_since`].
pub(super) fn overdue_at(pod: &Pod, free: Option<Timestamp>) -> Option<Timestamp> {
    let since = waiting_since(pod)?.max(free?);
    since.checked_add(PATIENCE).ok()
}

/// What is said of a pod with which patience has ended.
pub(super) fn failure(
    platform: &Platform,
    observed: &Observed,
    pod: &Pod,
    now: Timestamp,
) -> Failure {
    let look = Look {
        observed,
        pod,
        namespace: &platform.namespace,
        name: pod.metadata.name.as_deref().unwrap_or_default(),
        now,
    };
    let Cause { reason, text, next } = look.cause();
    let name = look.name;
    let what = match pod.metadata.deletion_timestamp {
        Some(_) => "should be gone",
        None => "is not ready",
    };
    let since = waiting_since(pod).map_or_else(String::new, |since| format!(" since {since}"));
    Failure {
        reason,
        message: format!("Pod {name} {what}{since}: {text}; see  {next}"),
        needs_a_person: true,
        object: ObjectId::new("Pod", name),
    }
}

/// Since when a pod should be ready and is not, or should be gone and is not.
fn waiting_since(pod: &Pod) -> Option<Timestamp> {
    if let Some(end) = &pod.metadata.deletion_timestamp {
        return Some(end.0);
    }
    let made = pod.metadata.creation_timestamp.as_ref();
    let since = match condition(pod, "Ready") {
        Some(ready) if ready.status == "True" => return None,
        Some(ready) => ready.last_transition_time.as_ref().or(made),
        None => made,
    };
    since.map(|time| time.0)
}

fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let ready = condition(pod, "Ready").filter(|ready| ready.status == "True")?;
    ready.last_transition_time.as_ref().map(|time| time.0)
}

fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<&'a PodCondition> {
    let mut conditions = pod.status.as_ref()?.conditions.iter().flatten();
    conditions.find(|condition| condition.type_ == type_)
}
