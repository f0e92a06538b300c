//! What the orchestrator has said so far in one answer.

use lotoai_contracts::v1::answer_event::Event;
use lotoai_contracts::v1::decision::Route;
use lotoai_contracts::v1::{Citation, Decision, Finished, FunctionCallDelta, ToolCall, Usage};
use serde_json::{Value, json};
use uuid::Uuid;

use super::approval::ApprovalRequest;
use super::text::{json_or_text, without_nul};
use crate::failure::Failure;
use crate::store::{Ended, StoredCall, StoredDecision};

/// An answer that grows beyond this is a fault of a model, in bytes.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// The route on which a tool answers.
const TOOL: &str = "tool";

/// The answer so far.
#[derive(Debug, Default)]
pub struct Transcript {
    /// Text.
    pub text: String,
    /// Why it is answered as it is.
    pub decision: Option<StoredDecision>,
    /// What it rests on, as the API shows it.
    pub citations: Vec<Value>,
    /// Tools that were called, as the API shows them.
    pub tool_calls: Vec<Value>,
    /// Calls of tools that it asks consent for, as the API shows them.
    pub approvals: Vec<Value>,
    /// Functions of the caller that it asks for, as far as they are written.
    pub function_calls: Vec<StoredCall>,
    /// How it ended; `None` while it goes on.
    pub finished: Option<Finished>,
    /// Whether a model may have been asked before it failed, where the orchestrator says so.
    pub model_asked: Option<bool>,
}

/// What an event means for a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing to show yet.
    Quiet,
    /// The decision is known.
    Decided,
    /// More text.
    Text(String),
    /// More of a call of one of the caller's functions.
    Call(CallPiece),
    /// The end.
    Finished,
}

/// What was added to a call.
#[derive(Debug, PartialEq, Eq)]
pub struct CallPiece {
    /// Its place in [`Transcript::function_calls`].
    pub index: usize,
    /// Whether it begins with this.
    pub begins: bool,
    /// More of its arguments.
    pub arguments: String,
}

impl Transcript {
    /// Of an answer that is read from the database.
    pub fn of_stored(text: String, ended: &Ended) -> Self {
        let (input_tokens, output_tokens) = ended.end.tokens.unzip();
        Self {
            text,
            decision: ended.decision.clone(),
            citations: ended.citations.clone(),
            tool_calls: ended.tool_calls.clone(),
            approvals: ended.approvals.clone(),
            function_calls: ended.function_calls.clone(),
            finished: ended.end.failure.is_none().then(|| Finished {
                finish_reason: ended.end.finish_reason.clone(),
                usage: Some(Usage {
                    input_tokens,
                    output_tokens,
                }),
                model: ended.model.clone(),
                provider: ended.end.provider.clone(),
            }),
            model_asked: None,
        }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// The failure that the orchestrator reports, or that the answer is too long.
    pub fn absorb(&mut self, event: Event) -> Result<Step, Failure> {
        match event {
            Event::Decision(decision) => {
                self.decision = Some(stored_decision(&decision));
                Ok(Step::Decided)
            }
            Event::Delta(delta) => {
                let text = without_nul(&delta.text);
                self.make_room(text.len())?;
                self.text.push_str(&text);
                Ok(if text.is_empty() {
                    Step::Quiet
                } else {
                    Step::Text(text)
                })
            }
            Event::Citations(citations) => {
                self.citations
                    .extend(citations.citations.iter().map(citation));
                Ok(Step::Quiet)
            }
            Event::ToolCall(call) => {
                self.tool_calls.push(tool_call(&call));
                Ok(Step::Quiet)
            }
            Event::ApprovalRequest(request) => {
                self.approvals
                    .push(json!(ApprovalRequest::of_event(&request)));
                Ok(Step::Quiet)
            }
            Event::FunctionCall(delta) => self.call(&delta).map(Step::Call),
            Event::Finished(finished) => {
                self.finished = Some(finished);
                Ok(Step::Finished)
            }
            Event::Failed(failed) => {
                self.model_asked = failed.model_asked;
                Err(crate::orchestrator::of_failed(failed))
            }
        }
    }

    fn call(&mut self, delta: &FunctionCallDelta) -> Result<CallPiece, Failure> {
        let index = usize::try_from(delta.index).unwrap_or(usize::MAX);
        let arguments = without_nul(&delta.arguments);
        let begins = index == self.function_calls.len();
        self.make_room(delta.id.len() + delta.name.len() + arguments.len())?;
        if begins {
            self.function_calls.push(StoredCall {
                id: without_nul(&delta.id),
                name: without_nul(&delta.name),
                arguments: String::new(),
            });
        }
        let call = self.function_calls.get_mut(index).ok_or_else(|| {
            Failure::new(
                axum::http::StatusCode::BAD_GATEWAY,
                "answer_incomplete",
                "a part of the answer is missing; try again",
            )
        })?;
        call.arguments.push_str(&arguments);
        Ok(CallPiece {
            index,
            begins,
            arguments,
        })
    }

    fn make_room(&self, bytes: usize) -> Result<(), Failure> {
        if self.written_bytes() + bytes <= MAX_ANSWER_BYTES {
            return Ok(());
        }
        Err(Failure::new(
            axum::http::StatusCode::BAD_GATEWAY,
            "answer_too_long",
            "the model wrote more than 4 MiB and was stopped; set max_tokens",
        ))
    }

    /// Bytes that were written, of text and of calls.
    pub fn written_bytes(&self) -> usize {
        let calls = self.function_calls.iter();
        let calls = calls.map(|call| call.id.len() + call.name.len() + call.arguments.len());
        self.text.len() + calls.sum::<usize>()
    }

    /// Whether anything came of the question: it was decided who answers, or an answer was begun.
    pub fn is_begun(&self) -> bool {
        self.decision.is_some() || self.written_bytes() > 0 || self.has_acted()
    }

    /// Whether a model may have been asked: as the orchestrator says, else nobody is before it is
    /// decided who answers, and tools answer without one.
    pub fn may_have_asked(&self) -> bool {
        let by_route = || self.is_begun() && self.route() != TOOL;
        self.model_asked.unwrap_or_else(by_route)
    }

    /// Whether tools of the platform were called for it, or it asks consent for that.
    pub fn has_acted(&self) -> bool {
        !(self.tool_calls.is_empty() && self.approvals.is_empty())
    }

    /// The identities of what it asks consent for.
    pub fn approval_ids(&self) -> Vec<Uuid> {
        let ids = self.approvals.iter().map(|approval| &approval["id"]);
        ids.filter_map(|id| id.as_str()?.parse().ok()).collect()
    }

    /// Name of the decided route; empty before the decision.
    pub fn route(&self) -> &str {
        self.decision
            .as_ref()
            .map_or("", |decision| decision.route.as_str())
    }

    /// The `lotoai` object of a response.
    pub fn lotoai(&self, run_id: Uuid, conversation_id: Option<Uuid>) -> Value {
        let finished = self.finished.as_ref();
        json!({
            "run_id": run_id,
            "conversation_id": conversation_id,
            "decision": self.decision,
            "citations": self.citations,
            "tool_calls": self.tool_calls,
            "approvals": self.approvals,
            "model": finished.map(|finished| &finished.model),
            "provider": finished.map(|finished| &finished.provider),
        })
    }

    /// The `usage` object of a response; `null` when the counts are not known.
    pub fn usage(&self) -> Value {
        let usage = self
            .finished
            .as_ref()
            .and_then(|finished| finished.usage.as_ref());
        let Some((input, output)) =
            usage.and_then(|usage| usage.input_tokens.zip(usage.output_tokens))
        else {
            return Value::Null;
        };
        json!({
            "prompt_tokens": input,
            "completion_tokens": output,
            "total_tokens": input.saturating_add(output),
        })
    }

    /// The finish reason in OpenAI's words.
    pub fn finish_reason(&self) -> &str {
        match self
            .finished
            .as_ref()
            .map(|finished| finished.finish_reason.as_str())
        {
            Some("length") => "length",
            Some("content_filter") => "content_filter",
            // Some servers say that they stopped.
            _ if !self.function_calls.is_empty() => "tool_calls",
            _ => "stop",
        }
    }
}

fn stored_decision(decision: &Decision) -> StoredDecision {
    let route = match decision.route() {
        Route::Knowledge => "knowledge",
        Route::Agent => "agent",
        Route::Tool => TOOL,
        Route::Unspecified => "unspecified",
    };
    StoredDecision {
        route: route.to_owned(),
        target: without_nul(&decision.target),
        reason: without_nul(&decision.reason),
        // JSON has no NaN.
        confidence: if decision.confidence.is_finite() {
            decision.confidence
        } else {
            0.0
        },
    }
}

fn citation(citation: &Citation) -> Value {
    json!({
        "number": citation.number,
        "document_id": without_nul(&citation.document_id),
        "document_name": without_nul(&citation.document_name),
        "passage": without_nul(&citation.passage),
        "heading": without_nul(&citation.heading),
        "chunk_index": citation.chunk_index,
        "score": if citation.score.is_finite() { citation.score } else { 0.0 },
    })
}

fn tool_call(call: &ToolCall) -> Value {
    json!({
        "name": without_nul(&call.name),
        "arguments": json_or_text(&call.arguments_json),
        "result": without_nul(&call.result_text),
        "is_error": call.is_error,
    })
}

#[cfg(test)]
#[path = "transcript_tests.rs"]
mod tests;
