//! What both tests need: whether they can run here, and waiting with a deadline.

use std::time::{Duration, Instant};

use lotoai_local::{ToolPaths, chain, images_dir};

/// The developer tool.
pub(crate) const XTASK: &str = env!("CARGO_BIN_EXE_xtask");
/// Says at which stages a start is interrupted, and that everything has been built.
pub(crate) const INTERRUPT: &str = "LOTOAI_INTERRUPT";

/// Whether `test` cannot run here; then the reason is told.
pub(crate) fn is_skipped(test: &str) -> bool {
    let obstacle = obstacle();
    if let Some(obstacle) = &obstacle {
        println!("SKIPPED {test}: {obstacle}");
    }
    obstacle.is_some()
}

fn obstacle() -> Option<String> {
    if std::env::var_os(INTERRUPT).is_none() {
        return Some("it starts clusters; `make test` and `make soak` run it".to_owned());
    }
    if !rustix::process::geteuid().is_root() {
        return Some("root is needed".to_owned());
    }
    if let Err(error) = ToolPaths::built() {
        return Some(chain(&error));
    }
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let missing = ["containerd", "runc", "ip", "iptables", "setpriv", "nsenter"]
        .into_iter()
        .find(|program| !std::env::split_paths(&path).any(|dir| dir.join(program).is_file()));
    if let Some(program) = missing {
        return Some(format!("{program} is missing"));
    }
    let images: Vec<String> = std::fs::read_dir(images_dir())
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let missing = ["pause", "coredns", "base"]
        .into_iter()
        .find(|image| !images.iter().any(|file| file.starts_with(image)));
    missing.map(|image| format!("the image {image} has not been built"))
}

/// Polls `probe` until it is `Ok`; panics with the last `Err` when the limit passes.
pub(crate) fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Result<T, String>,
) -> T {
    let begun = Instant::now();
    loop {
        match probe() {
            Ok(value) => return value,
            Err(last) if begun.elapsed() > limit => {
                panic!(
                    "gave up after {} s waiting for {what}; last seen: {last}",
                    limit.as_secs()
                )
            }
            // Short: a stage of a start may last but a few milliseconds.
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}
