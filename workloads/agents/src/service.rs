//! The gRPC face.

use std::sync::Arc;

use lotoai_contracts::v1::{
    AnswerFormat, CompleteEvent, CompleteFailed, CompleteFinished, CompleteRequest,
    ListRolesRequest, ListRolesResponse, Message, Role, Usage as WireUsage, agents_server::Agents,
    complete_event::Event,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::{
    complete::{Ask, Completer, Finished, Piece},
    format, functions,
    provider::{Failure, Speaker, Turn},
};

/// Pieces of an answer that may wait for a slow caller before the provider is read no further.
const BUFFERED_EVENTS: usize = 32;
/// The most turns that a conversation may have.
const MAX_TURNS: usize = 512;
/// The most text that a conversation, its functions and its format may have, in bytes.
const MAX_TEXT_BYTES: usize = 4 * 1024 * 1024;

/// `lotoai.v1.Agents`.
pub struct AgentsService {
    completer: Arc<Completer>,
    tasks: TaskTracker,
}

impl AgentsService {
    /// A service; `tasks` lets the process wait for running answers when it drains.
    #[must_use]
    pub fn new(completer: Arc<Completer>, tasks: TaskTracker) -> Self {
        Self { completer, tasks }
    }
}

#[tonic::async_trait]
impl Agents for AgentsService {
    type CompleteStream = ReceiverStream<Result<CompleteEvent, Status>>;

    async fn complete(
        &self,
        request: Request<CompleteRequest>,
    ) -> Result<Response<Self::CompleteStream>, Status> {
        let request = request.into_inner();
        let span = tracing::info_span!("complete", run_id = request.run_id, role = request.role);
        let ask = ask(request)?;
        let (sender, receiver) = mpsc::channel(BUFFERED_EVENTS);
        let completer = Arc::clone(&self.completer);
        self.tasks
            .spawn(answer(completer, ask, sender).instrument(span));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn list_roles(
        &self,
        _request: Request<ListRolesRequest>,
    ) -> Result<Response<ListRolesResponse>, Status> {
        let roles = self.completer.roles().map(|(role, capable)| Role {
            name: role.name.clone(),
            description: role.description.clone(),
            groups: role.groups.clone(),
            capable,
        });
        Ok(Response::new(ListRolesResponse {
            roles: roles.collect(),
        }))
    }
}

/// Runs one answer. When the caller goes away the whole of it is dropped, and the connection to
/// the provider with it, so that nobody pays for text that nobody reads.
async fn answer(
    completer: Arc<Completer>,
    ask: Ask,
    sender: mpsc::Sender<Result<CompleteEvent, Status>>,
) {
    let (out, mut pieces) = mpsc::channel(1);
    let run = async {
        let result = completer.complete(&ask, &out).await;
        drop(out);
        result
    };
    let forward = async {
        while let Some(piece) = pieces.recv().await {
            let piece = match piece {
                Piece::Text(text) => Event::Delta(text),
                Piece::Call(call) => Event::FunctionCall(call.into()),
            };
            if sender.send(Ok(event(piece))).await.is_err() {
                break;
            }
        }
    };
    let both = async { tokio::join!(run, forward).0 };
    let last = tokio::select! {
        () = sender.closed() => {
            tracing::info!("the caller went away");
            return;
        }
        result = both => match result {
            Ok(finished) => Event::Finished(wire_finished(finished)),
            Err(failure) => Event::Failed(wire_failed(failure)),
        },
    };
    if sender.send(Ok(event(last))).await.is_err() {
        tracing::debug!("the caller went away before the end");
    }
}

/// Checks the request.
fn ask(request: CompleteRequest) -> Result<Ask, Status> {
    if request.messages.is_empty() {
        return Err(Status::invalid_argument(
            "messages is empty: send at least one",
        ));
    }
    if request.messages.len() > MAX_TURNS {
        return Err(Status::invalid_argument(format!(
            "messages has {} entries: send at most {MAX_TURNS}",
            request.messages.len()
        )));
    }
    let said: usize = request.messages.iter().map(Message::text_bytes).sum();
    let declared = request.functions.as_ref();
    let declared = declared.map_or(0, lotoai_contracts::v1::Functions::text_bytes);
    let described = request.format.as_ref().map_or(0, AnswerFormat::text_bytes);
    if said + declared + described > MAX_TEXT_BYTES {
        return Err(Status::invalid_argument(
            "messages hold more than 4 MiB of text: send less",
        ));
    }
    let turns = request
        .messages
        .into_iter()
        .map(turn)
        .collect::<Result<_, _>>()?;
    Ok(Ask {
        role: request.role,
        turns,
        max_tokens: request.max_tokens,
        temperature: request.temperature,
        sampling: request.sampling.unwrap_or_default(),
        functions: functions::of_wire(request.functions)?,
        format: request.format.map(format::of_wire).transpose()?,
    })
}

fn turn(message: Message) -> Result<Turn, Status> {
    let speaker = match message.role.as_str() {
        "system" | "developer" => Speaker::System,
        "tool" if !message.function_call_id.is_empty() => Speaker::Tool,
        // The text of a tool that the model did not call is something that it is told.
        "user" | "tool" => Speaker::User,
        "assistant" => Speaker::Assistant,
        other => {
            return Err(Status::invalid_argument(format!(
                "messages.role {other:?} is not known: use system, user, assistant or tool"
            )));
        }
    };
    let answers = (speaker == Speaker::Tool).then_some(message.function_call_id);
    let calls = match speaker {
        Speaker::Assistant => message.function_calls.into_iter().map(Into::into).collect(),
        Speaker::System | Speaker::User | Speaker::Tool => Vec::new(),
    };
    Ok(Turn {
        speaker,
        text: message.content,
        calls,
        answers,
    })
}

fn event(event: Event) -> CompleteEvent {
    CompleteEvent { event: Some(event) }
}

fn wire_finished(finished: Finished) -> CompleteFinished {
    CompleteFinished {
        finish_reason: finished.finish_reason,
        usage: Some(WireUsage {
            input_tokens: finished.usage.input,
            output_tokens: finished.usage.output,
        }),
        model: finished.model,
        provider: finished.provider,
    }
}

fn wire_failed(failure: Failure) -> CompleteFailed {
    CompleteFailed {
        code: failure.kind.code().to_owned(),
        message: failure.message,
        retryable: failure.retryable,
        param: failure.kind.param().to_owned(),
    }
}

#[cfg(test)]
mod tests;
