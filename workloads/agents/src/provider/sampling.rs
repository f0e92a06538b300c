//! What models of each kind of provider can be held to of how they are to write.

use lotoai_contracts::v1::Sampling;

use crate::table::Kind;

/// The highest temperature of Anthropic's API; that of OpenAI's is 2.
const ANTHROPIC_HOTTEST: f32 = 1.0;

/// The first parameter that a model of this kind cannot be held to, as OpenAI's API names it. A
/// `seed` is none: that API promises no more than to try. Nor is `stop`, which is kept to here.
pub(super) fn beyond(
    kind: Kind,
    temperature: Option<f32>,
    sampling: &Sampling,
) -> Option<&'static str> {
    let is_anthropic = match kind {
        // Whoever speaks OpenAI's API is asked, and refuses by itself what a model has not.
        Kind::OpenAI | Kind::XAI | Kind::OpenAICompatible => return None,
        Kind::Anthropic => true,
        Kind::Local => false,
    };
    let penalises = |penalty: Option<f64>| is_anthropic && penalty.is_some_and(|it| it != 0.0);
    let is_hot = temperature.is_some_and(|it| it > ANTHROPIC_HOTTEST);
    // The words for what models without such a thing do anyway.
    let reasons = !matches!(sampling.reasoning_effort.as_str(), "" | "none");
    let is_told_how_long = !matches!(sampling.verbosity.as_str(), "" | "medium");
    let asked = [
        ("temperature", is_anthropic && is_hot),
        ("presence_penalty", penalises(sampling.presence_penalty)),
        ("frequency_penalty", penalises(sampling.frequency_penalty)),
        ("reasoning_effort", reasons),
        ("verbosity", is_told_how_long),
    ];
    let first = asked.into_iter().find(|(_, is_asked)| *is_asked);
    first.map(|(param, _)| param)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn penalties(presence: f64, frequency: f64) -> Sampling {
        Sampling {
            presence_penalty: Some(presence),
            frequency_penalty: Some(frequency),
            ..Sampling::default()
        }
    }

    fn words(effort: &str, verbosity: &str) -> Sampling {
        Sampling {
            reasoning_effort: effort.to_owned(),
            verbosity: verbosity.to_owned(),
            ..Sampling::default()
        }
    }

    fn drawn() -> Sampling {
        Sampling {
            stop: vec!["END".to_owned()],
            top_p: Some(0.5),
            seed: Some(7),
            ..Sampling::default()
        }
    }

    #[rstest]
    #[case::nothing(None, Sampling::default(), None, None)]
    #[case::drawn(None, drawn(), None, None)]
    #[case::warm(Some(1.0), Sampling::default(), None, None)]
    #[case::hot(Some(1.1), Sampling::default(), Some("temperature"), None)]
    #[case::no_penalties(None, penalties(0.0, 0.0), None, None)]
    #[case::presence(None, penalties(0.1, 0.0), Some("presence_penalty"), None)]
    #[case::frequency(None, penalties(0.0, -0.1), Some("frequency_penalty"), None)]
    #[case::as_it_is(None, words("none", "medium"), None, None)]
    #[case::effort(
        None,
        words("low", ""),
        Some("reasoning_effort"),
        Some("reasoning_effort")
    )]
    #[case::verbosity(None, words("", "low"), Some("verbosity"), Some("verbosity"))]
    fn what_a_kind_cannot_do_is_named(
        #[case] temperature: Option<f32>,
        #[case] sampling: Sampling,
        #[case] anthropic: Option<&str>,
        #[case] local: Option<&str>,
    ) {
        for kind in [Kind::OpenAI, Kind::XAI, Kind::OpenAICompatible] {
            assert_eq!(beyond(kind, temperature, &sampling), None, "{kind:?}");
        }
        assert_eq!(beyond(Kind::Anthropic, temperature, &sampling), anthropic);
        assert_eq!(beyond(Kind::Local, temperature, &sampling), local);
    }
}
