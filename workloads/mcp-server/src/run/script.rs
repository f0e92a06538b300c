//! Runs a declared script in a process of its own, with bounded time, memory and output.

use std::process::Stdio;
use std::time::Duration;

use lotoai_contracts::arguments::variable;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::ToolResult;
use crate::domain::declaration::ScriptTool;

/// More output than this ends the script.
const MAX_OUTPUT_BYTES: u64 = 256 * 1024;
/// Memory that each process of a script may take, in bytes.
pub(super) const MEMORY_BYTES: u64 = 256 * 1024 * 1024;

/// What is set before the script: memory, 8 MiB files, 64 open files. The time limit counts the wall
/// clock and is kept outside; `ulimit -t` also ends what forked away.
fn limits(seconds: u32) -> String {
    let (time, memory) = (seconds + 1, MEMORY_BYTES / 1024);
    format!("ulimit -t {time}; ulimit -v {memory}; ulimit -f 16384; ulimit -n 64; ulimit -c 0\n")
}

/// The processes of a script; ended when dropped, whatever the outcome.
struct Group(Option<Pid>);

impl Group {
    /// The group of a process that leads one.
    fn of(leader: &Child) -> Self {
        let id = leader.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It fails when all of them have ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs the script with its arguments as `ARG_<NAME>`. What it leaves behind is ended with it; dropping
/// this ends all of it.
pub(super) async fn run(tool: &ScriptTool, arguments: &Map<String, Value>) -> ToolResult {
    let seconds = tool.timeout_seconds;
    let source = format!("{}{}", limits(seconds), tool.source);
    let mut command = Command::new("/bin/sh");
    command
        .arg("-c")
        .arg(source)
        .arg("script")
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .envs(
            arguments
                .iter()
                .map(|(name, value)| (variable(name), text(value))),
        )
        .current_dir("/tmp")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            return ToolResult::error(format!("the script could not be started: {error}"));
        }
    };
    // Killing the child alone would leave what it began.
    let _group = Group::of(&child);
    let limit = Duration::from_secs(u64::from(seconds));
    match tokio::time::timeout(limit, finish(&mut child)).await {
        Ok(result) => result,
        Err(_) => ToolResult::error(format!("the script ran longer than {seconds} s")),
    }
}

async fn finish(child: &mut Child) -> ToolResult {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (out, err) = tokio::join!(read(stdout), read(stderr));
    let (Some(out), Some(err)) = (out, err) else {
        return ToolResult::error(format!(
            "the script printed more than {MAX_OUTPUT_BYTES} bytes"
        ));
    };
    match child.wait().await {
        Ok(status) if status.success() => ToolResult::ok(&out),
        Ok(status) => ToolResult::error(format!("the script ended with {status}: {out}{err}")),
        Err(error) => ToolResult::error(format!("the script was lost: {error}")),
    }
}

/// All that is printed; `None` when it is too much.
async fn read(stream: Option<impl AsyncRead + Unpin>) -> Option<String> {
    let mut bytes = Vec::new();
    let mut limited = stream?.take(MAX_OUTPUT_BYTES + 1);
    limited.read_to_end(&mut bytes).await.ok()?;
    (bytes.len() as u64 <= MAX_OUTPUT_BYTES).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// A value as the script sees it. A NUL cannot stand in an environment.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.replace('\0', ""),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use rstest::rstest;
    use serde_json::json;

    use super::*;

    async fn sh(source: &str, timeout_seconds: u32, arguments: Value) -> ToolResult {
        let tool = ScriptTool {
            source: source.to_owned(),
            timeout_seconds,
        };
        run(&tool, arguments.as_object().unwrap()).await
    }

    #[tokio::test]
    async fn arguments_are_data_never_code() {
        let hostile = "$(touch /tmp/pwned); `id` \"'\\ && exit 3";
        let result = sh(
            "printf '%s' \"$ARG_MY_NAME\"",
            5,
            json!({"my-name": hostile}),
        )
        .await;
        assert_eq!(
            result,
            ToolResult {
                text: hostile.into(),
                is_error: false
            }
        );
    }

    #[tokio::test]
    async fn the_environment_of_the_server_is_not_seen() {
        let result = sh("env | cut -d= -f1 | sort | tr '\\n' ' '", 5, json!({})).await;
        assert!(
            !result.text.contains("HOME") && !result.text.contains("CARGO"),
            "{result:?}"
        );
    }

    #[rstest]
    #[case("exit 3", "exit status: 3")]
    #[case("echo bad >&2; false", "bad")]
    #[case("while :; do :; done", "1 s")]
    #[case("yes", "more than")]
    #[case("nothing-like-this", "not found")]
    #[tokio::test]
    async fn a_failing_script_is_an_error(#[case] source: &str, #[case] says: &str) {
        let begun = Instant::now();
        let result = sh(source, 1, json!({})).await;
        assert!(result.is_error && result.text.contains(says), "{result:?}");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn what_a_script_leaves_behind_is_ended() {
        let mark = format!("leftover-{}", std::process::id());
        let source = format!("sh -c 'exec sleep 300 # {mark}' >/dev/null 2>&1 & echo $!");
        let result = sh(&source, 5, json!({})).await;
        let pid: i32 = result.text.trim().parse().unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        let gone =
            || !std::path::Path::new(&format!("/proc/{pid}/status")).exists() || is_zombie(pid);
        while !gone() {
            assert!(Instant::now() < deadline, "{pid} still runs");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn is_zombie(pid: i32) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status
            .lines()
            .any(|line| line.starts_with("State:") && line.contains('Z'))
    }
}
