//! How the figures are measured.

use std::time::Duration;

use crate::Result;
use crate::driver::{self, Target};
use crate::figures::{Figures, Open, Round, Streams, quantile};
use crate::names::{DIRECT, ENVOY, PLAIN, TENSORZERO};
use crate::process::Process;
use crate::question::{PACED, PROMPT};
use crate::streams::{self, STREAMS};
use crate::systems::System;

/// Connections of the loop that asks as fast as it can.
const CONNECTIONS: usize = 16;
/// Connections that the open loop may use.
pub(crate) const OPEN_CONNECTIONS: usize = 128;
/// Requests for each second of the open loop.
const RATE: u32 = 1000;
/// A system that does not do this much more than that is not asked at that rate.
const MARGIN: f64 = 1.1;
/// Streams that begin each second while their first texts are timed.
const STREAM_RATE: u32 = 200;
/// What comes before times count.
const WARM: Duration = Duration::from_millis(500);
/// Systems whose first texts are timed; each makes a round longer by one measurement.
const TIMED: [&str; 2] = [PLAIN, ENVOY];
/// Systems that all paced streams are read through.
const STREAMED: [&str; 3] = [PLAIN, ENVOY, TENSORZERO];

/// Measures one system for one round.
pub(crate) async fn round(
    system: &System,
    database: Option<&Process>,
    duration: Duration,
) -> Result<Round> {
    driver::closed(&system.target, CONNECTIONS, WARM).await?;
    let used = || -> Result<(Duration, Duration)> {
        let of_database = database.map_or(Ok(Duration::ZERO), Process::cpu)?;
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
            p50: quantile(&open, 0.5),
            p99: quantile(&open, 0.99),
            cpu,
        })
    } else {
        None
    };
    Ok(Round {
        rate: times.rate(),
        p50: quantile(&times.all, 0.5),
        p99: quantile(&times.all, 0.99),
        cpu: each(after.0 - before.0, &times.all),
        database: each(after.1 - before.1, &times.all),
        open,
        memory: system.process.memory()? as f64,
    })
}

/// Measures the far side by itself.
pub(crate) async fn direct(target: &Target, duration: Duration) -> Result<Open> {
    driver::closed(target, CONNECTIONS, WARM).await?;
    let times = at_rate(target, duration).await?;
    Ok(Open {
        p50: quantile(&times, 0.5),
        p99: quantile(&times, 0.99),
        cpu: f64::NAN,
    })
}

async fn at_rate(target: &Target, duration: Duration) -> Result<Vec<Duration>> {
    driver::open(target, (OPEN_CONNECTIONS, RATE), duration, driver::whole).await
}

/// Microseconds for each request.
fn each(sum: Duration, times: &[Duration]) -> f64 {
    sum.as_secs_f64() * 1e6 / times.len() as f64
}

/// Times the first texts of streams for one round: of the far side by itself, and through the
/// systems.
pub(crate) async fn first_texts(
    direct: &Target,
    systems: &[System],
    duration: Duration,
    figures: &mut Figures,
) -> Result<()> {
    let timed = systems.iter().filter(|it| TIMED.contains(&it.name));
    let through = timed.map(|it| (it.name, &it.target));
    for (name, target) in [(DIRECT, direct)].into_iter().chain(through) {
        let target = target.streaming(PROMPT)?;
        let shape = (OPEN_CONNECTIONS, STREAM_RATE);
        let times = driver::open(&target, shape, duration, streams::first_text).await?;
        let p99 = quantile(&times, 0.99);
        figures.first_text.entry(name).or_default().push(p99);
    }
    Ok(())
}

/// Reads all paced streams in every round: of the far side by itself, and through one system after
/// the other.
pub(crate) async fn paced(
    direct: &Target,
    systems: &[System],
    rounds: u32,
    figures: &mut Figures,
) -> Result<()> {
    let Some(ours) = systems.first() else {
        return Ok(());
    };
    // With nothing between memory is nobody's. It is looked at all the same: looking takes time of
    // the driver, which makes texts late.
    let mut all = vec![(DIRECT, direct, &ours.process, f64::NAN)];
    for system in systems.iter().filter(|it| STREAMED.contains(&it.name)) {
        // Before the first of them: what a process took for one round it keeps for the next.
        let before = system.process.memory()? as f64;
        all.push((system.name, &system.target, &system.process, before));
    }
    for _ in 0..rounds {
        for &(name, target, process, before) in &all {
            let found = many(target, process, before).await?;
            println!(
                "  {name:<46} {:>6} late, {:>6} lost",
                found.late, found.lost
            );
            figures.streams.entry(name).or_default().push(found);
        }
    }
    Ok(())
}

/// All paced streams at a time; their memory is what the process has beyond `before`, in bytes.
async fn many(target: &Target, process: &Process, before: f64) -> Result<Streams> {
    let mut now = f64::NAN;
    let look = || now = process.memory().map_or(f64::NAN, |bytes| bytes as f64);
    let mut found = streams::many(&target.streaming(PACED)?, look).await?;
    found.memory = (now - before) / STREAMS as f64;
    Ok(found)
}
