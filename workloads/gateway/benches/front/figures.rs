//! What is measured, and how it is put together from several rounds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::names::DIRECT;

/// A text that is older than this when it comes is late.
const LATE: Duration = Duration::from_millis(5);
/// An answer that comes later than this after it was due helps nobody.
pub(crate) const IN_TIME: Duration = Duration::from_secs(1);

/// Figures of one system in one round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    /// Requests for each second, as fast as it can.
    pub(crate) rate: f64,
    /// Time of half of them, in microseconds.
    pub(crate) p50: f64,
    /// Time that one of a hundred exceeds, in microseconds.
    pub(crate) p99: f64,
    /// Processor time of the system for each of them, in microseconds.
    pub(crate) cpu: f64,
    /// The same of the database; 0 where there is none.
    pub(crate) database: f64,
    /// At a fixed rate, where it does that.
    pub(crate) open: Option<Open>,
    /// Resident memory at the end, in bytes.
    pub(crate) memory: f64,
}

/// Figures at a fixed rate, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Open {
    /// Half are faster.
    pub(crate) p50: f64,
    /// One of a hundred is slower.
    pub(crate) p99: f64,
    /// Processor time for each request; `NaN` of what is not measured.
    pub(crate) cpu: f64,
}

/// Everything that a run found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Figures {
    /// The far side by itself: what the others add to.
    pub(crate) direct: Vec<Open>,
    /// Rounds of each system, by its name.
    pub(crate) systems: BTreeMap<&'static str, Vec<Round>>,
    /// Time to the first text, p99 in microseconds of each round, by the name of the system or
    /// of the far side.
    pub(crate) first_text: BTreeMap<&'static str, Vec<f64>>,
    /// Paced streams in each round, by the same names.
    pub(crate) streams: BTreeMap<&'static str, Vec<Streams>>,
    /// What came of asking more than our gateway with limits and storage can do, by the names of
    /// the systems.
    pub(crate) overload: BTreeMap<&'static str, Vec<Overload>>,
    /// From the start of the process to its readiness, in milliseconds.
    pub(crate) ready: f64,
    /// Resident memory before the first request, in bytes.
    pub(crate) idle: f64,
    /// Its image, packed, in bytes; `None` where that is not known.
    pub(crate) image: Option<f64>,
}

/// What came of the paced streams.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Streams {
    /// Texts that came.
    pub(crate) came: usize,
    /// Texts that did not.
    pub(crate) lost: usize,
    /// Texts that came late.
    pub(crate) late: usize,
    /// The oldest text, in microseconds.
    pub(crate) worst: f64,
    /// Memory for each stream, in bytes; `NaN` where no system is between.
    pub(crate) memory: f64,
}

impl Streams {
    /// Counts a text that was this old when it came.
    pub(crate) fn count(&mut self, age: Duration) {
        self.came += 1;
        self.late += usize::from(age > LATE);
        self.worst = self.worst.max(age.as_secs_f64() * 1e6);
    }

    /// Adds the texts that came of other streams.
    pub(crate) fn add(&mut self, other: &Self) {
        self.came += other.came;
        self.late += other.late;
        self.worst = self.worst.max(other.worst);
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With an answer, whenever it came.
    Answered,
    /// With 429 or 503 and word when to come again.
    Refused,
    /// In any other way, or it was not sent in time.
    Neither,
}

/// What became of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// When it was due.
    pub(crate) due: Instant,
    /// From then to its end.
    pub(crate) took: Duration,
    /// Its end.
    pub(crate) end: End,
}

/// What came of asking more than can be done, in one round.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Overload {
    /// Requests that were due each second.
    pub(crate) offered: f64,
    /// Answers each second that came [in time](IN_TIME).
    pub(crate) answered: f64,
    /// Of all requests that came to an end, the share that was refused.
    pub(crate) refused: f64,
    /// Time that one of a hundred answers exceeds, late ones too, in microseconds.
    pub(crate) p99: f64,
    /// The same of refusals.
    pub(crate) refusal_p99: f64,
    /// The same of answers while little is asked.
    pub(crate) quiet_p99: f64,
    /// The most memory that the process ever had, in bytes.
    pub(crate) memory: f64,
}

impl Overload {
    /// Counts what ended in `duration` after `fill`, in which the system takes on what it can hold;
    /// what was held at the end would count beyond what it does in that time. The rest of the fields
    /// is `NaN`.
    pub(crate) fn of(outcomes: &[Outcome], fill: Duration, duration: Duration) -> Self {
        let begun = outcomes.iter().map(|outcome| outcome.due).min();
        let counted: Vec<&Outcome> = outcomes
            .iter()
            .filter(|it| {
                let at = begun.map(|begun| it.due + it.took - begun);
                at.is_some_and(|at| at > fill && at <= fill + duration)
            })
            .collect();
        let times = |end: End| -> Vec<Duration> {
            let ended = counted.iter().filter(|it| it.end == end);
            ended.map(|it| it.took).collect()
        };
        let (answers, refusals) = (times(End::Answered), times(End::Refused));
        let in_time = answers.iter().filter(|took| **took <= IN_TIME).count();
        Self {
            offered: f64::NAN,
            answered: in_time as f64 / duration.as_secs_f64(),
            refused: refusals.len() as f64 / counted.len() as f64,
            p99: quantile(&answers, 0.99),
            refusal_p99: quantile(&refusals, 0.99),
            quiet_p99: f64::NAN,
            memory: f64::NAN,
        }
    }
}

/// The medians of a run; `NaN` of what was not measured.
impl Figures {
    pub(crate) fn of_system(&self, name: &str, of: fn(&Round) -> f64) -> f64 {
        median(self.systems.get(name).into_iter().flatten().map(of))
    }

    pub(crate) fn of_open(&self, name: &str, of: fn(&Open) -> f64) -> f64 {
        let rounds = self.systems.get(name).into_iter().flatten();
        median(rounds.filter_map(|round| round.open.as_ref()).map(of))
    }

    pub(crate) fn of_direct(&self, of: fn(&Open) -> f64) -> f64 {
        median(self.direct.iter().map(of))
    }

    /// Over the rounds in which a text came.
    pub(crate) fn of_streams(&self, name: &str, of: fn(&Streams) -> f64) -> f64 {
        let rounds = self.streams.get(name).into_iter().flatten();
        median(rounds.filter(|round| round.came > 0).map(of))
    }

    pub(crate) fn of_overload(&self, name: &str, of: fn(&Overload) -> f64) -> f64 {
        median(self.overload.get(name).into_iter().flatten().map(of))
    }

    /// Texts that did not come, of all rounds.
    pub(crate) fn lost(&self, name: &str) -> f64 {
        let sum = |rounds: &Vec<Streams>| rounds.iter().map(|round| round.lost as f64).sum::<f64>();
        self.streams.get(name).map_or(f64::NAN, sum)
    }

    /// Microseconds that a system adds to the p99 of the time to the first text.
    pub(crate) fn added_to_first_text(&self, name: &str) -> f64 {
        let p99 = |name: &str| self.first_text.get(name).into_iter().flatten();
        median(
            p99(name)
                .zip(p99(DIRECT))
                .map(|(through, direct)| through - direct),
        )
    }
}

/// The time that this share of the requests does not exceed, in microseconds; `NaN` of none.
pub(crate) fn quantile(times: &[Duration], share: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    // The nearest rank.
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    let time = sorted.get(rank.saturating_sub(1));
    time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
}

/// The middle of some values; `NaN` of none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    match (values.get(low), values.get(high)) {
        (Some(low), Some(high)) => f64::midpoint(*low, *high),
        _ => f64::NAN,
    }
}
