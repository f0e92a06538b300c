//! More is asked than our gateway with limits and storage can do: what is still answered in time, and
//! what becomes of the rest. Beside it Envoy is asked the same, which it can do: what it does not
//! answer in time either is the driver's fault.

use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::RETRY_AFTER;
use http_body_util::BodyExt as _;
use snafu::ResultExt as _;

use crate::Result;
use crate::driver::{self, ANSWER_LIMIT, Connection, Target};
use crate::figures::{End, Figures, IN_TIME, Outcome, Overload, quantile};
use crate::measure::OPEN_CONNECTIONS;
use crate::names::{ENVOY, FULL};
use crate::systems::System;

/// What is asked each second, to what was answered when every caller waited for an answer.
const FACTOR: f64 = 3.0;
/// The same while little is asked.
const QUIET: f64 = 0.25;
/// Callers that wait at a time. More than a gateway takes on, so that it has to refuse.
const CALLERS: usize = 1536;
/// After that a system holds as much as it ever does.
const FILL: Duration = IN_TIME;

/// Asks too much in every round.
pub(crate) async fn rounds(
    systems: &[System],
    rounds: u32,
    duration: Duration,
    figures: &mut Figures,
) -> Result<()> {
    let reached = figures.of_system(FULL, |it| it.rate);
    for _ in 0..rounds {
        for system in systems.iter().filter(|it| [FULL, ENVOY].contains(&it.name)) {
            let found = round(system, reached, duration).await?;
            println!(
                "  {:<46} {:>7.0}/s in time, {:>3.0} % refused",
                system.name,
                found.answered,
                found.refused * 100.0
            );
            figures.overload.entry(system.name).or_default().push(found);
        }
    }
    Ok(())
}

/// One system for one round; our gateway reached `reached` requests a second.
async fn round(system: &System, reached: f64, duration: Duration) -> Result<Overload> {
    let quiet = (OPEN_CONNECTIONS, (QUIET * reached) as u32);
    let quiet = driver::open(&system.target, quiet, duration, driver::whole).await?;
    let offered = (FACTOR * reached) as u32;
    let shape = (CALLERS, offered);
    let outcomes = driver::open(&system.target, shape, FILL + duration, ask).await?;
    Ok(Overload {
        offered: f64::from(offered),
        quiet_p99: quantile(&quiet, 0.99),
        memory: system.process.peak()? as f64,
        ..Overload::of(&outcomes, FILL, duration)
    })
}

/// Asks once and says what became of it, unless whoever asks has given up before a connection was
/// free. Fails where no connection can be opened.
async fn ask(connection: &mut Connection, target: &Target, due: Instant) -> Result<Outcome> {
    let end = if due.elapsed() > IN_TIME {
        End::Neither
    } else {
        if connection.is_closed() {
            *connection = Connection::open(target).await?;
        }
        let asked = tokio::time::timeout(ANSWER_LIMIT, ending(connection, target)).await;
        match asked {
            Ok(Ok(end)) => end,
            // It broke off or does not come: nothing more is said on this connection.
            Ok(Err(_)) | Err(_) => {
                *connection = Connection::open(target).await?;
                End::Neither
            }
        }
    };
    Ok(Outcome {
        due,
        took: due.elapsed(),
        end,
    })
}

/// Asks, and reads the answer to its end.
async fn ending(connection: &mut Connection, target: &Target) -> Result<End> {
    let response = connection.ask(target).await?;
    let (status, says_when) = (
        response.status(),
        response.headers().contains_key(RETRY_AFTER),
    );
    let body = response.into_body().collect().await;
    body.whatever_context("an answer broke off")?;
    Ok(match status {
        StatusCode::OK => End::Answered,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE if says_when => {
            End::Refused
        }
        _ => End::Neither,
    })
}
