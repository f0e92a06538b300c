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
use super::error::{failed, from_engine, invalid, unknown_model};
use super::tokens;
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
#[serde(
    untagged,
    expecting = "input must be a string, an array of strings, an array of token numbers or an array \
                 of such arrays"
)]
enum Input {
    One(String),
    Many(Vec<String>),
    Tokens(Vec<u32>),
    TokenLists(Vec<Vec<u32>>),
}

/// What vectors are asked for, checked.
#[derive(Debug)]
struct Inputs {
    texts: Vec<String>,
    /// Places of those that were cut.
    cut: Vec<usize>,
    encoding: Encoding,
}

impl Input {
    fn is_text(&self) -> bool {
        matches!(self, Self::One(_) | Self::Many(_))
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Float,
    Base64,
}

impl Request {
    /// The inputs as texts. The first token numbers take a moment: the vocabulary is read then.
    fn inputs(self) -> Result<Inputs, ApiError> {
        if self.model != EMBEDDING_MODEL {
            return Err(unknown_model(&self.model, EMBEDDING_MODEL));
        }
        if let Some(dimensions) = self.dimensions
            && dimensions != DIMENSIONS
        {
            let message = format!("dimensions is {dimensions}; this model makes {DIMENSIONS} only");
            return Err(invalid("dimensions", message));
        }
        let (texts, cut) = match self.input {
            Input::One(text) => (counted(vec![text])?, Vec::new()),
            Input::Many(texts) => (counted(texts)?, Vec::new()),
            Input::Tokens(numbers) => of_tokens(&[numbers], |_| "input".to_owned())?,
            Input::TokenLists(lists) => {
                of_tokens(&counted(lists)?, |place| format!("input[{place}]"))?
            }
        };
        for (place, input) in texts.iter().enumerate() {
            let fault = if input.trim().is_empty() {
                "is empty; leave it out".to_owned()
            } else if input.len() > MAX_INPUT_BYTES {
                format!("has {} bytes; send at most {MAX_INPUT_BYTES}", input.len())
            } else if input.contains('\0') {
                "must not hold a NUL character".to_owned()
            } else {
                continue;
            };
            return Err(invalid(
                format!("input[{place}]"),
                format!("input[{place}] {fault}"),
            ));
        }
        Ok(Inputs {
            texts,
            cut,
            encoding: self.encoding_format,
        })
    }
}

fn counted<T>(inputs: Vec<T>) -> Result<Vec<T>, ApiError> {
    if inputs.is_empty() || inputs.len() > MAX_INPUTS {
        let message = format!(
            "input has {} entries; send 1 to {MAX_INPUTS} in one request",
            inputs.len()
        );
        return Err(invalid("input", message));
    }
    Ok(inputs)
}

/// Texts of lists of token numbers, and the places of those that are cut because they are longer
/// than a text may be: more than the model reads in any case. `field` names a list by its place.
fn of_tokens(
    lists: &[Vec<u32>],
    field: impl Fn(usize) -> String,
) -> Result<(Vec<String>, Vec<usize>), ApiError> {
    let (mut texts, mut cut) = (Vec::with_capacity(lists.len()), Vec::new());
    for (place, numbers) in lists.iter().enumerate() {
        let mut text = tokens::text_of(numbers).map_err(|unknown| {
            let field = format!("{}[{}]", field(place), unknown.place);
            let number = unknown.number;
            let message = format!("{field} is {number}, which is no token of cl100k_base");
            invalid(field, message)
        })?;
        if text.len() > MAX_INPUT_BYTES {
            text.truncate(text.floor_char_boundary(MAX_INPUT_BYTES));
            cut.push(place);
        }
        texts.push(text);
    }
    Ok((texts, cut))
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
    fn new(embedded: Embedded, cut: Vec<usize>, encoding: Encoding) -> Self {
        let mut truncated = embedded.truncated;
        truncated.extend(cut);
        truncated.sort_unstable();
        truncated.dedup();
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
            truncated,
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
    let inputs = if request.input.is_text() {
        request.inputs()?
    } else {
        tokio::task::spawn_blocking(|| request.inputs())
            .await
            .map_err(failed)??
    };
    let embedded = state.embedder.embed(inputs.texts).await;
    let embedded = embedded.map_err(from_engine)?;
    Ok(Json(Response::new(embedded, inputs.cut, inputs.encoding)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn parse(mut body: Value) -> Result<Inputs, ApiError> {
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
    #[case::tokens(json!({ "input": [15339, 1917] }), 1)]
    #[case::token_lists(json!({ "input": [[15339], [1917]] }), 2)]
    #[case::most_token_lists(json!({ "input": vec![[0]; 256] }), 256)]
    fn good(#[case] body: Value, #[case] inputs: usize) {
        assert_eq!(parse(body).unwrap().texts.len(), inputs);
    }

    #[rstest]
    #[case::none(json!({ "input": [] }), "input", "invalid_value")]
    #[case::too_many(json!({ "input": vec!["a"; 257] }), "input", "invalid_value")]
    #[case::too_many_lists(json!({ "input": vec![[0]; 257] }), "input", "invalid_value")]
    #[case::no_token(json!({ "input": [15339, 100_256] }), "input[1]", "invalid_value")]
    #[case::no_token_of_list(json!({ "input": [[0], [0, 100_277]] }), "input[1][1]", "invalid_value")]
    #[case::tokens_of_nothing(json!({ "input": [[0], []] }), "input[1]", "invalid_value")]
    #[case::tokens_of_blanks(json!({ "input": [[0], [220, 198]] }), "input[1]", "invalid_value")]
    #[case::tokens_of_nul(json!({ "input": [[188]] }), "input[0]", "invalid_value")]
    #[case::nul(json!({ "input": "a\0" }), "input[0]", "invalid_value")]
    #[case::empty(json!({ "input": ["a", " \n"] }), "input[1]", "invalid_value")]
    #[case::too_long(json!({ "input": "a".repeat(8193) }), "input[0]", "invalid_value")]
    #[case::dimensions(json!({ "input": "a", "dimensions": 256 }), "dimensions", "invalid_value")]
    #[case::model(json!({ "input": "a", "model": "ada" }), "model", "model_not_found")]
    fn bad(#[case] body: Value, #[case] param: &str, #[case] code: &str) {
        let error = parse(body).unwrap_err();
        assert_eq!((error.param(), error.code()), (Some(param), code));
    }

    #[rstest]
    #[case::mixed(json!({ "model": "m", "input": ["a", 1] }))]
    #[case::negative(json!({ "model": "m", "input": [1, -2] }))]
    #[case::part_of_a_token(json!({ "model": "m", "input": [[1.5]] }))]
    #[case::missing(json!({ "model": "m" }))]
    #[case::encoding(json!({ "model": "m", "input": "a", "encoding_format": "hex" }))]
    fn malformed(#[case] body: Value) {
        assert!(serde_json::from_value::<Request>(body).is_err());
    }

    #[test]
    fn tokens_of_a_long_text_are_cut_and_said_to_be() {
        // " hello", 2,000 times, is 12,000 bytes.
        let inputs = parse(json!({ "input": [[15339], vec![24748; 2_000]] })).unwrap();
        let sizes: Vec<_> = inputs.texts.iter().map(String::len).collect();
        assert_eq!((sizes, inputs.cut.as_slice()), (vec![5, 8_192], &[1][..]));
        let embedded = Embedded {
            vectors: vec![vec![1.0], vec![1.0]],
            tokens: 9,
            truncated: vec![1],
        };
        let response = Response::new(embedded, inputs.cut, inputs.encoding);
        assert_eq!(response.truncated, [1]);
        assert_eq!(response.usage.total_tokens, 9);
    }

    #[test]
    fn base64_holds_little_endian_floats() {
        assert_eq!(base64_of(&[1.0]), "AACAPw==");
    }
}
