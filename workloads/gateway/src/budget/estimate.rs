//! How many tokens a question may take before anybody has counted, and what an answer took that
//! nobody counted. Every guess is on the high side.

use lotoai_contracts::failures;
use lotoai_contracts::v1::{AnswerFormat, Finished, Functions, Message};

use super::table::ModelName;

/// No common script takes more tokens than one for two bytes.
const BYTES_PER_TOKEN: usize = 2;
/// A token of OpenAI's models is seldom more than two of another model.
const TOKENS_PER_NUMBER: u64 = 2;
/// What a model's own marks around a message take.
const TOKENS_PER_MESSAGE: u64 = 8;
/// What the platform puts before a question: the prompt of the role, and passages from documents.
const TOKENS_OF_PLATFORM: u64 = 2_000;
/// What an answer may take when the caller names no `max_tokens`; the agents service's own default.
const DEFAULT_OUTPUT_TOKENS: u64 = 4_096;
/// The provider that the orchestrator names when no model wrote the answer.
const NO_PROVIDER: &str = "lotoai";
/// Failures after which a provider charges nothing, as long as it has written nothing.
const UNCHARGED: [&str; 7] = [
    failures::RATE_LIMITED,
    failures::PROVIDER_REFUSED,
    failures::PROVIDER_UNAVAILABLE,
    "model_not_found",
    "invalid_request",
    "duplicate_run",
    failures::UNSUPPORTED_PARAMETER,
];

/// Tokens of a question and its answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Read.
    pub input: u64,
    /// Written.
    pub output: u64,
}

/// What a question may take.
pub fn of_question(
    messages: &[Message],
    functions: Option<&Functions>,
    format: Option<&AnswerFormat>,
    max_tokens: Option<u32>,
) -> Tokens {
    let texts: u64 = messages
        .iter()
        .map(|message| of_bytes(message.text_bytes()) + TOKENS_PER_MESSAGE)
        .sum();
    let declared = functions.map_or(0, |functions| {
        of_bytes(functions.text_bytes()) + TOKENS_PER_MESSAGE * functions.declared.len() as u64
    });
    let described = format.map_or(0, |format| {
        of_bytes(format.text_bytes()) + TOKENS_PER_MESSAGE
    });
    Tokens {
        input: texts + declared + described + TOKENS_OF_PLATFORM,
        output: max_tokens.map_or(DEFAULT_OUTPUT_TOKENS, u64::from),
    }
}

/// What reading texts may take.
pub fn of_texts(texts: &[String]) -> Tokens {
    Tokens {
        input: texts
            .iter()
            .map(|text| of_bytes(text.len()) + TOKENS_PER_MESSAGE)
            .sum(),
        output: 0,
    }
}

/// What reading texts may take that are given as tokens of OpenAI's models.
pub fn of_token_lists(lists: &[Vec<u32>]) -> Tokens {
    Tokens {
        input: lists
            .iter()
            .map(|list| TOKENS_PER_NUMBER * list.len() as u64 + TOKENS_PER_MESSAGE)
            .sum(),
        output: 0,
    }
}

fn of_bytes(bytes: usize) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN) as u64
}

/// What an answer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// Its tokens.
    pub tokens: Tokens,
    /// The model that wrote it, where that is known.
    pub model: Option<ModelName>,
    /// Whether a model was asked at all: what was not asked costs nothing, whatever prices are.
    pub asked: bool,
    /// Whether any of the counts is a guess.
    pub estimated: bool,
}

/// How far an answer came.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// Its last event, if it had a good end.
    pub finished: Option<&'a Finished>,
    /// Whether a model may have been asked.
    pub may_have_asked: bool,
    /// Bytes that were written, of text and of arguments of functions.
    pub text_bytes: usize,
    /// `ok`, `cancelled` or the code of the failure.
    pub outcome: &'a str,
}

/// Measures an answer: by the counts that were reported, else by what was reserved and written. What a
/// model thinks, nobody sees and its provider charges: an answer without an end takes no less than was
/// reserved for it, or else who leaves before the first word would have that thinking for nothing.
pub fn of_answer(progress: Progress<'_>, reserved: Tokens) -> Measured {
    let nothing = Measured {
        tokens: Tokens::default(),
        model: None,
        asked: false,
        estimated: false,
    };
    let guess = Tokens {
        input: reserved.input,
        output: of_bytes(progress.text_bytes),
    };
    let Some(finished) = progress.finished else {
        let uncharged = progress.text_bytes == 0 && UNCHARGED.contains(&progress.outcome);
        if uncharged || !progress.may_have_asked {
            return nothing;
        }
        return Measured {
            tokens: Tokens {
                output: guess.output.max(reserved.output),
                ..guess
            },
            model: None,
            asked: true,
            estimated: true,
        };
    };
    let usage = finished.usage.unwrap_or_default();
    let model = Some(ModelName {
        provider: finished.provider.clone(),
        model: finished.model.clone(),
    });
    if finished.provider == NO_PROVIDER && usage.input_tokens.is_none() {
        return Measured { model, ..nothing };
    }
    Measured {
        tokens: Tokens {
            input: usage.input_tokens.unwrap_or(guess.input),
            output: usage.output_tokens.unwrap_or(guess.output),
        },
        model,
        asked: true,
        estimated: usage.input_tokens.is_none() || usage.output_tokens.is_none(),
    }
}

/// How much of some texts a model has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// So many tokens.
    Counted(u64),
    /// Nothing: it refused, or was never reached.
    Nothing,
    /// Nobody knows.
    Unknown,
}

/// Measures the reading of texts: by what was counted, else by what was reserved.
pub fn of_vectors(read: Read, model: ModelName, reserved: Tokens) -> Measured {
    let (input, asked, estimated) = match read {
        Read::Counted(input) => (input, true, false),
        Read::Nothing => (0, false, false),
        Read::Unknown => (reserved.input, true, true),
    };
    Measured {
        tokens: Tokens { input, output: 0 },
        model: Some(model),
        asked,
        estimated,
    }
}

#[cfg(test)]
mod tests {
    use lotoai_contracts::v1::{Function, FunctionCall, Usage};

    use super::*;

    const RESERVED: Tokens = Tokens {
        input: 2_010,
        output: 4_096,
    };

    fn finished(provider: &str, input: Option<u64>, output: Option<u64>) -> Finished {
        Finished {
            finish_reason: "stop".into(),
            usage: Some(Usage {
                input_tokens: input,
                output_tokens: output,
            }),
            model: "m".into(),
            provider: provider.into(),
        }
    }

    fn measure(
        finished: Option<&Finished>,
        may_have_asked: bool,
        bytes: usize,
        outcome: &str,
    ) -> Measured {
        let progress = Progress {
            finished,
            may_have_asked,
            text_bytes: bytes,
            outcome,
        };
        of_answer(progress, RESERVED)
    }

    #[test]
    fn a_question_is_guessed_on_the_high_side() {
        let message = |content: &str| Message {
            role: "user".into(),
            content: content.into(),
            ..Message::default()
        };
        let tokens = of_question(&[message("¿Cuántos?"), message("")], None, None, None);
        assert_eq!((tokens.input, tokens.output), (6 + 8 + 8 + 2_000, 4_096));
        assert_eq!(of_question(&[], None, None, Some(7)).output, 7);
    }

    #[test]
    fn functions_of_the_caller_are_read_too() {
        let call = FunctionCall {
            arguments_json: "1234567890".into(),
            ..FunctionCall::default()
        };
        let message = Message {
            function_calls: vec![call],
            ..Message::default()
        };
        let declared = Function {
            name: "weather".into(),
            parameters_json: "{}".into(),
            ..Function::default()
        };
        let functions = Functions {
            declared: vec![declared],
            ..Functions::default()
        };
        let tokens = of_question(&[message], Some(&functions), None, None);
        assert_eq!(tokens.input, 5 + 8 + 5 + 8 + 2_000);
    }

    #[test]
    fn the_schema_of_an_answer_is_read_too() {
        let format = AnswerFormat {
            name: "day".into(),
            schema_json: "{\"a\":1}".into(),
            ..AnswerFormat::default()
        };
        let tokens = of_question(&[], None, Some(&format), None);
        assert_eq!(tokens.input, 5 + 8 + 2_000);
    }

    #[test]
    fn texts_are_guessed_on_the_high_side_and_charged_as_counted() {
        let tokens = of_texts(&["¿Cuántos?".to_owned(), "a".to_owned()]);
        assert_eq!((tokens.input, tokens.output), (6 + 8 + 1 + 8, 0));
        let lists = of_token_lists(&[vec![15_339, 1_917], vec![0]]);
        assert_eq!((lists.input, lists.output), (4 + 8 + 2 + 8, 0));
        let model = || ModelName {
            provider: "local".into(),
            model: "m".into(),
        };
        let measure = |read| {
            let it = of_vectors(read, model(), tokens);
            (it.tokens.input, it.asked, it.estimated)
        };
        assert_eq!(measure(Read::Counted(5)), (5, true, false));
        assert_eq!(measure(Read::Unknown), (23, true, true));
        assert_eq!(measure(Read::Nothing), (0, false, false));
    }

    #[test]
    fn reported_counts_win() {
        let all = finished("openai", Some(12), Some(0));
        let measured = measure(Some(&all), true, 900, "ok");
        assert_eq!((measured.tokens.input, measured.tokens.output), (12, 0));
        assert!(measured.asked && !measured.estimated);
    }

    #[rstest::rstest]
    #[case(None, None, 2_010, 50)]
    #[case(Some(12), None, 12, 50)]
    #[case(None, Some(3), 2_010, 3)]
    fn what_is_not_reported_is_a_guess_and_says_so(
        #[case] input: Option<u64>,
        #[case] output: Option<u64>,
        #[case] read: u64,
        #[case] written: u64,
    ) {
        let part = finished("openai", input, output);
        let measured = measure(Some(&part), true, 99, "ok");
        assert_eq!(
            (measured.tokens.input, measured.tokens.output),
            (read, written)
        );
        assert!(measured.estimated);
    }

    #[test]
    fn no_model_was_asked_when_the_orchestrator_answers() {
        let extractive = finished("lotoai", None, None);
        let measured = measure(Some(&extractive), true, 99, "ok");
        assert_eq!(measured.tokens, Tokens::default());
        assert!(!measured.asked && !measured.estimated);
    }

    #[rstest::rstest]
    #[case(true, 100, "cancelled", 2_010, 4_096)]
    #[case(true, 9_001, "cancelled", 2_010, 4_501)]
    #[case(true, 0, "cancelled", 2_010, 4_096)]
    #[case(true, 0, "answer_timeout", 2_010, 4_096)]
    #[case(true, 5, "rate_limited", 2_010, 4_096)]
    #[case(true, 0, "rate_limited", 0, 0)]
    #[case(true, 5, "provider_unavailable", 2_010, 4_096)]
    #[case(true, 0, "provider_unavailable", 0, 0)]
    #[case(true, 0, "unsupported_parameter", 0, 0)]
    #[case(false, 0, "cancelled", 0, 0)]
    #[case(false, 99, "cancelled", 0, 0)]
    #[case(false, 0, "agents_unavailable", 0, 0)]
    #[case(true, 0, "agents_unavailable", 2_010, 4_096)]
    #[case(false, 0, "orchestrator_unavailable", 0, 0)]
    fn an_answer_without_an_end(
        #[case] may_have_asked: bool,
        #[case] bytes: usize,
        #[case] outcome: &str,
        #[case] read: u64,
        #[case] written: u64,
    ) {
        let measured = measure(None, may_have_asked, bytes, outcome);
        assert_eq!(
            (measured.tokens.input, measured.tokens.output),
            (read, written)
        );
        assert_eq!(measured.estimated, read > 0);
    }
}
