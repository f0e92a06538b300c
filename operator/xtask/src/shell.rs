//! Runs other programs.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use lotoai_local::Stage;
use snafu::{ResultExt, ensure};

use crate::error::{CommandSnafu, FileSnafu, Result, SpawnSnafu};
use crate::{paths, text};

/// Lines of a failed command's output that an error shows.
const TAIL_LINES: usize = 40;
/// How often a person is told that a long command still works.
const TICK: Duration = Duration::from_secs(20);

/// A command in the root of the checkout, without standard input.
pub(crate) fn command<S: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = S>,
) -> Command {
    let mut command = Command::new(program);
    // `cargo run` describes this program to its children. Build scripts watch those variables, and
    // would run again, with all that depends on them, whenever a person calls cargo by hand.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text == "CARGO" || text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_")
        {
            command.env_remove(&name);
        }
    }
    command
        .args(arguments)
        .current_dir(paths::root())
        .env("CARGO_TARGET_DIR", paths::target())
        .stdin(Stdio::null());
    command
}

/// Runs a command whose output people want to see.
pub(crate) fn show(command: &mut Command) -> Result<()> {
    let status = command.status().context(SpawnSnafu {
        program: name(command),
    })?;
    ensure!(
        status.success(),
        CommandSnafu {
            command: line(command),
            status,
            output: ""
        }
    );
    Ok(())
}

/// Runs a command and returns its standard output; its errors are part of the failure.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command.output().context(SpawnSnafu {
        program: name(command),
    })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let all = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
    ensure!(
        output.status.success(),
        CommandSnafu {
            command: line(command),
            status: output.status,
            output: tail(&all)
        }
    );
    Ok(text)
}

/// Runs a command that reads `input` from its standard input: the way for what no argument and no
/// file may hold.
pub(crate) fn feed(command: &mut Command, input: &str) -> Result<()> {
    let program = name(command);
    let spawned = |source| crate::error::Error::Spawn {
        program: program.clone(),
        source,
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(spawned)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that ends early says why in its status, not in this error.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(spawned)?;
    ensure!(
        output.status.success(),
        CommandSnafu {
            command: line(command),
            status: output.status,
            output: tail(&String::from_utf8_lossy(&output.stderr))
        }
    );
    Ok(())
}

/// Runs a command with its output in a log file, and tells `stage` now and then what its last line
/// is; the end of the log is part of a failure.
pub(crate) fn logged(stage: &Stage, command: &mut Command, log: &Path) -> Result<()> {
    if let Some(parent) = log.parent() {
        std::fs::create_dir_all(parent).context(FileSnafu {
            action: "create",
            path: parent,
        })?;
    }
    let file = File::create(log).context(FileSnafu {
        action: "create",
        path: log,
    })?;
    let again = file.try_clone().context(FileSnafu {
        action: "create",
        path: log,
    })?;
    let program = name(command);
    let spawned = command
        .stdout(Stdio::from(file))
        .stderr(Stdio::from(again))
        .spawn();
    let status = spawned
        .and_then(|mut child| {
            let tick = || stage.tick(&last_line(log));
            lotoai_local::wait(&mut child, Duration::MAX, TICK, tick)?;
            // It has ended, as nothing limits it.
            child.wait()
        })
        .context(SpawnSnafu { program })?;
    if status.success() {
        return Ok(());
    }
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let output = format!("{}\n(all of it: {})", tail(&text), log.display());
    CommandSnafu {
        command: line(command),
        status,
        output,
    }
    .fail()
}

/// The last line of a log that says something.
fn last_line(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    line.map_or_else(text::at_work, |line| line.trim().to_owned())
}

/// Whether a program is on `PATH`.
pub(crate) fn found(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    let mut shown = String::new();
    for line in &lines[from..] {
        shown.push_str("\n    ");
        shown.push_str(line);
    }
    shown
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn line(command: &Command) -> String {
    let mut text = name(command);
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}
