//! What is measured, and how it is put together from several rounds.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

/// A text that is older than this when it comes is late.
const LATE: Duration = Duration::from_millis(5);

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
