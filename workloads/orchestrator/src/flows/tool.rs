//! Lets a tool answer.

use lotoai_contracts::v1::ToolCall;
use rmcp::model::Tool;
use serde_json::Value;

use super::{
    Done, Hub, consent, gather,
    gather::Gathered,
    session::{Calling, Session},
};
use crate::{
    domain::{
        approval::{self, Cleared, Verdict},
        phrases,
    },
    failure::Failure,
    mcp::{ToolResult, Uncalled},
};

/// Reads the arguments, calls the tool and says what it gave; asks for what is missing, and for the
/// consent of the person where the tool wants it.
///
/// # Errors
/// The tool server is away or refuses the call.
pub async fn answer(
    hub: &Hub,
    session: &mut Session,
    gathered: &Gathered,
    name: &str,
) -> Result<Done, Failure> {
    let tool = find(&gathered.tools, name).ok_or_else(|| {
        Failure::permanent(
            "unknown_tool",
            format!("the tool `{name}` is not in the list"),
        )
    })?;
    let found = gather::extraction(gathered, session, tool);
    let said = if found.missing.is_empty() {
        match approval::judge(tool, found.arguments) {
            Verdict::Clear(call) => {
                return match call_tool(hub, session, &call).await {
                    Ok(result) => tell(session, &call, result).await,
                    // A failure would have the caller ask again, and the tool do its work twice.
                    Err(uncalled) if uncalled.is_unknown() => break_off(session, &call).await,
                    Err(uncalled) => Err(uncalled.failure),
                };
            }
            Verdict::Ask(asked) => return consent::ask(hub, session, &asked).await,
            Verdict::Faulty(faults) => {
                phrases::tool_error(session.language, name, &faults.join("; "))
            }
        }
    } else {
        phrases::need_arguments(session.language, name, &found.missing)
    };
    session.say(said).await?;
    Ok(Done::extractive())
}

/// The tool of this name.
#[must_use]
pub fn find<'a>(tools: &'a [Tool], name: &str) -> Option<&'a Tool> {
    tools.iter().find(|tool| tool.name == name)
}

/// Makes a call that may be made, and notes it, before it begins and when it has ended.
///
/// # Errors
/// The tool server is away or refuses the call.
pub async fn call_tool(
    hub: &Hub,
    session: &mut Session,
    call: &Cleared,
) -> Result<ToolResult, Uncalled> {
    let started = session.now();
    session.calling = Some(Calling {
        call: call.clone(),
        since: started,
    });
    let result = hub.mcp.call(&session.caller, call).await;
    if result.as_ref().is_err_and(|it| !it.is_unknown()) {
        session.calling = None;
    }
    let outcome = match &result {
        Ok(result) if result.is_error => "tool_error".to_owned(),
        Ok(_) => "ok".to_owned(),
        Err(uncalled) => uncalled.failure.code.clone(),
    };
    session.step("call_tool", call.tool(), &outcome, started);
    result
}

/// Says what a call gave.
///
/// # Errors
/// The caller is gone.
pub async fn tell(session: &Session, call: &Cleared, result: ToolResult) -> Result<Done, Failure> {
    let name = call.tool();
    let text = if result.is_error {
        phrases::tool_error(session.language, name, &result.text)
    } else {
        phrases::tool_result(session.language, name, &result.text)
    };
    report(session, call, result, text).await
}

/// Ends a run that was ended, which `code` says why, while a tool was called.
///
/// # Errors
/// The caller is gone.
pub async fn cut_short(
    session: &mut Session,
    calling: &Calling,
    code: &str,
) -> Result<Done, Failure> {
    let call = &calling.call;
    session.step("call_tool", call.tool(), code, calling.since);
    if call.is_approved() {
        consent::break_off(session, call.tool()).await
    } else {
        break_off(session, call).await
    }
}

/// Says that nobody knows whether the tool did its work.
async fn break_off(session: &Session, call: &Cleared) -> Result<Done, Failure> {
    let text = phrases::broken_off(session.language, call.tool());
    let result = ToolResult {
        text: text.clone(),
        is_error: true,
    };
    report(session, call, result, text).await
}

/// Sends a call with what it gave, and `text` as the answer.
async fn report(
    session: &Session,
    call: &Cleared,
    result: ToolResult,
    text: String,
) -> Result<Done, Failure> {
    session
        .tool_call(ToolCall {
            name: call.tool().to_owned(),
            arguments_json: Value::Object(call.arguments().clone()).to_string(),
            result_text: result.text,
            is_error: result.is_error,
        })
        .await?;
    session.say(text).await?;
    Ok(Done::extractive())
}
