//! Running other programs with a time limit and a limit on what they may print.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use snafu::ResultExt;

use crate::error::{CommandSnafu, CommandTimeoutSnafu, Result, SpawnSnafu};

/// Where programs are looked for. Debian keeps `runc`, `iptables` and `ip` in the sbin directories,
/// which are not on every user's path.
pub(crate) const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// More than any of our programs prints in one call; what comes after it is read and dropped.
const OUTPUT_LIMIT: u64 = 32 * 1024 * 1024;
/// How much of the output an error message quotes.
const QUOTE: usize = 1500;

/// A program to run.
#[derive(Debug)]
pub(crate) struct Run {
    command: Command,
    limit: Duration,
    input: Option<Vec<u8>>,
}

/// What a program printed.
#[derive(Debug)]
pub(crate) struct Printed {
    /// Standard output.
    pub(crate) stdout: String,
}

struct Ended {
    status: Option<ExitStatus>,
    stdout: String,
    stderr: String,
}

impl Run {
    /// `program` with a limit of 60 s and an environment that holds nothing but the system path:
    /// proxies and locales of the caller must not change what the cluster does.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", SYSTEM_PATH)
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", "/root");
        Self {
            command,
            limit: Duration::from_secs(60),
            input: None,
        }
    }

    /// `program` with the environment of the caller, as compilers and package managers need it.
    pub(crate) fn inheriting(program: impl AsRef<OsStr>) -> Self {
        Self {
            command: Command::new(program),
            limit: Duration::from_secs(60),
            input: None,
        }
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub(crate) fn limit(mut self, seconds: u64) -> Self {
        self.limit = Duration::from_secs(seconds);
        self
    }

    pub(crate) fn input(mut self, bytes: Vec<u8>) -> Self {
        self.input = Some(bytes);
        self
    }

    /// Runs to the end; an exit status other than 0 is an error that quotes the output.
    pub(crate) fn ok(self) -> Result<Printed> {
        self.ok_ticking(Duration::MAX, || {})
    }

    /// Like [`Run::ok`], and calls `tick` every `every` while it waits.
    pub(crate) fn ok_ticking(self, every: Duration, tick: impl FnMut()) -> Result<Printed> {
        let command = self.line();
        let seconds = self.limit.as_secs();
        let ended = self.finish(every, tick)?;
        let said = if ended.stderr.trim().is_empty() {
            &ended.stdout
        } else {
            &ended.stderr
        };
        let output = tail(said, QUOTE).trim().to_owned();
        let Some(status) = ended.status else {
            return CommandTimeoutSnafu {
                command,
                seconds,
                output,
            }
            .fail();
        };
        if !status.success() {
            return CommandSnafu {
                command,
                status: status.to_string(),
                output,
            }
            .fail();
        }
        Ok(Printed {
            stdout: ended.stdout,
        })
    }

    /// Whether it ran and ended with 0.
    pub(crate) fn succeeds(self) -> bool {
        self.ok().is_ok()
    }

    fn line(&self) -> String {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        words
            .map(OsStr::to_string_lossy)
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn finish(mut self, every: Duration, tick: impl FnMut()) -> Result<Ended> {
        let command = self.line();
        let stdin = if self.input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        self.command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let spawned = self.command.spawn();
        let mut child = spawned.with_context(|_| SpawnSnafu { command: &command })?;
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        if let (Some(mut pipe), Some(bytes)) = (child.stdin.take(), self.input.take()) {
            // A program that does not read its input tells why in its exit status.
            thread::spawn(move || pipe.write_all(&bytes));
        }
        let status = wait(&mut child, self.limit, every, tick)
            .with_context(|_| SpawnSnafu { command: &command })?;
        if status.is_none() {
            // The readers of a program that was ended may hang on its children: leave them.
            return Ok(Ended {
                status,
                stdout: String::new(),
                stderr: String::new(),
            });
        }
        let stdout = stdout.join().unwrap_or_default();
        let stderr = stderr.join().unwrap_or_default();
        Ok(Ended {
            status,
            stdout,
            stderr,
        })
    }
}

/// Waits for `child`, and calls `tick` every `every` meanwhile. One that takes longer than `limit` is
/// killed and has no status.
///
/// # Errors
/// When the child is not this process's to wait for.
pub fn wait(
    child: &mut Child,
    limit: Duration,
    every: Duration,
    mut tick: impl FnMut(),
) -> io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    let mut ticked = begun;
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begun.elapsed() > limit {
            // Already ended is as good as ended by us.
            let _gone = child.kill();
            let _status = child.wait();
            return Ok(None);
        }
        if ticked.elapsed() > every {
            tick();
            ticked = Instant::now();
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn collect<R: Read + Send + 'static>(pipe: Option<R>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let Some(mut pipe) = pipe else {
            return String::new();
        };
        let mut bytes = Vec::new();
        // What was read before a broken pipe is still worth quoting.
        let _read = pipe.by_ref().take(OUTPUT_LIMIT).read_to_end(&mut bytes);
        let _dropped = io::copy(&mut pipe, &mut io::sink());
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The last `bytes` of `text`, cut at a character.
pub(crate) fn tail(text: &str, bytes: usize) -> &str {
    let mut from = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text.get(from..).unwrap_or(text)
}

/// The path of `program`, looked for on the caller's path and then on the system's.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let own = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&own).chain(std::env::split_paths(SYSTEM_PATH));
    dirs.map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn a_failure_quotes_what_was_printed() {
        let error = Run::new("sh")
            .args(["-c", "echo why >&2; exit 3"])
            .ok()
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("exit status: 3") && text.contains("why"),
            "{text}"
        );
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let begun = Instant::now();
        let error = Run::new("sleep").args(["60"]).limit(0).ok().unwrap_err();
        assert!(matches!(error, Error::CommandTimeout { .. }), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn input_reaches_the_program_and_the_environment_does_not() {
        let printed = Run::new("sh")
            .args(["-c", "cat; echo ${CARGO_MANIFEST_DIR:-clean}"])
            .input(b"given ".to_vec())
            .ok()
            .unwrap();
        assert_eq!(printed.stdout, "given clean\n");
    }

    #[test]
    fn the_tail_is_cut_at_a_character() {
        assert_eq!(tail("aäb", 2), "b");
        assert_eq!(tail("ab", 9), "ab");
    }
}
