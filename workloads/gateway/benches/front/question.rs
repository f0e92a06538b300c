//! What every system is asked.

use bytes::Bytes;
use serde_json::{Value, json};
use snafu::ResultExt as _;

use crate::Result;

/// The model that answers at once.
pub(crate) const PROMPT: &str = "prompt";
/// The model that paces its answer.
pub(crate) const PACED: &str = "paced";
/// One kilobyte.
const QUESTION_BYTES: usize = 1024;

/// A question of 1 KB to `model`, with more fields.
pub(crate) fn question(model: &str, more: &Value) -> Bytes {
    let content = "why ".repeat(QUESTION_BYTES / 4);
    let mut body = json!({
        "model": model, "max_tokens": 256, "messages": [{ "role": "user", "content": content }],
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body.to_string().into()
}

/// A question to [`PROMPT`], however a system calls that, as one to `model` whose answer is
/// streamed. Fails where the question is not JSON.
pub(crate) fn streamed(question: &Bytes, model: &str) -> Result<Bytes> {
    let mut body: Value =
        serde_json::from_slice(question).whatever_context("a question is not JSON")?;
    let name = body["model"].as_str().unwrap_or_default();
    body["model"] = json!(name.replace(PROMPT, model));
    body["stream"] = json!(true);
    Ok(body.to_string().into())
}
