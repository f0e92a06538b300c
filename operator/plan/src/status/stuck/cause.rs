//! What a pod hangs on, as far as the pod and its claims tell: the kubelet says the rest in events,
//! which the next command shows.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use lotoai_api::reasons;

use super::{PATIENCE, condition};
use crate::observed::Observed;
use crate::status::claims::Unbound;
use crate::status::ended;
use crate::status::pods::cut;

/// Why a pod is not ready.
pub(super) struct Cause {
    /// One of [`reasons`].
    pub(super) reason: &'static str,
    /// What is wrong, for people.
    pub(super) text: String,
    /// The command that tells more.
    pub(super) next: String,
}

/// A pod that is looked at.
pub(super) struct Look<'a> {
    pub(super) observed: &'a Observed,
    pub(super) pod: &'a Pod,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) now: Timestamp,
}

impl Look<'_> {
    /// The first thing on the way from a pod to a ready one that has not come about.
    pub(super) fn cause(&self) -> Cause {
        if self.pod.metadata.deletion_timestamp.is_some() {
            return self.lost("it has not ended");
        }
        self.claim()
            .or_else(|| self.scheduling())
            .or_else(|| self.container())
            .unwrap_or_else(|| self.readiness())
    }

    fn says(&self, text: impl Into<String>, next: impl Into<String>) -> Cause {
        Cause {
            reason: reasons::POD_NOT_READY,
            text: text.into(),
            next: next.into(),
        }
    }

    fn describe(&self) -> String {
        let Self {
            namespace, name, ..
        } = self;
        format!("kubectl -n {namespace} describe pod {name}")
    }

    fn node(&self) -> Option<&str> {
        self.pod.spec.as_ref()?.node_name.as_deref()
    }

    /// Nobody on the node does what is asked of it.
    fn lost(&self, sign: &str) -> Cause {
        match self.node() {
            Some(node) => self.says(
                format!("{sign}, so node {node} may be lost"),
                format!("kubectl describe node {node}"),
            ),
            None => self.says(sign, self.describe()),
        }
    }

    /// A volume that there is not.
    fn claim(&self) -> Option<Cause> {
        let unbound = Unbound::of(self.observed, self.pod)?;
        let text = unbound.text(unbound.complaint(self.observed));
        Some(Cause {
            reason: reasons::VOLUME_PENDING,
            ..self.says(text, unbound.next(self.namespace))
        })
    }

    /// A node that there is not.
    fn scheduling(&self) -> Option<Cause> {
        if self.node().is_some() {
            return None;
        }
        let said = condition(self.pod, "PodScheduled").and_then(|scheduled| {
            let reason = scheduled.reason.as_deref()?;
            let message = scheduled.message.as_deref().unwrap_or_default();
            Some(cut(&format!("{reason}: {message}")))
        });
        let text = said.unwrap_or_else(|| "no scheduler has looked at it".to_owned());
        Some(self.says(format!("it is on no node: {text}"), self.describe()))
    }

    /// A container that does not do what it should. Those that come first are done before the
    /// others begin.
    fn container(&self) -> Option<Cause> {
        let status = self.pod.status.as_ref()?;
        if let Some(container) = unready(status.init_container_statuses.as_deref()) {
            let hangs = "it has neither ended nor become ready";
            return Some(self.of_container("init container", container, hangs));
        }
        let container = unready(status.container_statuses.as_deref())?;
        let hangs = match container.started {
            Some(false) => "its startup probe does not succeed",
            Some(true) | None => "its readiness probe does not succeed",
        };
        Some(self.of_container("container", container, hangs))
    }

    fn of_container(&self, kind: &str, container: &ContainerStatus, hangs: &str) -> Cause {
        let what = &container.name;
        let logs = format!("kubectl -n {} logs {} -c {what}", self.namespace, self.name);
        let state = container.state.clone().unwrap_or_default();
        if state.running.is_none() && state.terminated.is_none() {
            let word = state.waiting.and_then(|waiting| waiting.reason);
            let word = word.as_deref().unwrap_or("waiting");
            let step = self.step();
            return self.says(
                format!("{kind} {what} has not started ({word}){step}"),
                self.describe(),
            );
        }
        let previous = if state.running.is_some() {
            " --previous"
        } else {
            ""
        };
        let begun = state.running.and_then(|running| running.started_at);
        let is_new = begun.is_none_or(|begun| self.now.duration_since(begun.0) < PATIENCE);
        let ended = state
            .terminated
            .or_else(|| container.last_state.clone()?.terminated);
        match ended.filter(|_| is_new) {
            // Its back-off says so as well, whenever it is not running just then.
            Some(ended) => {
                let (count, code) = (container.restart_count, ended.exit_code);
                let said = ended::words(&ended).text;
                let said = if said.is_empty() {
                    said
                } else {
                    format!(": {said}")
                };
                let why = ended
                    .reason
                    .map_or_else(String::new, |why| format!(" ({why})"));
                Cause {
                    reason: reasons::POD_CRASH_LOOPING,
                    ..self.says(
                        format!(
                            "{kind} {what}: {hangs}, and it ends: {count} restarts, last exit code \
                             {code}{why}{said}"
                        ),
                        format!("{logs}{previous}"),
                    )
                }
            }
            None => self.says(
                format!("{kind} {what} runs, but {hangs}"),
                format!("{logs}  and  {}", self.describe()),
            ),
        }
    }

    /// How far the kubelet is with a pod whose containers have not started.
    fn step(&self) -> &'static str {
        let sandbox = condition(self.pod, "PodReadyToStartContainers");
        match sandbox.map(|sandbox| sandbox.status.as_str()) {
            Some("True") => ": its volumes are there, its image or the container is not",
            Some("False") => ": its volumes or its network are not there",
            _ => "",
        }
    }

    /// Something outside its containers.
    fn readiness(&self) -> Cause {
        let said = condition(self.pod, "Ready").and_then(|ready| ready.message.as_deref());
        match said {
            Some(message) if !message.is_empty() => self.says(cut(message), self.describe()),
            _ => self.lost("nothing new is heard of its containers"),
        }
    }
}

/// The first of some containers that is neither ready nor done.
fn unready(all: Option<&[ContainerStatus]>) -> Option<&ContainerStatus> {
    let mut all = all?.iter();
    all.find(|container| !container.ready && !has_ended_well(container))
}

fn has_ended_well(container: &ContainerStatus) -> bool {
    let state = container.state.as_ref();
    let ended = state.and_then(|state| state.terminated.as_ref());
    ended.is_some_and(|ended| ended.exit_code == 0)
}
