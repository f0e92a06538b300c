//! The body of a request, hashed on its way to the handler: an upload is never kept in memory.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};

use super::RequestHash;

/// What the handler left is read for this long.
const REST_TIME: Duration = Duration::from_secs(10);

/// A body that is being read, by the handler first and then by whoever needs its hash.
#[derive(Clone)]
pub(super) struct Reading(Arc<Mutex<Parts>>);

struct Parts {
    body: BodyDataStream,
    hash: Option<RequestHash>,
    bytes: usize,
    ended: bool,
}

impl Reading {
    /// Stands between a request and its body.
    pub(super) fn new(request: Request) -> (Self, Request) {
        let (parts, body) = request.into_parts();
        let reading = Self(Arc::new(Mutex::new(Parts {
            hash: Some(RequestHash::begin(&parts)),
            body: body.into_data_stream(),
            bytes: 0,
            ended: false,
        })));
        let body = Body::from_stream(reading.clone());
        (reading, Request::from_parts(parts, body))
    }

    /// The hash of the request, once its body is read to its end; `None` when it is longer than
    /// `most` bytes, or does not come.
    pub(super) async fn hash(mut self, most: usize) -> Option<Vec<u8>> {
        let rest = async {
            while let Some(part) = self.next().await {
                if part.is_err() || self.bytes() > most {
                    return;
                }
            }
        };
        // What comes too slowly has not ended either.
        if tokio::time::timeout(REST_TIME, rest).await.is_err() {
            return None;
        }
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = parts.hash.take().filter(|_| parts.ended)?;
        Some(hash.end())
    }

    fn bytes(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }
}

impl Stream for Reading {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if parts.ended {
            return Poll::Ready(None);
        }
        let next = parts.body.poll_next_unpin(context);
        match &next {
            Poll::Ready(Some(Ok(bytes))) => {
                parts.bytes += bytes.len();
                if let Some(hash) = &mut parts.hash {
                    hash.push(bytes);
                }
            }
            Poll::Ready(None) => parts.ended = true,
            // A body that broke off has no hash.
            Poll::Ready(Some(Err(_))) => parts.hash = None,
            Poll::Pending => {}
        }
        next
    }
}
