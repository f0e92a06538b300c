//! Errors of the tasks.

use std::path::PathBuf;

use snafu::Snafu;

/// Why a task failed.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub(crate) enum Error {
    #[snafu(display("failed to start {program:?}"))]
    Spawn {
        program: String,
        source: std::io::Error,
    },
    #[snafu(display("{command} ended with {status}{output}"))]
    Command {
        command: String,
        status: std::process::ExitStatus,
        output: String,
    },
    #[snafu(display("failed to {action} {path:?}"))]
    File {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[snafu(display("failed to ask for the end of this program when make ends"))]
    Orphan { source: rustix::io::Errno },
    #[snafu(display("{message}"))]
    Refused { message: String },
    #[snafu(display("failed to {action}"))]
    Local {
        action: &'static str,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[snafu(display("failed to read the answer of {command}"))]
    Json {
        command: String,
        source: serde_json::Error,
    },
    #[snafu(display("failed to understand {path:?}"))]
    Yaml {
        path: PathBuf,
        source: serde_yaml_ng::Error,
    },
    #[snafu(display("{}", crate::text::gave_up(seconds, what, last)))]
    Deadline {
        what: String,
        seconds: u64,
        last: String,
    },
}

/// Result of a task.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;
