//! The format that a caller wants its answer in. A model writes it; nobody here checks what it
//! wrote.

use lotoai_contracts::v1;
use tonic::Status;

use crate::schema::SchemaText;

/// What an answer is written as.
#[derive(Debug, Clone, PartialEq)]
pub enum Format {
    /// Any JSON object.
    Object,
    /// What a schema describes.
    Schema(Schema),
}

/// A schema of answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// What it is called.
    pub name: String,
    /// What it is for; empty = not said.
    pub description: String,
    /// JSON schema. The order of its properties is that in which a model writes them.
    pub schema: SchemaText,
    /// Must the answer follow it? `None` = as the provider has it.
    pub strict: Option<bool>,
}

/// Checks what a request asks for.
///
/// # Errors
/// A named schema is no JSON object.
pub fn of_wire(wire: v1::AnswerFormat) -> Result<Format, Status> {
    if wire.name.is_empty() {
        return Ok(Format::Object);
    }
    let schema = SchemaText::of(wire.schema_json).ok_or_else(|| {
        Status::invalid_argument(format!(
            "format.schema_json of {:?} is not a JSON object",
            wire.name
        ))
    })?;
    Ok(Format::Schema(Schema {
        name: wire.name,
        description: wire.description,
        schema,
        strict: wire.strict,
    }))
}
