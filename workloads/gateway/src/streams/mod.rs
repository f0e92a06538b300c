//! Streamed answers that a client may come back to.
//!
//! Such an answer is written by a task of its own and not by the response that shows it: a lost
//! connection ends a reader, and the answer goes on for [`GRACE`]. Whoever comes back in time, here or
//! at another replica, reads on from where it was; when nobody does, the answer is cancelled. After
//! its end it is read from PostgreSQL. A response in the background goes on without a reader.
//!
//! The replicas know of each other through one row per answer. The writer looks at the rows of its
//! answers twice a second: whether somebody reads elsewhere, for whom it then puts the text into the
//! row, and whether the answer should end.

pub mod places;
pub mod tape;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::places::{Place, Places};
use self::tape::{Ending, Last, Tape};
use crate::domain::run::Run;
use crate::domain::transcript::Step;
use crate::error::chain;
use crate::failure::Failure;
use crate::store::{Store, StoreError};

/// How long an answer goes on that nobody reads.
const GRACE: Duration = Duration::from_secs(10);
/// How often the rows are looked at.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The answers that this process writes. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct Streams {
    open: Arc<Mutex<HashMap<Uuid, Stream>>>,
    places: Places,
    grace: Duration,
}

/// An answer that this process writes.
#[derive(Debug, Clone)]
pub struct Stream {
    /// What was written so far.
    pub tape: Arc<Tape>,
    stop: CancellationToken,
    /// How much of the text is in its row.
    known: usize,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            open: Arc::default(),
            places: Places::default(),
            grace: GRACE,
        }
    }
}

impl Streams {
    /// The same with another time for which answers go on that nobody reads.
    #[cfg(test)]
    pub(crate) fn with_grace(grace: Duration) -> Self {
        Self {
            open: Arc::default(),
            places: Places::default(),
            grace,
        }
    }

    /// Loses sight of all answers, as a process that died.
    #[cfg(test)]
    pub(crate) fn forget(&self) {
        self.open().clear();
    }

    /// Answers that are being written.
    pub fn count(&self) -> usize {
        self.open().len()
    }

    /// A place for an answer, one of `most`; `unread_of` asked for one that needs no reader.
    ///
    /// # Errors
    /// 429 when there is none.
    pub fn place(&self, most: u32, unread_of: Option<&str>) -> Result<Place, Failure> {
        self.places.take(most as usize, unread_of)
    }

    /// An answer that is being written here.
    pub fn get(&self, run_id: Uuid) -> Option<Arc<Tape>> {
        let open = self.open();
        open.get(&run_id).map(|stream| Arc::clone(&stream.tape))
    }

    /// Ends an answer that is being written here; says whether there is one.
    pub fn stop(&self, run_id: Uuid) -> bool {
        let open = self.open();
        let stream = open.get(&run_id);
        stream.inspect(|stream| stream.stop.cancel()).is_some()
    }

    /// Writes a run to its end, in a task that a stop of the process waits for. It is cancelled when
    /// nobody reads it for a while, and holds `place` until it ends.
    pub fn write(&self, run: Run, place: Option<Place>) -> Arc<Tape> {
        self.begin(run, place, Some(self.grace))
    }

    /// The same of a run that needs no reader.
    pub fn write_unread(&self, run: Run, place: Option<Place>) -> Arc<Tape> {
        self.begin(run, place, None)
    }

    fn begin(&self, run: Run, place: Option<Place>, grace: Option<Duration>) -> Arc<Tape> {
        let (run_id, tasks) = (run.id, run.tasks());
        let stream = Stream {
            tape: Arc::default(),
            stop: CancellationToken::new(),
            known: 0,
        };
        let (tape, stop) = (Arc::clone(&stream.tape), stream.stop.clone());
        self.open().insert(run_id, stream);
        let (streams, written) = (self.clone(), Arc::clone(&tape));
        tasks.spawn(async move {
            let mut entry = Entry {
                streams,
                run_id,
                tape: written,
                place,
                ending: None,
            };
            entry.ending = Some(write(run, &entry.tape, &stop, grace).await);
        });
        tape
    }

    /// Looks once at what other replicas want.
    ///
    /// # Errors
    /// When the database fails; then all of the answers go on.
    pub async fn look(&self, store: &Store) -> Result<(), StoreError> {
        let run_ids: Vec<Uuid> = self.open().keys().copied().collect();
        if run_ids.is_empty() {
            return Ok(());
        }
        let wanted = store.keep_streams(&run_ids).await?;
        // These first: a stop does not wait until the text of all others is written.
        for one in wanted.iter().filter(|one| one.is_stopped) {
            self.stop(one.run_id);
        }
        for one in wanted.iter().filter(|one| one.is_followed) {
            self.pass_on(store, one.run_id).await?;
        }
        Ok(())
    }

    /// Writes what is new of an answer where other replicas read it.
    async fn pass_on(&self, store: &Store, run_id: Uuid) -> Result<(), StoreError> {
        let Some(Stream { tape, known, .. }) = self.open().get(&run_id).cloned() else {
            return Ok(());
        };
        tape.keep();
        let text = tape.after(known);
        if text.is_empty() {
            return Ok(());
        }
        let known = store.extend_stream(run_id, known, &text).await?;
        if let Some(stream) = self.open().get_mut(&run_id) {
            stream.known = known;
        }
        Ok(())
    }

    /// Looks again and again, until the process stops and no answer is written any more.
    pub async fn keep(self, store: Store, stop: CancellationToken) {
        while !(stop.is_cancelled() && self.count() == 0) {
            if let Err(error) = self.look(&store).await {
                tracing::warn!(error = chain(&error), "open streams were not looked after");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled(), if !stop.is_cancelled() => {}
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Uuid, Stream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer among those that are being written, until this is dropped.
struct Entry {
    streams: Streams,
    run_id: Uuid,
    tape: Arc<Tape>,
    place: Option<Place>,
    ending: Option<Ending>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        // In this order: whoever knows of its end finds a place, and whoever does not find it here finds
        // its end in the database.
        drop(self.place.take());
        self.streams.open().remove(&self.run_id);
        let ending = self.ending.take();
        self.tape
            .end(ending.unwrap_or_else(|| Ending::Failed(Failure::internal())));
    }
}

/// Writes a run until it ends, is stopped, or nobody has read it for `grace`.
async fn write(
    mut run: Run,
    tape: &Tape,
    stop: &CancellationToken,
    grace: Option<Duration>,
) -> Ending {
    loop {
        let step = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            () = unread(tape, grace) => None,
            step = run.next() => Some(step),
        };
        let step = match step {
            Some(step) => step,
            None => {
                tracing::info!(run_id = %run.id, "an answer is stopped");
                // One that is whole already stays so.
                run.stop(stopped()).await
            }
        };
        match step {
            Ok(Step::Quiet) => {}
            // Calls are told whole, at the end.
            Ok(Step::Decided | Step::Call(_)) => tape.open(|| run.lotoai()),
            Ok(Step::Text(text)) => {
                tape.open(|| run.lotoai());
                tape.write(&text);
            }
            Ok(Step::Finished) => {
                tape.open(|| run.lotoai());
                return Ending::Whole(Last {
                    calls: run.transcript.function_calls.clone(),
                    lotoai: run.lotoai(),
                    reason: run.transcript.finish_reason().to_owned(),
                    usage: run.transcript.usage(),
                });
            }
            Err(failure) => return Ending::Failed(failure),
        }
    }
}

/// Waits until nobody has read an answer for `grace`: for ever without one.
async fn unread(tape: &Tape, grace: Option<Duration>) {
    match grace {
        Some(grace) => tape.abandoned(grace).await,
        None => std::future::pending().await,
    }
}

/// What a stream ends with that was stopped.
pub fn stopped() -> Failure {
    let mut failure = Failure::new(
        StatusCode::CONFLICT,
        "answer_stopped",
        "the answer was stopped before its end, as its reader asked or because nobody read it",
    );
    // Nobody asks again by himself for what somebody has stopped.
    failure.is_final = true;
    failure
}
