//! The probe: one background task per platform that asks a real question through the edge, keeps
//! the last outcome, and wakes the controller when it changes.
//!
//! No Kubernetes client needed. A pass never waits for a probe: it only says whether one is wanted
//! ([`Probes::keep`], [`Probes::interrupt`] or [`Probes::stop`]) and reads the last outcome.

mod ask;
mod trust;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{Stream, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use lotoai_plan::ProbeOutcome;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use ask::{Ask, Error, Https, Proof, TIMEOUT, Target};

use crate::error::chain;
use crate::metrics;
use crate::panics::caught;

/// Pause between questions while they are answered.
const STEADY: Duration = Duration::from_secs(30);
/// Pause between questions while the platform is becoming ready.
const EAGER: Duration = Duration::from_secs(2);
/// Pause between questions when the platform has not answered for longer than [`PATIENCE`].
const TIRED: Duration = Duration::from_secs(15);
/// How long a platform may take until it is asked less often.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// A probe that no pass asks for during this time ends by itself. Passes come at least every ten
/// minutes.
const FORGET: Duration = Duration::from_secs(25 * 60);

/// What is said of a question that met a fault of the operator. What the fault said stands nowhere: it
/// may hold any value.
const PANICKED: &str = "the operator met a fault of its own while it asked; its log says where it \
    panicked, please report that; it asks on";

/// Changes that a slow listener may leave unread before it loses the oldest.
const UNREAD_CHANGES: usize = 1024;

struct Running {
    target: Target,
    last: Arc<Mutex<ProbeOutcome>>,
    wanted: Arc<Mutex<Instant>>,
    _cancel: DropGuard,
}

/// All probes of this process, by platform.
#[derive(Clone)]
pub struct Probes {
    ask: Arc<dyn Ask>,
    running: Arc<Mutex<HashMap<Key, Running>>>,
    tasks: TaskTracker,
    changes: broadcast::Sender<Key>,
}

/// Namespace and name of a platform.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Namespace of the resource.
    pub namespace: String,
    /// Name of the resource.
    pub name: String,
}

impl Key {
    /// Of a resource.
    pub fn of(resource: &ObjectMeta) -> Self {
        Self {
            namespace: resource.namespace.clone().unwrap_or_default(),
            name: resource.name.clone().unwrap_or_default(),
        }
    }
}

impl std::fmt::Debug for Probes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probes")
            .field("running", &lock(&self.running).len())
            .finish_non_exhaustive()
    }
}

impl Probes {
    /// No probe runs yet; questions will go through `ask`.
    pub fn new(ask: impl Ask) -> Self {
        Self {
            ask: Arc::new(ask),
            running: Arc::default(),
            tasks: TaskTracker::new(),
            changes: broadcast::Sender::new(UNREAD_CHANGES),
        }
    }

    /// Makes sure that `key` is probed at `target`, and returns what its last question came to.
    /// A changed target starts afresh; where only what the probe proves itself with is another one,
    /// the last outcome stands until the next, for which is asked at once.
    pub fn keep(&self, key: &Key, target: Target) -> ProbeOutcome {
        let mut running = lock(&self.running);
        let mut last = ProbeOutcome::Pending;
        if let Some(probe) = running.get(key)
            && lock(&probe.wanted).elapsed() < FORGET
        {
            if probe.target == target {
                *lock(&probe.wanted) = Instant::now();
                return lock(&probe.last).clone();
            }
            if probe.target.asks_like(&target) {
                last = lock(&probe.last).clone();
            }
        }
        let cancel = CancellationToken::new();
        let probe = Running {
            target: target.clone(),
            last: Arc::new(Mutex::new(last.clone())),
            wanted: Arc::new(Mutex::new(Instant::now())),
            _cancel: cancel.clone().drop_guard(),
        };
        let task = Task {
            ask: Arc::clone(&self.ask),
            key: key.clone(),
            target,
            last: Arc::clone(&probe.last),
            wanted: Arc::clone(&probe.wanted),
            changes: self.changes.clone(),
        };
        self.tasks.spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = task.run() => {}
            }
        });
        // Inserting drops the probe of an older target, which ends its task.
        running.insert(key.clone(), probe);
        last
    }

    /// What the last question came to, for a pass that does not know where to ask: a probe that goes
    /// on goes on, and what one says that has ended by itself is worth nothing any more.
    pub fn last(&self, key: &Key) -> ProbeOutcome {
        let mut running = lock(&self.running);
        let last = running.get(key).and_then(|probe| {
            let mut wanted = lock(&probe.wanted);
            if wanted.elapsed() >= FORGET {
                return None;
            }
            *wanted = Instant::now();
            Some(lock(&probe.last).clone())
        });
        if last.is_none() {
            running.remove(key);
        }
        last.unwrap_or(ProbeOutcome::Pending)
    }

    /// Ends the probe of `key`, if any, and forgets its outcome, because nobody could be asked.
    pub fn interrupt(&self, key: &Key) {
        lock(&self.running).remove(key);
    }

    /// The same of a platform that need not answer, or is gone.
    pub fn stop(&self, key: &Key) {
        self.interrupt(key);
        metrics::at_rest(key);
    }

    /// Ends all probes and waits for their tasks.
    pub async fn shutdown(&self) {
        lock(&self.running).clear();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Yields the platforms whose outcome changed.
    pub fn changes(&self) -> impl Stream<Item = Key> + Send + 'static + use<> {
        stream::unfold(self.changes.subscribe(), |mut changes| async move {
            loop {
                match changes.recv().await {
                    Ok(key) => return Some((key, changes)),
                    // What is lost here is seen by the next pass over that platform.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        })
    }
}

struct Task {
    ask: Arc<dyn Ask>,
    key: Key,
    target: Target,
    last: Arc<Mutex<ProbeOutcome>>,
    wanted: Arc<Mutex<Instant>>,
    changes: broadcast::Sender<Key>,
}

impl Task {
    async fn run(self) {
        let mut failing_since: Option<Instant> = None;
        while lock(&self.wanted).elapsed() < FORGET {
            let started = Instant::now();
            // A task that ended by a panic would let its last word stand for ever.
            let outcome = caught(async { self.ask.ask(&self.target).await }).await;
            metrics::probed(
                &self.key,
                matches!(outcome, Some(Ok(()))),
                started.elapsed(),
            );
            let last = match outcome {
                Some(Ok(())) => ProbeOutcome::Answered,
                Some(Err(error)) => ProbeOutcome::Failed {
                    message: chain(&error),
                },
                None => ProbeOutcome::Failed {
                    message: PANICKED.to_owned(),
                },
            };
            let pause = if last == ProbeOutcome::Answered {
                failing_since = None;
                STEADY
            } else if failing_since.get_or_insert(started).elapsed() < PATIENCE {
                EAGER
            } else {
                TIRED
            };
            self.record(last);
            tokio::time::sleep(pause).await;
        }
    }

    fn record(&self, last: ProbeOutcome) {
        let changed = {
            let mut current = lock(&self.last);
            let changed = *current != last;
            current.clone_from(&last);
            changed
        };
        if changed {
            let (namespace, name) = (&self.key.namespace, &self.key.name);
            match last {
                ProbeOutcome::Failed { message } => {
                    tracing::info!(%namespace, %name, message, "the probe was not answered");
                }
                _ => tracing::info!(%namespace, %name, "the probe was answered"),
            }
            // Nobody listens while the process ends.
            let _ = self.changes.send(self.key.clone());
        }
    }
}

/// A poisoned lock only means that another task panicked while it held plain data.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
