//! `make bench-operator`: speed and memory of the operator with many resources, on a real
//! kube-apiserver without nodes, beside a Go twin that owns the same children.
//! docs/performance.md says what is measured and how to read it.
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

mod cluster;
mod edits;
mod figures;
mod measure;
#[cfg(test)]
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/apiserver/platform.rs"]
mod platform;
mod program;
mod report;
#[cfg(test)]
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/apiserver/server.rs"]
mod server;
mod template;
mod text;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use snafu::{ResultExt, Whatever, whatever};

use crate::program::Program;

type Result<T> = std::result::Result<T, Whatever>;

/// Speed and memory of the operator with many resources.
#[derive(Parser)]
struct Arguments {
    /// How many LotoAI resources.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(200..))]
    resources: u64,
    /// Program of the Go twin; without it only the operator is measured.
    #[arg(long)]
    twin: Option<PathBuf>,
    /// File that the figures are also written to, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// `cargo bench` says it to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    match start(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {}", lotoai_operator::error::chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: &Arguments) -> Result<()> {
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        whatever!("failed to install the TLS provider");
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .whatever_context("failed to start the runtime")?
        .block_on(Box::pin(run(arguments)))
}

async fn run(arguments: &Arguments) -> Result<()> {
    let resources =
        usize::try_from(arguments.resources).whatever_context("failed to count the resources")?;
    let operator = Box::pin(measure::measure(&Program::Operator, resources)).await?;
    let twin = match &arguments.twin {
        Some(binary) => {
            let twin = Program::twin(binary.clone())?;
            Some(Box::pin(measure::measure(&twin, resources)).await?)
        }
        None => None,
    };
    report::print(&operator, twin.as_ref());
    let Some(path) = &arguments.json else {
        return Ok(());
    };
    let all: Vec<_> = std::iter::once(&operator).chain(&twin).collect();
    let text = serde_json::to_string_pretty(&all).whatever_context("failed to write JSON")?;
    std::fs::write(path, text)
        .with_whatever_context(|_| format!("failed to write {}", path.display()))
}
