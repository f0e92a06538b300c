//! How a model is to write its answer: the parameters that are passed on to it.

use lotoai_contracts::v1::Sampling;
use lotoai_kit::stops::{MAX_STOP_BYTES, MAX_STOPS};
use serde_json::Value;

use super::fields::Fields;
use crate::failure::Failure;

/// Words for how long a model thinks before it answers.
const EFFORTS: [&str; 6] = ["none", "minimal", "low", "medium", "high", "xhigh"];
/// Words for how much it says.
const VERBOSITIES: [&str; 3] = ["low", "medium", "high"];

/// What a request of chat completions asks for.
///
/// # Errors
/// 400 that names the field.
pub fn of_chat(fields: &Fields<'_>) -> Result<Sampling, Failure> {
    Ok(Sampling {
        stop: stops(fields)?,
        top_p: fields.number("top_p", 0.0..=1.0)?,
        seed: fields.count("seed", i64::MIN..=i64::MAX)?,
        presence_penalty: fields.number("presence_penalty", -2.0..=2.0)?,
        frequency_penalty: fields.number("frequency_penalty", -2.0..=2.0)?,
        reasoning_effort: word(fields, "reasoning_effort", &EFFORTS)?,
        verbosity: word(fields, "verbosity", &VERBOSITIES)?,
    })
}

/// What a request of the Responses API asks for, which has fewer parameters and two elsewhere.
///
/// # Errors
/// 400 that names the field.
pub fn of_response(fields: &Fields<'_>) -> Result<Sampling, Failure> {
    let within = |object: &str, name: &str, words: &[&str]| match fields.get(object) {
        Some(value) => word(&Fields::of(value, object)?, name, words),
        None => Ok(String::new()),
    };
    Ok(Sampling {
        top_p: fields.number("top_p", 0.0..=1.0)?,
        reasoning_effort: within("reasoning", "effort", &EFFORTS)?,
        verbosity: within("text", "verbosity", &VERBOSITIES)?,
        ..Sampling::default()
    })
}

/// One stop sequence, or a list of some.
fn stops(fields: &Fields<'_>) -> Result<Vec<String>, Failure> {
    let path = fields.path("stop");
    let given: Vec<(String, &Value)> = match fields.get("stop") {
        None => Vec::new(),
        Some(Value::Array(list)) => list
            .iter()
            .enumerate()
            .map(|(at, value)| (format!("{path}[{at}]"), value))
            .collect(),
        Some(one) => vec![(path, one)],
    };
    if given.len() > MAX_STOPS {
        let message = format!("stop must hold at most {MAX_STOPS} strings");
        return Err(fields.refuse("stop", message));
    }
    given
        .into_iter()
        .map(|(path, value)| match value.as_str() {
            Some(stop) if (1..=MAX_STOP_BYTES).contains(&stop.len()) && !stop.contains('\0') => {
                Ok(stop.to_owned())
            }
            _ => {
                let message = format!(
                    "{path} must be a string of 1 to {MAX_STOP_BYTES} bytes without NUL \
                     characters; stop is one of those, or a list of at most {MAX_STOPS}"
                );
                Err(Failure::invalid(path, message))
            }
        })
        .collect()
}

/// One of `words`; empty where the request has none.
fn word(fields: &Fields<'_>, name: &str, words: &[&str]) -> Result<String, Failure> {
    let word = fields.text(name)?.unwrap_or_default();
    if fields.get(name).is_none() || words.contains(&word) {
        return Ok(word.to_owned());
    }
    let message = format!("{} must be one of {}", fields.path(name), words.join(", "));
    Err(fields.refuse(name, message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chat(request: Value) -> Result<Sampling, Failure> {
        of_chat(&Fields::of(&request, "").unwrap())
    }

    fn response(request: Value) -> Result<Sampling, Failure> {
        of_response(&Fields::of(&request, "").unwrap())
    }

    #[test]
    fn both_apis_say_the_same_in_their_words() {
        let asked = chat(json!({
            "stop": ["END", "\n\n"], "top_p": 0.9, "seed": -7, "presence_penalty": 2,
            "frequency_penalty": -2, "reasoning_effort": "low", "verbosity": "high",
        }));
        let asked = asked.unwrap();
        let expected = Sampling {
            stop: vec!["END".into(), "\n\n".into()],
            top_p: Some(0.9),
            seed: Some(-7),
            presence_penalty: Some(2.0),
            frequency_penalty: Some(-2.0),
            reasoning_effort: "low".into(),
            verbosity: "high".into(),
        };
        assert_eq!(asked, expected);
        let answered = response(json!({
            "top_p": 0.9, "reasoning": {"effort": "low", "summary": "auto"},
            "text": {"verbosity": "high"},
        }));
        let expected = Sampling {
            stop: Vec::new(),
            seed: None,
            presence_penalty: None,
            frequency_penalty: None,
            ..expected
        };
        assert_eq!(answered.unwrap(), expected);
    }

    #[test]
    fn what_is_not_asked_for_is_not_there() {
        for read in [chat, response] {
            assert_eq!(read(json!({})).unwrap(), Sampling::default());
            let nulls = json!({
                "stop": null, "top_p": null, "seed": null, "presence_penalty": null,
                "frequency_penalty": null, "reasoning_effort": null, "verbosity": null,
                "reasoning": {"effort": null}, "text": {"verbosity": null},
            });
            assert_eq!(read(nulls).unwrap(), Sampling::default());
        }
        assert_eq!(chat(json!({"stop": []})).unwrap(), Sampling::default());
        let response = response(json!({"reasoning": null, "text": {}}));
        assert_eq!(response.unwrap(), Sampling::default());
    }

    #[rstest::rstest]
    #[case("stop", json!("x"))]
    #[case("stop", json!("x".repeat(256)))]
    #[case("stop", json!(["a", "b", "c", "d"]))]
    #[case("top_p", json!(0))]
    #[case("top_p", json!(1))]
    #[case("seed", json!(i64::MIN))]
    #[case("seed", json!(i64::MAX))]
    #[case("presence_penalty", json!(-2))]
    #[case("presence_penalty", json!(2))]
    #[case("frequency_penalty", json!(-2.0))]
    #[case("frequency_penalty", json!(2.0))]
    #[case("reasoning_effort", json!("none"))]
    #[case("reasoning_effort", json!("xhigh"))]
    #[case("verbosity", json!("low"))]
    fn the_bounds_themselves_are_taken(#[case] name: &str, #[case] value: Value) {
        let asked = chat(json!({name: value})).unwrap();
        assert_ne!(asked, Sampling::default(), "{name}");
    }

    #[rstest::rstest]
    #[case("stop", json!(""), "stop", "1 to 256 bytes")]
    #[case("stop", json!(5), "stop", "a list of at most 4")]
    #[case("stop", json!({}), "stop", "a string")]
    #[case("stop", json!("x".repeat(257)), "stop", "1 to 256 bytes")]
    #[case("stop", json!("ñ".repeat(129)), "stop", "1 to 256 bytes")]
    #[case("stop", json!("a\u{0}"), "stop", "NUL")]
    #[case("stop", json!(["a", ""]), "stop[1]", "1 to 256 bytes")]
    #[case("stop", json!(["a", null]), "stop[1]", "a string")]
    #[case("stop", json!(["a", "b", "c", "d", "e"]), "stop", "at most 4")]
    #[case("top_p", json!(-0.1), "top_p", "a number from 0 to 1")]
    #[case("top_p", json!(1.1), "top_p", "a number from 0 to 1")]
    #[case("top_p", json!("1"), "top_p", "a number from 0 to 1")]
    #[case("seed", json!(1.5), "seed", "an integer")]
    #[case("seed", json!(u64::MAX), "seed", "an integer")]
    #[case("seed", json!("7"), "seed", "an integer")]
    #[case("presence_penalty", json!(2.1), "presence_penalty", "a number from -2 to 2")]
    #[case("presence_penalty", json!(-2.1), "presence_penalty", "a number from -2 to 2")]
    #[case("frequency_penalty", json!(2.1), "frequency_penalty", "a number from -2 to 2")]
    #[case("frequency_penalty", json!(true), "frequency_penalty", "a number from -2 to 2")]
    #[case("reasoning_effort", json!("huge"), "reasoning_effort", "minimal, low")]
    #[case("reasoning_effort", json!(""), "reasoning_effort", "minimal, low")]
    #[case("reasoning_effort", json!(1), "reasoning_effort", "a string")]
    #[case("verbosity", json!("none"), "verbosity", "low, medium, high")]
    fn what_is_out_of_bounds_is_named(
        #[case] name: &str,
        #[case] value: Value,
        #[case] param: &str,
        #[case] said: &str,
    ) {
        let failure = chat(json!({name: value})).unwrap_err();
        assert_eq!(
            (failure.status.as_u16(), failure.code.as_ref()),
            (400, "invalid_value")
        );
        assert_eq!(failure.param.as_deref(), Some(param));
        assert!(failure.message.contains(said), "{}", failure.message);
    }

    #[rstest::rstest]
    #[case(json!({"reasoning": "low"}), "reasoning")]
    #[case(json!({"reasoning": {"effort": "huge"}}), "reasoning.effort")]
    #[case(json!({"text": {"verbosity": 1}}), "text.verbosity")]
    #[case(json!({"top_p": 2}), "top_p")]
    fn a_field_of_a_response_is_named_by_its_path(#[case] request: Value, #[case] param: &str) {
        let failure = response(request).unwrap_err();
        assert_eq!(failure.param.as_deref(), Some(param));
    }
}
