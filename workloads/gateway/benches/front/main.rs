//! `make bench-gateway`: the gateway beside those of others, in one run on two cores: what is
//! measured on the first, everything else on the second. docs/performance.md says what is measured
//! and how to read it.
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

mod broker;
mod driver;
#[cfg(test)]
#[path = "../../tests/processes/environment.rs"]
mod environment;
mod failure;
mod figures;
mod goals;
mod image;
#[cfg(test)]
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../src/tests/keys.rs"]
mod keys;
mod least;
#[path = "../../src/tests/postgres/machine.rs"]
mod machine;
mod measure;
mod mock;
mod names;
mod overload;
mod peers;
mod process;
mod question;
mod report;
mod streams;
mod systems;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
// What `keys` calls `crate::identity`.
use lotoai_gateway::identity;
use serde_json::json;
use snafu::ResultExt as _;

use crate::failure::Result;
use crate::figures::Figures;
use crate::keys::{Signer, realm};
use crate::least::Least;
use crate::mock::FarSides;
use crate::question::{PROMPT, question};
use crate::systems::{Gateway, Ground, Postgres, System, target};

/// Systems that use the database.
const STORED: [&str; 3] = [names::PLAIN, names::FULL, names::LEAST_STORED];

/// Speed and memory of the gateway, beside the gateways of others.
#[derive(Parser)]
struct Arguments {
    /// Where the gateways of others are installed; without it only ours and the least program are.
    #[arg(long)]
    peers: Option<PathBuf>,
    /// How often everything is measured; the tables have the medians.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Archive of the image that the gateway's stands upon; without it that has no size.
    #[arg(long)]
    image_base: Option<PathBuf>,
    /// File that the figures are also written to, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Page whose table is replaced.
    #[arg(long)]
    page: Option<PathBuf>,
    /// `cargo bench` says it to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What this program is beside the benchmark, in a process of its own.
#[derive(Subcommand)]
enum Part {
    /// The least program on the same libraries.
    Least(Least),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.part {
        Some(Part::Least(least)) => least::serve(least),
        None => start(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {}", lotoai_gateway::error::chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: &Arguments) -> Result<()> {
    process::take_place()?;
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        snafu::whatever!("failed to install the TLS provider");
    }
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .whatever_context("failed to start a runtime")
    };
    // The far sides have a thread of their own, so that the driver's work does not hold them up.
    let far = runtime()?;
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        far.block_on(async {
            let started = async { Ok((mock::start().await?, broker::start(|_, _, _| {}).await?)) };
            drop(sender.send(started.await));
            std::future::pending::<()>().await;
        });
    });
    let (far, broker) = receiver
        .recv()
        .whatever_context("the far sides did not start")??;
    runtime()?.block_on(run(arguments, far, broker))
}

async fn run(arguments: &Arguments, far: FarSides, broker: String) -> Result<()> {
    let directory = tempfile::tempdir().whatever_context("failed to make a directory")?;
    let signer = Signer::rsa("key-1");
    let ground = Ground {
        directory: directory.path().to_owned(),
        far,
        realm: realm(&[&signer]).await,
        signer,
        broker,
        postgres: Postgres::start().await?,
    };
    let mut figures = Figures::default();
    let systems = all(&ground, arguments.peers.as_deref(), &mut figures).await?;
    let duration = Duration::from_secs(arguments.seconds);
    let direct = target(
        ground.far.provider,
        "/v1/chat/completions",
        &[],
        question(PROMPT, &json!({})),
    )?;
    for number in 1..=arguments.rounds {
        println!("== round {number} of {}", arguments.rounds);
        figures
            .direct
            .push(measure::direct(&direct, duration).await?);
        for system in &systems {
            let database = STORED
                .contains(&system.name)
                .then_some(&ground.postgres.process);
            let round = measure::round(system, database, duration).await?;
            println!(
                "  {:<46} {:>7.0}/s {:>6.0} us of processor time",
                system.name, round.rate, round.cpu
            );
            figures.systems.entry(system.name).or_default().push(round);
        }
        measure::first_texts(&direct, &systems, duration, &mut figures).await?;
    }
    println!("== {} streams", streams::STREAMS);
    measure::paced(&direct, &systems, arguments.rounds, &mut figures).await?;
    println!("== overload");
    overload::rounds(&systems, arguments.rounds, duration, &mut figures).await?;
    if let Some(base) = &arguments.image_base {
        figures.image = image::packed(base, systems::program())?;
    }
    println!("\n{}", report::tables(&figures));
    if let Some(path) = &arguments.page {
        report::write(&figures, path)?;
    }
    let Some(path) = &arguments.json else {
        return Ok(());
    };
    let text = serde_json::to_string_pretty(&figures).whatever_context("failed to write JSON")?;
    std::fs::write(path, text).whatever_context("failed to write the figures")
}

/// Starts all systems; the first two are ours.
async fn all(
    ground: &Ground,
    installed: Option<&std::path::Path>,
    figures: &mut Figures,
) -> Result<Vec<System>> {
    println!("== start");
    // The first start makes the tables; it is the second whose time counts.
    drop(systems::gateway(ground, Gateway::Plain).await?);
    let (plain, ready) = systems::gateway(ground, Gateway::Plain).await?;
    figures.ready = ready.as_secs_f64() * 1e3;
    // What a start needed for a moment goes back.
    tokio::time::sleep(Duration::from_secs(5)).await;
    figures.idle = plain.process.memory()? as f64;
    let (full, _) = systems::gateway(ground, Gateway::Full).await?;
    let mut all = vec![plain, full];
    for stores in [false, true] {
        all.push(systems::least(ground, stores).await?);
    }
    if let Some(installed) = installed {
        all.push(peers::envoy(ground, installed, false).await?);
        all.push(peers::envoy(ground, installed, true).await?);
        all.push(peers::tensorzero(ground, installed).await?);
        all.push(peers::portkey(ground, installed).await?);
        all.push(peers::litellm(ground, installed).await?);
    }
    for system in &all {
        println!("  {} is up", system.name);
    }
    Ok(all)
}
