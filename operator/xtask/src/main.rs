//! `xtask`: what the Makefile calls. One file per task.
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

mod bare;
mod bench;
mod cluster;
mod diagnose;
mod down;
mod e2e;
mod error;
mod foreign;
mod fuzz;
mod generate;
mod kind_config;
mod lint;
mod paths;
mod platform;
mod prepare;
mod programs;
mod provider;
mod scratch;
mod shell;
mod soak;
mod status;
mod tally;
mod test;
mod text;
mod tidy;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use lotoai_local::chain;
use lotoai_local::text::Language;
use rustix::fs::Mode;
use snafu::ResultExt;

use crate::error::{OrphanSnafu, Result};

/// Developer tasks of LotoAI.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Set up, build, deploy, wait until Ready, ask the sample questions.
    Up,
    /// Remove everything that `up` made on this machine.
    Down {
        /// Keep the cluster's data, so that the next `up` continues with it.
        #[arg(long)]
        keep_data: bool,
    },
    /// Ask a question through the public URL.
    Ask {
        /// `lotoai`, or the name of an agent role.
        #[arg(long, default_value = "lotoai")]
        model: String,
        /// The question.
        question: String,
    },
    /// Show the platform, its components and their memory.
    Status,
    /// Everything that CI runs.
    Test,
    /// What takes too long for every change: a start interrupted at each stage.
    Soak,
    /// Formatting, lints, licences, generated files, repository rules.
    Lint,
    /// Regenerate what is generated from code.
    Generate,
    /// Build the images of this checkout into the cache.
    Images,
    /// Only the end-to-end level, on a cluster of its own.
    E2e,
    /// Figures of this machine.
    Bench,
    /// Speed and memory of the operator with many resources, beside a Go twin.
    BenchOperator {
        /// How many resources; 200 is the least, one for each edit.
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(200..))]
        resources: u32,
        /// File that the figures are also written to.
        #[arg(long)]
        json: Option<std::path::PathBuf>,
    },
    /// Speed and memory of the gateway, beside the gateways of others.
    BenchGateway {
        /// How often everything is measured.
        #[arg(long, default_value_t = 5)]
        rounds: u32,
        /// File that the figures are also written to.
        #[arg(long)]
        json: Option<std::path::PathBuf>,
    },
    /// Search inputs that break a parser on the path of a request.
    Fuzz {
        /// Seconds for each target.
        #[arg(long, default_value_t = 600)]
        seconds: u32,
        /// The target; without it each of them.
        target: Option<String>,
    },
    /// For the tool itself.
    #[command(hide = true, subcommand)]
    Internal(Internal),
}

#[derive(Subcommand)]
enum Internal {
    /// Forward a TCP port of this machine into a cluster's network namespace.
    Forward {
        /// Address to listen on.
        listen: std::net::SocketAddr,
        /// Address to connect to.
        to: std::net::SocketAddr,
    },
    /// Start a cluster without the platform.
    Start {
        /// Name of the cluster.
        name: String,
    },
    /// Start a test cluster without the platform, and last until killed.
    Hold,
    /// Remove a test cluster when the process that made it has ended.
    Watch {
        /// Name of the cluster.
        name: String,
    },
}

fn main() -> ExitCode {
    Language::from_environment().speak();
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\n{}", text::error(chain(&error)));
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    // Files that go into images must be readable by their users.
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let has_cluster = matches!(
        task,
        Task::Test | Task::E2e | Task::Soak | Task::Internal(Internal::Hold)
    );
    if has_cluster {
        // When `make` is killed this must end too, so that its cluster is removed.
        let signal = Some(rustix::process::Signal::KILL);
        rustix::process::set_parent_process_death_signal(signal).context(OrphanSnafu)?;
    }
    match task {
        Task::Up => up::run(),
        Task::Down { keep_data } => down::run(keep_data),
        Task::Ask { model, question } => up::ask(&model, &question),
        Task::Status => status::run(),
        Task::Test => test::run(),
        Task::Soak => soak::run(),
        Task::Lint => lint::run(),
        Task::Generate => generate::run(),
        Task::Images => up::images(),
        Task::E2e => e2e::run(),
        Task::Bench => bench::run(),
        Task::BenchOperator { resources, json } => bench::operator(resources, json.as_deref()),
        Task::BenchGateway { rounds, json } => bench::gateway(rounds, json.as_deref()),
        Task::Fuzz { seconds, target } => fuzz::run(target.as_deref(), seconds),
        Task::Internal(Internal::Forward { listen, to }) => cluster::forward(listen, to),
        Task::Internal(Internal::Start { name }) => bare::start(&name),
        Task::Internal(Internal::Hold) => bare::hold(),
        Task::Internal(Internal::Watch { name }) => cluster::watch(&name),
    }
}
