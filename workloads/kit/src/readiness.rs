//! Whether this process should get requests, and if not, why.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// The gates of a process. It is ready when there is at least one gate, every gate is ready and no
/// stop has been asked for. Cheap to clone; all clones are the same readiness.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    gates: Arc<Mutex<BTreeMap<&'static str, Option<String>>>>,
    stopping: CancellationToken,
}

impl Readiness {
    /// Registers a gate, which begins not ready with the reason "starting". Registering a name
    /// again closes that gate and gives another handle to it.
    #[must_use]
    pub fn register(&self, name: &'static str) -> Gate {
        self.set(name, Some("starting".to_owned()));
        Gate {
            name,
            readiness: self.clone(),
        }
    }

    /// Every reason not to be ready, by gate. Empty = ready.
    #[must_use]
    pub fn reasons(&self) -> BTreeMap<&'static str, String> {
        let gates = self.lock();
        let mut reasons: BTreeMap<_, _> = gates
            .iter()
            .filter_map(|(name, reason)| Some((*name, reason.clone()?)))
            .collect();
        if gates.is_empty() {
            reasons.insert("process", "starting".to_owned());
        }
        if self.stopping.is_cancelled() {
            reasons.insert("process", "stopping".to_owned());
        }
        reasons
    }

    /// True when requests are welcome.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.reasons().is_empty()
    }

    /// Says "not ready" from now on, whatever the gates say.
    pub(crate) fn begin_stop(&self) {
        self.stopping.cancel();
    }

    fn set(&self, name: &'static str, reason: Option<String>) {
        let mut gates = self.lock();
        let before = gates.insert(name, reason.clone());
        drop(gates);
        // One line per change, not per call: gates are set from polling loops.
        if before.as_ref() != Some(&reason) {
            match reason {
                None => tracing::info!(gate = name, "ready"),
                Some(reason) => tracing::info!(gate = name, reason, "not ready"),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Option<String>>> {
        // The map is valid after every statement, so a poisoned lock still holds good data.
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One condition of readiness, held by whoever can tell.
#[derive(Debug, Clone)]
pub struct Gate {
    name: &'static str,
    readiness: Readiness,
}

impl Gate {
    /// The condition holds.
    pub fn ready(&self) {
        self.readiness.set(self.name, None);
    }

    /// The condition does not hold; `reason` is shown at `/readyz` and must hold no secret.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.readiness.set(self.name, Some(reason.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_gate_nothing_is_ready() {
        assert_eq!(Readiness::default().reasons()["process"], "starting");
    }

    #[test]
    fn every_gate_must_be_ready() {
        let readiness = Readiness::default();
        let (first, second) = (readiness.register("first"), readiness.register("second"));
        first.ready();
        assert_eq!(
            readiness.reasons().into_keys().collect::<Vec<_>>(),
            ["second"]
        );
        second.ready();
        assert!(readiness.is_ready());
        first.not_ready("connection refused");
        assert_eq!(readiness.reasons()["first"], "connection refused");
    }

    #[test]
    fn a_stop_ends_readiness_for_good() {
        let readiness = Readiness::default();
        let gate = readiness.register("only");
        gate.ready();
        readiness.begin_stop();
        gate.ready();
        assert_eq!(readiness.reasons()["process"], "stopping");
    }
}
