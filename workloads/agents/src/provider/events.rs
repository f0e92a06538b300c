//! Server-sent events with bounds: no event and no answer may grow without end.

use bytes::Bytes;
use eventsource_stream::{EventStreamError, Eventsource};
use futures::{Stream, StreamExt};

use super::Failure;

/// The largest event that is accepted, in bytes; vendors send a few hundred.
pub(super) const MAX_EVENT_BYTES: usize = 256 * 1024;
/// The largest answer that is accepted, in bytes on the wire.
const MAX_STREAM_BYTES: usize = 32 * 1024 * 1024;

/// Why reading stopped before the parser saw the bytes.
enum Cut {
    Transport(reqwest::Error),
    EventTooLarge,
    StreamTooLarge,
}

/// The `data` of each event.
pub(super) fn data(
    provider: String,
    body: impl Stream<Item = Result<Bytes, reqwest::Error>> + Send + 'static,
) -> impl Stream<Item = Result<String, Failure>> + Send + 'static {
    bounded(body).eventsource().map(move |event| match event {
        Ok(event) => Ok(event.data),
        Err(EventStreamError::Transport(Cut::Transport(error))) => {
            Err(Failure::from_transport(&provider, &error))
        }
        Err(EventStreamError::Transport(Cut::EventTooLarge)) => Err(Failure::broken(
            &provider,
            "sent an event of more than 256 KiB",
        )),
        Err(EventStreamError::Transport(Cut::StreamTooLarge)) => Err(Failure::broken(
            &provider,
            "sent an answer of more than 32 MiB",
        )),
        Err(EventStreamError::Utf8(_) | EventStreamError::Parser(_)) => Err(Failure::broken(
            &provider,
            "sent something that is not an event stream",
        )),
    })
}

/// Ends the stream with an error when one event or the whole of it is too large. An event ends
/// with an empty line; counting restarts there.
fn bounded(
    body: impl Stream<Item = Result<Bytes, reqwest::Error>> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, Cut>> + Send + 'static {
    let (mut event, mut total, mut line) = (0_usize, 0_usize, 0_usize);
    body.map(move |chunk| {
        let chunk = chunk.map_err(Cut::Transport)?;
        total = total.saturating_add(chunk.len());
        for byte in &chunk {
            event += 1;
            match byte {
                b'\n' if line == 0 => event = 0,
                b'\n' => line = 0,
                b'\r' => {}
                _ => line += 1,
            }
            if event > MAX_EVENT_BYTES {
                return Err(Cut::EventTooLarge);
            }
        }
        if total > MAX_STREAM_BYTES {
            return Err(Cut::StreamTooLarge);
        }
        Ok(chunk)
    })
}
