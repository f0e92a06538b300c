//! From the writer of a download to its reader.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use serde::Serialize;
use snafu::{IntoError as _, Snafu};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::store::StoreError;

/// A piece is handed over when it is this long, in bytes …
const PIECE: usize = 64 * 1024;
/// … and so many of them wait for the reader.
const PIECES: usize = 2;
/// What is in memory of bytes that nobody takes, at most: beside those that wait, two that are being made
/// and one that is being taken.
pub(super) const HELD: u64 = ((PIECES + 3) * PIECE) as u64;
/// A reader that takes nothing for this long has left.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a download is not written to its end.
#[derive(Debug, Snafu)]
pub enum Stop {
    /// Nobody reads it any more.
    #[snafu(display("the reader has left"))]
    Left,
    /// The process stops.
    #[snafu(display("the gateway stops"))]
    Ending,
    /// What let it begin is over: a session, an API key, a token, a group.
    #[snafu(display("its caller may not have the rest ({code})"))]
    Over {
        /// What an answer would end with.
        code: Cow<'static, str>,
    },
    /// The database failed.
    #[snafu(display("the rest cannot be read"))]
    Store {
        /// Cause.
        source: StoreError,
    },
    /// The orchestrator or the object store failed.
    #[snafu(display("the rest cannot be had ({code})"))]
    Elsewhere {
        /// What the caller would be told.
        code: Cow<'static, str>,
    },
    /// Something has no form as JSON.
    #[snafu(display("a part cannot be written"))]
    Encode {
        /// Cause.
        source: serde_json::Error,
    },
}

impl From<StoreError> for Stop {
    fn from(source: StoreError) -> Self {
        StoreSnafu.into_error(source)
    }
}

/// Of what the rest comes from, and no database.
impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        ElsewhereSnafu { code: failure.code }.build()
    }
}

impl From<serde_json::Error> for Stop {
    fn from(source: serde_json::Error) -> Self {
        EncodeSnafu.into_error(source)
    }
}

enum Piece {
    Bytes(Bytes),
    End,
}

/// Where a download is written to. Dropped without [`Pipe::end`], it breaks the transfer off.
pub struct Pipe {
    sender: mpsc::Sender<Piece>,
    buffer: Vec<u8>,
    ending: CancellationToken,
}

/// A pipe and the body that comes out of it; `ending` ends what is written, and `over` what is read.
pub(super) fn open(
    ending: CancellationToken,
    over: impl Future<Output = ()> + Send + 'static,
) -> (Pipe, Body) {
    let (sender, receiver) = mpsc::channel(PIECES);
    let pipe = Pipe {
        sender,
        buffer: Vec::new(),
        ending,
    };
    let reader = (receiver, Box::pin(over));
    let pieces = stream::unfold(Some(reader), |reader| async move {
        let (mut receiver, mut over) = reader?;
        let piece = tokio::select! {
            biased;
            // Before the pieces: those that wait for the reader are not given any more.
            () = &mut over => None,
            piece = receiver.recv() => piece,
        };
        match piece {
            Some(Piece::Bytes(bytes)) => Some((Ok(bytes), Some((receiver, over)))),
            Some(Piece::End) => None,
            None => Some((Err(std::io::Error::other("the download broke off")), None)),
        }
    });
    (pipe, Body::from_stream(pieces))
}

impl Pipe {
    /// Writes text.
    ///
    /// # Errors
    /// When nobody reads any more, or the process stops.
    pub async fn text(&mut self, text: &str) -> Result<(), Stop> {
        self.bytes(text.as_bytes()).await
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// As [`Pipe::text`].
    pub async fn bytes(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        for bytes in bytes.chunks(PIECE) {
            self.buffer.extend_from_slice(bytes);
            self.room().await?;
        }
        Ok(())
    }

    /// Writes a value as JSON.
    ///
    /// # Errors
    /// As [`Pipe::text`].
    pub async fn json(&mut self, value: &impl Serialize) -> Result<(), Stop> {
        serde_json::to_writer(&mut self.buffer, value)?;
        self.room().await
    }

    /// Writes a value as the JSON object that it is, but for its closing brace.
    ///
    /// # Errors
    /// As [`Pipe::text`].
    pub async fn open_object(&mut self, value: &impl Serialize) -> Result<(), Stop> {
        serde_json::to_writer(&mut self.buffer, value)?;
        self.buffer.pop();
        self.room().await
    }

    /// The download is whole.
    ///
    /// # Errors
    /// When nobody reads any more, or the process stops.
    pub async fn end(mut self) -> Result<(), Stop> {
        self.hand_over().await?;
        self.send(Piece::End).await
    }

    async fn room(&mut self) -> Result<(), Stop> {
        if self.buffer.len() < PIECE {
            return Ok(());
        }
        self.hand_over().await
    }

    async fn hand_over(&mut self) -> Result<(), Stop> {
        let buffer = std::mem::take(&mut self.buffer);
        // Copied: who has a piece of it would keep all of it.
        for piece in buffer.chunks(PIECE) {
            let piece = Bytes::copy_from_slice(piece);
            self.send(Piece::Bytes(piece)).await?;
        }
        Ok(())
    }

    async fn send(&self, piece: Piece) -> Result<(), Stop> {
        let sent = tokio::select! {
            sent = tokio::time::timeout(PATIENCE, self.sender.send(piece)) => sent,
            () = self.ending.cancelled() => return EndingSnafu.fail(),
        };
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => LeftSnafu.fail(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use axum::body::to_bytes;
    use futures::StreamExt as _;

    use super::*;

    fn whole() -> (Pipe, Body) {
        open(CancellationToken::new(), pending())
    }

    #[tokio::test]
    async fn what_is_written_arrives() {
        let (mut pipe, body) = whole();
        let writing = tokio::spawn(async move {
            for _ in 0..100_000 {
                pipe.text("abcd").await?;
            }
            pipe.end().await
        });
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        assert_eq!(bytes, "abcd".repeat(100_000));
        writing.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_is_long_comes_in_pieces() {
        let long = "x".repeat(5 * PIECE + 7);
        let (mut pipe, body) = whole();
        let written = long.clone();
        let writing = tokio::spawn(async move {
            pipe.text("before").await?;
            pipe.text(&written).await?;
            pipe.json(&written).await?;
            pipe.end().await
        });
        let mut pieces = body.into_data_stream();
        let mut given = Vec::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.unwrap();
            assert!(piece.len() <= PIECE, "{}", piece.len());
            given.extend_from_slice(&piece);
        }
        assert!(given == format!("before{long}\"{long}\"").as_bytes());
        writing.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_is_not_ended_is_no_whole() {
        let (mut pipe, body) = whole();
        pipe.text("half").await.unwrap();
        pipe.hand_over().await.unwrap();
        drop(pipe);
        assert!(to_bytes(body, usize::MAX).await.is_err());
    }

    #[tokio::test]
    async fn a_stop_breaks_it_off() {
        let ending = CancellationToken::new();
        let (mut pipe, _body) = open(ending.clone(), pending());
        for _ in 0..PIECES {
            pipe.text(&"x".repeat(PIECE)).await.unwrap();
        }
        ending.cancel();
        let stop = pipe.text(&"x".repeat(PIECE)).await.unwrap_err();
        assert!(matches!(stop, Stop::Ending));
    }

    /// Whether the writer still writes or has written all of it.
    #[rstest::rstest]
    #[case::half(false)]
    #[case::all(true)]
    #[tokio::test]
    async fn what_is_over_is_not_given_though_it_is_written(#[case] is_whole: bool) {
        let over = CancellationToken::new();
        let (mut pipe, body) = open(CancellationToken::new(), over.clone().cancelled_owned());
        let mut pieces = body.into_data_stream();
        pipe.text(&"x".repeat(PIECE)).await.unwrap();
        if is_whole {
            pipe.end().await.unwrap();
        } else {
            pipe.text(&"x".repeat(PIECE)).await.unwrap();
            // The control: until then it is given.
            assert_eq!(pieces.next().await.unwrap().unwrap().len(), PIECE);
        }
        over.cancel();
        assert!(pieces.next().await.unwrap().is_err());
        assert!(pieces.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_left_or_takes_nothing_ends_the_writing() {
        let (mut pipe, body) = whole();
        drop(body);
        let stop = pipe.text(&"x".repeat(PIECE)).await.unwrap_err();
        assert!(matches!(stop, Stop::Left));
        let (mut pipe, body) = whole();
        let mut pieces = body.into_data_stream();
        for _ in 0..PIECES {
            pipe.text(&"x".repeat(PIECE)).await.unwrap();
        }
        assert!(matches!(
            pipe.text(&"x".repeat(PIECE)).await.unwrap_err(),
            Stop::Left
        ));
        assert_eq!(pieces.next().await.unwrap().unwrap().len(), PIECE);
    }
}
