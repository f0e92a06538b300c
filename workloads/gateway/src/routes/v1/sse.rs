//! An answer as server-sent events, in OpenAI's chunks.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::http::header::CACHE_CONTROL;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use serde_json::{Value, json};

use crate::domain::run::Run;
use crate::domain::transcript::Step;
use crate::failure::Failure;
use crate::idempotency::StreamFailed;

/// Proxies give up on a silent connection after 30 to 60 s.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// A failure within this time gets a proper status; later ones are told within the stream.
const GRACE: Duration = Duration::from_secs(2);
const DONE: &str = "[DONE]";

/// Streams a run. Dropping the response, as when the client leaves, cancels it.
///
/// # Errors
/// What goes wrong before the first event.
pub async fn stream(run: Run, model: String, include_usage: bool) -> Result<Response, Failure> {
    let mut chunks = Chunks::new(run, model, include_usage);
    let failed = chunks.failed.clone();
    if let Ok(first) = tokio::time::timeout(GRACE, chunks.run.next()).await {
        chunks.add(first?);
    }
    let events = stream::unfold(chunks, |mut chunks| async move {
        let data = chunks.next().await?;
        Some((Ok::<_, Infallible>(Event::default().data(data)), chunks))
    });
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("heartbeat");
    // Proxies must neither hold back nor compress what should be seen at once.
    let headers = [
        (CACHE_CONTROL.as_str(), "no-cache, no-transform"),
        ("x-accel-buffering", "no"),
    ];
    let mut response = (headers, Sse::new(events).keep_alive(heartbeat)).into_response();
    response.extensions_mut().insert(failed);
    Ok(response)
}

struct Chunks {
    run: Run,
    model: String,
    include_usage: bool,
    created: u64,
    begun: bool,
    over: bool,
    failed: StreamFailed,
    queue: VecDeque<String>,
}

impl Chunks {
    fn new(run: Run, model: String, include_usage: bool) -> Self {
        Self {
            run,
            model,
            include_usage,
            created: crate::identity::token::now(),
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
                    self.end();
                }
            }
        }
    }

    fn add(&mut self, step: Step) {
        if !self.begun {
            self.begun = true;
            let mut first = self.chunk(&json!({ "role": "assistant", "content": "" }), None);
            first["lotoai"] = self
                .run
                .transcript
                .lotoai(self.run.id, self.run.conversation_id);
            self.queue.push_back(first.to_string());
        }
        match step {
            Step::Quiet | Step::Decided => {}
            Step::Text(text) => {
                let chunk = self.chunk(&json!({ "content": text }), None);
                self.queue.push_back(chunk.to_string());
            }
            Step::Finished => {
                let reason = self.run.transcript.finish_reason();
                let mut last = self.chunk(&json!({}), Some(reason));
                last["lotoai"] = self
                    .run
                    .transcript
                    .lotoai(self.run.id, self.run.conversation_id);
                self.queue.push_back(last.to_string());
                if self.include_usage {
                    let mut usage = self.chunk(&json!({}), None);
                    usage["choices"] = json!([]);
                    usage["usage"] = self.run.transcript.usage();
                    self.queue.push_back(usage.to_string());
                }
                self.end();
            }
        }
    }

    fn end(&mut self) {
        self.queue.push_back(DONE.to_owned());
        self.over = true;
    }

    fn chunk(&self, delta: &Value, finish_reason: Option<&str>) -> Value {
        let mut chunk = json!({
            "id": format!("chatcmpl-{}", self.run.id),
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": [{
                "index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": null,
            }],
        });
        if self.include_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }
}
