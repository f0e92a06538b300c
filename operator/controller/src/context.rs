//! What every pass shares.
//!
//! Holds the client; does nothing with it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use k8s_controller::events::{EventRecorder, Reporter};
use kube::Client;
use lotoai_plan::OperatorEnv;
use lotoai_plan::events::Story;
use tokio::sync::{Semaphore, watch};

use crate::apply::Cache;
use crate::probe::Probes;

/// Passes under way at once, over all namespaces: each of them holds a platform's objects in memory.
pub const CONCURRENCY: u16 = 4;

/// What every pass shares.
pub struct Context {
    /// The one client.
    pub client: Client,
    /// What the operator was told at its start: images, version, defaults.
    pub env: OperatorEnv,
    /// The one recorder of events.
    pub recorder: EventRecorder,
    /// Probe tasks by platform.
    pub probes: Probes,
    /// What was applied last.
    pub applied: Cache,
    /// One for each pass that may be under way: a namespace that is watched has a controller of its
    /// own, and they share these.
    pub turns: Semaphore,
    /// Optional kinds that the cluster lacked when it was asked last.
    missing: watch::Sender<BTreeSet<String>>,
    /// What events have told, by UID of the resource.
    stories: Mutex<HashMap<String, Story>>,
    /// Failures in a row by UID of the resource.
    failures: Mutex<HashMap<String, u32>>,
}

impl Context {
    /// A context of nothing seen yet. `instance` is the name of this process in events.
    pub fn new(client: Client, env: OperatorEnv, probes: Probes, instance: Option<String>) -> Self {
        let reporter = Reporter {
            controller: "lotoai-operator".to_owned(),
            instance,
        };
        Self {
            recorder: EventRecorder::new(client.clone(), reporter),
            client,
            env,
            probes,
            applied: Cache::default(),
            turns: Semaphore::new(usize::from(CONCURRENCY)),
            missing: watch::Sender::default(),
            stories: Mutex::default(),
            failures: Mutex::default(),
        }
    }

    /// Takes note that the cluster lacks a kind.
    pub fn lacks(&self, kind: &str) {
        self.missing
            .send_if_modified(|missing| missing.insert(kind.to_owned()));
    }

    /// Takes note of all the kinds that the cluster lacks.
    pub fn lacks_only(&self, kinds: &BTreeSet<String>) {
        self.missing.send_if_modified(|missing| {
            let differs = missing != kinds;
            missing.clone_from(kinds);
            differs
        });
    }

    /// Waits until the cluster has a kind, as far as passes see it.
    pub async fn until_served(&self, kind: &str) {
        let mut missing = self.missing.subscribe();
        // The other end of it is here, so that it is never gone.
        drop(missing.wait_for(|missing| !missing.contains(kind)).await);
    }

    /// Counts a failed pass and returns how many failed in a row.
    pub fn failed(&self, uid: &str) -> u32 {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(uid.to_owned()).or_default();
        *count = count.saturating_add(1);
        *count
    }

    /// Goes on with the story of a resource.
    pub fn story<T>(&self, uid: &str, tell: impl FnOnce(&mut Story) -> T) -> T {
        let mut stories = self.stories.lock().unwrap_or_else(PoisonError::into_inner);
        tell(stories.entry(uid.to_owned()).or_default())
    }

    /// Forgets a resource that is gone.
    pub fn gone(&self, uid: &str) {
        self.passed(uid);
        self.stories
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
        self.applied.forget_platform(uid);
    }

    /// Forgets the failures of a resource that passed. Returns whether there were any.
    pub fn passed(&self, uid: &str) -> bool {
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid)
            .is_some()
    }
}
