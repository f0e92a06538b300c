//! Which calls of tools need the consent of the person who asked, and what exactly they consent to.

use lotoai_contracts::{
    arguments,
    tools::{APPROVAL, DECLARATION, SCRIPT, canonical, digest},
};
use rmcp::model::Tool;
use serde_json::{Map, Value, json};

/// How long a person has to decide, in hours.
pub const HOURS_TO_DECIDE: i32 = 24;
/// Most bytes of the arguments of one call; the tool server takes no more.
const MAX_ARGUMENT_BYTES: usize = 64 * 1024;
/// Faults of arguments that are named at most.
const MAX_FAULTS: usize = 10;

/// A call that may be made: it needs no consent, or has it. The client of the tool server takes
/// nothing else, and only this module makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Cleared {
    tool: String,
    arguments: Map<String, Value>,
    /// The approval, and the tool server's own digest of the declaration.
    consent: Option<(String, Option<Value>)>,
}

impl Cleared {
    /// Name of the tool.
    #[must_use]
    pub fn tool(&self) -> &str {
        &self.tool
    }

    /// What it is called with.
    #[must_use]
    pub fn arguments(&self) -> &Map<String, Value> {
        &self.arguments
    }

    /// Whether a person consented to it, and not only the declaration of the tool.
    #[must_use]
    pub const fn is_approved(&self) -> bool {
        self.consent.is_some()
    }

    /// What the tool server is told about the consent; `None` when there is none.
    #[must_use]
    pub fn meta(&self) -> Option<Map<String, Value>> {
        let (approval, declaration) = self.consent.as_ref()?;
        let mut meta = Map::new();
        meta.insert(APPROVAL.to_owned(), approval.clone().into());
        if let Some(declaration) = declaration {
            meta.insert(DECLARATION.to_owned(), declaration.clone());
        }
        Some(meta)
    }
}

/// What a person is asked to consent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Name of the tool.
    pub tool: String,
    /// What the tool does, as it declares it.
    pub description: String,
    /// The arguments, as the JSON text that is shown, digested and called.
    pub arguments_json: String,
    /// Digest of tool and arguments.
    pub digest: String,
    /// Digest of how the tool is declared.
    pub declaration: String,
}

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It may be made.
    Clear(Cleared),
    /// The person must consent first.
    Ask(Asked),
    /// It would need consent, but the tool does not take these arguments: why, one sentence each.
    Faulty(Vec<String>),
}

/// Does a call of this tool with these arguments need consent?
#[must_use]
pub fn judge(tool: &Tool, arguments: Map<String, Value>) -> Verdict {
    if !needs_consent(tool) {
        return Verdict::Clear(Cleared {
            tool: tool.name.to_string(),
            arguments,
            consent: None,
        });
    }
    let faults = faults(tool, &arguments);
    if !faults.is_empty() {
        return Verdict::Faulty(faults);
    }
    let arguments_json = canonical(Value::Object(arguments));
    Verdict::Ask(Asked {
        tool: tool.name.to_string(),
        description: tool.description.as_deref().unwrap_or_default().to_owned(),
        digest: call_digest(&tool.name, &arguments_json),
        declaration: declaration(tool),
        arguments_json,
    })
}

/// Whatever the tool server says there means that it asks for consent: a word that this version
/// does not know must not be taken for a no.
fn needs_consent(tool: &Tool) -> bool {
    stated(tool, APPROVAL).is_some()
}

fn stated<'a>(tool: &'a Tool, key: &str) -> Option<&'a Value> {
    tool.meta.as_ref().and_then(|meta| meta.get(key))
}

/// Digest of how a tool is declared: what the list shows of it, and the digest with which the
/// server stands for what the list does not show, such as the address that is called.
#[must_use]
pub fn declaration(tool: &Tool) -> String {
    digest(&canonical(json!({
        "name": tool.name,
        "description": tool.description,
        "inputSchema": tool.input_schema,
        "approval": stated(tool, APPROVAL),
        "declaration": stated(tool, DECLARATION),
    })))
}

fn call_digest(tool: &str, arguments_json: &str) -> String {
    digest(&format!("{tool}\n{arguments_json}"))
}

/// Arguments that a person approves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The arguments as JSON text.
    pub arguments_json: String,
    /// Digest of tool and arguments.
    pub digest: String,
    /// Names of the arguments that differ from what was asked, in order.
    pub changed: Vec<String>,
}

/// The arguments that are approved: those of the question, or the edited ones where there are some.
///
/// # Errors
/// The edited ones are no JSON object, or too large; the text continues "arguments ".
pub fn choose(asked: &Asked, edited: &str) -> Result<Chosen, String> {
    if edited.is_empty() {
        return Ok(Chosen {
            arguments_json: asked.arguments_json.clone(),
            digest: asked.digest.clone(),
            changed: Vec::new(),
        });
    }
    if edited.len() > MAX_ARGUMENT_BYTES {
        return Err(format!(
            "are larger than {MAX_ARGUMENT_BYTES} bytes: send less"
        ));
    }
    let edited: Map<String, Value> = serde_json::from_str(edited)
        .map_err(|_| "are no JSON object: send an object, or nothing to keep them".to_owned())?;
    let before: Map<String, Value> =
        serde_json::from_str(&asked.arguments_json).unwrap_or_default();
    let mut changed: Vec<String> = before
        .keys()
        .chain(edited.keys())
        .filter(|name| before.get(*name) != edited.get(*name))
        .cloned()
        .collect();
    changed.sort();
    changed.dedup();
    let arguments_json = canonical(Value::Object(edited));
    Ok(Chosen {
        digest: call_digest(&asked.tool, &arguments_json),
        arguments_json,
        changed,
    })
}

/// Why a call that somebody consented to cannot be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The tool is declared otherwise than when consent was asked for.
    Declaration,
    /// The arguments are not what was approved.
    Digest,
    /// The tool does not take the arguments: why, one sentence each.
    Arguments(Vec<String>),
}

/// The call that somebody consented to, if it is still that one. `approval` is the id of the
/// approval, `declared` the digest of the declaration when it was asked for.
///
/// # Errors
/// The tool has changed, or the arguments cannot be used.
pub fn clear(
    tool: &Tool,
    approval: &str,
    declared: &str,
    chosen: &Chosen,
) -> Result<Cleared, Refused> {
    if declaration(tool) != declared {
        return Err(Refused::Declaration);
    }
    if call_digest(&tool.name, &chosen.arguments_json) != chosen.digest {
        return Err(Refused::Digest);
    }
    let arguments: Map<String, Value> =
        serde_json::from_str(&chosen.arguments_json).map_err(|_| Refused::Digest)?;
    let faults = faults(tool, &arguments);
    if !faults.is_empty() {
        return Err(Refused::Arguments(faults));
    }
    Ok(Cleared {
        tool: tool.name.to_string(),
        arguments,
        consent: Some((approval.to_owned(), stated(tool, DECLARATION).cloned())),
    })
}

/// Why the tool does not take the arguments; empty = it does. The tool server looks at them, too;
/// a person must not be asked for what it would refuse.
fn faults(tool: &Tool, arguments: &Map<String, Value>) -> Vec<String> {
    let instance = Value::Object(arguments.clone());
    if instance.to_string().len() > MAX_ARGUMENT_BYTES {
        return vec![format!("more than {MAX_ARGUMENT_BYTES} bytes")];
    }
    let schema = Value::Object(Map::clone(&tool.input_schema));
    let Ok(validator) = jsonschema::validator_for(&schema) else {
        return vec!["the tool declares a schema that is none".to_owned()];
    };
    let is_script = stated(tool, SCRIPT).is_some();
    let by_name = arguments::fault(&tool.input_schema, arguments, is_script);
    let errors = validator.iter_errors(&instance).take(MAX_FAULTS);
    let by_schema = errors.map(|error| match error.instance_path().to_string() {
        path if path.is_empty() => error.to_string(),
        path => format!("{path}: {error}"),
    });
    by_name.into_iter().chain(by_schema).collect()
}

#[cfg(test)]
mod tests;
