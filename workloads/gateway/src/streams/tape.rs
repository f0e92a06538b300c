//! An answer while it is written: one writes, any number read, each from where it likes.
//!
//! The text is kept once, however many read it and however slow they are; its length is bounded by
//! that of an answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::store::StoredCall;

/// An answer that is being written.
#[derive(Debug)]
pub struct Tape {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    /// The `lotoai` object of the first chunk.
    opening: Option<Value>,
    text: String,
    /// Where the parts end in which it was written.
    cuts: Vec<usize>,
    ending: Option<Arc<Ending>>,
    readers: usize,
    /// When somebody read it last, here or elsewhere, while nobody reads it here.
    left: Instant,
}

/// How an answer ended.
#[derive(Debug)]
pub enum Ending {
    /// Well, with this last chunk.
    Whole(Last),
    /// Why there is no (further) answer.
    Failed(Failure),
}

/// What the last chunk says.
#[derive(Debug, Clone, PartialEq)]
pub struct Last {
    /// Functions that the caller should run.
    pub calls: Vec<StoredCall>,
    /// The `lotoai` object.
    pub lotoai: Value,
    /// The finish reason.
    pub reason: String,
    /// The `usage` object.
    pub usage: Value,
}

/// What a reader is given.
#[derive(Debug, Clone)]
pub enum Part {
    /// It begins, with this `lotoai` object.
    Opening(Value),
    /// More text, and how many bytes there are with it.
    Text(String, usize),
    /// The end; nothing follows.
    Ending(Arc<Ending>),
}

impl Default for Tape {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                opening: None,
                text: String::new(),
                cuts: Vec::new(),
                ending: None,
                readers: 0,
                left: Instant::now(),
            }),
            changed: Notify::new(),
        }
    }
}

impl Tape {
    /// The first thing is known.
    pub fn open(&self, opening: impl FnOnce() -> Value) {
        self.change(|state| {
            if state.opening.is_none() {
                state.opening = Some(opening());
            }
        });
    }

    /// More text.
    pub fn write(&self, text: &str) {
        self.change(|state| {
            state.text.push_str(text);
            state.cuts.push(state.text.len());
        });
    }

    /// The end.
    pub fn end(&self, ending: Ending) {
        self.change(|state| state.ending = Some(Arc::new(ending)));
    }

    /// Somebody reads it elsewhere.
    pub fn keep(&self) {
        self.state().left = Instant::now();
    }

    /// Waits until nobody has read it for `grace`.
    pub async fn abandoned(&self, grace: Duration) {
        loop {
            let left = self.until(|state| (state.readers == 0).then_some(state.left));
            let end = left.await + grace;
            let is_read = self.until(|state| (state.readers > 0).then_some(()));
            if tokio::time::timeout_at(end, is_read).await.is_ok() {
                continue;
            }
            let state = self.state();
            // It may have been kept meanwhile.
            if state.readers == 0 && state.left + grace <= Instant::now() {
                return;
            }
        }
    }

    /// Waits for the end.
    pub async fn ended(&self) {
        self.until(|state| state.ending.as_ref().map(|_| ())).await;
    }

    /// The bytes of the text after the first `known`.
    pub fn after(&self, known: usize) -> Vec<u8> {
        let state = self.state();
        let rest = state.text.as_bytes().get(known..);
        rest.unwrap_or_default().to_vec()
    }

    /// Reads from a place in the text: from the beginning without one. `None` when the text has no
    /// such place, or not yet.
    pub fn read(self: &Arc<Self>, from: Option<usize>) -> Option<Reader> {
        let mut state = self.state();
        if !state.text.is_char_boundary(from.unwrap_or(0)) {
            return None;
        }
        state.readers += 1;
        drop(state);
        self.changed.notify_waiters();
        Some(Reader {
            tape: Arc::clone(self),
            is_opened: from.is_some(),
            at: from.unwrap_or(0),
            is_over: false,
        })
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_waiters();
    }

    /// Waits until `found` finds something.
    async fn until<T>(&self, mut found: impl FnMut(&State) -> Option<T>) -> T {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let here = found(&self.state());
            match here {
                Some(it) => return it,
                None => changed.await,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who reads an answer. The answer is not abandoned while there is one.
#[derive(Debug)]
pub struct Reader {
    tape: Arc<Tape>,
    is_opened: bool,
    at: usize,
    is_over: bool,
}

impl Reader {
    /// The next part; `None` after the end. Safe to cancel.
    pub async fn next(&mut self) -> Option<Part> {
        if self.is_over {
            return None;
        }
        let (is_opened, at) = (self.is_opened, self.at);
        let part = self.tape.until(|state| part(state, is_opened, at)).await;
        match &part {
            Part::Opening(_) => self.is_opened = true,
            Part::Text(_, at) => self.at = *at,
            Part::Ending(_) => self.is_over = true,
        }
        Some(part)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.tape.change(|state| {
            state.readers -= 1;
            state.left = Instant::now();
        });
    }
}

/// What there is at a place. Text is given in the parts in which it was written.
fn part(state: &State, is_opened: bool, at: usize) -> Option<Part> {
    if !is_opened {
        if let Some(opening) = &state.opening {
            return Some(Part::Opening(opening.clone()));
        }
    } else if let Some(text) = state.text.get(at..).filter(|text| !text.is_empty()) {
        let next = state.cuts.partition_point(|cut| *cut <= at);
        let end = state.cuts.get(next).copied();
        let end = end.unwrap_or(at + text.len());
        let text = state.text.get(at..end).unwrap_or(text);
        return Some(Part::Text(text.to_owned(), end));
    }
    state.ending.clone().map(Part::Ending)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use serde_json::json;

    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    fn ending() -> Ending {
        Ending::Failed(Failure::internal())
    }

    /// What a reader is given until the end.
    async fn all(mut reader: Reader) -> Vec<String> {
        let mut parts = Vec::new();
        while let Some(part) = reader.next().await {
            parts.push(match part {
                Part::Opening(opening) => opening.to_string(),
                Part::Text(text, at) => format!("{at} {text}"),
                Part::Ending(_) => "end".to_owned(),
            });
        }
        parts
    }

    #[tokio::test]
    async fn everybody_reads_the_same_from_where_they_like() {
        let tape = Arc::new(Tape::default());
        let first = tokio::spawn(all(tape.read(None).unwrap()));
        tape.open(|| json!(1));
        tape.open(|| json!(2));
        tape.write("años ");
        tokio::task::yield_now().await;
        tape.write("de ");
        let late = tokio::spawn(all(tape.read(Some(3)).unwrap()));
        tape.write("luz");
        assert!(tape.ended().now_or_never().is_none(), "it is being written");
        tape.end(ending());
        tape.ended().await;
        let whole = ["1", "6 años ", "9 de ", "12 luz", "end"];
        assert_eq!(first.await.unwrap(), whole);
        assert_eq!(late.await.unwrap(), ["6 os ", "9 de ", "12 luz", "end"]);
        assert_eq!(all(tape.read(None).unwrap()).await, whole);
        assert_eq!(all(tape.read(Some(12)).unwrap()).await, ["end"]);
        assert_eq!(tape.after(9), b"luz");
        // In the middle of a letter, and past the end.
        assert!(tape.read(Some(2)).is_none() && tape.read(Some(13)).is_none());
    }

    #[tokio::test]
    async fn a_failure_before_the_first_word_is_all_there_is() {
        let tape = Arc::new(Tape::default());
        tape.end(ending());
        assert_eq!(all(tape.read(None).unwrap()).await, ["end"]);
        assert_eq!(all(tape.read(Some(0)).unwrap()).await, ["end"]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_abandoned_when_nobody_has_read_it_for_a_while() {
        let tape = Arc::new(Tape::default());
        let began = Instant::now();
        let reader = tape.read(None).unwrap();
        let reading = tokio::time::timeout(GRACE * 3, tape.abandoned(GRACE));
        assert!(reading.await.is_err(), "it is read");
        drop(reader);
        let kept = async {
            tokio::time::sleep(GRACE / 2).await;
            // Somebody comes back …
            drop(tape.read(None));
            tokio::time::sleep(GRACE / 2).await;
            // … and somebody reads elsewhere.
            tape.keep();
        };
        tokio::join!(tape.abandoned(GRACE), kept);
        assert_eq!(began.elapsed(), GRACE * 5);
    }
}
