//! Answers as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use super::chat::{finish_reason, usage};
use super::error::from_engine;
use crate::engine::{CHAT_MODEL, ChatEvent, EngineError};

/// A comment is sent after this long without an event, so that no proxy takes a long prompt for a
/// dead connection.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A new id of an answer.
pub(super) fn new_id() -> String {
    format!("chatcmpl-{}", uuid::Uuid::new_v4().simple())
}

/// The events of one answer as an SSE response. When the client goes, the receiver is dropped with
/// the body, and the model stops.
pub(super) fn response(events: UnboundedReceiver<ChatEvent>, include_usage: bool) -> Response {
    let answer = Answer {
        id: new_id(),
        created: super::now(),
        include_usage,
    };
    Sse::new(frames(events, answer))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}

struct Answer {
    id: String,
    created: i64,
    include_usage: bool,
}

impl Answer {
    fn chunk(&self, choices: Value, usage: Option<Value>) -> String {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": CHAT_MODEL,
            "choices": choices,
        });
        if self.include_usage {
            chunk["usage"] = usage.unwrap_or(Value::Null);
        }
        chunk.to_string()
    }

    fn delta(&self, delta: Value, reason: Option<&str>) -> String {
        self.chunk(
            json!([{ "index": 0, "delta": delta, "finish_reason": reason }]),
            None,
        )
    }

    /// The frames of an event, and whether they are the last ones.
    fn frames(&self, event: Option<ChatEvent>) -> (Vec<String>, bool) {
        match event {
            Some(ChatEvent::Started) => (
                vec![self.delta(json!({ "role": "assistant", "content": "" }), None)],
                false,
            ),
            Some(ChatEvent::Delta(text)) => {
                (vec![self.delta(json!({ "content": text }), None)], false)
            }
            Some(ChatEvent::Finished {
                reason,
                prompt_tokens,
                completion_tokens,
            }) => {
                let mut frames = vec![self.delta(json!({}), Some(finish_reason(reason)))];
                if self.include_usage {
                    let usage = usage(prompt_tokens, completion_tokens);
                    frames.push(self.chunk(json!([]), Some(usage)));
                }
                frames.push("[DONE]".to_owned());
                (frames, true)
            }
            // Without [DONE]: a client must not take this for a whole answer.
            Some(ChatEvent::Failed(error)) => {
                (vec![from_engine(error).openai_body().to_string()], true)
            }
            None => self.frames(Some(ChatEvent::Failed(EngineError::ThreadLost {
                model: CHAT_MODEL,
            }))),
        }
    }
}

fn frames(
    events: UnboundedReceiver<ChatEvent>,
    answer: Answer,
) -> impl Stream<Item = Result<Event, Infallible>> {
    use futures::StreamExt;

    // The caller has taken `Started` already; its frame opens the stream.
    let (first, _) = answer.frames(Some(ChatEvent::Started));
    let rest = stream::unfold(Some((events, answer)), |state| async {
        let (mut events, answer) = state?;
        let (frames, last) = answer.frames(events.recv().await);
        Some((frames, (!last).then_some((events, answer))))
    });
    stream::iter([first])
        .chain(rest)
        .flat_map(stream::iter)
        .map(|data| Ok(Event::default().data(data)))
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use tokio::sync::mpsc;

    use super::*;
    use crate::engine::FinishReason;

    async fn collect(events: Vec<ChatEvent>, include_usage: bool) -> String {
        let (sender, receiver) = mpsc::unbounded_channel();
        for event in events {
            sender.send(event).unwrap();
        }
        drop(sender);
        let answer = Answer {
            id: "id".to_owned(),
            created: 0,
            include_usage,
        };
        let body = Sse::new(frames(receiver, answer))
            .into_response()
            .into_body();
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    fn finished() -> ChatEvent {
        ChatEvent::Finished {
            reason: FinishReason::Stop,
            prompt_tokens: 3,
            completion_tokens: 2,
        }
    }

    #[tokio::test]
    async fn a_stream_opens_with_the_role_and_ends_with_done() {
        let text = collect(vec![ChatEvent::Delta("Hi".to_owned()), finished()], false).await;
        let frames: Vec<_> = text
            .split("\n\n")
            .filter(|frame| !frame.is_empty())
            .collect();
        assert_eq!(frames.len(), 4);
        assert!(frames[0].contains(r#""role":"assistant""#));
        assert!(frames[1].contains(r#""content":"Hi""#));
        assert!(frames[2].contains(r#""finish_reason":"stop""#));
        assert_eq!(frames[3], "data: [DONE]");
        assert!(!text.contains("usage"));
    }

    #[tokio::test]
    async fn usage_comes_last_when_asked_for() {
        let text = collect(vec![finished()], true).await;
        assert!(text.contains(r#""total_tokens":5"#));
        assert!(text.contains(r#""choices":[]"#));
    }

    #[tokio::test]
    async fn a_broken_answer_is_never_done() {
        let text = collect(vec![ChatEvent::Delta("Hi".to_owned())], false).await;
        assert!(text.contains("model_failed"));
        assert!(!text.contains("[DONE]"));
    }

    #[tokio::test]
    async fn nothing_follows_the_end() {
        let (sender, receiver) = mpsc::unbounded_channel();
        sender.send(finished()).unwrap();
        let answer = Answer {
            id: "id".to_owned(),
            created: 0,
            include_usage: false,
        };
        // The sender lives: the stream must end by itself.
        assert_eq!(frames(receiver, answer).count().await, 3);
    }
}
