//! A key while its request is being handled.

use std::sync::Arc;

use super::KeyOf;
use crate::domain::end::Whole;
use crate::state::AppState;
use crate::store::{AnswerPlace, KeptAnswer, Outcome, StoreError};

/// A key that was claimed. Dropped before its end is stored, it is given back, or by a panic is lost.
pub(super) struct Held {
    pub(super) state: Arc<AppState>,
    key: KeyOf,
    /// Where the answer is found, if it is one that is stored.
    pub(super) place: Option<AnswerPlace>,
    ended: bool,
}

impl Held {
    pub(super) const fn new(state: Arc<AppState>, key: KeyOf) -> Self {
        Self {
            state,
            key,
            place: None,
            ended: false,
        }
    }

    /// Stores how the request with this hash ended, with its answer where that may be kept. It took
    /// effect either way, so a failure is only logged; the key then stays taken.
    pub(super) async fn end(mut self, hash: Vec<u8>, answer: Option<KeptAnswer>) {
        self.ended = true;
        let outcome = Outcome {
            hash,
            answer,
            place: self.place,
        };
        let KeyOf { owner, key } = &self.key;
        if let Err(error) = self.state.store.end_key(owner, key, &outcome).await {
            let error = crate::error::chain(&error);
            tracing::error!(error, "the end of a request with a key was not stored");
        }
    }

    /// Says where the answer is found while it is told: its client may lose the connection before it
    /// knows. A failure is only logged; then it is said at the end.
    pub(super) async fn tell_place(&self) {
        let Some(place) = &self.place else {
            return;
        };
        let KeyOf { owner, key } = &self.key;
        let placed = self.state.store.place_key(owner, key, place).await;
        warn_of(placed, "the place of an answer was not stored with its key");
    }

    /// Ends a request whose client has not read its answer to the end: one that becomes whole took
    /// effect.
    pub(super) async fn left(self, hash: Vec<u8>, whole: Whole) {
        if whole.known().await {
            self.end(hash, None).await;
        } else {
            self.release().await;
        }
    }

    /// Gives the key back before anything else happens.
    pub(super) async fn release(mut self) {
        self.ended = true;
        release(&self.state, &self.key).await;
    }

    /// Leaves the key to nobody: its request may have taken effect, and cannot be answered again.
    pub(super) async fn lose(mut self) {
        self.ended = true;
        lose(&self.state, &self.key).await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let (state, key) = (Arc::clone(&self.state), self.key.clone());
        // Nobody knows how far a handler came that panicked.
        let is_lost = std::thread::panicking();
        self.state.tasks.spawn(async move {
            if is_lost {
                lose(&state, &key).await;
            } else {
                release(&state, &key).await;
            }
        });
    }
}

async fn release(state: &AppState, key: &KeyOf) {
    warn_of(
        state.store.release_key(&key.owner, &key.key).await,
        "a key was not given back; it stays taken until it expires",
    );
}

async fn lose(state: &AppState, key: &KeyOf) {
    warn_of(
        state.store.lose_key(&key.owner, &key.key).await,
        "a key was not lost; it looks as if it were being answered until its lease ends",
    );
}

/// Logs what did not become of a key, where nothing else can be done.
fn warn_of(outcome: Result<(), StoreError>, what: &'static str) {
    if let Err(error) = outcome {
        tracing::warn!(error = crate::error::chain(&error), "{what}");
    }
}
