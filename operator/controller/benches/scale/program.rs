//! The programs that are measured: the operator, and the twin.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use snafu::{OptionExt, ResultExt, whatever};

use crate::Result;
use crate::figures::Memory;
use crate::server::{ApiServer, Guarded, free_port};
use crate::template::Template;
use crate::text::samples;

/// How long a program may take until it serves its metrics.
const START: Duration = Duration::from_secs(60);

/// A program that is measured.
pub(crate) enum Program {
    /// The operator, as cargo built it beside this benchmark.
    Operator,
    /// The twin on controller-runtime.
    Twin {
        /// Its program.
        binary: PathBuf,
        /// What one resource stands for.
        template: Template,
    },
}

impl Program {
    /// The twin, with the children that the operator plans.
    pub(crate) fn twin(binary: PathBuf) -> Result<Self> {
        let template = Template::new()?;
        Ok(Self::Twin { binary, template })
    }

    /// Its name.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Twin { .. } => "twin",
        }
    }

    /// Starts it and waits until it serves its metrics.
    pub(crate) async fn start(&self, server: &ApiServer) -> Result<Process> {
        let admin = format!("127.0.0.1:{}", free_port());
        let mut command = match self {
            Self::Operator => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_lotoai-operator"));
                command
                    .arg("run")
                    .env("ADMIN_LISTEN", &admin)
                    .env("POD_NAMESPACE", crate::template::OPERATOR_NAMESPACE)
                    .env("LEADER_ELECTION", "false")
                    // As the chart starts it.
                    .env("MALLOC_ARENA_MAX", "1");
                command
            }
            Self::Twin { binary, template } => {
                let text = json!(template).to_string();
                let file = server.file("template.json", &text);
                let mut command = Command::new(binary);
                command
                    .arg("-template")
                    .arg(file)
                    .args(["-metrics", &admin]);
                command
            }
        };
        let passes = match self {
            Self::Operator => ("lotoai_operator_reconciliations_total", "outcome", "failed"),
            Self::Twin { .. } => ("controller_runtime_reconcile_total", "result", "error"),
        };
        // A proxy of this machine would look for the address on itself.
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .whatever_context("failed to make an HTTP client")?;
        let process = Process {
            running: server.spawn(self.name(), &mut command),
            http,
            metrics: format!("http://{admin}/metrics"),
            passes,
        };
        process.started().await?;
        Ok(process)
    }
}

/// A program that runs.
pub(crate) struct Process {
    running: Guarded,
    http: reqwest::Client,
    metrics: String,
    /// Counter of passes, its label, and the value of those that failed.
    passes: (&'static str, &'static str, &'static str),
}

/// Passes of a process.
#[derive(Clone, Copy)]
pub(crate) struct Passes {
    /// All that ended.
    pub(crate) all: u64,
    /// Those that failed.
    pub(crate) failed: u64,
}

impl Process {
    async fn started(&self) -> Result<()> {
        let begun = tokio::time::Instant::now();
        while let Err(error) = self.passes().await {
            if begun.elapsed() > START || self.running.has_ended() {
                let log = self.running.log_tail();
                return Err(error).with_whatever_context(|_| format!("failed to start:\n{log}"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// How many passes ended so far.
    pub(crate) async fn passes(&self) -> Result<Passes> {
        let failed = || format!("failed to read {}", self.metrics);
        let response = self
            .http
            .get(&self.metrics)
            .send()
            .await
            .with_whatever_context(|_| failed())?;
        let text = response.text().await.with_whatever_context(|_| failed())?;
        let (metric, label, bad) = self.passes;
        let mut passes = Passes { all: 0, failed: 0 };
        for sample in samples(&text, metric) {
            passes.all += sample.value;
            if sample.label(label) == bad {
                passes.failed += sample.value;
            }
        }
        Ok(passes)
    }

    /// Its memory.
    pub(crate) fn memory(&self) -> Result<Memory> {
        if self.running.has_ended() {
            whatever!("the program ended by itself:\n{}", self.log_tail());
        }
        let path = format!("/proc/{}/status", self.running.id());
        let text = std::fs::read_to_string(&path)
            .with_whatever_context(|_| format!("failed to read {path}"))?;
        let bytes = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
            Some(kibibytes * 1024)
        };
        Ok(Memory {
            resident: bytes("VmRSS:").whatever_context("no VmRSS in /proc")?,
            peak: bytes("VmHWM:").whatever_context("no VmHWM in /proc")?,
        })
    }

    /// Why passes failed, as its log says. The twin's log is another one and says nothing here.
    pub(crate) fn failures(&self) -> Vec<String> {
        self.running.log().lines().filter_map(failure).collect()
    }

    /// The end of its log.
    pub(crate) fn log_tail(&self) -> String {
        self.running.log_tail()
    }

    /// Kills it.
    pub(crate) fn end(self) {
        self.running.end();
    }
}

/// Where and why a pass failed, when a line of the operator's log is about one that did.
fn failure(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = &line["fields"];
    let message = fields["message"].as_str()?;
    if !["pass failed", "pass is repeated"].contains(&message) {
        return None;
    }
    let namespace = line["span"]["namespace"].as_str().unwrap_or_default();
    let error = fields["error"].as_str().unwrap_or_default();
    Some(format!("{namespace}: {message}: {error}"))
}
