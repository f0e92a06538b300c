//! What is measured, and how it is put together from several rounds.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::Result;
use crate::driver::{self, Times};
use crate::systems::System;

/// Connections of the loop that asks as fast as it can.
const CONNECTIONS: usize = 16;
/// Connections that the open loop may use.
pub(crate) const OPEN_CONNECTIONS: usize = 128;
/// Requests for each second of the open loop.
pub(crate) const RATE: u32 = 1000;
/// A system that does not do this much more than that is not asked at that rate.
const MARGIN: f64 = 1.1;
/// What comes before times count.
const WARM: Duration = Duration::from_millis(500);

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
    /// At [`RATE`], where it does that.
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
    /// Time to the first text, p99 in microseconds: the far side, and through the gateway.
    pub(crate) first_text: Vec<(f64, f64)>,
    /// Streams through the gateway.
    pub(crate) streams: Streams,
    /// The same from the far side.
    pub(crate) direct_streams: Streams,
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
    /// Memory for each stream, in bytes.
    pub(crate) memory: f64,
}

/// Measures one system for one round.
pub(crate) async fn round(
    system: &System,
    database: Option<&crate::process::Process>,
    duration: Duration,
) -> Result<Round> {
    driver::closed(&system.target, CONNECTIONS, WARM).await?;
    let used = || -> Result<(Duration, Duration)> {
        let of_database = database.map_or(Ok(Duration::ZERO), crate::process::Process::cpu)?;
        Ok((system.process.cpu()?, of_database))
    };
    let before = used()?;
    let times = driver::closed(&system.target, CONNECTIONS, duration).await?;
    let after = used()?;
    let open = if times.rate() > MARGIN * f64::from(RATE) {
        let before = system.process.cpu()?;
        let open = at_rate(&system.target, duration).await?;
        let cpu = each(system.process.cpu()? - before, &open);
        Some(Open {
            p50: open.quantile(0.5),
            p99: open.quantile(0.99),
            cpu,
        })
    } else {
        None
    };
    Ok(Round {
        rate: times.rate(),
        p50: times.quantile(0.5),
        p99: times.quantile(0.99),
        cpu: each(after.0 - before.0, &times),
        database: each(after.1 - before.1, &times),
        open,
        memory: system.process.memory()? as f64,
    })
}

/// Measures the far side by itself.
pub(crate) async fn direct(target: &driver::Target, duration: Duration) -> Result<Open> {
    driver::closed(target, CONNECTIONS, WARM).await?;
    let times = at_rate(target, duration).await?;
    Ok(Open {
        p50: times.quantile(0.5),
        p99: times.quantile(0.99),
        cpu: f64::NAN,
    })
}

async fn at_rate(target: &driver::Target, duration: Duration) -> Result<Times> {
    driver::open(target, (OPEN_CONNECTIONS, RATE), duration, driver::whole).await
}

/// Microseconds for each request.
fn each(sum: Duration, times: &Times) -> f64 {
    sum.as_secs_f64() * 1e6 / times.all.len() as f64
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
