//! Removing a test instance when the process that made it was killed.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::error::Result;
use crate::instance::Instance;
use crate::process::Identity;
use crate::progress::Progress;

/// Starts `program internal watch <name>` detached; the program calls [`watch`] for it.
///
/// # Errors
/// When the program cannot be started.
pub fn watchdog(instance: &Instance, program: &Path) -> io::Result<()> {
    let mut child = Command::new("setsid")
        .arg(program)
        .args(["internal", "watch", &instance.name])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    thread::spawn(move || child.wait());
    Ok(())
}

/// Blocks until the process that made the test instance has ended, then removes what it left.
/// Returns at once for an instance that belongs to nobody.
///
/// # Errors
/// When the instance cannot be removed.
pub fn watch(progress: &Progress, name: &str) -> Result<()> {
    let instance = Instance::new(name)?;
    let own = Identity::own();
    let Some(owner) = instance
        .owner()
        .filter(|owner| Some(*owner) != own.as_ref())
    else {
        return Ok(());
    };
    while owner.is_alive() {
        thread::sleep(Duration::from_millis(500));
    }
    if instance.is_test() {
        crate::cluster::remove(progress, &instance)?;
    }
    Ok(())
}
