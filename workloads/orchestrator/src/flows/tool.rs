//! Lets a tool answer.

use lotoai_contracts::v1::ToolCall;
use serde_json::Value;

use super::{Done, Hub, gather, gather::Gathered, session::Session};
use crate::{domain::phrases, failure::Failure};

/// Reads the arguments, calls the tool and says what it gave; asks for what is missing.
///
/// # Errors
/// The tool server is away or refuses the call.
pub async fn answer(
    hub: &Hub,
    session: &mut Session,
    gathered: &Gathered,
    name: &str,
) -> Result<Done, Failure> {
    let tool = gathered
        .tools
        .iter()
        .find(|tool| tool.name == name)
        .ok_or_else(|| {
            Failure::permanent(
                "unknown_tool",
                format!("the tool `{name}` is not in the list"),
            )
        })?;
    let found = gather::extraction(gathered, session, tool);
    if !found.missing.is_empty() {
        session
            .say(phrases::need_arguments(
                session.language,
                name,
                &found.missing,
            ))
            .await?;
        return Ok(Done::extractive());
    }
    let started = session.now();
    let result = hub
        .mcp
        .call(&session.caller, name, found.arguments.clone())
        .await;
    let outcome = match &result {
        Ok(result) if result.is_error => "tool_error".to_owned(),
        Ok(_) => "ok".to_owned(),
        Err(failure) => failure.code.clone(),
    };
    session.step("call_tool", name, &outcome, started);
    let result = result?;
    let text = if result.is_error {
        phrases::tool_error(session.language, name, &result.text)
    } else {
        phrases::tool_result(session.language, name, &result.text)
    };
    session
        .tool_call(ToolCall {
            name: name.to_owned(),
            arguments_json: Value::Object(found.arguments).to_string(),
            result_text: result.text,
            is_error: result.is_error,
        })
        .await?;
    session.say(text).await?;
    Ok(Done::extractive())
}
