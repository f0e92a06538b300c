//! OpenAI's chunks of one answer.

use serde_json::{Value, json};
use uuid::Uuid;

/// The data of the event after which nothing follows.
pub(super) const DONE: &str = "[DONE]";

/// What all chunks of an answer say.
#[derive(Debug, Clone)]
pub(super) struct Chunks {
    pub(super) run_id: Uuid,
    /// Model as named by the caller.
    pub(super) model: String,
    /// Unix seconds.
    pub(super) created: u64,
    /// Whether the answer ends with a usage chunk.
    pub(super) include_usage: bool,
}

impl Chunks {
    /// The first chunk, with a `lotoai` object.
    pub(super) fn first(&self, lotoai: Value) -> String {
        let mut chunk = self.chunk(&json!({ "role": "assistant", "content": "" }), None);
        chunk["lotoai"] = lotoai;
        chunk.to_string()
    }

    /// A chunk with text.
    pub(super) fn text(&self, text: &str) -> String {
        self.chunk(&json!({ "content": text }), None).to_string()
    }

    /// What an answer ends with: the last chunk, the usage where it is wanted, and [`DONE`].
    pub(super) fn last(&self, lotoai: Value, reason: &str, usage: Value) -> Vec<String> {
        let mut last = self.chunk(&json!({}), Some(reason));
        last["lotoai"] = lotoai;
        let mut events = vec![last.to_string()];
        if self.include_usage {
            let mut chunk = self.chunk(&json!({}), None);
            chunk["choices"] = json!([]);
            chunk["usage"] = usage;
            events.push(chunk.to_string());
        }
        events.push(DONE.to_owned());
        events
    }

    fn chunk(&self, delta: &Value, finish_reason: Option<&str>) -> Value {
        let mut chunk = json!({
            "id": format!("chatcmpl-{}", self.run_id),
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
