//! Why a pod does not run: its own words, the object's name and the next command.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};
use lotoai_api::reasons;
use lotoai_api::spec::Spreading;

use super::{claims, ended, stuck};
use crate::graph::Node;
use crate::observed::Observed;
use crate::platform::Platform;
use crate::resources::ObjectId;
use crate::rollout;

/// A scheduler or an autoscaler may need this long; only then a person must act.
const SCHEDULING_PATIENCE: SignedDuration = SignedDuration::from_secs(60);
/// Restarts after which a person must act: a component may fall over while another one starts.
const RESTART_PATIENCE: i32 = 5;
/// Messages of the cluster are cut to this many characters.
const MAX_MESSAGE: usize = 300;

/// What went wrong with a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// One of [`reasons`].
    pub reason: &'static str,
    /// Object, cause and next command.
    pub message: String,
    /// Whether it will not mend itself.
    pub needs_a_person: bool,
    /// The object at fault.
    pub object: ObjectId,
}

/// What keeps the pods of a node from being ready, if that is more than time: first what needs a
/// person.
pub(super) fn failure(
    platform: &Platform,
    observed: &Observed,
    node: Node,
    now: Timestamp,
) -> Option<Failure> {
    let free = stuck::free_since(platform, observed, node);
    let of = |pod: &Pod| {
        let is_overdue = stuck::overdue_at(pod, free).is_some_and(|end| end <= now);
        let failure = of_pod(platform, observed, pod, now).map(|failure| Failure {
            needs_a_person: failure.needs_a_person || is_overdue,
            ..failure
        });
        failure.or_else(|| is_overdue.then(|| stuck::failure(platform, observed, pod, now)))
    };
    rollout::pods(platform, observed, node)
        .filter_map(of)
        .min_by_key(|failure| !failure.needs_a_person)
}

/// A deleted pod with which patience has ended, of a node that wants nothing more of it.
pub(super) fn lingering(
    platform: &Platform,
    observed: &Observed,
    node: Node,
    now: Timestamp,
) -> Option<Failure> {
    let mut leaving = leaving(platform, observed, node);
    let pod = leaving.find(|pod| gone_by(pod).is_some_and(|end| end <= now))?;
    Some(stuck::failure(platform, observed, pod, now))
}

/// When [`lingering`] says something else of the same pods, by nothing but time.
pub(super) fn lingering_due(
    platform: &Platform,
    observed: &Observed,
    node: Node,
    now: Timestamp,
) -> Option<Timestamp> {
    leaving(platform, observed, node)
        .filter_map(gone_by)
        .filter(|end| *end > now)
        .min()
}

fn leaving<'a>(
    platform: &Platform,
    observed: &'a Observed,
    node: Node,
) -> impl Iterator<Item = &'a Pod> {
    let pods = rollout::pods(platform, observed, node);
    pods.filter(|pod| pod.metadata.deletion_timestamp.is_some())
}

/// When patience with a deleted pod ends, which needs nothing of others to go.
fn gone_by(pod: &Pod) -> Option<Timestamp> {
    stuck::overdue_at(pod, Some(Timestamp::MIN))
}

/// When [`failure`] says something else of the same pods, by nothing but time.
pub(super) fn due(
    platform: &Platform,
    observed: &Observed,
    node: Node,
    now: Timestamp,
) -> Option<Timestamp> {
    let free = stuck::free_since(platform, observed, node);
    let scheduling = |pod: &Pod| {
        let since = unschedulable(pod)?.last_transition_time.as_ref()?.0;
        since.checked_add(SCHEDULING_PATIENCE).ok()
    };
    rollout::pods(platform, observed, node)
        .flat_map(|pod| {
            let claims = claims::due(observed, pod);
            [scheduling(pod), claims, stuck::overdue_at(pod, free)]
        })
        .flatten()
        .filter(|end| *end > now)
        .min()
}

/// What a pod that should run says itself.
fn of_pod(platform: &Platform, observed: &Observed, pod: &Pod, now: Timestamp) -> Option<Failure> {
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    if let Some(failure) = claims::failure(platform, observed, pod, now) {
        return Some(failure);
    }
    let status = pod.status.as_ref()?;
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let namespace = &platform.namespace;
    if let Some(condition) = unschedulable(pod) {
        let since = condition.last_transition_time.as_ref().map(|time| time.0);
        let cause = &cut(condition.message.as_deref().unwrap_or("no node takes it"));
        return Some(Failure {
            reason: reasons::POD_UNSCHEDULABLE,
            message: format!(
                "Pod {name}: Unschedulable: {cause}{}; see  kubectl -n {namespace} describe pod {name}",
                apart(platform, cause)
            ),
            needs_a_person: since
                .is_some_and(|since| now.duration_since(since) >= SCHEDULING_PATIENCE),
            object: ObjectId::new("Pod", name),
        });
    }
    let containers = status.init_container_statuses.iter().flatten();
    containers
        .chain(status.container_statuses.iter().flatten())
        .find_map(|container| of_container(namespace, name, container))
}

/// What to do where a server of a cluster finds no node of its own.
fn apart(platform: &Platform, cause: &str) -> &'static str {
    if platform.spec.pods.spreading == Spreading::Required && cause.contains("anti-affinity") {
        "; every server of a cluster needs a node of its own: add one, or write  \
         spec.pods.spreading: Preferred"
    } else {
        ""
    }
}

/// The scheduler's word for a pod that no node takes.
pub(super) fn unschedulable(pod: &Pod) -> Option<&PodCondition> {
    let mut conditions = pod.status.as_ref()?.conditions.iter().flatten();
    conditions.find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    })
}

fn of_container(namespace: &str, pod: &str, container: &ContainerStatus) -> Option<Failure> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let word = waiting.reason.as_deref()?;
    let last = container.last_state.as_ref();
    let ended = last.and_then(|state| state.terminated.as_ref());
    let cause = match ended {
        // The kubelet says here how long it waits, and nothing of why.
        Some(ended) if word == "CrashLoopBackOff" => ended::cause(ended),
        Some(_) | None => cut(waiting.message.as_deref().unwrap_or_default()),
    };
    let describe = format!("kubectl -n {namespace} describe pod {pod}");
    let (reason, next, needs_a_person) = match word {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => {
            (reasons::IMAGE_PULL_FAILED, describe, true)
        }
        "CrashLoopBackOff" => (
            reasons::POD_CRASH_LOOPING,
            format!(
                "kubectl -n {namespace} logs {pod} -c {} --previous",
                container.name
            ),
            container.restart_count >= RESTART_PATIENCE,
        ),
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            (reasons::POD_CONFIGURATION_FAILED, describe, true)
        }
        _ => return None,
    };
    let cause = if cause.is_empty() {
        String::new()
    } else {
        format!(": {cause}")
    };
    Some(Failure {
        reason,
        message: format!("Pod {pod}: {word}{cause}; see  {next}"),
        needs_a_person,
        object: ObjectId::new("Pod", pod),
    })
}

/// Without what is too long for a condition.
pub(super) fn cut(text: &str) -> String {
    if text.chars().count() <= MAX_MESSAGE {
        return text.to_owned();
    }
    text.chars().take(MAX_MESSAGE).chain(['…']).collect()
}
