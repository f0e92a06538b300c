//! An HTTP/1.1 client that tells an answer with a proper end from one that was cut.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What comes of something that must happen in time.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(PATIENCE, future).await;
    outcome.expect("it happens in time")
}

/// The head of an answer and its body, which is read to its proper end. The error says how it was
/// cut.
pub(crate) async fn answer<S: tokio::io::AsyncRead + Unpin>(
    stream: S,
) -> Result<(String, String), String> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let read = within(stream.read_line(&mut head)).await;
        if read.map_err(|error| format!("{error} after {head}"))? == 0 {
            return Err(format!("cut after {head:?}"));
        }
    }
    if head.starts_with("HTTP/1.1 204") {
        // It has no body.
        return Ok((head, String::new()));
    }
    let mut body = String::new();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    if let Some(length) = length {
        let mut bytes = vec![0; length.parse().unwrap()];
        let read = within(stream.read_exact(&mut bytes)).await;
        read.map_err(|error| error.to_string())?;
        return Ok((head, String::from_utf8(bytes).unwrap()));
    }
    loop {
        let mut size = String::new();
        let read = within(stream.read_line(&mut size)).await;
        let read = read.map_err(|error| format!("{error} after {body}"))?;
        let Ok(size) = usize::from_str_radix(size.trim_end(), 16) else {
            return Err(format!("cut ({read}) after {body:?}"));
        };
        let mut part = vec![0; size + 2];
        let read = within(stream.read_exact(&mut part)).await;
        read.map_err(|error| format!("{error} after {body}"))?;
        if size == 0 {
            return Ok((head, body));
        }
        body.push_str(std::str::from_utf8(&part[..size]).unwrap());
    }
}

/// Text of the chunks of a stream.
pub(crate) fn text(body: &str) -> String {
    let data = body.lines().filter_map(|line| line.strip_prefix("data: {"));
    data.filter_map(|data| {
        let chunk: Value = serde_json::from_str(&format!("{{{data}")).unwrap();
        let content = chunk["choices"][0]["delta"]["content"].as_str();
        content.map(str::to_owned)
    })
    .collect()
}
