//! Ending the node's processes and everything that only they need.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::daemons;
use crate::error::Result;
use crate::instance::Instance;
use crate::pki::METRICS_SERVER;
use crate::progress::Progress;
use crate::sandbox;
use crate::text::messages;

/// How much time programs get to end by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Haste {
    /// Pods and programs end in order.
    Orderly,
    /// Everything is killed: its data is given up or was left behind by a crash.
    Now,
}

/// Pods get this long between TERM and KILL.
const POD_PATIENCE: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(10);

/// Stops the cluster and keeps its data. A cluster that does not run is fine.
///
/// # Errors
/// When a process cannot be ended or something stays mounted.
pub fn stop(progress: &Progress, instance: &Instance) -> Result<()> {
    let _lock = instance.lock()?;
    let stage = progress.stage("stop", &messages::ends_node(instance.node()));
    stop_all(progress, instance, Haste::Orderly)?;
    stage.done_with(&messages::data_kept());
    Ok(())
}

/// Ends what runs and removes namespaces, cgroups and sockets.
pub(crate) fn stop_all(progress: &Progress, instance: &Instance, haste: Haste) -> Result<()> {
    let processes = instance.processes();
    let group = instance.cgroups()?;
    if haste == Haste::Orderly {
        // The kubelet first: it would start pods again. Then the pods, while the network and the
        // volumes that they need to end are still there.
        processes.stop(daemons::KUBELET, PATIENCE)?;
        let left = end_pods(instance, POD_PATIENCE)?;
        if left > 0 {
            progress.note(&messages::pods_did_not_end(left));
        }
        processes.stop(METRICS_SERVER, PATIENCE)?;
        for name in daemons::ALL.iter().rev() {
            processes.stop(name, PATIENCE)?;
        }
    }
    group.kill("", Duration::from_secs(30))?;
    sandbox::unmount_under(&instance.state_dir())?;
    sandbox::tear_down(instance)?;
    group.remove()
}

/// Tells the first process of every container to end, with the signal that its image stops with,
/// and waits. The sandbox containers are left out, because a pod without its sandbox loses the
/// network. Gives the number of processes left.
fn end_pods(instance: &Instance, limit: Duration) -> Result<usize> {
    let group = instance.cgroups()?;
    for pid in group
        .processes("kubepods")
        .into_iter()
        .filter(|pid| is_first(*pid))
    {
        if let (false, Some(pid)) = (is_sandbox(pid), Pid::from_raw(pid)) {
            // Gone in between is what is wanted.
            let _gone = rustix::process::kill_process(pid, stop_signal(pid));
        }
    }
    let begun = Instant::now();
    loop {
        let all = group.processes("kubepods");
        let left = all.into_iter().filter(|pid| !is_sandbox(*pid)).count();
        if left == 0 || begun.elapsed() > limit {
            group.kill("kubepods", PATIENCE)?;
            return Ok(left);
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Whether the process is number 1 in a namespace of its own.
fn is_first(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let ids = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .unwrap_or_default();
    let ids: Vec<_> = ids.split_whitespace().collect();
    ids.len() > 1 && ids.last() == Some(&"1")
}

fn is_sandbox(pid: i32) -> bool {
    program(pid) == "pause"
}

/// The `STOPSIGNAL` of the image that a program is from. The runtime keeps it where nobody else
/// reads it, and it is TERM for all images but one.
fn stop_signal(pid: Pid) -> Signal {
    match program(pid.as_raw_nonzero().get()).as_str() {
        // TERM waits for all clients to leave.
        "postgres" => Signal::INT,
        _ => Signal::TERM,
    }
}

fn program(pid: i32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// `stop_signal` knows no other.
    #[test]
    fn only_postgres_has_a_stop_signal_of_its_own() {
        let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("images");
        let mut found = Vec::new();
        for entry in fs::read_dir(images).unwrap() {
            let image = entry.unwrap();
            let text = fs::read_to_string(image.path().join("Dockerfile")).unwrap_or_default();
            let signals = text.lines().filter_map(|l| l.strip_prefix("STOPSIGNAL "));
            let name = image.file_name().into_string().unwrap();
            found.extend(signals.map(|signal| (name.clone(), signal.to_owned())));
        }
        assert_eq!(found, [("postgres".to_owned(), "SIGINT".to_owned())]);
    }

    #[test]
    fn an_unknown_program_is_told_to_terminate() {
        let this = rustix::process::getpid();
        assert_eq!(stop_signal(this), Signal::TERM);
    }
}
