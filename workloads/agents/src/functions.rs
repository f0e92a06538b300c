//! Functions that a caller declares: a model may ask for them, the caller runs them.

use lotoai_contracts::v1::{self, function_choice::Mode};
use tonic::Status;

use crate::schema::SchemaText;

/// The most functions that one request may declare; vendors take 128.
const MAX_FUNCTIONS: usize = 128;

/// What is declared, and how it may be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Functions {
    /// At least one.
    pub declared: Vec<Function>,
    /// Whether the model asks for one.
    pub choice: Choice,
    /// May it ask for several at once? `None` = as the provider has it.
    pub parallel: Option<bool>,
}

/// One function.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// Name, as the model writes it.
    pub name: String,
    /// What it is for; empty = not said.
    pub description: String,
    /// JSON schema of its arguments; `None` = it takes none.
    pub parameters: Option<SchemaText>,
    /// Must the arguments follow the schema? `None` = as the provider has it.
    pub strict: Option<bool>,
}

/// Whether the model asks for a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// As the provider has it.
    Unspecified,
    /// As the model likes.
    Auto,
    /// It does not.
    None,
    /// It asks for at least one.
    Required,
    /// It asks for this one.
    Named(String),
}

/// A whole call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Identity, made by the model's provider.
    pub id: String,
    /// The function.
    pub name: String,
    /// Arguments as the model wrote them: mostly JSON, never checked.
    pub arguments: String,
}

/// A piece of a call while the model writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallPiece {
    /// Which call of the answer, from 0.
    pub index: u32,
    /// In the first piece of a call only.
    pub id: String,
    /// In the first piece of a call only.
    pub name: String,
    /// The next piece of the arguments.
    pub arguments: String,
}

/// Checks what a request declares; nothing declared is `None`.
///
/// # Errors
/// A function has no name or a schema that is no JSON object, there are too many, or the named one
/// is not among them.
pub fn of_wire(wire: Option<v1::Functions>) -> Result<Option<Functions>, Status> {
    let Some(wire) = wire.filter(|wire| !wire.declared.is_empty()) else {
        return Ok(None);
    };
    if wire.declared.len() > MAX_FUNCTIONS {
        return Err(Status::invalid_argument(format!(
            "functions has {} entries: send at most {MAX_FUNCTIONS}",
            wire.declared.len()
        )));
    }
    let choice = wire.choice.unwrap_or_default();
    let choice = match choice.mode() {
        Mode::Unspecified => Choice::Unspecified,
        Mode::Auto => Choice::Auto,
        Mode::None => Choice::None,
        Mode::Required => Choice::Required,
        Mode::Named => Choice::Named(choice.name),
    };
    if let Choice::Named(name) = &choice
        && !wire.declared.iter().any(|it| it.name == *name)
    {
        return Err(Status::invalid_argument(format!(
            "functions.choice names {name:?}, which is not declared"
        )));
    }
    let declared = wire.declared.into_iter().map(function);
    Ok(Some(Functions {
        declared: declared.collect::<Result<_, _>>()?,
        choice,
        parallel: wire.parallel,
    }))
}

fn function(wire: v1::Function) -> Result<Function, Status> {
    if wire.name.is_empty() {
        return Err(Status::invalid_argument(
            "functions.declared.name is empty: name every function",
        ));
    }
    let parameters = if wire.parameters_json.is_empty() {
        None
    } else {
        let schema = SchemaText::of(wire.parameters_json);
        Some(schema.ok_or_else(|| {
            Status::invalid_argument(format!(
                "functions.declared.parameters_json of {:?} is not a JSON object",
                wire.name
            ))
        })?)
    };
    Ok(Function {
        name: wire.name,
        description: wire.description,
        parameters,
        strict: wire.strict,
    })
}

impl From<v1::FunctionCall> for Call {
    fn from(wire: v1::FunctionCall) -> Self {
        Self {
            id: wire.id,
            name: wire.name,
            arguments: wire.arguments_json,
        }
    }
}

impl From<CallPiece> for v1::FunctionCallDelta {
    fn from(piece: CallPiece) -> Self {
        Self {
            index: piece.index,
            id: piece.id,
            name: piece.name,
            arguments: piece.arguments,
        }
    }
}
