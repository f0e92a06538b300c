//! The program as the operator runs it: its tokens are in its environment, and scripts of the same
//! user beside it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod client;

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use client::TOKEN;
use serde_json::json;

/// The user of the image.
const USER: &str = "65532";
/// What a curious script does.
const SPY: &str = "cat \"/proc/$PPID/environ\" 2>&1 | tr '\\0' ' '";

/// A program with the token in its environment. Root may read everything, so that as root it is run
/// as the user of the image. A shell opens it, because that user cannot go to where it was built.
fn unprivileged(program: &str) -> Command {
    let switch = if rustix::process::getuid().is_root() {
        format!("setpriv --reuid={USER} --regid={USER} --clear-groups --pdeathsig KILL --")
    } else {
        "setpriv --pdeathsig KILL --".to_owned()
    };
    let mut command = Command::new("/bin/sh");
    command
        .args([
            "-c",
            &format!("exec 9<\"$0\"; exec {switch} /proc/self/fd/9 \"$@\""),
        ])
        .arg(program)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("CALLER_TOKEN_ORCHESTRATOR", TOKEN)
        .stdin(Stdio::null());
    command
}

/// A running program; ended when dropped.
struct Program {
    child: Child,
    url: String,
}

impl Program {
    fn start(declarations: &Path) -> Self {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [listen, admin]: [SocketAddr; 2] = listeners.map(|it| it.local_addr().unwrap());
        let child = unprivileged(env!("CARGO_BIN_EXE_mcp-server"))
            .env("LISTEN", listen.to_string())
            .env("ADMIN_LISTEN", admin.to_string())
            .env("MCP_CONFIG", declarations)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let url = format!("http://{listen}/mcp");
        Self { child, url }
    }

    /// What the tool of this name says, as soon as the program listens.
    async fn called(&mut self, tool: &str) -> String {
        let params = json!({"name": tool, "arguments": {}});
        let message = client::message("tools/call", params);
        let begun = Instant::now();
        while let Err(error) = client::request(&self.url, &message).send().await {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the program ended: {ended:?}");
            assert!(begun.elapsed() < Duration::from_secs(30), "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let answer = client::answer(client::request(&self.url, &message)).await;
        let text = answer["result"]["content"][0]["text"].as_str();
        text.unwrap_or_else(|| panic!("{answer}")).to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Whatever has gone already is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_script_cannot_read_the_tokens_of_the_server() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let declarations = directory.path().join("mcp.yaml");
    let tools = json!({"tools": [
        {"name": "spy", "description": "Looks at the server", "script": {"source": SPY}},
    ]});
    fs::write(&declarations, tools.to_string()).unwrap();
    let said = Program::start(&declarations).called("spy").await;
    assert!(!said.contains(TOKEN), "{said}");
    assert!(said.contains("Permission denied"), "{said}");

    // The control: of any other program of that user it reads the very same.
    let source = "/bin/sh -c \"$SPY\"; exit 0";
    let control = unprivileged("/bin/sh")
        .args(["-c", source])
        .env("SPY", SPY)
        .output();
    let said = String::from_utf8(control.unwrap().stdout).unwrap();
    assert!(said.contains(TOKEN), "{said}");
}
