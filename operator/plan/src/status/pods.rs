//! Why a pod does not run: its own words, the object's name and the next command.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use lotoai_api::reasons;

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

/// The first failure among the pods of a node, if there is one.
pub(super) fn failure(
    platform: &Platform,
    observed: &Observed,
    node: Node,
    now: Timestamp,
) -> Option<Failure> {
    rollout::pods(platform, observed, node)
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .find_map(|pod| of_pod(platform, pod, now))
}

fn of_pod(platform: &Platform, pod: &Pod, now: Timestamp) -> Option<Failure> {
    let status = pod.status.as_ref()?;
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let namespace = &platform.namespace;
    let unschedulable = status.conditions.iter().flatten().find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    });
    if let Some(condition) = unschedulable {
        let since = condition.last_transition_time.as_ref().map(|time| time.0);
        let cause = cut(condition.message.as_deref().unwrap_or("no node takes it"));
        return Some(Failure {
            reason: reasons::POD_UNSCHEDULABLE,
            message: format!(
                "Pod {name}: Unschedulable: {cause}; see  kubectl -n {namespace} describe pod {name}"
            ),
            needs_a_person: since
                .is_some_and(|since| now.duration_since(since) > SCHEDULING_PATIENCE),
            object: ObjectId::new("Pod", name),
        });
    }
    let containers = status.init_container_statuses.iter().flatten();
    containers
        .chain(status.container_statuses.iter().flatten())
        .find_map(|container| of_container(namespace, name, container))
}

fn of_container(namespace: &str, pod: &str, container: &ContainerStatus) -> Option<Failure> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let word = waiting.reason.as_deref()?;
    let cause = cut(waiting.message.as_deref().unwrap_or_default());
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

fn cut(text: &str) -> String {
    if text.chars().count() <= MAX_MESSAGE {
        return text.to_owned();
    }
    text.chars().take(MAX_MESSAGE).chain(['…']).collect()
}
