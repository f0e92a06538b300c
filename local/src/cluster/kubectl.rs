//! Talking to the cluster through its own command line program.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{NotReadySnafu, Result};
use crate::exec::Run;
use crate::instance::Instance;
use crate::third_party::ToolPaths;

/// `kubectl` for one instance, as its administrator.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// For `instance`.
    #[must_use]
    pub fn new(instance: &Instance, tools: &ToolPaths) -> Self {
        Self {
            program: tools.kubectl.clone(),
            kubeconfig: instance.kubeconfig(),
        }
    }

    /// Runs it with `args` and gives back what it printed.
    ///
    /// # Errors
    /// When it fails or takes longer than 60 s.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        self.command(args).ok().map(|printed| printed.stdout)
    }

    /// Applies objects given as YAML, server side.
    ///
    /// # Errors
    /// When the API server refuses an object or cannot be reached.
    pub fn apply(&self, yaml: &str) -> Result<()> {
        let args = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--filename=-",
        ];
        self.command(&args)
            .input(yaml.as_bytes().to_vec())
            .ok()
            .map(drop)
    }

    /// Deletes the objects of a YAML, in its order, and waits until they are gone. Those that are not there
    /// are fine.
    ///
    /// # Errors
    /// When the API server refuses, or cannot be reached.
    pub(crate) fn delete(&self, yaml: &str) -> Result<()> {
        self.command(&["delete", "--ignore-not-found", "--filename=-"])
            .input(yaml.as_bytes().to_vec())
            .ok()
            .map(drop)
    }

    /// Asks every quarter of a second until `done` says yes to the answer, or `limit` is over.
    pub(crate) fn wait(
        &self,
        what: &str,
        limit: Duration,
        args: &[&str],
        done: impl Fn(&str) -> bool,
        mut check: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let begun = Instant::now();
        loop {
            let hint = match self.command(args).limit(10).ok() {
                Ok(answer) if done(&answer.stdout) => return Ok(()),
                Ok(answer) => format!("last answer {:?}", answer.stdout.trim()),
                Err(error) => error.to_string(),
            };
            check()?;
            if begun.elapsed() > limit {
                return NotReadySnafu {
                    what,
                    seconds: limit.as_secs(),
                    hint,
                }
                .fail();
            }
            thread::sleep(Duration::from_millis(250));
        }
    }

    fn command(&self, args: &[&str]) -> Run {
        let kubeconfig = format!("--kubeconfig={}", self.kubeconfig.display());
        Run::new(&self.program)
            .args([kubeconfig.as_str(), "--request-timeout=30s"])
            .args(args)
    }
}
