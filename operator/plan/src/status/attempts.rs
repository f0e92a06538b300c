//! Attempts of a provision Job: why the last one failed, also while the next one is under way.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use lotoai_api::{Store, reasons};

use super::ended::{self, Words};
use super::pods::{Failure, cut};
use crate::graph::External;
use crate::observed::Observed;
use crate::platform::Platform;
use crate::resources::ObjectId;

/// What the API server takes for a Job that does not say how often it may try again.
const RETRIES: i32 = 6;
/// Attempts after which somebody must look at an external store that does not answer.
const PATIENCE: usize = 2;

/// Why a Job that is not complete has failed so far; nothing before its first attempt ended.
pub(super) fn failure(
    platform: &Platform,
    observed: &Observed,
    store: Store,
    job: &Job,
) -> Option<Failure> {
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let failed: Vec<&Pod> = failed_pods(observed, name).collect();
    let counted = job.status.as_ref().and_then(|status| status.failed);
    let count = usize::try_from(counted.unwrap_or(0))
        .unwrap_or(0)
        .max(failed.len());
    let end = given_up(job);
    if count == 0 && end.is_none() {
        return None;
    }
    let last = failed.into_iter().max_by_key(|pod| ended_at(pod));
    let words = last.map(last_words).unwrap_or_default();
    // What we run ourselves, or ask another operator for, is not external.
    let external = platform.topology.external(store);
    let external = external.filter(|external| external.delegated.is_none());
    let reason = words
        .reason
        .filter(|reason| external.is_some() || *reason == reasons::AUTH_FAILED)
        .unwrap_or(reasons::PROVISION_FAILED);
    let advice = advice(platform, store, external, reason);
    let said = match words.text.as_str() {
        "" => advice,
        text => format!(": {text}{advice}"),
    };
    let ns = &platform.namespace;
    let message = if let Some(end) = end {
        format!(
            "Job {name}: {}{said}; see why with  kubectl -n {ns} logs job/{name}  and try again \
             with  kubectl -n {ns} delete job {name}",
            cut(end)
        )
    } else {
        let attempts = retries(job) + 1;
        let pod = last.and_then(|pod| pod.metadata.name.as_deref());
        let logs = pod.map_or_else(|| format!("job/{name}"), ToOwned::to_owned);
        format!(
            "Job {name}: attempt {count} of {attempts} failed{said}; see  kubectl -n {ns} logs {logs}"
        )
    };
    // The password of a store of ours may be on its way there: its next attempt finds it.
    let waits_in_vain = external.is_some()
        && (reason == reasons::AUTH_FAILED
            || (reason == reasons::EXTERNAL_UNREACHABLE && count >= PATIENCE));
    Some(Failure {
        reason,
        message,
        needs_a_person: end.is_some() || waits_in_vain,
        object: ObjectId::new("Job", name),
    })
}

/// What to look at first.
fn advice(platform: &Platform, store: Store, external: Option<&External>, reason: &str) -> String {
    let address = external.map(|external| {
        let url = &external.admin_url;
        let host = url.host_str().unwrap_or_default();
        url.port_or_known_default()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    });
    match (reason, address) {
        (reasons::AUTH_FAILED, Some(address)) => format!(
            "; correct Secret {}, which has the account at {address}: the Job then runs again",
            platform.admin_secret(store)
        ),
        (reasons::EXTERNAL_UNREACHABLE, Some(address)) => {
            format!("; look at {address}, at its certificate, and at whom its policies let in")
        }
        _ => String::new(),
    }
}

/// The words of a Job that ran out of attempts. It stays so until somebody deletes it or its inputs
/// change.
fn given_up(job: &Job) -> Option<&str> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let failed = conditions
        .iter()
        .find(|condition| condition.type_ == "Failed" && condition.status == "True")?;
    Some(failed.message.as_deref().unwrap_or("it failed"))
}

fn retries(job: &Job) -> i32 {
    let spec = job.spec.as_ref();
    spec.and_then(|spec| spec.backoff_limit).unwrap_or(RETRIES)
}

/// Pods of the Job of this name that ended with a failure. They stay for as long as it does.
fn failed_pods<'a>(observed: &'a Observed, job: &'a str) -> impl Iterator<Item = &'a Pod> {
    observed.pods.values().filter(move |pod| {
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        let mut owners = pod.metadata.owner_references.iter().flatten();
        phase == Some("Failed") && owners.any(|owner| owner.kind == "Job" && owner.name == job)
    })
}

fn terminated(pod: &Pod) -> Option<&ContainerStateTerminated> {
    let mut containers = pod.status.as_ref()?.container_statuses.iter().flatten();
    containers.find_map(|container| container.state.as_ref()?.terminated.as_ref())
}

fn ended_at(pod: &Pod) -> Option<Timestamp> {
    let ended = terminated(pod).and_then(|ended| ended.finished_at.as_ref());
    let made = pod.metadata.creation_timestamp.as_ref();
    ended.or(made).map(|time| time.0)
}

/// What a failed pod says: its container, else the cluster, which may have stopped it.
fn last_words(pod: &Pod) -> Words {
    if let Some(ended) = terminated(pod) {
        let words = ended::words(ended);
        let is_said = !words.text.is_empty() && ended.reason.as_deref() != Some("OOMKilled");
        let text = ended::way(ended);
        return if is_said {
            words
        } else {
            Words { text, ..words }
        };
    }
    let status = pod.status.as_ref();
    let said = status.and_then(|status| status.message.as_deref().or(status.reason.as_deref()));
    Words {
        reason: None,
        ..Words::of(said.unwrap_or_default())
    }
}
