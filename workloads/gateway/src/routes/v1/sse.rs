//! An answer as server-sent events, in OpenAI's chunks.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::http::header::CACHE_CONTROL;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::{Stream, stream};

use super::chunks::{Chunks, DONE};
use crate::domain::run::Run;
use crate::domain::transcript::Step;
use crate::failure::Failure;
use crate::idempotency::StreamFailed;

/// Proxies give up on a silent connection after 30 to 60 s.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// A failure within this time gets a proper status; later ones are told within the stream.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// Streams a run. Dropping the response, as when the client leaves, cancels it.
///
/// # Errors
/// What goes wrong before the first event.
pub(super) async fn stream(run: Run, chunks: Chunks) -> Result<Response, Failure> {
    let mut telling = Telling::new(run, chunks);
    let failed = telling.failed.clone();
    if let Ok(first) = tokio::time::timeout(GRACE, telling.run.next()).await {
        telling.add(first?);
    }
    let events = stream::unfold(telling, |mut telling| async move {
        let data = telling.next().await?;
        Some((Event::default().data(data), telling))
    });
    let mut response = respond(events);
    response.extensions_mut().insert(failed);
    Ok(response)
}

/// A response of events, with a heartbeat while there are none.
pub(super) fn respond(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    use futures::StreamExt as _;

    let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("heartbeat");
    // Proxies must neither hold back nor compress what should be seen at once.
    let headers = [
        (CACHE_CONTROL.as_str(), "no-cache, no-transform"),
        ("x-accel-buffering", "no"),
    ];
    let events = Sse::new(events.map(Ok::<_, Infallible>));
    (headers, events.keep_alive(heartbeat)).into_response()
}

struct Telling {
    run: Run,
    chunks: Chunks,
    begun: bool,
    over: bool,
    failed: StreamFailed,
    queue: VecDeque<String>,
}

impl Telling {
    fn new(run: Run, chunks: Chunks) -> Self {
        Self {
            run,
            chunks,
            begun: false,
            over: false,
            failed: StreamFailed::default(),
            queue: VecDeque::new(),
        }
    }

    /// The data of the next event.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(data) = self.queue.pop_front() {
                return Some(data);
            }
            if self.over {
                return None;
            }
            match self.run.next().await {
                Ok(step) => self.add(step),
                Err(failure) => {
                    self.failed.now();
                    self.queue.push_back(failure.openai().to_string());
                    self.queue.push_back(DONE.to_owned());
                    self.over = true;
                }
            }
        }
    }

    fn add(&mut self, step: Step) {
        if !self.begun {
            self.begun = true;
            self.queue.push_back(self.chunks.first(self.run.lotoai()));
        }
        match step {
            Step::Quiet | Step::Decided => {}
            Step::Text(text) => self.queue.push_back(self.chunks.text(&text)),
            Step::Finished => {
                let (lotoai, transcript) = (self.run.lotoai(), &self.run.transcript);
                let (reason, usage) = (transcript.finish_reason(), transcript.usage());
                self.queue.extend(self.chunks.last(lotoai, reason, usage));
                self.over = true;
            }
        }
    }
}
