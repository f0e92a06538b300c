//! Streams: when their first words come, and whether their words come in time.

use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use lotoai_gateway::error::chain;
use serde_json::Value;
use snafu::{OptionExt as _, ResultExt as _, ensure_whatever};

use crate::Result;
use crate::driver::{Connection, Target};
use crate::figures::Streams;
use crate::mock::{DELTAS, PACE, age};

/// Streams at the same time.
pub(crate) const STREAMS: usize = 512;
/// How long one may take; texts that are behind their pace are late, and no error.
const LIMIT: Duration = Duration::from_secs(60);

/// The events of a stream, one by one.
struct Events {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Events {
    async fn begin(connection: &mut Connection, target: &Target) -> Result<Self> {
        let response = connection.ask(target).await?;
        let status = response.status();
        ensure_whatever!(status.is_success(), "a stream was {status}");
        Ok(Self {
            body: response.into_body(),
            buffer: Vec::new(),
        })
    }

    /// The next text, with everything between that says nothing; `None` at the end.
    async fn text(&mut self) -> Result<Option<String>> {
        loop {
            while let Some(end) = self.buffer.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.buffer.drain(..end + 2).collect();
                if let Some(text) = content(&event)? {
                    return Ok(Some(text));
                }
            }
            let Some(frame) = self.body.frame().await else {
                return Ok(None);
            };
            let frame = frame.whatever_context("a stream broke off")?;
            self.buffer.extend(frame.data_ref().into_iter().flatten());
        }
    }
}

/// The text of an event, if it has any.
fn content(event: &[u8]) -> Result<Option<String>> {
    let Some(data) = event.strip_prefix(b"data: ") else {
        return Ok(None);
    };
    if data.starts_with(b"[DONE]") {
        return Ok(None);
    }
    let chunk: Value = serde_json::from_slice(data).whatever_context("an event is not JSON")?;
    ensure_whatever!(chunk["error"].is_null(), "a stream failed: {chunk}");
    let text = chunk["choices"][0]["delta"]["content"].as_str();
    Ok(text.filter(|text| !text.is_empty()).map(str::to_owned))
}

/// Reads a stream; the time until its first text.
pub(crate) async fn first_text(
    connection: &mut Connection,
    target: &Target,
    due: Instant,
) -> Result<Duration> {
    let mut events = Events::begin(connection, target).await?;
    let first = events.text().await?;
    let time = due.elapsed();
    ensure_whatever!(first.is_some(), "a stream had no text");
    while events.text().await?.is_some() {}
    Ok(time)
}

/// Counts the texts of one paced stream as they come.
async fn paced(target: &Target, found: &mut Streams) -> Result<()> {
    let reading = async {
        let mut connection = Connection::open(target).await?;
        let mut events = Events::begin(&mut connection, target).await?;
        while let Some(text) = events.text().await? {
            found.count(age(&text).whatever_context("a text without its time")?);
        }
        Ok(())
    };
    tokio::time::timeout(LIMIT, reading)
        .await
        .whatever_context("a stream did not end")?
}

/// Reads [`STREAMS`] paced streams at the same time. `half_way` is called when all are open. A
/// stream that fails loses the texts that did not come; of the first it is printed why.
pub(crate) async fn many(target: &Target, half_way: impl FnOnce()) -> Result<Streams> {
    let mut readers = Vec::new();
    for at in 0..STREAMS {
        let target = target.clone();
        readers.push(tokio::spawn(async move {
            // Spread over the pace, as callers are.
            tokio::time::sleep(PACE * u32::try_from(at).unwrap_or_default() / 64).await;
            let mut found = Streams::default();
            let end = paced(&target, &mut found).await;
            (found, end)
        }));
    }
    tokio::time::sleep(PACE * 32).await;
    half_way();
    let (mut sum, mut failed) = (Streams::default(), None);
    for reader in readers {
        let (found, end) = reader.await.whatever_context("a stream's task failed")?;
        sum.add(&found);
        failed = failed.or(end.err());
    }
    if let Some(error) = failed {
        println!("  a stream failed: {}", chain(&error));
    }
    sum.lost = (STREAMS * DELTAS).saturating_sub(sum.came);
    Ok(sum)
}
