//! All measurements of one program, one after the other, on an API server of its own.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use snafu::whatever;

use crate::Result;
use crate::cluster::{Cluster, LIMIT, changed, writes};
use crate::edits;
use crate::figures::{Figures, Memory, Restart, Stillness};
use crate::program::{Process, Program};
use crate::text::since;

/// How long nothing is changed from outside.
const STILL: Duration = Duration::from_secs(60);
/// How often passes are counted while they are waited for.
const POLL: Duration = Duration::from_millis(500);

/// Measures a program.
pub(crate) async fn measure(program: &Program, resources: usize) -> Result<Figures> {
    println!("== {}: {resources} resources", program.name());
    let cluster = Cluster::new().await?;
    let process = program.start(&cluster.server).await?;

    let before = cluster.requests().await?;
    let mut settling = Duration::ZERO;
    let mut memory = BTreeMap::new();
    let mut made = 0;
    for count in [1, 100, resources] {
        let begun = Instant::now();
        cluster.create(made..count).await?;
        cluster.settled(count, &process).await?;
        settling += begun.elapsed();
        cluster.quiet(&process).await?;
        tell(begun, &format!("{count} settled"), process.memory()?);
        memory.insert(count, process.memory()?);
        made = count;
    }
    let requests = since(&before, &cluster.requests().await?);
    let passes = process.passes().await?;
    let failures = process.failures();
    let children = cluster.versions().await?.len() - resources;

    let begun = Instant::now();
    let edits = edits::edit(&cluster.client, resources).await?;
    cluster.quiet(&process).await?;
    tell(begun, "edits", process.memory()?);

    let stillness = stillness(&cluster).await?;
    let before_ballast = process.memory()?;
    tell(begun, "stillness", before_ballast);

    cluster.add_ballast().await?;
    cluster.quiet(&process).await?;
    let with_ballast = process.memory()?;
    tell(begun, "50 MB of others", with_ballast);

    let restart = restart(program, &cluster, process, resources).await?;
    tell(begun, "restart", restart.memory);
    Ok(Figures {
        program: program.name(),
        resources,
        children,
        settle_seconds: settling.as_secs_f64(),
        passes: passes.all,
        failed_passes: passes.failed,
        failures,
        requests,
        memory,
        edits,
        stillness,
        before_ballast,
        with_ballast,
        restart,
    })
}

fn tell(begun: Instant, what: &str, memory: Memory) {
    println!(
        "  {:>6.1} s  {what}: {} MiB resident, {} MiB at most",
        begun.elapsed().as_secs_f64(),
        memory.resident >> 20,
        memory.peak >> 20
    );
}

async fn stillness(cluster: &Cluster) -> Result<Stillness> {
    let versions = cluster.versions().await?;
    let requests = cluster.requests().await?;
    tokio::time::sleep(STILL).await;
    let made = since(&requests, &cluster.requests().await?);
    let writes = writes(&made);
    Ok(Stillness {
        seconds: STILL.as_secs_f64(),
        changed: changed(&versions, &cluster.versions().await?),
        writes,
        reads: made.values().sum::<u64>() - writes,
    })
}

/// Kills the process, starts another one, and waits until it has looked at every resource and
/// sends nothing any more.
async fn restart(
    program: &Program,
    cluster: &Cluster,
    process: Process,
    resources: usize,
) -> Result<Restart> {
    process.end();
    let versions = cluster.versions().await?;
    let requests = cluster.requests().await?;
    let begun = Instant::now();
    let process = program.start(&cluster.server).await?;
    let wanted = u64::try_from(resources).unwrap_or(u64::MAX);
    loop {
        let passes = process.passes().await?.all;
        if passes >= wanted {
            break;
        }
        if begun.elapsed() > LIMIT {
            let log = process.log_tail();
            whatever!(
                "only {passes} of {resources} resources had a pass after the restart:\n{log}"
            );
        }
        // It also says whether the process is still there.
        process.memory()?;
        tokio::time::sleep(POLL).await;
    }
    cluster.quiet(&process).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let made = since(&requests, &cluster.requests().await?);
    let restart = Restart {
        seconds,
        changed: changed(&versions, &cluster.versions().await?),
        writes: writes(&made),
        memory: process.memory()?,
    };
    process.end();
    Ok(restart)
}
