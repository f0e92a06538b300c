//! The bytes of one request, on their way into parts.

use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::time::Instant;

use super::{Lease, busy};
use crate::failure::Failure;
use crate::state::AppState;
use crate::store::{Piece, StoredUpload, UploadPart};

/// Bytes of every part but the last: what a request holds in memory, and what is lost of it when
/// the process is killed.
pub(crate) const PART_BYTES: usize = 1024 * 1024;
/// While bytes come, the lease is renewed this often; between parts they may take long.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// Stores what comes of `body`; gives the upload as it is then.
///
/// # Errors
/// 413 when it is more than was announced, 423 when the lease is lost, 503 when the object store or
/// the database is away. What was stored before stays.
pub(super) async fn write(
    state: &AppState,
    upload: StoredUpload,
    lease: Lease,
    body: Body,
) -> Result<StoredUpload, Failure> {
    let mut body = body.into_data_stream();
    let mut writer = Writer {
        state,
        upload,
        lease,
        part: None,
        buffer: Vec::new(),
        renewed: Instant::now(),
    };
    let pause = state.admission.times.pause;
    loop {
        let chunk = tokio::select! {
            chunk = body.next() => chunk,
            // Others want the place: what came is kept, and the client goes on when it can.
            () = tokio::time::sleep(pause) => None,
            // The process stops; the client goes on elsewhere.
            () = state.ending.cancelled() => None,
        };
        // An error means that the connection broke, or was too slow.
        let Some(Ok(chunk)) = chunk else { break };
        writer.push(chunk).await?;
    }
    writer.store().await?;
    Ok(writer.upload)
}

struct Writer<'a> {
    state: &'a AppState,
    upload: StoredUpload,
    lease: Lease,
    /// The part that the buffer is, and what of it is stored already.
    part: Option<UploadPart>,
    buffer: Vec<u8>,
    renewed: Instant,
}

impl Writer<'_> {
    async fn push(&mut self, mut chunk: Bytes) -> Result<(), Failure> {
        self.open().await?;
        let left = self.upload.size - self.upload.received - self.fresh();
        if i64::try_from(chunk.len()).unwrap_or(i64::MAX) > left {
            return Err(too_long(self.upload.size));
        }
        while !chunk.is_empty() {
            let room = PART_BYTES.saturating_sub(self.buffer.len());
            let piece = chunk.split_to(room.min(chunk.len()));
            self.buffer.extend_from_slice(&piece);
            if self.buffer.len() >= PART_BYTES {
                self.store().await?;
            }
        }
        if self.renewed.elapsed() >= RENEW_EVERY {
            self.lease.renew(self.state).await?;
            self.renewed = Instant::now();
        }
        Ok(())
    }

    /// Begins with the part that the last request left short, or with the next one. So every part
    /// but the last is whole, however small the pieces are that a client sends.
    async fn open(&mut self) -> Result<(), Failure> {
        if self.part.is_some() {
            return Ok(());
        }
        let parts = self.state.store.upload_parts(self.upload.id).await?;
        let part = match parts.into_iter().next_back() {
            None => next_part(0),
            Some(last) if bytes(&last) >= PART_BYTES => next_part(last.number + 1),
            Some(last) => {
                self.buffer = self.state.objects.read(&last.object_key).await?.to_vec();
                last
            }
        };
        self.part = Some(part);
        Ok(())
    }

    /// Bytes of the buffer that are not stored yet.
    fn fresh(&self) -> i64 {
        let stored = self.part.as_ref().map_or(0, bytes);
        let fresh = self.buffer.len().saturating_sub(stored);
        i64::try_from(fresh).unwrap_or(i64::MAX)
    }

    /// Stores the buffer as its part. From then on its bytes are safe, and a client may be told.
    async fn store(&mut self) -> Result<(), Failure> {
        let (Some(before), added @ 1..) = (self.part.clone(), self.fresh()) else {
            return Ok(());
        };
        let content = Bytes::from(std::mem::take(&mut self.buffer));
        let part = UploadPart {
            number: before.number,
            size: i32::try_from(content.len()).unwrap_or(i32::MAX),
            object_key: self.state.objects.put_part(self.upload.id, content).await?,
        };
        let piece = Piece {
            id: self.upload.id,
            lease: self.lease.id,
            received: self.upload.received,
            added,
            part: &part,
            replaced: (before.size > 0).then_some(before.object_key.as_str()),
        };
        let Some(expires_at) = self.state.store.extend_upload(&piece).await? else {
            // The object is one of the upload's parts by its key: it goes with them.
            return Err(busy());
        };
        if before.size > 0 {
            self.state.discarded.now();
        }
        self.upload.received += added;
        self.upload.expires_at = expires_at;
        self.renewed = Instant::now();
        metrics::counter!("lotoai_gateway_upload_bytes_total").increment(added.unsigned_abs());
        // A short part is the last of its request.
        self.part = Some(next_part(part.number + 1));
        Ok(())
    }
}

/// A part of which nothing is stored.
const fn next_part(number: i32) -> UploadPart {
    UploadPart {
        number,
        object_key: String::new(),
        size: 0,
    }
}

fn bytes(part: &UploadPart) -> usize {
    usize::try_from(part.size).unwrap_or(0)
}

fn too_long(size: i64) -> Failure {
    let mut failure = Failure::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "upload_too_long",
        format!(
            "Upload-Length said {size} bytes, and this request brings more; begin a new upload"
        ),
    );
    failure.param = Some("Upload-Length".to_owned());
    failure
}
