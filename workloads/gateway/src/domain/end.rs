//! The end of a run: tried until it is stored, and told then.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::transcript::Step;
use crate::error::chain;
use crate::failure::{Effect, Failure};
use crate::state::AppState;
use crate::store::{RunEnd, StoreError};

/// How long a bad end, or one that leaves no answer behind, waits to be stored before it is told. The
/// caller must hear it soon: a process that stops may have no more time than this.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two attempts to store an end, at first and at most.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How a run ended, and how far that is stored.
#[derive(Debug)]
pub(super) struct End {
    how: Result<(), Failure>,
    /// Whether it leaves an answer that the caller will look for.
    is_awaited: bool,
    /// Whether it leaves nothing but its usage, so that nobody waits for the database.
    is_passing: bool,
    /// When it is told at the latest.
    by: Instant,
    stage: watch::Receiver<Stage>,
}

/// Whether an answer becomes whole, for those who must know after they have stopped reading it.
#[derive(Debug, Clone)]
pub struct Whole(pub(super) watch::Receiver<bool>);

impl Whole {
    /// Waits until the answer is whole or its run is gone, and says which.
    pub async fn known(mut self) -> bool {
        self.0.wait_for(|is_whole| *is_whole).await.is_ok()
    }

    /// Whether there is nothing to wait for.
    pub fn is_known(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

/// How far an end is on its way to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It is being stored for the first time.
    First,
    /// The database was away or somebody was in the way, and it is tried again.
    Again,
    /// It is stored.
    Stored,
    /// The database was away for too long, or when the process stopped.
    Lost,
    /// The database refused it.
    Refused,
}

impl End {
    /// Begins to store an end, in a task of its own: a client that leaves now does not undo it.
    pub(super) fn begin(how: Result<(), Failure>, record: Record, state: &Arc<AppState>) -> Self {
        let is_awaited = how.is_ok() && record.end.answer.is_some();
        let is_passing = record.end.may_pass() && !state.store.is_crowded();
        let patience = if is_awaited { state.storing } else { PATIENCE };
        let (told, stage) = watch::channel(Stage::First);
        let state = Arc::clone(state);
        state.tasks.clone().spawn(async move {
            told.send_replace(record.keep(&state, &told).await);
        });
        Self {
            how,
            is_awaited,
            is_passing,
            by: Instant::now() + patience,
            stage,
        }
    }

    /// Whether it is a failure.
    pub(super) const fn is_bad(&self) -> bool {
        self.how.is_err()
    }

    /// Gives the end once it is stored. A good one that is not stored in time is told to be just
    /// that. May be asked again, also after it was given. Safe to cancel.
    ///
    /// # Errors
    /// Why there is no answer, or why it is not where it should be.
    pub(super) async fn told(&mut self, ending: &CancellationToken) -> Result<Step, Failure> {
        if self.is_passing {
            return self.how.clone().map(|()| Step::Finished);
        }
        if !self.is_awaited {
            let tried = self.stage.wait_for(|stage| *stage != Stage::First);
            if tokio::time::timeout_at(self.by, tried).await.is_err() {
                tracing::warn!("an end is told before it is stored");
            }
            return self.how.clone().map(|()| Step::Finished);
        }
        let over = |stage: &Stage| !matches!(stage, Stage::First | Stage::Again);
        let hurry = async {
            ending.cancelled().await;
            tokio::time::sleep(PATIENCE).await;
        };
        let stage = tokio::select! {
            biased;
            // Without a sender its task has panicked.
            stage = self.stage.wait_for(over) => stage.map_or(Stage::Refused, |stage| *stage),
            () = tokio::time::sleep_until(self.by) => Stage::Again,
            () = hurry => Stage::Again,
        };
        match stage {
            Stage::Stored => Ok(Step::Finished),
            Stage::Refused => Err(Failure::internal().with_effect(Effect::Everything)),
            Stage::First | Stage::Again | Stage::Lost => Err(not_stored()),
        }
    }
}

/// What an answer ends with that is whole and not in its conversation.
fn not_stored() -> Failure {
    let mut failure = Failure::unavailable(
        "answer_not_stored",
        "the answer is whole, but the database cannot be reached and it is not stored yet; look \
         into its conversation in a moment, before you ask again",
    );
    // A client that asks again by itself would have two answers.
    failure.is_final = true;
    failure.with_effect(Effect::Everything)
}

/// The end of a run on its way to the database.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) end: Arc<RunEnd>,
    /// Of the platform's own probe, which leaves nothing.
    pub(super) is_probe: bool,
    /// The end of its lease: then its reservation is charged as it was made.
    pub(super) until: Instant,
}

impl Record {
    /// Stores it. Where the database is away or somebody was in the way, it is tried again until it is
    /// there, its lease ends or the process stops; where its conversation went meanwhile, once more.
    /// What holds no answer, no question to take back and no reservation is tried once: such ends come without the
    /// database, too, and nothing would bound how many of them wait.
    async fn keep(&self, state: &AppState, told: &watch::Sender<Stage>) -> Stage {
        let end = &self.end;
        let is_precious = end.answer.is_some() || end.undone.is_some() || end.is_reserved;
        let mut pause = SHORTEST_PAUSE;
        let (mut is_first, mut has_dangled) = (true, false);
        loop {
            // Looked at before the attempt: one more is made after the word that the process stops.
            let is_last =
                !is_precious || state.ending.is_cancelled() || Instant::now() >= self.until;
            let stored = self.store(state, std::mem::take(&mut is_first)).await;
            let error = match stored {
                Ok(()) => return Stage::Stored,
                Err(error) => error,
            };
            let (run_id, reason) = (&self.end.event.run_id, chain(&error));
            let may_pass = error.may_pass() || (error.is_dangling() && !has_dangled);
            has_dangled |= error.is_dangling();
            if is_last || !may_pass {
                tracing::error!(run_id, error = reason, "the end of a run was not stored");
                metrics::counter!("lotoai_gateway_usage_lost_total").increment(1);
                return if may_pass {
                    Stage::Lost
                } else {
                    Stage::Refused
                };
            }
            tracing::warn!(
                run_id,
                error = reason,
                "the end of a run waits to be stored"
            );
            told.send_replace(Stage::Again);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = state.ending.cancelled() => {}
            }
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    async fn store(&self, state: &AppState, is_first: bool) -> Result<(), StoreError> {
        if self.is_probe {
            return Ok(());
        }
        if is_first {
            state.store.end_run(Arc::clone(&self.end)).await?;
        } else {
            state.store.end_run_again(&self.end).await?;
        }
        state.events.now();
        state.spendings.now();
        Ok(())
    }
}
