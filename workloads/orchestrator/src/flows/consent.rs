//! Asks the person who asked for their consent to a call, and goes on when they have decided.
//!
//! Nothing waits in between: the question is in the store, the run that asked has ended, and the
//! decision begins another one on any replica. The decision is written before the call, and that the
//! call begins is written before it does, so that a crash leaves a call unmade or unknown, never
//! made twice.

use lotoai_contracts::{
    failures,
    v1::{ApprovalDecision, ApprovalRequest, DecideApprovalRequest},
};
use uuid::Uuid;

use super::{
    Done, Hub,
    session::{Session, decided, invalid},
    tool,
};
use crate::{
    domain::{
        approval::{self, Asked, Chosen, Cleared, Refused},
        phrases,
        router::{Decision, Route},
    },
    failure::Failure,
    store::approvals::{Approval, Ruled, Ruling, State},
};

/// Why an answer ended before the tool was called.
pub const APPROVAL_REQUIRED: &str = "approval_required";
/// The longest word that a person gives with a decision, in characters.
const MAX_REASON_CHARS: usize = 500;

/// What a person decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    approval: Uuid,
    approves: bool,
    /// JSON text; empty = as asked.
    arguments_json: String,
    reason: String,
}

impl Request {
    /// Checks a request.
    ///
    /// # Errors
    /// A field cannot be used; the failure names it.
    pub fn read(request: &DecideApprovalRequest) -> Result<Self, Failure> {
        let approves = match request.decision() {
            ApprovalDecision::Approve => true,
            ApprovalDecision::Deny => false,
            ApprovalDecision::Unspecified => {
                return Err(invalid("decision is missing: approve or deny"));
            }
        };
        if !approves && !request.arguments_json.is_empty() {
            return Err(invalid(
                "arguments go with an approval only: leave them out",
            ));
        }
        let reason = request.reason.trim();
        if reason.chars().count() > MAX_REASON_CHARS {
            return Err(invalid(format!(
                "reason is longer than {MAX_REASON_CHARS} characters: send less"
            )));
        }
        let is_odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        if reason.chars().any(is_odd) {
            return Err(invalid("reason holds control characters: send plain text"));
        }
        Ok(Self {
            // What is no id is the id of nothing.
            approval: Uuid::parse_str(&request.approval_id).map_err(|_| unknown())?,
            approves,
            arguments_json: request.arguments_json.clone(),
            reason: reason.to_owned(),
        })
    }
}

/// Stores what is asked, says it, and ends the answer.
///
/// # Errors
/// The store is away, or the caller is gone.
pub async fn ask(hub: &Hub, session: &mut Session, asked: &Asked) -> Result<Done, Failure> {
    let started = session.now();
    let stored = hub.store.ask(&session.run, session.language, asked).await;
    let outcome = stored.as_ref().map_or_else(|it| it.code.as_str(), |_| "ok");
    session.step("ask_consent", &asked.tool, outcome, started);
    let (id, expires_at) = stored?;
    count("asked", &asked.tool);
    let said = phrases::needs_consent(session.language, &asked.tool, &asked.arguments_json);
    session.say(said).await?;
    session.ask(wire(id, asked, expires_at)).await?;
    Ok(Done {
        finish_reason: APPROVAL_REQUIRED.to_owned(),
        ..Done::extractive()
    })
}

/// What a person is asked, as clients see it.
#[must_use]
pub fn wire(id: Uuid, asked: &Asked, expires_at: i64) -> ApprovalRequest {
    ApprovalRequest {
        id: id.to_string(),
        tool: asked.tool.clone(),
        arguments_json: asked.arguments_json.clone(),
        description: asked.description.clone(),
        expires_at,
    }
}

/// Decides, once, and gives the rest of the answer. The same run may be sent again: it goes on with
/// what was decided, but for a call that has begun.
///
/// # Errors
/// There is no such approval of this person, it was decided or has expired, the call cannot be made
/// any more, the edited arguments cannot be used, or a service is away.
pub async fn decide(hub: &Hub, session: &mut Session, request: &Request) -> Result<Done, Failure> {
    let found = load(hub, session, request).await?;
    session.language = found.language;
    session.run.conversation.clone_from(&found.conversation);
    let chosen = approval::choose(&found.asked, &request.arguments_json).map_err(faulty)?;
    let decision = decision(&found.asked.tool, request.approves);
    let is_open = found.state == State::Pending;
    if !is_open {
        let called = belonging(&found, session, request, &chosen)?.called;
        if called || !request.approves {
            session.show(&decision).await?;
            return nothing_to_do(session, request, &found.asked.tool).await;
        }
    }
    let call = if request.approves {
        Some(usable(hub, session, &found, &chosen).await?)
    } else {
        None
    };
    hub.store.decide(&session.run, &decided(&decision)).await?;
    if is_open {
        rule(hub, session, request, &chosen, &found.asked.tool).await?;
        // What was written counts, whoever wrote it.
        let now = load(hub, session, request).await?;
        belonging(&now, session, request, &chosen)?;
    }
    session.show(&decision).await?;
    match call {
        Some(call) => carry_out(hub, session, &found, &call).await,
        None => nothing_to_do(session, request, &found.asked.tool).await,
    }
}

/// Says why nothing is called: it was denied, or the call has begun before.
async fn nothing_to_do(session: &Session, request: &Request, tool: &str) -> Result<Done, Failure> {
    if request.approves {
        return break_off(session, tool).await;
    }
    session
        .say(phrases::refused(session.language, tool))
        .await?;
    Ok(Done::extractive())
}

async fn load(hub: &Hub, session: &Session, request: &Request) -> Result<Approval, Failure> {
    let found = hub
        .store
        .approval(&session.run.subject, request.approval)
        .await?;
    found.ok_or_else(unknown)
}

/// Writes the decision, and says so where it was the first.
async fn rule(
    hub: &Hub,
    session: &Session,
    request: &Request,
    chosen: &Chosen,
    tool: &str,
) -> Result<(), Failure> {
    let ruling = Ruling {
        approval: request.approval,
        run: &session.run,
        name: &session.caller.name,
        chosen: request.approves.then_some(chosen),
        reason: &request.reason,
    };
    if hub.store.rule(&ruling).await? {
        let decision = if request.approves {
            "approved"
        } else {
            "denied"
        };
        count(decision, tool);
        tracing::info!(
            approval = %request.approval,
            tool,
            decision,
            changed = chosen.changed.len(),
            "an approval was decided"
        );
    }
    Ok(())
}

/// What was decided, if it is what this run decides: else another one was quicker, or nobody was
/// quick enough.
fn belonging<'a>(
    found: &'a Approval,
    session: &Session,
    request: &Request,
    chosen: &Chosen,
) -> Result<&'a Ruled, Failure> {
    let Some(ruled) = &found.ruled else {
        return Err(expired());
    };
    let is_same = match &ruled.chosen {
        Some((_, digest)) => request.approves && *digest == chosen.digest,
        None => !request.approves,
    };
    if ruled.run == session.run.id && is_same {
        Ok(ruled)
    } else {
        Err(Failure::permanent(
            failures::APPROVAL_DECIDED,
            "this was decided before, and a decision counts once: ask again for another call",
        ))
    }
}

/// The approved call, if the person may still make it and the tool is still the one that they were
/// asked about.
async fn usable(
    hub: &Hub,
    session: &Session,
    found: &Approval,
    chosen: &Chosen,
) -> Result<Cleared, Failure> {
    let tools = hub.mcp.fresh_tools(&session.caller).await?;
    let tool = tool::find(&tools, &found.asked.tool).ok_or_else(outdated)?;
    let id = found.id.to_string();
    approval::clear(tool, &id, &found.asked.declaration, chosen).map_err(|refused| match refused {
        Refused::Declaration | Refused::Digest => outdated(),
        Refused::Arguments(faults) => faulty(format!(
            "do not fit the tool: {}; correct them",
            faults.join("; ")
        )),
    })
}

/// Makes the call, if it was not begun before. However that ends, it is the end of the run.
async fn carry_out(
    hub: &Hub,
    session: &mut Session,
    found: &Approval,
    call: &Cleared,
) -> Result<Done, Failure> {
    if !hub.store.begin_call(found.id, session.run.id).await? {
        return break_off(session, call.tool()).await;
    }
    session.may_go_on = false;
    match tool::call_tool(hub, session, call).await {
        Ok(result) => tool::tell(session, call, result).await,
        Err(uncalled) if uncalled.is_unmade => not_made(session, call.tool()).await,
        Err(uncalled) if uncalled.is_unknown() => break_off(session, call.tool()).await,
        // What the server refused it did not do.
        Err(uncalled) => Err(uncalled.failure),
    }
}

/// Says that nothing came to the tool.
async fn not_made(session: &Session, tool: &str) -> Result<Done, Failure> {
    count("unmade", tool);
    session
        .say(phrases::not_made(session.language, tool))
        .await?;
    Ok(Done::extractive())
}

/// Says that nobody knows whether the tool did its work.
///
/// # Errors
/// The caller is gone.
pub async fn break_off(session: &Session, tool: &str) -> Result<Done, Failure> {
    count("broken_off", tool);
    session
        .say(phrases::broken_off(session.language, tool))
        .await?;
    Ok(Done::extractive())
}

fn decision(tool: &str, approves: bool) -> Decision {
    let did = if approves { "approved" } else { "refused" };
    Decision {
        route: Route::Tool(tool.to_owned()),
        reason: format!("The person who asked {did} the call of the tool {tool}."),
        confidence: 1.0,
    }
}

fn count(event: &'static str, tool: &str) {
    let tool = tool.to_owned();
    metrics::counter!("lotoai_orchestrator_approvals_total", "event" => event, "tool" => tool)
        .increment(1);
}

fn unknown() -> Failure {
    Failure::permanent(
        failures::UNKNOWN_APPROVAL,
        "there is no such approval of yours: look at the list of approvals",
    )
}

fn expired() -> Failure {
    Failure::permanent(
        failures::APPROVAL_EXPIRED,
        "nobody decided in time: ask again",
    )
}

fn outdated() -> Failure {
    Failure::permanent(
        failures::APPROVAL_OUTDATED,
        "the tool has changed since it was asked for, is gone, or is not for you any more: ask again",
    )
}

/// `fault` continues "arguments ".
fn faulty(fault: String) -> Failure {
    Failure {
        param: "arguments".to_owned(),
        ..Failure::permanent(failures::INVALID_REQUEST, format!("arguments {fault}"))
    }
}
