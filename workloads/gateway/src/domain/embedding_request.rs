//! The request of `POST /v1/embeddings`, checked. It serialises as what the model server takes.

use serde::Serialize;
use serde_json::Value;

use super::chat_request::{json, model};
use super::fields::Fields;
use crate::failure::Failure;

/// Largest request body, in bytes: all inputs, with room for JSON's escapes.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// Most inputs of one request: what the model server takes at a time.
const MAX_INPUTS: usize = 256;
/// Longest input, in bytes.
const MAX_INPUT_BYTES: usize = 8 * 1024;
/// No model makes longer vectors.
const MAX_DIMENSIONS: u32 = 65_536;
/// The parameters of OpenAI's API and no others. `user` is taken and passed over.
const PARAMETERS: [&str; 5] = ["dimensions", "encoding_format", "input", "model", "user"];

/// A checked request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EmbeddingRequest {
    /// Model as named by the caller.
    pub model: String,
    /// Texts, none of them empty.
    #[serde(rename = "input")]
    pub inputs: Vec<String>,
    /// How each vector is written.
    pub encoding_format: Encoding,
    /// Length of each vector that the caller insists on; whether the model makes such is its
    /// server's to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
}

/// How a vector is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// A list of numbers.
    Float,
    /// Little-endian 32-bit floats in base64.
    Base64,
}

impl EmbeddingRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// 400 that names the field, or says where the JSON breaks.
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let value = json(body)?;
        let fields = Fields::of(&value, "")?;
        fields.only(&PARAMETERS)?;
        Ok(Self {
            model: model(&fields)?,
            inputs: inputs(&fields)?,
            encoding_format: encoding(&fields)?,
            dimensions: fields.integer("dimensions", 1..=MAX_DIMENSIONS)?,
        })
    }
}

fn encoding(fields: &Fields<'_>) -> Result<Encoding, Failure> {
    match fields.text("encoding_format")? {
        None | Some("float") => Ok(Encoding::Float),
        Some("base64") => Ok(Encoding::Base64),
        Some(_) => {
            let message = "encoding_format must be float or base64";
            Err(fields.refuse("encoding_format", message))
        }
    }
}

fn inputs(fields: &Fields<'_>) -> Result<Vec<String>, Failure> {
    match fields.required("input")? {
        one @ Value::String(_) => Ok(vec![input("input", one)?]),
        Value::Array(list) if list.is_empty() || list.len() > MAX_INPUTS => {
            let message = format!(
                "input has {} texts; send 1 to {MAX_INPUTS} in one request, and the rest in others",
                list.len()
            );
            Err(fields.refuse("input", message))
        }
        Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(place, value)| input(&format!("input[{place}]"), value))
            .collect(),
        _ => Err(fields.refuse("input", "input must be a string or a list of strings")),
    }
}

fn input(path: &str, value: &Value) -> Result<String, Failure> {
    let fault = match value {
        Value::String(text) if text.trim().is_empty() => "is empty; leave it out".to_owned(),
        Value::String(text) if text.len() > MAX_INPUT_BYTES => {
            let bytes = text.len();
            format!("has {bytes} bytes; send at most {MAX_INPUT_BYTES}, in parts if need be")
        }
        Value::String(text) if text.contains('\0') => "must not hold a NUL character".to_owned(),
        Value::String(text) => return Ok(text.clone()),
        Value::Number(_) | Value::Array(_) => {
            // Some clients cut texts into the tokens of another model before they send them.
            let mut failure = Failure::invalid(
                path,
                format!(
                    "{path} is no text: token numbers are those of another model; send strings \
                     (LangChain: check_embedding_ctx_length=False)"
                ),
            );
            failure.code = "unsupported_content".into();
            return Err(failure);
        }
        _ => "must be a string".to_owned(),
    };
    Err(Failure::invalid(path, format!("{path} {fault}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(mut body: Value) -> Result<EmbeddingRequest, Failure> {
        if body.get("model").is_none() {
            body["model"] = json!("m");
        }
        EmbeddingRequest::parse(body.to_string().as_bytes())
    }

    #[rstest::rstest]
    #[case(json!({"input": "a"}), 1)]
    #[case(json!({"input": ["a", "ñ"]}), 2)]
    #[case(json!({"input": vec!["a"; 256]}), 256)]
    #[case(json!({"input": "a".repeat(8192), "user": "u", "dimensions": null}), 1)]
    fn texts_are_taken(#[case] body: Value, #[case] inputs: usize) {
        let request = parse(body).unwrap();
        assert_eq!(request.inputs.len(), inputs);
        assert_eq!(
            (request.encoding_format, request.dimensions),
            (Encoding::Float, None)
        );
    }

    #[test]
    fn what_is_sent_on_is_what_was_understood() {
        let body =
            json!({"input": "a", "encoding_format": "base64", "dimensions": 384, "user": "u"});
        let sent = serde_json::to_value(parse(body).unwrap()).unwrap();
        let expected = json!({
            "model": "m", "input": ["a"], "encoding_format": "base64", "dimensions": 384,
        });
        assert_eq!(sent, expected);
    }

    #[rstest::rstest]
    #[case(json!({}), "input", "missing_required_parameter")]
    #[case(json!({"input": []}), "input", "invalid_value")]
    #[case(json!({"input": vec!["a"; 257]}), "input", "invalid_value")]
    #[case(json!({"input": ["a", " \n"]}), "input[1]", "invalid_value")]
    #[case(json!({"input": ""}), "input", "invalid_value")]
    #[case(json!({"input": "a".repeat(8193)}), "input", "invalid_value")]
    #[case(json!({"input": "a\0b"}), "input", "invalid_value")]
    #[case(json!({"input": {"text": "a"}}), "input", "invalid_value")]
    #[case(json!({"input": [null]}), "input[0]", "invalid_value")]
    #[case(json!({"input": [1, 2, 3]}), "input[0]", "unsupported_content")]
    #[case(json!({"input": [[1, 2], [3]]}), "input[0]", "unsupported_content")]
    #[case(json!({"input": "a", "encoding_format": "hex"}), "encoding_format", "invalid_value")]
    #[case(json!({"input": "a", "encoding_format": 1}), "encoding_format", "invalid_value")]
    #[case(json!({"input": "a", "dimensions": 0}), "dimensions", "invalid_value")]
    #[case(json!({"input": "a", "dimensions": "384"}), "dimensions", "invalid_value")]
    #[case(json!({"input": "a", "texts": []}), "texts", "unknown_parameter")]
    #[case(json!({"input": "a", "model": ""}), "model", "invalid_value")]
    fn what_is_wrong_is_named(#[case] body: Value, #[case] param: &str, #[case] code: &str) {
        let failure = parse(body).unwrap_err();
        assert_eq!(
            (failure.param.as_deref(), failure.code.as_ref()),
            (Some(param), code)
        );
    }

    #[test]
    fn a_refusal_repeats_no_text() {
        let failure = parse(json!({"input": "secret ".repeat(2_000)})).unwrap_err();
        assert!(!failure.message.contains("secret"), "{}", failure.message);
    }
}
