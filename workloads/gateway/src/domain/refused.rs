//! Parameters of OpenAI's API that would change an answer and are not carried out here.
//!
//! A value that asks for nothing is taken, since many clients send those by themselves. Any other is
//! refused: an answer that passed it over would look like what was asked for.

use serde_json::Value;

use super::fields::Fields;
use crate::failure::Failure;

/// Most answers that OpenAI's API gives to one request.
const MAX_ANSWERS: u32 = 128;
/// Most alternatives that it gives for a token.
const MAX_ALTERNATIVES: u32 = 20;
/// What `include` calls the probabilities of tokens.
const LOGPROBS: &str = "message.output_text.logprobs";

/// A parameter that is not carried out.
pub struct Refused {
    /// As OpenAI's API names it.
    pub name: &'static str,
    /// Whether the field of that name asks for something.
    asks: fn(&Fields<'_>, &str) -> Result<bool, Failure>,
    /// Sentence for people: cause and fix.
    message: &'static str,
}

const fn refused(
    name: &'static str,
    asks: fn(&Fields<'_>, &str) -> Result<bool, Failure>,
    message: &'static str,
) -> Refused {
    Refused {
        name,
        asks,
        message,
    }
}

/// Those of chat completions.
pub const CHAT: &[Refused] = &[
    refused("audio", is_there, "audio is not made here: leave it out"),
    refused(
        "function_call",
        is_there,
        "function_call is the old form of tool_choice; send tool_choice",
    ),
    refused(
        "functions",
        is_there,
        "functions is the old form of tools; send tools",
    ),
    refused(
        "logit_bias",
        holds_something,
        "logit_bias is not passed on: the models of a role have tokens of their own; leave it out",
    ),
    refused(
        "logprobs",
        is_true,
        "logprobs must be false: the probabilities of tokens are not told",
    ),
    refused(
        "modalities",
        is_more_than_text,
        "modalities must be [\"text\"]: answers are text",
    ),
    refused(
        "n",
        is_not_one,
        "n must be 1: there is one answer to a request",
    ),
    refused("top_logprobs", is_not_zero, NO_ALTERNATIVES),
    refused(
        "web_search_options",
        is_there,
        "web_search_options is not carried out: nothing is searched on the web; leave it out",
    ),
];

/// Those of the Responses API.
pub const RESPONSES: &[Refused] = &[
    refused(
        "context_management",
        is_not_empty,
        "context_management is not carried out: a conversation that is too long loses its oldest \
         turns; leave it out",
    ),
    refused("image", is_there, "image is not made here: leave it out"),
    refused(
        "include",
        wants_logprobs,
        "include must not name message.output_text.logprobs: the probabilities of tokens are not \
         told",
    ),
    refused(
        "moderation",
        is_there,
        "moderation is not carried out here: leave it out",
    ),
    refused(
        "prompt",
        is_there,
        "prompt is not known here: prompts belong to agent roles; name one as model",
    ),
    refused("top_logprobs", is_not_zero, NO_ALTERNATIVES),
];

const NO_ALTERNATIVES: &str = "top_logprobs must be 0: the probabilities of tokens are not told";

/// Checks that a request asks for none of them.
///
/// # Errors
/// 400 `unsupported_parameter` that names the field; `invalid_value` for what is no value of it.
pub fn check(fields: &Fields<'_>, refused: &[Refused]) -> Result<(), Failure> {
    for parameter in refused {
        if (parameter.asks)(fields, parameter.name)? {
            return Err(Failure::unsupported(parameter.name, parameter.message));
        }
    }
    Ok(())
}

fn is_there(fields: &Fields<'_>, name: &str) -> Result<bool, Failure> {
    Ok(fields.get(name).is_some())
}

fn is_true(fields: &Fields<'_>, name: &str) -> Result<bool, Failure> {
    Ok(fields.flag(name)? == Some(true))
}

fn is_not_zero(fields: &Fields<'_>, name: &str) -> Result<bool, Failure> {
    let asked = fields.integer(name, 0..=MAX_ALTERNATIVES)?;
    Ok(asked.is_some_and(|it| it != 0))
}

fn is_not_one(fields: &Fields<'_>, name: &str) -> Result<bool, Failure> {
    let asked = fields.integer(name, 1..=MAX_ANSWERS)?;
    Ok(asked.is_some_and(|it| it != 1))
}

fn holds_something(fields: &Fields<'_>, name: &str) -> Result<bool, Failure> {
    Ok(fields.object(name)?.is_some_and(|it| !it.is_empty()))
}

fn list<'v>(fields: &Fields<'v>, name: &str) -> Result<&'v [Value], Failure> {
    match fields.get(name) {
        Some(_) => Ok(fields.list(name)?.as_slice()),
        None => Ok(&[]),
    }
}

fn is_not_empty(fields: &Fields<'_>, name: &str) -> Result<bool, Failure> {
    Ok(!list(fields, name)?.is_empty())
}

fn is_more_than_text(fields: &Fields<'_>, name: &str) -> Result<bool, Failure> {
    Ok(list(fields, name)?.iter().any(|it| it != "text"))
}

fn wants_logprobs(fields: &Fields<'_>, name: &str) -> Result<bool, Failure> {
    Ok(list(fields, name)?.iter().any(|it| it == LOGPROBS))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(refused: &[Refused], request: &Value) -> Result<(), Failure> {
        check(&Fields::of(request, "").unwrap(), refused)
    }

    #[rstest::rstest]
    #[case("audio", json!({"voice": "alloy", "format": "wav"}))]
    #[case("function_call", json!("auto"))]
    #[case("functions", json!([]))]
    #[case("logit_bias", json!({"50256": -100}))]
    #[case("logprobs", json!(true))]
    #[case("modalities", json!(["text", "audio"]))]
    #[case("n", json!(2))]
    #[case("n", json!(128))]
    #[case("top_logprobs", json!(1))]
    #[case("top_logprobs", json!(20))]
    #[case("web_search_options", json!({}))]
    fn what_a_chat_asks_for_in_vain_is_named(#[case] name: &str, #[case] value: Value) {
        let failure = checked(CHAT, &json!({name: value})).unwrap_err();
        assert_eq!(
            (failure.status.as_u16(), failure.code.as_ref()),
            (400, "unsupported_parameter")
        );
        assert_eq!(failure.param.as_deref(), Some(name));
        assert!(failure.message.starts_with(name), "{}", failure.message);
    }

    #[rstest::rstest]
    #[case("context_management", json!([{"type": "compaction"}]))]
    #[case("image", json!({}))]
    #[case("include", json!(["reasoning.encrypted_content", LOGPROBS]))]
    #[case("moderation", json!({}))]
    #[case("prompt", json!({"id": "p"}))]
    #[case("top_logprobs", json!(2))]
    fn what_a_response_asks_for_in_vain_is_named(#[case] name: &str, #[case] value: Value) {
        let failure = checked(RESPONSES, &json!({name: value})).unwrap_err();
        assert_eq!(failure.code, "unsupported_parameter");
        assert_eq!(failure.param.as_deref(), Some(name));
        assert!(failure.message.starts_with(name), "{}", failure.message);
    }

    #[test]
    fn what_clients_send_by_themselves_asks_for_nothing() {
        let chat = json!({
            "audio": null, "logit_bias": {}, "logprobs": false, "modalities": ["text"], "n": 1,
            "top_logprobs": 0, "web_search_options": null, "functions": null,
        });
        checked(CHAT, &chat).unwrap();
        let response = json!({
            "context_management": [], "prompt": null, "top_logprobs": 0,
            "include": ["reasoning.encrypted_content"],
        });
        checked(RESPONSES, &response).unwrap();
        for refused in [CHAT, RESPONSES] {
            checked(refused, &json!({})).unwrap();
        }
    }

    #[rstest::rstest]
    #[case("logit_bias", json!([]))]
    #[case("logprobs", json!(5))]
    #[case("modalities", json!("text"))]
    #[case("n", json!(0))]
    #[case("n", json!(129))]
    #[case("n", json!("1"))]
    #[case("top_logprobs", json!(21))]
    fn what_is_no_value_is_said_to_be_none(#[case] name: &str, #[case] value: Value) {
        let failure = checked(CHAT, &json!({name: value})).unwrap_err();
        assert_eq!(failure.code, "invalid_value");
        assert_eq!(failure.param.as_deref(), Some(name));
    }
}
