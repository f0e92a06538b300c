//! Go modules that hold the definitions of other projects' kinds.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The list of modules, with their versions and hashes.
const MODULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../local/go/definitions");

/// Where a module of the list `local/go/definitions` is; `None`, with the reason printed, when it is not
/// on this machine.
///
/// # Panics
/// When the list lacks it, or when it is not what the list says.
#[expect(
    clippy::expect_used,
    reason = "for tests only, and one that asks for what is not in the list is wrong"
)]
#[must_use]
pub fn module(name: &str) -> Option<PathBuf> {
    let list = Path::new(MODULES).join("go.mod");
    let list = std::fs::read_to_string(list).expect("the list can be read");
    let mut lines = list.lines().map(str::trim);
    let version = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let wanted = format!("{name}@{}", version.expect("the module is in the list"));
    let told = Command::new("go")
        .args(["mod", "download", "-json", &wanted])
        .current_dir(MODULES)
        .env("GOWORK", "off")
        // A test downloads nothing.
        .env("GOPROXY", "off")
        .env("GOTOOLCHAIN", "local")
        .output();
    let reason = match told {
        Ok(output) if output.status.success() => {
            let told: Value = serde_json::from_slice(&output.stdout).expect("go prints JSON");
            let directory = told["Dir"].as_str();
            return Some(directory.expect("a module has a directory").into());
        }
        Ok(output) => String::from_utf8_lossy(&output.stdout).replace('\n', " "),
        Err(error) => error.to_string(),
    };
    assert!(!reason.contains("checksum mismatch"), "{reason}");
    eprintln!("SKIPPED: {wanted} is not there; `make test` gets it: {reason}");
    None
}
