//! An answer as server-sent events, in the words of whichever API was asked.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::http::header::CACHE_CONTROL;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::{Stream, stream};

use crate::admission::Farewell;
use crate::domain::run::Run;
use crate::domain::transcript::Step;
use crate::failure::Failure;
use crate::flag::Flag;
use crate::idempotency::Streamed;

/// Proxies give up on a silent connection after 30 to 60 s.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// A failure within this time gets a proper status; later ones are told within the stream.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// Puts an answer into the events of an API.
pub(super) trait Writer: Send + 'static {
    /// What stands before the first step.
    fn begin(&mut self, run: &Run, queue: &mut VecDeque<Event>);

    /// A step, which the transcript of `run` has taken already; with the last one, the end.
    fn step(&mut self, run: &Run, step: Step, queue: &mut VecDeque<Event>);

    /// The end of an answer that failed.
    fn fail(&mut self, run: &Run, failure: &Failure, queue: &mut VecDeque<Event>);

    /// What an answer ends with that was ended without a word of this writer.
    fn farewell(&self) -> Farewell;
}

/// Streams a run. Dropping the response, as when the client leaves, cancels it.
///
/// # Errors
/// What goes wrong before the first event.
pub(super) async fn stream(mut run: Run, writer: impl Writer) -> Result<Response, Failure> {
    let first = tokio::time::timeout(GRACE, run.next()).await;
    let first = match first {
        Ok(first) => Some(first?),
        // Its end is being stored as that of one that was told by its status.
        Err(_) if run.has_failed() => Some(run.next().await?),
        Err(_) => None,
    };
    run.streaming().raise();
    let mut telling = Telling {
        run,
        writer,
        over: false,
        failed: Flag::default(),
        queue: VecDeque::new(),
    };
    telling.writer.begin(&telling.run, &mut telling.queue);
    if let Some(step) = first {
        telling.add(step);
    }
    let streamed = Streamed {
        failed: telling.failed.clone(),
        whole: telling.run.whole(),
    };
    let farewell = telling.writer.farewell();
    let events = stream::unfold(telling, |mut telling| async move {
        let event = telling.next().await?;
        Some((event, telling))
    });
    let mut response = respond(events);
    response.extensions_mut().insert(streamed);
    response.extensions_mut().insert(farewell);
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

/// A run while it is told.
struct Telling<W> {
    run: Run,
    writer: W,
    over: bool,
    failed: Flag,
    queue: VecDeque<Event>,
}

impl<W: Writer> Telling<W> {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            match self.run.next().await {
                Ok(step) => self.add(step),
                Err(failure) => {
                    self.failed.raise();
                    self.writer.fail(&self.run, &failure, &mut self.queue);
                    self.over = true;
                }
            }
        }
    }

    fn add(&mut self, step: Step) {
        self.over = step == Step::Finished;
        self.writer.step(&self.run, step, &mut self.queue);
    }
}

#[cfg(test)]
mod tests {
    use axum::body::BodyDataStream;
    use futures::StreamExt as _;
    use tokio::time::Instant;

    use super::*;

    async fn next(body: &mut BodyDataStream) -> String {
        let part = body.next().await.unwrap().unwrap();
        String::from_utf8(part.to_vec()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_has_a_heartbeat_and_what_comes_is_told_at_once() {
        const LATE: Duration = Duration::from_secs(25);
        let late = stream::once(async {
            tokio::time::sleep(LATE).await;
            Event::default().data("late")
        });
        let response = respond(late.chain(stream::pending()));
        let mut body = response.into_body().into_data_stream();
        let began = Instant::now();
        let beat = HEARTBEAT.as_secs();
        // After what comes it is silent for as long again before the next.
        let late = LATE.as_secs();
        for (expected, seconds) in [
            (": heartbeat\n\n", beat),
            (": heartbeat\n\n", 2 * beat),
            ("data: late\n\n", late),
            (": heartbeat\n\n", late + beat),
        ] {
            assert_eq!(next(&mut body).await, expected);
            assert_eq!(began.elapsed().as_secs(), seconds);
        }
    }
}
