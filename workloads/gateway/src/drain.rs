//! Answers that come before the request was read.
//!
//! A refusal (401, 413, 415) needs only the beginning of a request. A server that answers then and
//! closes the connection while the client still sends makes the client's kernel throw the answer
//! away with the connection: the proxy in front reports 502, and nobody reads why. So what the
//! handler left of the body is read, within limits, before the answer leaves.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody as _};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::EXPECT;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio::sync::oneshot;

/// More than twice the largest document; whoever sends more loses the connection.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// No answer waits for longer.
const MAX_TIME: Duration = Duration::from_secs(10);

/// Bytes of a request's body, where its head says so: whoever comes after [`drain`] cannot see it
/// any more.
#[derive(Debug, Clone, Copy)]
pub struct BodySize(pub Option<u64>);

/// Middleware: reads what the handler left of the request's body before the answer leaves.
pub async fn drain<F: Future<Output = Response>>(
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(BodySize(body.size_hint().exact()));
    // Such a client sends its body when it is asked to; reading is asking.
    let waits_to_be_asked = parts.headers.contains_key(EXPECT);
    let (sender, mut left) = oneshot::channel();
    let lent = Lent {
        body: Some(body.into_data_stream()),
        is_begun: !waits_to_be_asked,
        sender: Some(sender),
    };
    let response = next(Request::from_parts(parts, Body::from_stream(lent))).await;
    // A client that was too slow is not waited for again.
    if response.status() == StatusCode::REQUEST_TIMEOUT {
        return response;
    }
    // A handler that still reads has not let go of the body.
    if let Ok(rest) = left.try_recv() {
        read_off(rest, MAX_BYTES, MAX_TIME).await;
    }
    response
}

/// Reads a body to its end, to a number of bytes, or for a time, whichever comes first.
async fn read_off(
    mut rest: impl Stream<Item = Result<Bytes, axum::Error>> + Unpin,
    max_bytes: usize,
    max_time: Duration,
) {
    let reading = async {
        let mut bytes = 0;
        // An error means that the client is gone, and the answer with it.
        while let Some(Ok(part)) = rest.next().await {
            bytes += part.len();
            if bytes > max_bytes {
                break;
            }
        }
    };
    if tokio::time::timeout(max_time, reading).await.is_err() {
        tracing::debug!("a request was refused, and its body came too slowly to be read");
    }
}

/// A body that comes back when the handler drops it unread.
struct Lent {
    body: Option<BodyDataStream>,
    is_begun: bool,
    sender: Option<oneshot::Sender<BodyDataStream>>,
}

impl Stream for Lent {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.is_begun = true;
        let Some(body) = self.body.as_mut() else {
            return Poll::Ready(None);
        };
        let next = body.poll_next_unpin(context);
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        next
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), true, Some(sender)) =
            (self.body.take(), self.is_begun, self.sender.take())
        {
            // Nobody waits for it any more when the request was given up.
            drop(sender.send(body));
        }
    }
}

#[cfg(test)]
mod tests;
