//! Where a stream is read from: memory, or the database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use uuid::Uuid;

use crate::domain::transcript::Transcript;
use crate::failure::Failure;
use crate::state::AppState;
use crate::store::Progress;
use crate::streams::LOOK_EVERY;
use crate::streams::tape::{Ending, Last, Part, Reader};

/// Stored text is given in events of about this many bytes.
const PIECE_BYTES: usize = 16 * 1024;
/// How long a reader waits for a database that was there.
const PATIENCE: Duration = Duration::from_secs(10);
/// Looks at which nobody writes, after which nobody does: two seconds.
const LOST_LOOKS: u32 = 3;

/// From where in a stream is read.
#[derive(Debug, Clone, Copy)]
pub(in crate::routes::v1) struct Place {
    /// Bytes of text that were read; from the beginning without.
    pub(in crate::routes::v1) from: Option<usize>,
    /// Whether what ends the stream has places, too, after those of the text.
    pub(in crate::routes::v1) ends_have_places: bool,
    /// What is said of one that the stream has not given.
    pub(in crate::routes::v1) bad: fn() -> Failure,
}

/// Where the parts come from.
pub(super) enum Source {
    /// This replica writes it.
    Here(Reader),
    /// It has ended, or another replica writes it.
    Stored(Elsewhere),
}

impl Source {
    /// The next parts, at least one unless there is nothing yet. Safe to cancel.
    pub(super) async fn next(&mut self, state: &AppState) -> Result<Vec<Part>, Failure> {
        match self {
            Self::Here(reader) => Ok(reader.next().await.into_iter().collect()),
            Self::Stored(stored) => stored.next(state).await,
        }
    }
}

/// A stream as the database shows it.
pub(super) struct Elsewhere {
    run_id: Uuid,
    conversation_id: Uuid,
    place: Place,
    /// Bytes of text that were read.
    at: usize,
    is_opened: bool,
    /// Then the next look waits a little.
    was_asked: bool,
    /// Since when the database has not answered.
    away: Option<Instant>,
    /// Looks in a row at which nobody seemed to write.
    lost: u32,
}

impl Elsewhere {
    pub(super) fn new(run_id: Uuid, conversation_id: Uuid, place: Place) -> Self {
        Self {
            run_id,
            conversation_id,
            place,
            at: place.from.unwrap_or(0),
            is_opened: place.from.is_some(),
            was_asked: false,
            away: None,
            lost: 0,
        }
    }

    /// What follows; the second time and later it waits a little first. Safe to cancel.
    pub(super) async fn next(&mut self, state: &AppState) -> Result<Vec<Part>, Failure> {
        if self.was_asked {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = state.ending.cancelled() => return Err(Failure::shutting_down()),
            }
        }
        let further = match state.store.follow_stream(self.run_id, self.at).await {
            // The answer goes on without the database, and so does who reads it.
            Err(error) if self.was_asked && error.is_away() && self.is_patient() => {
                return Ok(Vec::new());
            }
            further => further?,
        };
        self.away = None;
        let further = further.ok_or_else(|| Failure::not_found("answer"))?;
        self.was_asked = true;
        let is_over = matches!(further.progress, Progress::Ended(_));
        if is_over && self.at > further.known && !self.place.ends_have_places {
            return Err((self.place.bad)());
        }
        let text = String::from_utf8(further.text).map_err(|_| (self.place.bad)())?;
        let ended = match further.progress {
            Progress::Written => {
                self.lost = 0;
                None
            }
            // What is there is told first. After the database was away, the writer may only not
            // have come to say that it lives.
            Progress::Lost => {
                self.lost += 1;
                if text.is_empty() && self.lost > LOST_LOOKS {
                    return Err(incomplete());
                }
                None
            }
            Progress::Ended(ended) => Some(*ended),
        };
        // What was said, but for the text, which is told in pieces.
        let said = |ended| Transcript::of_stored(String::new(), ended);
        let transcript = ended.as_ref().map(said).unwrap_or_default();
        let lotoai = transcript.lotoai(self.run_id, Some(self.conversation_id));
        let mut parts = Vec::new();
        if !self.is_opened {
            self.is_opened = true;
            parts.push(Part::Opening(lotoai.clone()));
        }
        for piece in pieces(&text) {
            self.at += piece.len();
            parts.push(Part::Text(piece.to_owned(), self.at));
        }
        parts.extend(ended.map(|ended| {
            Part::Ending(Arc::new(match &ended.end.failure {
                Some(failure) => Ending::Failed(Failure::of_stored(failure)),
                None => Ending::Whole(Last {
                    calls: transcript.function_calls.clone(),
                    lotoai,
                    reason: transcript.finish_reason().to_owned(),
                    usage: transcript.usage(),
                }),
            }))
        }));
        Ok(parts)
    }

    /// Whether the database has not been away for too long.
    fn is_patient(&mut self) -> bool {
        self.away.get_or_insert_with(Instant::now).elapsed() < PATIENCE
    }
}

/// A text in pieces that are not too long for an event.
fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let (piece, rest) = text.split_at(text.ceil_char_boundary(PIECE_BYTES));
        text = rest;
        Some(piece)
    })
}

/// What is said of an answer whose writer is gone.
pub(in crate::routes::v1) fn incomplete() -> Failure {
    Failure::new(
        StatusCode::BAD_GATEWAY,
        "answer_incomplete",
        "the answer broke off: the replica that wrote it is gone; ask again",
    )
}
