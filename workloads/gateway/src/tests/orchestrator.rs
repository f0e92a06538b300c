//! An orchestrator that answers by the name of the model.

#[path = "orchestrator/approvals.rs"]
pub(crate) mod approvals;

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use lotoai_contracts::failures;
use lotoai_contracts::v1::answer_event::Event;
use lotoai_contracts::v1::decision::Route;
use lotoai_contracts::v1::orchestrator_server::{Orchestrator, OrchestratorServer};
use lotoai_contracts::v1::{
    AnswerEvent, AnswerRequest, Citation, Citations, DecideApprovalRequest, Decision, Delta,
    ErasePersonRequest, ErasePersonResponse, ExportPersonRequest, ExportPersonResponse, Failed,
    Finished, FunctionCallDelta, ListApprovalsRequest, ListApprovalsResponse, ListModelsRequest,
    ListModelsResponse, Model, ToolCall, Usage,
};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::time::interval;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use self::approvals::{Approvals, GoesOn};

type Events = Pin<Box<dyn Stream<Item = Result<AnswerEvent, Status>> + Send>>;

/// How long a question may take to come here.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the fake has seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) requests: Mutex<Vec<AnswerRequest>>,
    /// What waits for consent. Answers of model `asks/<tool>` ask for it.
    pub(crate) approvals: Approvals,
    pub(crate) decisions: Mutex<Vec<DecideApprovalRequest>>,
    /// Told when an answer that never ends is dropped.
    pub(crate) cancelled: Notify,
    /// One for each answer of model `told`, in the order of the questions: more text, or the end.
    pub(crate) told: Mutex<Vec<mpsc::UnboundedSender<Option<String>>>>,
    /// Bytes of text of all answers of model `flood`.
    pub(crate) flooded: AtomicUsize,
    /// Whether it can say nothing of what it holds of people, and delete nothing of it.
    pub(crate) is_away: AtomicBool,
    /// Answers of model `scripted` stand still after their first piece until this is cancelled.
    pub(crate) go: CancellationToken,
}

/// What an answer of model `scripted` says, piece by piece, each so many milliseconds after the one
/// before. As JSON it is the question.
pub(crate) type Script = Vec<(u64, String)>;

impl Seen {
    /// How many questions there were.
    pub(crate) fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// Waits until so many answers of model `told` were asked for.
    pub(crate) async fn asked(&self, answers: usize) {
        let asked = async {
            while self.told.lock().unwrap().len() < answers {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asked)
            .await
            .expect("they are asked for in time");
    }

    /// Lets an answer of model `told` go on: with text, or to its end.
    pub(crate) fn tell(&self, answer: usize, text: Option<&str>) {
        let told = self.told.lock().unwrap();
        // Nobody hears it where the answer was given up.
        drop(told[answer].send(text.map(str::to_owned)));
    }
}

struct Fake(Arc<Seen>);

impl Fake {
    fn is_there(&self) -> Result<(), Status> {
        match self.0.is_away.load(Ordering::Relaxed) {
            true => Err(Status::unavailable("10.0.0.7 is gone")),
            false => Ok(()),
        }
    }

    /// What a test tells, piece by piece.
    fn told(&self) -> Events {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.0.told.lock().unwrap().push(sender);
        let guard = TellDropped(Arc::clone(&self.0));
        let rest = stream::unfold(Some((receiver, guard)), |told| async move {
            let (mut receiver, guard) = told?;
            let (event, rest) = match receiver.recv().await? {
                Some(text) => (delta(&text), Some((receiver, guard))),
                None => {
                    // It was not given up.
                    std::mem::forget(guard);
                    (finished("stop"), None)
                }
            };
            Some((Ok(AnswerEvent { event: Some(event) }), rest))
        });
        Box::pin(rest)
    }
}

struct TellDropped(Arc<Seen>);

impl Drop for TellDropped {
    fn drop(&mut self) {
        self.0.cancelled.notify_one();
    }
}

#[tonic::async_trait]
impl Orchestrator for Fake {
    type AnswerStream = Events;
    type DecideApprovalStream = Events;

    async fn answer(&self, request: Request<AnswerRequest>) -> Result<Response<Events>, Status> {
        let authorization = request.metadata().get("authorization").cloned();
        if authorization.is_none_or(|value| value != "Bearer t") {
            return Err(Status::unauthenticated("no token"));
        }
        let request = request.into_inner();
        let model = request.model.clone();
        let request_has_functions = request.functions.is_some();
        let request_has_format = request.format.is_some();
        let sampling = request.sampling.as_ref();
        let request_reasons = sampling.is_some_and(|it| !it.reasoning_effort.is_empty());
        let script = script(&request);
        self.0.requests.lock().unwrap().push(request.clone());
        let stream: Events = match model.as_str() {
            "missing" => {
                let code = failures::UNKNOWN_MODEL.to_owned();
                let message = "there is no model \"missing\"".to_owned();
                Box::pin(events(vec![Event::Failed(Failed {
                    code,
                    message,
                    ..Failed::default()
                })]))
            }
            // Of a provider that has enough to do.
            "busy" => {
                let failed = Event::Failed(Failed {
                    code: failures::RATE_LIMITED.to_owned(),
                    message: "the provider has enough to do".to_owned(),
                    retryable: true,
                    ..Failed::default()
                });
                Box::pin(events(vec![decision(), failed]))
            }
            "local" if request_has_functions => {
                let failed = unsupported("tools", "model `small` knows no tools");
                Box::pin(events(vec![decision(), failed]))
            }
            "local" if request_has_format => {
                let message = "model `small` cannot be held to a format";
                let failed = unsupported("response_format", message);
                Box::pin(events(vec![decision(), failed]))
            }
            "local" if request_reasons => {
                let message = "model `small` cannot be held to this `reasoning_effort`";
                let failed = unsupported("reasoning_effort", message);
                Box::pin(events(vec![decision(), failed]))
            }
            "caller" => Box::pin(events(calls())),
            "long" => Box::pin(events(vec![decision(), delta("so"), finished("length")])),
            "refused" => return Err(Status::not_found("there is no such model")),
            "breaks" => Box::pin(
                events(vec![decision(), delta("half")])
                    .chain(stream::iter([Err(Status::internal("10.0.0.7 is on fire"))])),
            ),
            "ends-early" => Box::pin(events(vec![decision(), delta("half")])),
            "silent" => {
                let guard = TellDropped(Arc::clone(&self.0));
                Box::pin(
                    stream::pending::<Result<AnswerEvent, Status>>().inspect(move |_| {
                        let _alive = &guard;
                    }),
                )
            }
            // Never silent for as long as a second, and never at an end.
            "drips" => {
                let guard = TellDropped(Arc::clone(&self.0));
                let drops = interval(Duration::from_millis(50));
                let rest = stream::unfold((drops, guard), |(mut drops, guard)| async move {
                    drops.tick().await;
                    let event = Some(delta("."));
                    Some((Ok(AnswerEvent { event }), (drops, guard)))
                });
                Box::pin(events(vec![decision()]).chain(rest))
            }
            "endless" => {
                let guard = TellDropped(Arc::clone(&self.0));
                let rest = stream::pending().map(move |item| {
                    let _ = &guard;
                    item
                });
                Box::pin(events(vec![decision(), delta("begun")]).chain(rest))
            }
            "told" => Box::pin(events(vec![decision()]).chain(self.told())),
            "scripted" => {
                let pieces = pieces(script, self.0.go.clone());
                let end = events(vec![finished("stop")]);
                Box::pin(events(vec![decision()]).chain(pieces).chain(end))
            }
            "flood" => {
                let (seen, guard) = (Arc::clone(&self.0), TellDropped(Arc::clone(&self.0)));
                let text = "x".repeat(1024);
                let rest = stream::repeat_with(move || {
                    let _alive = &guard;
                    seen.flooded.fetch_add(text.len(), Ordering::Relaxed);
                    let event = Some(delta(&text));
                    Ok(AnswerEvent { event })
                });
                Box::pin(events(vec![decision()]).chain(rest))
            }
            asks if asks.starts_with("asks/") => {
                let tool = asks.trim_start_matches("asks/");
                let (caller, conversation) = (request.caller.as_ref(), &request.conversation_id);
                let asked = self.0.approvals.ask(caller, conversation, tool);
                Box::pin(events(vec![decision()]).chain(events(asked)))
            }
            _ => Box::pin(events(whole())),
        };
        Ok(Response::new(stream))
    }

    async fn decide_approval(
        &self,
        request: Request<DecideApprovalRequest>,
    ) -> Result<Response<Events>, Status> {
        let request = request.into_inner();
        self.0.decisions.lock().unwrap().push(request.clone());
        let stream: Events = match self.0.approvals.decide(&request) {
            Ok(GoesOn::With(all)) => Box::pin(events(all)),
            Ok(GoesOn::Told) => Box::pin(events(vec![decision()]).chain(self.told())),
            Ok(GoesOn::Breaks) => return Err(Status::unavailable("10.0.0.7 is gone")),
            Err(failed) => Box::pin(events(vec![Event::Failed(failed)])),
        };
        Ok(Response::new(stream))
    }

    async fn list_approvals(
        &self,
        request: Request<ListApprovalsRequest>,
    ) -> Result<Response<ListApprovalsResponse>, Status> {
        self.0
            .approvals
            .list(&request.into_inner())
            .map(Response::new)
    }

    async fn erase_person(
        &self,
        request: Request<ErasePersonRequest>,
    ) -> Result<Response<ErasePersonResponse>, Status> {
        self.is_there()?;
        let part = self.0.approvals.erase(&request.into_inner().subject);
        Ok(Response::new(part))
    }

    async fn export_person(
        &self,
        request: Request<ExportPersonRequest>,
    ) -> Result<Response<ExportPersonResponse>, Status> {
        self.is_there()?;
        let page = self.0.approvals.export(&request.into_inner());
        Ok(Response::new(page))
    }

    async fn list_models(
        &self,
        _: Request<ListModelsRequest>,
    ) -> Result<Response<ListModelsResponse>, Status> {
        let model = |id: &str| Model {
            id: id.into(),
            description: format!("{id} itself"),
        };
        Ok(Response::new(ListModelsResponse {
            models: vec![model("lotoai"), model("writer")],
        }))
    }
}

/// The script that a question is; empty when it is none.
fn script(request: &AnswerRequest) -> Script {
    let question = request.messages.last().map(|it| it.content.as_str());
    serde_json::from_str(question.unwrap_or_default()).unwrap_or_default()
}

fn pieces(
    script: Script,
    go: CancellationToken,
) -> impl Stream<Item = Result<AnswerEvent, Status>> + Send {
    stream::iter(script.into_iter().enumerate()).then(move |(index, (pause, text))| {
        let go = go.clone();
        async move {
            if index > 0 {
                go.cancelled().await;
            }
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let event = Some(delta(&text));
            Ok(AnswerEvent { event })
        }
    })
}

fn events(events: Vec<Event>) -> impl Stream<Item = Result<AnswerEvent, Status>> + Send {
    let all = events.into_iter();
    stream::iter(all.map(|event| Ok(AnswerEvent { event: Some(event) })))
}

fn decision() -> Event {
    Event::Decision(Decision {
        route: Route::Knowledge.into(),
        target: "default".into(),
        reason: "the handbook answers it".into(),
        confidence: 0.75,
    })
}

fn unsupported(param: &str, message: &str) -> Event {
    Event::Failed(Failed {
        code: failures::UNSUPPORTED_PARAMETER.to_owned(),
        message: message.to_owned(),
        param: param.to_owned(),
        ..Failed::default()
    })
}

fn delta(text: &str) -> Event {
    Event::Delta(Delta { text: text.into() })
}

fn whole() -> Vec<Event> {
    let citation = Citation {
        number: 1,
        document_id: "d".into(),
        document_name: "handbook.md".into(),
        passage: "Holidays: 23 days".into(),
        chunk_index: 4,
        score: 0.5,
        heading: "Holidays".into(),
    };
    vec![
        decision(),
        delta("Veintitrés días "),
        Event::Citations(Citations {
            citations: vec![citation],
        }),
        Event::ToolCall(ToolCall {
            name: "clock".into(),
            arguments_json: r#"{"zone":"utc"}"#.into(),
            result_text: "noon".into(),
            is_error: false,
        }),
        delta("[1]."),
        finished("stop"),
    ]
}

fn finished(reason: &str) -> Event {
    Event::Finished(Finished {
        finish_reason: reason.into(),
        usage: Some(Usage {
            input_tokens: Some(12),
            output_tokens: Some(5),
        }),
        model: "extractive".into(),
        provider: "local".into(),
    })
}

/// Text, and two calls of functions of the caller.
fn calls() -> Vec<Event> {
    let piece = |index, id: &str, name: &str, arguments: &str| {
        Event::FunctionCall(FunctionCallDelta {
            index,
            id: id.into(),
            name: name.into(),
            arguments: arguments.into(),
        })
    };
    vec![
        decision(),
        delta("Let me look."),
        piece(0, "call_a", "weather", ""),
        piece(0, "", "", r#"{"city":"#),
        piece(0, "", "", r#""Rome"}"#),
        piece(1, "call_b", "clock", "{}"),
        finished("tool_calls"),
    ]
}

/// Starts the fake on a free port of loopback.
pub(crate) async fn start() -> (String, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = OrchestratorServer::new(Fake(Arc::clone(&seen)));
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(server)
            .serve_with_incoming(incoming),
    );
    (format!("http://{address}"), seen)
}
