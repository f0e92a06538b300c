//! The request of `POST /v1/embeddings`, checked, and the batches in which it goes to the model server.

use serde::Serialize;
use serde_json::Value;

use super::chat_request::model;
use super::fields::Fields;
use super::json_body;
use crate::failure::Failure;

/// Largest request body, in bytes: all inputs, with room for JSON's escapes.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// Most inputs of one request, as at OpenAI. Texts are bounded by the body together.
const MAX_INPUTS: usize = 2_048;
/// Inputs that the model server takes at a time.
const BATCH: usize = 256;
/// Longest text, in bytes.
const MAX_INPUT_BYTES: usize = 8 * 1024;
/// Most token numbers of an input, and of all together, as at OpenAI.
const MAX_INPUT_TOKENS: usize = 8_192;
const MAX_TOKENS: usize = 300_000;
/// No model makes longer vectors.
const MAX_DIMENSIONS: u32 = 65_536;
/// The parameters of OpenAI's API and no others. `user` is taken and passed over.
const PARAMETERS: [&str; 5] = ["dimensions", "encoding_format", "input", "model", "user"];

/// A checked request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingRequest {
    /// Model as named by the caller.
    pub model: String,
    /// What vectors are asked for.
    pub inputs: Inputs,
    /// Whether the caller sent one input, and no list of them.
    is_single: bool,
    /// How each vector is written.
    pub encoding_format: Encoding,
    /// Length of each vector that the caller insists on; whether the model makes such is its
    /// server's to say.
    pub dimensions: Option<u32>,
}

/// Inputs, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inputs {
    /// Texts, none of them empty.
    Texts(Vec<String>),
    /// Texts as numbers of OpenAI's tokens, none without any. The model server reads them.
    Tokens(Vec<Vec<u32>>),
}

impl Inputs {
    /// How many.
    pub fn count(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Tokens(lists) => lists.len(),
        }
    }
}

/// A part of a request. It serialises as what the model server takes.
#[derive(Debug, Serialize)]
pub struct Batch<'r> {
    model: &'r str,
    input: Part<'r>,
    encoding_format: Encoding,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
    /// Place of its first input in the request.
    #[serde(skip)]
    pub first: usize,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Part<'r> {
    Texts(&'r [String]),
    Tokens(&'r [Vec<u32>]),
}

impl Batch<'_> {
    /// How many inputs it has.
    pub fn count(&self) -> usize {
        match self.input {
            Part::Texts(texts) => texts.len(),
            Part::Tokens(lists) => lists.len(),
        }
    }
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
        let value = json_body::read_long(body, MAX_TOKENS + MAX_INPUTS)?;
        let fields = Fields::of(&value, "")?;
        fields.only(&PARAMETERS)?;
        let model = model(&fields)?;
        let (inputs, is_single) = inputs(&fields)?;
        Ok(Self {
            model,
            inputs,
            is_single,
            encoding_format: encoding(&fields)?,
            dimensions: fields.integer("dimensions", 1..=MAX_DIMENSIONS)?,
        })
    }

    /// What goes to the model server, one after the other.
    pub fn batches(&self) -> Vec<Batch<'_>> {
        let parts: Vec<Part<'_>> = match &self.inputs {
            Inputs::Texts(texts) => texts.chunks(BATCH).map(Part::Texts).collect(),
            Inputs::Tokens(lists) => lists.chunks(BATCH).map(Part::Tokens).collect(),
        };
        let batch = |(number, input)| Batch {
            model: &self.model,
            input,
            encoding_format: self.encoding_format,
            dimensions: self.dimensions,
            first: number * BATCH,
        };
        parts.into_iter().enumerate().map(batch).collect()
    }

    /// The field that the model server means with `param` in the batch that begins at `first`:
    /// `input[1][2]` is `input[257][2]` in the second one, and `input[2]` where one input was sent.
    pub fn field(&self, param: &str, first: usize) -> String {
        let within = param
            .strip_prefix("input[")
            .and_then(|it| it.split_once(']'));
        let Some((Ok(place), rest)) = within.map(|(place, rest)| (place.parse::<usize>(), rest))
        else {
            return param.to_owned();
        };
        if self.is_single {
            format!("input{rest}")
        } else {
            format!("input[{}]{rest}", first + place)
        }
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

/// The inputs, and whether it is a single one that was sent as such.
fn inputs(fields: &Fields<'_>) -> Result<(Inputs, bool), Failure> {
    match fields.required("input")? {
        one @ Value::String(_) => Ok((Inputs::Texts(vec![text("input", one)?]), true)),
        Value::Array(list) if matches!(list.first(), Some(Value::Number(_))) => {
            Ok((Inputs::Tokens(vec![tokens("input", list)?]), true))
        }
        Value::Array(list) if list.is_empty() || list.len() > MAX_INPUTS => {
            let message = format!(
                "input has {} entries; send 1 to {MAX_INPUTS} in one request, and the rest in others",
                list.len()
            );
            Err(fields.refuse("input", message))
        }
        Value::Array(list) if matches!(list.first(), Some(Value::Array(_))) => {
            Ok((Inputs::Tokens(token_lists(fields, list)?), false))
        }
        Value::Array(list) => {
            let texts = list.iter().enumerate();
            let texts = texts.map(|(place, value)| text(&format!("input[{place}]"), value));
            Ok((Inputs::Texts(texts.collect::<Result<_, _>>()?), false))
        }
        _ => {
            let message = "input must be a string, a list of strings, a list of token numbers or a \
                           list of such lists";
            Err(fields.refuse("input", message))
        }
    }
}

fn text(path: &str, value: &Value) -> Result<String, Failure> {
    let fault = match value {
        Value::String(text) if text.trim().is_empty() => "is empty; leave it out".to_owned(),
        Value::String(text) if text.len() > MAX_INPUT_BYTES => {
            let bytes = text.len();
            format!("has {bytes} bytes; send at most {MAX_INPUT_BYTES}, in parts if need be")
        }
        Value::String(text) if text.contains('\0') => "must not hold a NUL character".to_owned(),
        Value::String(text) => return Ok(text.clone()),
        _ => "must be a string".to_owned(),
    };
    Err(Failure::invalid(path, format!("{path} {fault}")))
}

fn token_lists(fields: &Fields<'_>, list: &[Value]) -> Result<Vec<Vec<u32>>, Failure> {
    let (mut lists, mut count) = (Vec::with_capacity(list.len()), 0);
    for (place, value) in list.iter().enumerate() {
        let path = format!("input[{place}]");
        let Value::Array(numbers) = value else {
            let message = format!("{path} must be a list of token numbers, as the first is");
            return Err(Failure::invalid(path, message));
        };
        count += numbers.len();
        if count > MAX_TOKENS {
            let message = format!(
                "input has more than {MAX_TOKENS} token numbers; send the rest in other requests"
            );
            return Err(fields.refuse("input", message));
        }
        lists.push(tokens(&path, numbers)?);
    }
    Ok(lists)
}

/// Which numbers there are is the model server's to say.
fn tokens(path: &str, numbers: &[Value]) -> Result<Vec<u32>, Failure> {
    if numbers.is_empty() || numbers.len() > MAX_INPUT_TOKENS {
        let count = numbers.len();
        let message = format!("{path} has {count} token numbers; send 1 to {MAX_INPUT_TOKENS}");
        return Err(Failure::invalid(path, message));
    }
    let number = |(place, value): (usize, &Value)| {
        let number = value.as_u64().and_then(|it| u32::try_from(it).ok());
        number.ok_or_else(|| {
            let path = format!("{path}[{place}]");
            let message = format!("{path} must be the number of a token");
            Failure::invalid(path, message)
        })
    };
    numbers.iter().enumerate().map(number).collect()
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
    #[case(json!({"input": vec!["a"; 2048]}), 2048)]
    #[case(json!({"input": [1, 2, 3]}), 1)]
    #[case(json!({"input": [[1, 2], [3]]}), 2)]
    #[case(json!({"input": [vec![100_276; 8192]]}), 1)]
    #[case(json!({"input": vec![[0]; 2048]}), 2048)]
    #[case(json!({"input": vec![vec![7; 6_000]; 50]}), 50)]
    #[case(json!({"input": "a".repeat(8192), "user": "u", "dimensions": null}), 1)]
    fn every_form_is_taken(#[case] body: Value, #[case] inputs: usize) {
        let request = parse(body).unwrap();
        assert_eq!(request.inputs.count(), inputs);
        assert_eq!(
            (request.encoding_format, request.dimensions),
            (Encoding::Float, None)
        );
    }

    #[test]
    fn what_is_sent_on_is_what_was_understood() {
        let body =
            json!({"input": "a", "encoding_format": "base64", "dimensions": 384, "user": "u"});
        let expected = json!({
            "model": "m", "input": ["a"], "encoding_format": "base64", "dimensions": 384,
        });
        assert_eq!(sent(&parse(body).unwrap()), [expected]);
        let sent_of = |input: Value| sent(&parse(json!({ "input": input })).unwrap());
        assert_eq!(sent_of(json!([1, 2]))[0]["input"], json!([[1, 2]]));
        assert_eq!(
            sent_of(json!([[1, 2], [3]]))[0]["input"],
            json!([[1, 2], [3]])
        );
    }

    fn sent(request: &EmbeddingRequest) -> Vec<Value> {
        let batches = request.batches();
        let batches = batches.iter().map(serde_json::to_value);
        batches.collect::<Result<_, _>>().unwrap()
    }

    #[rstest::rstest]
    #[case(256, &[(0, 256)])]
    #[case(257, &[(0, 256), (256, 1)])]
    #[case(2048, &[(0, 256), (256, 256), (512, 256), (768, 256), (1024, 256), (1280, 256), (1536, 256), (1792, 256)])]
    fn no_batch_is_larger_than_the_model_server_takes(
        #[case] inputs: usize,
        #[case] expected: &[(usize, usize)],
    ) {
        for input in [json!(vec!["a"; inputs]), json!(vec![[7]; inputs])] {
            let request = parse(json!({ "input": input })).unwrap();
            let batches = request.batches();
            let batches: Vec<_> = batches.iter().map(|it| (it.first, it.count())).collect();
            assert_eq!(batches, expected);
        }
    }

    #[rstest::rstest]
    #[case(json!([[1], [2]]), "input[1][2]", 256, "input[257][2]")]
    #[case(json!(["a", "b"]), "input[0]", 512, "input[512]")]
    #[case(json!([1, 2]), "input[0][1]", 0, "input[1]")]
    #[case(json!("a"), "input[0]", 0, "input")]
    #[case(json!("a"), "dimensions", 0, "dimensions")]
    #[case(json!(["a"]), "input[x]", 0, "input[x]")]
    fn a_field_is_named_as_the_caller_sent_it(
        #[case] input: Value,
        #[case] param: &str,
        #[case] first: usize,
        #[case] expected: &str,
    ) {
        let request = parse(json!({ "input": input })).unwrap();
        assert_eq!(request.field(param, first), expected);
    }

    #[rstest::rstest]
    #[case(json!({}), "input", "missing_required_parameter")]
    #[case(json!({"input": []}), "input", "invalid_value")]
    #[case(json!({"input": vec!["a"; 2049]}), "input", "invalid_value")]
    #[case(json!({"input": vec![[7]; 2049]}), "input", "invalid_value")]
    #[case(json!({"input": vec![7; 8193]}), "input", "invalid_value")]
    #[case(json!({"input": [[7], vec![7; 8193]]}), "input[1]", "invalid_value")]
    #[case(json!({"input": vec![vec![7; 6_001]; 50]}), "input", "invalid_value")]
    #[case(json!({"input": [[7], []]}), "input[1]", "invalid_value")]
    #[case(json!({"input": [1, "a"]}), "input[1]", "invalid_value")]
    #[case(json!({"input": ["a", 1]}), "input[1]", "invalid_value")]
    #[case(json!({"input": [[1], "a"]}), "input[1]", "invalid_value")]
    #[case(json!({"input": [[1], 2]}), "input[1]", "invalid_value")]
    #[case(json!({"input": [[1], [2, -1]]}), "input[1][1]", "invalid_value")]
    #[case(json!({"input": [[1.5]]}), "input[0][0]", "invalid_value")]
    #[case(json!({"input": [4_294_967_296_u64]}), "input[0]", "invalid_value")]
    #[case(json!({"input": ["a", " \n"]}), "input[1]", "invalid_value")]
    #[case(json!({"input": ""}), "input", "invalid_value")]
    #[case(json!({"input": "a".repeat(8193)}), "input", "invalid_value")]
    #[case(json!({"input": "a\0b"}), "input", "invalid_value")]
    #[case(json!({"input": {"text": "a"}}), "input", "invalid_value")]
    #[case(json!({"input": [null]}), "input[0]", "invalid_value")]
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
