//! What waits for consent with the fake. The name of the tool says how an answer goes on.

use std::sync::Mutex;

use jiff::Timestamp;
use lotoai_contracts::failures;
use lotoai_contracts::v1::answer_event::Event;
use lotoai_contracts::v1::{
    Approval, ApprovalDecision, ApprovalRequest, ApprovalState, Caller, DecideApprovalRequest,
    ErasePersonResponse, ExportPersonRequest, ExportPersonResponse, Failed, ListApprovalsRequest,
    ListApprovalsResponse, RecordKind, ToolCall,
};
use serde_json::{Value, json};
use tonic::Status;
use uuid::Uuid;

use super::{delta, finished};

const DAY: i64 = 86_400;
/// What a tool would be given.
pub(crate) const ARGUMENTS: &str = r#"{"to":"bo"}"#;

/// An approval, and what only the orchestrator knows of it.
struct Held {
    approval: Approval,
    subject: String,
    /// The run by which it was decided.
    decided_by: Option<String>,
    is_called: bool,
}

/// How an answer goes on.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum GoesOn {
    /// At once, with these events.
    With(Vec<Event>),
    /// As a test tells it.
    Told,
    /// It breaks off before the tool is called.
    Breaks,
}

/// All approvals, the oldest first.
#[derive(Default)]
pub(crate) struct Approvals(Mutex<Vec<Held>>);

fn now() -> i64 {
    Timestamp::now().as_second()
}

fn subject(caller: Option<&Caller>) -> String {
    caller
        .map(|caller| caller.subject.clone())
        .unwrap_or_default()
}

fn failed(code: &str) -> Failed {
    Failed {
        code: code.to_owned(),
        message: "it cannot be decided".to_owned(),
        ..Failed::default()
    }
}

impl Held {
    /// What it leaves of one kind; nothing where it was not decided, or for a run that is none.
    fn record(&self, kind: RecordKind) -> Option<Value> {
        let (asked, run) = (self.approval.request.as_ref()?, &self.approval.run_id);
        match kind {
            RecordKind::Unspecified => None,
            RecordKind::Approval => {
                Some(json!({"id": asked.id, "arguments": asked.arguments_json}))
            }
            RecordKind::Decision => {
                let run = self.decided_by.as_ref()?;
                Some(json!({"approval_id": asked.id, "run_id": run}))
            }
            RecordKind::Run => Some(json!({"run_id": run})),
        }
    }
}

impl Approvals {
    /// How many there are of somebody.
    pub(crate) fn count(&self, subject: &str) -> usize {
        let all = self.0.lock().unwrap();
        all.iter().filter(|it| it.subject == subject).count()
    }

    /// Deletes one of somebody's, with the run that asked and the decision.
    pub(super) fn erase(&self, subject: &str) -> ErasePersonResponse {
        let mut all = self.0.lock().unwrap();
        let Some(place) = all.iter().position(|it| it.subject == subject) else {
            return ErasePersonResponse::default();
        };
        let held = all.remove(place);
        ErasePersonResponse {
            approvals: 1,
            decisions: u64::from(held.decided_by.is_some()),
            runs: 1,
            more: true,
        }
    }

    /// One of somebody's records a page, the newest first.
    pub(super) fn export(&self, request: &ExportPersonRequest) -> ExportPersonResponse {
        let skipped: usize = request.page_token.parse().unwrap_or_default();
        let all = self.0.lock().unwrap();
        let own = all.iter().rev().filter(|it| it.subject == request.subject);
        let records = own.filter_map(|it| it.record(request.kind()));
        let mut records = records.skip(skipped).map(|it| it.to_string()).peekable();
        let records_json: Vec<String> = records.by_ref().take(1).collect();
        let more = records.peek().is_some();
        ExportPersonResponse {
            records_json,
            next_page_token: if more {
                (skipped + 1).to_string()
            } else {
                String::new()
            },
        }
    }

    /// Has a call of a tool wait for somebody; `conversation` may be empty.
    pub(crate) fn add(&self, subject: &str, conversation: &str, tool: &str) -> ApprovalRequest {
        let request = ApprovalRequest {
            id: Uuid::now_v7().to_string(),
            tool: tool.to_owned(),
            arguments_json: ARGUMENTS.to_owned(),
            description: "Sends a mail".to_owned(),
            expires_at: now() + DAY,
        };
        self.0.lock().unwrap().push(Held {
            approval: Approval {
                request: Some(request.clone()),
                state: ApprovalState::Pending.into(),
                run_id: Uuid::now_v7().to_string(),
                conversation_id: conversation.to_owned(),
                created_at: now(),
                ..Approval::default()
            },
            subject: subject.to_owned(),
            decided_by: None,
            is_called: false,
        });
        request
    }

    /// The events of an answer that asks for consent.
    pub(super) fn ask(
        &self,
        caller: Option<&Caller>,
        conversation: &str,
        tool: &str,
    ) -> Vec<Event> {
        let request = self.add(&subject(caller), conversation, tool);
        vec![
            delta("I need your consent."),
            Event::ApprovalRequest(request),
            finished("approval_required"),
        ]
    }

    /// Lets the time pass in which one can be decided.
    pub(crate) fn expire(&self, id: &str) {
        let mut all = self.0.lock().unwrap();
        let requests = all.iter_mut().filter_map(|it| it.approval.request.as_mut());
        for request in requests.filter(|request| request.id == id) {
            request.expires_at = now();
        }
    }

    pub(super) fn list(
        &self,
        request: &ListApprovalsRequest,
    ) -> Result<ListApprovalsResponse, Status> {
        let skipped: usize = match request.page_token.as_str() {
            "" => 0,
            token => token
                .parse()
                .map_err(|_| Status::invalid_argument("page_token is none of ours"))?,
        };
        let (subject, wanted) = (subject(request.caller.as_ref()), request.state());
        // As many as the orchestrator gives at a time.
        let size = usize::try_from(request.page_size.min(100)).unwrap();
        let all = self.0.lock().unwrap();
        let mut rest = all
            .iter()
            .rev()
            .filter(|it| it.subject == subject)
            .map(|it| it.approval.clone())
            .filter(|it| wanted == ApprovalState::Unspecified || it.state() == wanted)
            .skip(skipped)
            .peekable();
        let approvals: Vec<Approval> = rest.by_ref().take(size).collect();
        let more = rest.peek().is_some();
        Ok(ListApprovalsResponse {
            approvals,
            next_page_token: if more {
                (skipped + size).to_string()
            } else {
                String::new()
            },
        })
    }

    /// Decides as the orchestrator does: once, and again only by the same run, as long as no tool was
    /// called.
    pub(super) fn decide(&self, request: &DecideApprovalRequest) -> Result<GoesOn, Failed> {
        let subject = subject(request.caller.as_ref());
        let mut all = self.0.lock().unwrap();
        let found = all.iter_mut().find(|it| {
            let id = it.approval.request.as_ref().map(|it| it.id.as_str());
            it.subject == subject && id == Some(request.approval_id.as_str())
        });
        let held = found.ok_or_else(|| failed(failures::UNKNOWN_APPROVAL))?;
        let asked = held.approval.request.clone().unwrap();
        let is_first = held.decided_by.is_none();
        if is_first && asked.expires_at <= now() {
            return Err(failed(failures::APPROVAL_EXPIRED));
        }
        let by_same = held.decided_by.as_ref() == Some(&request.run_id);
        if !is_first && (!by_same || held.is_called) {
            return Err(failed(failures::APPROVAL_DECIDED));
        }
        let approves = request.decision() == ApprovalDecision::Approve;
        let state = if approves {
            ApprovalState::Approved
        } else {
            ApprovalState::Denied
        };
        held.decided_by = Some(request.run_id.clone());
        held.approval.state = state.into();
        held.approval.decided_at = now();
        held.approval.reason.clone_from(&request.reason);
        if asked.tool == "fragile" && is_first {
            return Ok(GoesOn::Breaks);
        }
        held.is_called = approves;
        let conversation = held.approval.conversation_id.clone();
        drop(all);
        Ok(match asked.tool.as_str() {
            "told" => GoesOn::Told,
            "again" => GoesOn::With(self.ask(request.caller.as_ref(), &conversation, "send_mail")),
            tool if approves => GoesOn::With(called(tool, request)),
            _ => GoesOn::With(vec![
                delta(&format!("Not sent: {}", request.reason)),
                finished("stop"),
            ]),
        })
    }
}

fn called(tool: &str, request: &DecideApprovalRequest) -> Vec<Event> {
    let arguments = match request.arguments_json.as_str() {
        "" => ARGUMENTS,
        edited => edited,
    };
    vec![
        Event::ToolCall(ToolCall {
            name: tool.to_owned(),
            arguments_json: arguments.to_owned(),
            result_text: "done".to_owned(),
            is_error: false,
        }),
        delta("Sent."),
        finished("stop"),
    ]
}
