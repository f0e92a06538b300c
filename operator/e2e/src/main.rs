//! `lotoai-demo`: loads the corpus into a platform and asks it questions through its public URL.
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use lotoai_e2e::demo::{SAMPLES, about};
use lotoai_e2e::{Answer, Platform, PublicClient, Result, corpus};
use lotoai_local::text::Language;

/// Loads documents into a LotoAI platform and asks it questions through its public URL.
#[derive(Parser)]
struct Arguments {
    /// Namespace of the resource.
    #[arg(long, default_value = "lotoai")]
    namespace: String,
    /// Name of the resource.
    #[arg(long, default_value = "demo")]
    name: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Upload every Markdown, HTML and text file below a directory and wait until all are indexed.
    LoadCorpus {
        /// The directory.
        directory: PathBuf,
    },
    /// Ask the three sample questions and check the answers.
    Samples,
    /// Ask one question.
    Ask {
        /// `lotoai`, or the name of an agent role.
        #[arg(long, default_value = "lotoai")]
        model: String,
        /// The question.
        question: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("error: another TLS provider is installed already");
        return ExitCode::FAILURE;
    }
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let language = Language::from_environment();
    let platform = Platform::connect(&arguments.namespace, &arguments.name).await?;
    let client = PublicClient::first_user(&platform).await?;
    match arguments.command {
        Command::LoadCorpus { directory } => load(&client, language, &directory).await,
        Command::Samples => {
            for sample in &SAMPLES {
                let shows = language.pick(sample.shows.0, sample.shows.1);
                println!(
                    "\n▸ {} — {}",
                    language.pick(sample.question.0, sample.question.1),
                    shows
                );
                print_answer(&sample.ask(&client, language).await?, language, true);
            }
            Ok(())
        }
        Command::Ask { model, question } => {
            let answer = client
                .ask_streaming(&model, &question, |text| {
                    use std::io::Write;
                    print!("{text}");
                    // A terminal that went away is not the platform's failure.
                    let _ = std::io::stdout().flush();
                })
                .await?;
            println!();
            print_answer(&answer, language, false);
            Ok(())
        }
    }
}

async fn load(
    client: &PublicClient,
    language: Language,
    directory: &std::path::Path,
) -> Result<()> {
    let files = corpus::files(directory)?;
    let indexed = language.pick("indexed", "indexados");
    corpus::load(client, &files, Duration::from_secs(600), |done, all| {
        println!("  {done}/{all} {indexed}");
    })
    .await
}

fn print_answer(answer: &Answer, language: Language, with_text: bool) {
    if with_text {
        println!("  {}", answer.text.trim().replace('\n', "\n  "));
    }
    for citation in answer.lotoai["citations"].as_array().into_iter().flatten() {
        println!(
            "  [{}] {}",
            citation["number"],
            citation["document_name"].as_str().unwrap_or_default()
        );
    }
    println!("{}", about(answer, language));
}

/// The error and its causes; a cause that the text before it already contains is dropped.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
