//! Functions that a caller declares and runs itself: as requests have them, and whether a
//! conversation with calls of them holds together.

use std::collections::HashSet;

use lotoai_contracts::v1::function_choice::Mode;
use lotoai_contracts::v1::{Function, FunctionCall, FunctionChoice, Functions, Message};
use serde_json::Value;

use super::fields::Fields;
use crate::failure::Failure;

/// Most functions of one request.
const MAX_FUNCTIONS: usize = 128;
/// Most calls of one message.
const MAX_CALLS: usize = 128;
/// Longest name of a function, in characters.
const MAX_NAME_CHARS: usize = 64;
/// Longest id of a call, in bytes.
const MAX_ID_BYTES: usize = 256;

/// The two ways in which OpenAI's APIs write the same functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Chat completions: what a function is stands under `function`.
    Nested,
    /// Responses: it stands beside `type`.
    Flat,
}

impl Dialect {
    /// Calls `read` with the fields of a function that stands in `fields`.
    fn inner<T>(
        self,
        fields: &Fields<'_>,
        read: impl FnOnce(&Fields<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        match self {
            Self::Flat => read(fields),
            Self::Nested => {
                let path = fields.path("function");
                read(&Fields::of(fields.required("function")?, &path)?)
            }
        }
    }
}

/// The functions of a request: `tools`, `tool_choice` and `parallel_tool_calls`. `None` when it
/// has none.
///
/// # Errors
/// 400 that names the field; tools that are no functions are `unsupported_parameter`.
pub fn of_request(fields: &Fields<'_>, dialect: Dialect) -> Result<Option<Functions>, Failure> {
    let tools = match fields.get("tools") {
        Some(_) => fields.list("tools")?.as_slice(),
        None => &[],
    };
    if tools.len() > MAX_FUNCTIONS {
        let message = format!("tools must hold at most {MAX_FUNCTIONS} functions");
        return Err(fields.refuse("tools", message));
    }
    let declared = tools.iter().enumerate().map(|(index, tool)| {
        let path = format!("{}[{index}]", fields.path("tools"));
        let tool = Fields::of(tool, &path)?;
        of_type_function(&tool, "type")?;
        dialect.inner(&tool, declaration)
    });
    let declared = declared.collect::<Result<Vec<_>, _>>()?;
    let choice = choice(fields, dialect, &declared)?;
    let parallel = fields.flag("parallel_tool_calls")?;
    Ok((!declared.is_empty()).then_some(Functions {
        declared,
        choice,
        parallel,
    }))
}

fn of_type_function(fields: &Fields<'_>, name: &str) -> Result<(), Failure> {
    fields.required(name)?;
    if fields.text(name)? == Some("function") {
        return Ok(());
    }
    let path = fields.path(name);
    let message = format!("{path} must be function: other tools are not run here");
    Err(Failure::unsupported(path, message))
}

fn declaration(fields: &Fields<'_>) -> Result<Function, Failure> {
    let parameters = fields.object("parameters")?;
    Ok(Function {
        name: name(fields)?,
        description: fields.text("description")?.unwrap_or_default().to_owned(),
        parameters_json: parameters
            .map(|it| Value::Object(it.clone()).to_string())
            .unwrap_or_default(),
        strict: fields.flag("strict")?,
    })
}

/// A name as providers take it, in the field `name`.
///
/// # Errors
/// 400 that names the field.
pub(super) fn name(fields: &Fields<'_>) -> Result<String, Failure> {
    fields.required("name")?;
    let name = fields.text("name")?.unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > MAX_NAME_CHARS || !name.chars().all(plain) {
        let path = fields.path("name");
        let message =
            format!("{path} must be 1 to {MAX_NAME_CHARS} letters of English, digits, - or _");
        return Err(fields.refuse("name", message));
    }
    Ok(name.to_owned())
}

fn choice(
    fields: &Fields<'_>,
    dialect: Dialect,
    declared: &[Function],
) -> Result<Option<FunctionChoice>, Failure> {
    let Some(value) = fields.get("tool_choice") else {
        return Ok(None);
    };
    let path = fields.path("tool_choice");
    let (mode, name) = match value {
        Value::String(word) => match word.as_str() {
            "auto" => (Mode::Auto, String::new()),
            "none" => (Mode::None, String::new()),
            "required" => (Mode::Required, String::new()),
            _ => {
                let message = format!("{path} must be auto, none, required or a function");
                return Err(Failure::invalid(path, message));
            }
        },
        _ => {
            let named = Fields::of(value, &path)?;
            of_type_function(&named, "type")?;
            (Mode::Named, dialect.inner(&named, self::name)?)
        }
    };
    if matches!(mode, Mode::Required) && declared.is_empty() {
        let message = format!("{path} needs a function: declare some in tools");
        return Err(Failure::invalid(path, message));
    }
    if matches!(mode, Mode::Named) && !declared.iter().any(|it| it.name == name) {
        let message = format!("{path} names {name:?}, which is not among tools");
        return Err(Failure::invalid(path, message));
    }
    Ok(Some(FunctionChoice {
        mode: mode.into(),
        name,
    }))
}

/// The calls of an assistant message of a chat: `tool_calls`.
///
/// # Errors
/// 400 that names the field.
pub fn of_message(fields: &Fields<'_>) -> Result<Vec<FunctionCall>, Failure> {
    if fields.get("tool_calls").is_none() {
        return Ok(Vec::new());
    }
    let calls = fields.list("tool_calls")?;
    if calls.len() > MAX_CALLS {
        let path = fields.path("tool_calls");
        let message = format!("{path} must hold at most {MAX_CALLS} calls");
        return Err(fields.refuse("tool_calls", message));
    }
    let calls = calls.iter().enumerate().map(|(index, call)| {
        let path = format!("{}[{index}]", fields.path("tool_calls"));
        let call = Fields::of(call, &path)?;
        of_type_function(&call, "type")?;
        let id = id(&call, "id")?;
        Dialect::Nested.inner(&call, |function| whole_call(id, function))
    });
    calls.collect()
}

/// A call whose name and arguments stand in `fields`.
///
/// # Errors
/// 400 that names the field.
pub fn whole_call(id: String, fields: &Fields<'_>) -> Result<FunctionCall, Failure> {
    fields.required("arguments")?;
    Ok(FunctionCall {
        id,
        name: name(fields)?,
        arguments_json: fields.text("arguments")?.unwrap_or_default().to_owned(),
    })
}

/// The id of a call, in the field `field`.
///
/// # Errors
/// 400 that names the field.
pub fn id(fields: &Fields<'_>, field: &str) -> Result<String, Failure> {
    fields.required(field)?;
    let id = fields.text(field)?.unwrap_or_default();
    if id.is_empty() || id.len() > MAX_ID_BYTES {
        let path = fields.path(field);
        let message = format!("{path} must be 1 to {MAX_ID_BYTES} bytes: the id that the call had");
        return Err(fields.refuse(field, message));
    }
    Ok(id.to_owned())
}

/// The ids that the results at the beginning of `messages` answer.
fn answered<'m>(messages: impl Iterator<Item = &'m Message>) -> HashSet<&'m str> {
    messages
        .map(|message| message.function_call_id.as_str())
        .take_while(|id| !id.is_empty())
        .collect()
}

/// What an answer may know of stored messages: calls with all of their results, and no others,
/// which no model takes. A request that brings no functions hears nothing of calls: it may be
/// answered by a model that knows none.
pub fn mended(history: Vec<Message>, sent: &[Message], brings_functions: bool) -> Vec<Message> {
    let whole = |at: usize, message: &Message| {
        let results = answered(history.iter().skip(at + 1).chain(sent));
        let mut calls = message.function_calls.iter();
        brings_functions && calls.all(|call| results.contains(call.id.as_str()))
    };
    let keeps: Vec<bool> = history
        .iter()
        .enumerate()
        .map(|(at, message)| message.function_calls.is_empty() || whole(at, message))
        .collect();
    let mut open: HashSet<String> = HashSet::new();
    let mut kept = Vec::new();
    for (mut message, keeps) in history.into_iter().zip(keeps) {
        if !message.function_call_id.is_empty() {
            if open.remove(&message.function_call_id) {
                kept.push(message);
            }
            continue;
        }
        open.clear();
        if !keeps {
            message.function_calls.clear();
        }
        open.extend(message.function_calls.iter().map(|call| call.id.clone()));
        if !message.content.is_empty() || !message.function_calls.is_empty() {
            kept.push(message);
        }
    }
    kept
}

/// Checks that every call has its result right after it, and every result its call before it.
///
/// # Errors
/// 400 that names `messages` and the id of the call.
pub fn check(messages: &[Message]) -> Result<(), Failure> {
    let refuse = |id: &str, fix: &str| {
        let shown: String = id.chars().take(MAX_NAME_CHARS).collect();
        Err(Failure::invalid(
            "messages",
            format!("the call {shown:?} {fix}"),
        ))
    };
    let mut open: HashSet<&str> = HashSet::new();
    for (at, message) in messages.iter().enumerate() {
        if !message.function_call_id.is_empty() {
            if !open.remove(message.function_call_id.as_str()) {
                let fix = "has a result, but the assistant message before that does not make it, \
                           or its result is there twice";
                return refuse(&message.function_call_id, fix);
            }
            continue;
        }
        let results = answered(messages[at + 1..].iter());
        for call in &message.function_calls {
            if !results.contains(call.id.as_str()) {
                let fix = "has no result: send one for each call right after the message with the \
                           calls";
                return refuse(&call.id, fix);
            }
        }
        open = message
            .function_calls
            .iter()
            .map(|it| it.id.as_str())
            .collect();
    }
    Ok(())
}

#[cfg(test)]
#[path = "functions_tests.rs"]
mod tests;
