//! What a good pass comes to, and when the next one begins.
//!
//! No client needed; infallible.

use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::controller::Action;
use lotoai_api::{LotoAIStatus, reasons};
use lotoai_plan::Judgement;
use rand::Rng;

/// Until the next look at a platform that changed just now.
const MIN_PAUSE: Duration = Duration::from_secs(10);
/// Until the next look at a platform that is as it should be.
const MAX_PAUSE: Duration = Duration::from_secs(400);

/// What a good pass comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// Everything was written that no gate holds back.
    Applied,
    /// The same, and the platform is not as it should be yet.
    Waiting {
        /// For how long nothing has changed.
        since: Duration,
        /// Until patience with something ends.
        due: Option<Duration>,
    },
    /// `spec.paused` is true.
    Paused,
    /// The resource is being deleted.
    Deleting,
}

impl Done {
    /// For metrics and traces.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Waiting { .. } => "waiting",
            Self::Paused => "paused",
            Self::Deleting => "deleting",
        }
    }

    /// What it comes to once it was judged.
    pub(crate) fn after(self, judgement: &Judgement, now: Timestamp) -> Self {
        match self {
            Self::Applied if !settled(&judgement.status) => Self::Waiting {
                since: unchanged(&judgement.status, now),
                due: judgement.due.map(|due| between(now, due)),
            },
            done => done,
        }
    }

    /// When to look again. Watches wake a platform earlier, but a watch can miss something, and
    /// some faults show by nothing but time.
    pub(crate) fn action(self) -> Action {
        // Spread, so that what was created together is not looked at together for ever.
        Action::requeue(self.pause(rand::rng().random_range(1.0..1.5)))
    }

    /// The time until the next look, so many times the least. A platform that has waited long is
    /// looked at as rarely as one that is ready: a thousand of them would keep the API server busy
    /// otherwise.
    fn pause(self, spread: f64) -> Duration {
        let (least, due) = match self {
            Self::Waiting { since, due } => ((since / 2).clamp(MIN_PAUSE, MAX_PAUSE), due),
            Self::Applied | Self::Paused | Self::Deleting => (MAX_PAUSE, None),
        };
        let pause = least.mul_f64(spread);
        due.map_or(pause, |due| pause.min(due))
    }
}

/// Ready, and nothing left to do.
fn settled(status: &LotoAIStatus) -> bool {
    let is = |type_| {
        status
            .condition(type_)
            .is_some_and(|condition| condition.status == "True")
    };
    is(reasons::READY) && !is(reasons::RECONCILING)
}

/// How long ago a condition last changed.
fn unchanged(status: &LotoAIStatus, now: Timestamp) -> Duration {
    let changes = status.conditions.iter();
    let newest = changes
        .map(|condition| condition.last_transition_time.0)
        .max();
    newest
        .map(|newest| between(newest, now))
        .unwrap_or_default()
}

/// Nothing where the second moment is not the later one.
fn between(first: Timestamp, second: Timestamp) -> Duration {
    Duration::try_from(second.duration_since(first)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
    use rstest::rstest;

    use super::*;

    /// Not ready, with conditions that changed at these seconds.
    fn judgement(transitions: &[i64], due: Option<i64>) -> Judgement {
        let conditions = transitions.iter().map(|second| Condition {
            type_: reasons::READY.to_owned(),
            status: "False".to_owned(),
            reason: "Progressing".to_owned(),
            message: String::new(),
            observed_generation: None,
            last_transition_time: Time(Timestamp::from_second(*second).unwrap()),
        });
        Judgement {
            status: LotoAIStatus {
                conditions: conditions.collect(),
                ..LotoAIStatus::default()
            },
            about: BTreeMap::new(),
            upgrading_to: None,
            due: due.map(|second| Timestamp::from_second(second).unwrap()),
        }
    }

    const fn waiting(since: u64, due: Option<u64>) -> Done {
        let due = match due {
            Some(due) => Some(Duration::from_secs(due)),
            None => None,
        };
        Done::Waiting {
            since: Duration::from_secs(since),
            due,
        }
    }

    #[rstest]
    #[case::no_condition(&[], None, waiting(0, None))]
    #[case::the_newest_counts(&[100, 940], None, waiting(60, None))]
    #[case::a_clock_that_runs_behind(&[1060], None, waiting(0, None))]
    #[case::patience_ends(&[940], Some(1030), waiting(60, Some(30)))]
    fn knows_what_is_waited_for(
        #[case] transitions: &[i64],
        #[case] due: Option<i64>,
        #[case] expected: Done,
    ) {
        let now = Timestamp::from_second(1000).unwrap();
        let judgement = judgement(transitions, due);
        assert_eq!(Done::Applied.after(&judgement, now), expected);
        assert_eq!(Done::Paused.after(&judgement, now), Done::Paused);
    }

    #[rstest]
    #[case::just_begun(waiting(0, None), 10)]
    #[case::for_a_minute(waiting(60, None), 30)]
    #[case::for_a_day(waiting(86_400, None), 400)]
    #[case::for_long_but_patience_ends(waiting(600, Some(120)), 120)]
    #[case::patience_ends_later(waiting(60, Some(120)), 30)]
    #[case::ready(Done::Applied, 400)]
    fn looks_again_the_later_the_longer_it_waits(#[case] done: Done, #[case] seconds: u64) {
        assert_eq!(done.pause(1.0), Duration::from_secs(seconds));
    }

    #[test]
    fn the_end_of_patience_is_not_spread() {
        let seconds = |done: Done| done.pause(1.5).as_secs();
        assert_eq!(seconds(waiting(600, Some(120))), 120);
        assert_eq!(seconds(waiting(600, None)), 450);
    }
}
