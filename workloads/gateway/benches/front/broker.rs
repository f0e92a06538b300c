//! A broker that confirms everything at once: the few sentences of AMQP 0-9-1 that the gateway's
//! outbox and its consumer say. Its time is not the gateway's, and no client of it is compared.

use std::collections::HashMap;
use std::sync::Arc;

use snafu::{OptionExt as _, ResultExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::Result;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
const END: u8 = 0xCE;
/// What a confirm begins with: Basic.Ack.
pub(crate) const CONFIRM: [u8; 4] = [0, 60, 0, 80];
/// The properties of a message in their order, to its id: the bit of each in the flags, and how many
/// bytes say how long it is; one of a single byte has none.
const PROPERTIES: [(u8, usize); 9] = [
    (15, 1), // content type
    (14, 1), // content encoding
    (13, 4), // headers
    (12, 0), // delivery mode
    (11, 0), // priority
    (10, 1), // correlation id
    (9, 1),  // reply to
    (8, 1),  // expiration
    (7, 1),  // message id
];
const DELIVERY_MODE: usize = 3;
const MESSAGE_ID: usize = 8;

/// One frame.
struct Frame {
    kind: u8,
    channel: u16,
    payload: Vec<u8>,
}

/// What is open on a channel.
#[derive(Default)]
struct Publishing {
    /// Messages so far.
    tag: u64,
    /// Size and properties of the present one.
    head: Vec<u8>,
    /// What came of the present one.
    body: Vec<u8>,
    /// How long that is when it is whole; `None` when none is being sent.
    size: Option<u64>,
}

/// Serves until the process ends; returns its address. `stored` is told of each message before it is
/// confirmed: its id, its body, and whether it is one that outlives a restart of a broker.
pub(crate) async fn start(
    stored: impl Fn(&str, &[u8], bool) + Send + Sync + 'static,
) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .whatever_context("failed to bind the broker")?;
    let address = listener
        .local_addr()
        .whatever_context("failed to bind the broker")?;
    let stored = Arc::new(stored);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stored = Arc::clone(&stored);
            // A gateway that ends closes its connection: there is nothing to tell.
            tokio::spawn(async move { drop(talk(stream, &*stored).await) });
        }
    });
    Ok(format!("amqp://{address}/lotoai"))
}

async fn talk(mut stream: TcpStream, stored: &(impl Fn(&str, &[u8], bool) + Sync)) -> Result<()> {
    stream
        .set_nodelay(true)
        .whatever_context("failed to set TCP_NODELAY")?;
    let mut greeting = [0; 8];
    read(&mut stream, &mut greeting).await?;
    // Connection.Start: version 0-9, no properties, one mechanism, one locale.
    let mut start = vec![0, 10, 0, 10, 0, 9, 0, 0, 0, 0];
    for text in ["PLAIN", "en_US"] {
        start.extend([0, 0, 0, u8::try_from(text.len()).unwrap_or_default()]);
        start.extend(text.as_bytes());
    }
    say(&mut stream, METHOD, 0, &start).await?;
    let mut channels: HashMap<u16, Publishing> = HashMap::new();
    loop {
        let frame = next(&mut stream).await?;
        let publishing = channels.entry(frame.channel).or_default();
        match frame.kind {
            METHOD => {
                if frame.payload.starts_with(&[0, 60, 0, 40]) {
                    publishing.tag += 1;
                } else if let Some(answer) = answer(&frame.payload) {
                    say(&mut stream, METHOD, frame.channel, &answer).await?;
                }
            }
            HEADER => {
                let size = frame.payload.get(4..12).and_then(|it| it.try_into().ok());
                publishing.size = size.map(u64::from_be_bytes);
                publishing.head = frame.payload;
                publishing.body.clear();
            }
            BODY => publishing.body.extend(frame.payload),
            _ => say(&mut stream, HEARTBEAT, 0, &[]).await?,
        }
        if publishing.size == Some(publishing.body.len() as u64) {
            publishing.size = None;
            let (id, outlives) =
                properties(&publishing.head).whatever_context("a message without an id")?;
            stored(id, &publishing.body, outlives);
            // Of this one message.
            let mut ack = CONFIRM.to_vec();
            ack.extend(publishing.tag.to_be_bytes());
            ack.push(0);
            say(&mut stream, METHOD, frame.channel, &ack).await?;
        }
    }
}

/// The id of a message with this head, and whether it outlives a restart.
fn properties(head: &[u8]) -> Option<(&str, bool)> {
    // Before them stand the class, a weight of nothing and the size.
    let (flags, mut rest) = head.get(12..)?.split_first_chunk::<2>()?;
    let flags = u16::from_be_bytes(*flags);
    let mut values: [&[u8]; PROPERTIES.len()] = [&[]; PROPERTIES.len()];
    for (value, (bit, prefix)) in values.iter_mut().zip(PROPERTIES) {
        if flags & (1_u16 << bit) == 0 {
            continue;
        }
        let (size, after) = rest.split_at_checked(prefix)?;
        let size = match size {
            [] => 1,
            size => size
                .iter()
                .fold(0_usize, |size, byte| (size << 8) | usize::from(*byte)),
        };
        (*value, rest) = after.split_at_checked(size)?;
    }
    let id = std::str::from_utf8(values[MESSAGE_ID]).ok()?;
    (!id.is_empty()).then_some((id, values[DELIVERY_MODE] == [2_u8]))
}

/// The answer to a method, when it has one.
fn answer(method: &[u8]) -> Option<Vec<u8>> {
    Some(match method.get(..4)? {
        // Connection: StartOk → Tune (channels, frame size, heartbeat), Open → OpenOk, Close.
        [0, 10, 0, 11] => vec![0, 10, 0, 30, 7, 255, 0, 2, 0, 0, 0, 60],
        [0, 10, 0, 40] => vec![0, 10, 0, 41, 0],
        [0, 10, 0, 50] => vec![0, 10, 0, 51],
        // Channel: Open, Close.
        [0, 20, 0, 10] => vec![0, 20, 0, 11, 0, 0, 0, 0],
        [0, 20, 0, 40] => vec![0, 20, 0, 41],
        // Confirm.Select; Basic: Qos, Consume and Cancel, with a tag.
        [0, 85, 0, 10] => vec![0, 85, 0, 11],
        [0, 60, 0, 10] => vec![0, 60, 0, 11],
        [0, 60, 0, 20] => vec![0, 60, 0, 21, 1, b'c'],
        [0, 60, 0, 30] => vec![0, 60, 0, 31, 1, b'c'],
        _ => return None,
    })
}

async fn next(stream: &mut TcpStream) -> Result<Frame> {
    let mut head = [0; 7];
    read(stream, &mut head).await?;
    let [kind, high, low, size @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes(size) as usize + 1];
    read(stream, &mut payload).await?;
    let end = payload.pop();
    (end == Some(END))
        .then_some(Frame {
            kind,
            channel: u16::from_be_bytes([high, low]),
            payload,
        })
        .whatever_context("a frame without an end")
}

async fn say(stream: &mut TcpStream, kind: u8, channel: u16, payload: &[u8]) -> Result<()> {
    let size = u32::try_from(payload.len()).whatever_context("a frame that is too long")?;
    let mut frame = vec![kind];
    frame.extend(channel.to_be_bytes());
    frame.extend(size.to_be_bytes());
    frame.extend(payload);
    frame.push(END);
    stream
        .write_all(&frame)
        .await
        .whatever_context("the broker's client went away")
}

async fn read(stream: &mut TcpStream, into: &mut [u8]) -> Result<()> {
    stream
        .read_exact(into)
        .await
        .map(drop)
        .whatever_context("the broker's client went away")
}
