//! `POST /v1/embeddings`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as FromState;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lotoai_kit::http_error::ApiError;
use lotoai_kit::json::Limited;
use serde::{Deserialize, Serialize};

use super::State;
use super::error::{from_engine, invalid, unknown_model};
use crate::engine::{DIMENSIONS, EMBEDDING_MODEL, Embedded};

/// Inputs of one request.
const MAX_INPUTS: usize = 256;
/// Bytes of one input.
const MAX_INPUT_BYTES: usize = 8 * 1024;
/// Bytes of the body: the inputs, with room for JSON's escapes.
const MAX_BODY: usize = 4 * 1024 * 1024;

#[derive(Debug, Deserialize)]
pub(super) struct Request {
    model: String,
    input: Input,
    #[serde(default)]
    encoding_format: Encoding,
    dimensions: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "input must be a string or an array of strings")]
enum Input {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Float,
    Base64,
}

impl Request {
    fn inputs(self) -> Result<(Vec<String>, Encoding), ApiError> {
        if self.model != EMBEDDING_MODEL {
            return Err(unknown_model(&self.model, EMBEDDING_MODEL));
        }
        if let Some(dimensions) = self.dimensions
            && dimensions != DIMENSIONS
        {
            let message = format!("dimensions is {dimensions}; this model makes {DIMENSIONS} only");
            return Err(invalid("dimensions", message));
        }
        let inputs = match self.input {
            Input::One(input) => vec![input],
            Input::Many(inputs) => inputs,
        };
        if inputs.is_empty() || inputs.len() > MAX_INPUTS {
            let message = format!(
                "input has {} texts; send 1 to {MAX_INPUTS} in one request",
                inputs.len()
            );
            return Err(invalid("input", message));
        }
        for (place, input) in inputs.iter().enumerate() {
            let fault = if input.trim().is_empty() {
                "is empty; leave it out".to_owned()
            } else if input.len() > MAX_INPUT_BYTES {
                format!("has {} bytes; send at most {MAX_INPUT_BYTES}", input.len())
            } else {
                continue;
            };
            return Err(invalid(
                format!("input[{place}]"),
                format!("input[{place}] {fault}"),
            ));
        }
        Ok((inputs, self.encoding_format))
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Response {
    object: &'static str,
    model: &'static str,
    data: Vec<Vector>,
    usage: Usage,
    /// Places of the inputs that were longer than the model's window, of which only the beginning
    /// was read. Not in OpenAI's API.
    truncated: Vec<usize>,
}

#[derive(Debug, Serialize)]
struct Vector {
    object: &'static str,
    index: usize,
    embedding: Numbers,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Numbers {
    Float(Vec<f32>),
    Base64(String),
}

#[derive(Debug, Serialize)]
struct Usage {
    prompt_tokens: usize,
    total_tokens: usize,
}

impl Response {
    fn new(embedded: Embedded, encoding: Encoding) -> Self {
        let vector = |(index, numbers): (usize, Vec<f32>)| Vector {
            object: "embedding",
            index,
            embedding: match encoding {
                Encoding::Float => Numbers::Float(numbers),
                Encoding::Base64 => Numbers::Base64(base64_of(&numbers)),
            },
        };
        Self {
            object: "list",
            model: EMBEDDING_MODEL,
            data: embedded
                .vectors
                .into_iter()
                .enumerate()
                .map(vector)
                .collect(),
            usage: Usage {
                prompt_tokens: embedded.tokens,
                total_tokens: embedded.tokens,
            },
            truncated: embedded.truncated,
        }
    }
}

/// Little-endian 32-bit floats, as OpenAI's clients read them.
fn base64_of(numbers: &[f32]) -> String {
    let bytes: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    STANDARD.encode(bytes)
}

pub(super) async fn create(
    FromState(state): FromState<Arc<State>>,
    Limited(request): Limited<Request, MAX_BODY>,
) -> Result<Json<Response>, ApiError> {
    let (inputs, encoding) = request.inputs()?;
    let embedded = state.embedder.embed(inputs).await.map_err(from_engine)?;
    Ok(Json(Response::new(embedded, encoding)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn parse(mut body: Value) -> Result<(Vec<String>, Encoding), ApiError> {
        body["model"] = body
            .get("model")
            .cloned()
            .unwrap_or_else(|| EMBEDDING_MODEL.into());
        serde_json::from_value::<Request>(body).unwrap().inputs()
    }

    #[rstest]
    #[case::one(json!({ "input": "a" }), 1)]
    #[case::several(json!({ "input": ["a", "b"] }), 2)]
    #[case::most(json!({ "input": vec!["a"; 256] }), 256)]
    #[case::longest(json!({ "input": "a".repeat(8192) }), 1)]
    #[case::dimensions(json!({ "input": "a", "dimensions": 384 }), 1)]
    #[case::unknown_field(json!({ "input": "a", "user": "u" }), 1)]
    fn good(#[case] body: Value, #[case] inputs: usize) {
        assert_eq!(parse(body).unwrap().0.len(), inputs);
    }

    #[rstest]
    #[case::none(json!({ "input": [] }), "input", "invalid_value")]
    #[case::too_many(json!({ "input": vec!["a"; 257] }), "input", "invalid_value")]
    #[case::empty(json!({ "input": ["a", " \n"] }), "input[1]", "invalid_value")]
    #[case::too_long(json!({ "input": "a".repeat(8193) }), "input[0]", "invalid_value")]
    #[case::dimensions(json!({ "input": "a", "dimensions": 256 }), "dimensions", "invalid_value")]
    #[case::model(json!({ "input": "a", "model": "ada" }), "model", "model_not_found")]
    fn bad(#[case] body: Value, #[case] param: &str, #[case] code: &str) {
        let error = parse(body).unwrap_err();
        assert_eq!((error.param(), error.code()), (Some(param), code));
    }

    #[rstest]
    #[case::tokens(json!({ "model": "m", "input": [1, 2] }))]
    #[case::missing(json!({ "model": "m" }))]
    #[case::encoding(json!({ "model": "m", "input": "a", "encoding_format": "hex" }))]
    fn malformed(#[case] body: Value) {
        assert!(serde_json::from_value::<Request>(body).is_err());
    }

    #[test]
    fn base64_holds_little_endian_floats() {
        assert_eq!(base64_of(&[1.0]), "AACAPw==");
    }
}
