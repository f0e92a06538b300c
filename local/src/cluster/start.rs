//! Bringing the node up, or up again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, thread};

use snafu::ResultExt;

use super::config::Snapshotter;
use super::daemons::{self, Plan};
use super::{Kubectl, addons, import, metrics, stop};
use crate::cgroup::Layout;
use crate::error::{DiedSnafu, FileSnafu, NotReadySnafu, Result};
use crate::exec::Run;
use crate::instance::Instance;
use crate::process::{Daemon, Identity, Processes};
use crate::progress::Progress;
use crate::text::messages;
use crate::third_party::ToolPaths;
use crate::{paths, pki, process, sandbox};

/// A running cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// The API server.
    pub api_url: String,
    /// The address of the node, reachable from this machine only.
    pub node_ip: std::net::Ipv4Addr,
    /// The port on 127.0.0.1 that leads to the platform's HTTPS.
    pub public_https: u16,
    /// Whether everything was running already.
    pub was_running: bool,
}

const API_LIMIT: Duration = Duration::from_secs(120);
const NODE_LIMIT: Duration = Duration::from_secs(120);
/// With the first pod of a new cluster in it.
const DNS_LIMIT: Duration = Duration::from_secs(120);

/// Starts the cluster. One that runs is left alone, one that runs in part is completed, and what
/// cannot be completed is stopped and started anew.
///
/// # Errors
/// When a program ends, or something is not ready in time; the error quotes the log.
pub fn start(progress: &Progress, instance: &Instance, tools: &ToolPaths) -> Result<Cluster> {
    let _lock = instance.lock()?;
    let stage = progress.stage("cluster", &messages::starts_node(instance.node()));
    if is_running(progress, instance, tools)? {
        let cluster = finish(progress, instance, tools, None)?;
        stage.done_with(&messages::was_running());
        return Ok(cluster);
    }
    let begun = now()?;
    let mut containers_since = String::new();
    if !sandbox::is_up(instance) {
        // Programs outside the new namespaces would be out of reach for the others.
        stop::stop_all(progress, instance, stop::Haste::Now)?;
        containers_since.clone_from(&begun);
    }
    let kubelet_runs = instance.processes().alive(daemons::KUBELET).is_some();
    let node_since = if kubelet_runs { "" } else { begun.as_str() };
    instance.settle()?;
    pki::ensure(instance)?;
    let group = instance.cgroups()?;
    group.create()?;
    sandbox::set_up(instance)?;
    sandbox::egress::grant(progress, instance)?;
    let plan = plan(progress, instance, tools, group.layout().clone())?;
    let kubectl = Kubectl::new(instance, tools);

    progress.note(&messages::node_facts(
        instance.network().node,
        plan.layout.version(),
        plan.snapshotter.name(),
    ));
    ensure_running(progress, &plan, daemons::ETCD)?;
    ensure_running(progress, &plan, daemons::CONTAINERD)?;
    ensure_running(progress, &plan, daemons::APISERVER)?;
    wait_for_api(instance, &kubectl)?;
    progress.note(&messages::api_answers(stage.elapsed().as_secs_f64()));
    wait_for_containerd(instance)?;
    for name in [
        daemons::CONTROLLER_MANAGER,
        daemons::SCHEDULER,
        daemons::KUBELET,
    ] {
        ensure_running(progress, &plan, name)?;
    }
    wait_for_node(instance, &kubectl, node_since)?;
    // It looks for the node once when it starts, and then not again for half a minute.
    ensure_running(progress, &plan, daemons::KUBE_PROXY)?;
    progress.note(&messages::node_ready(stage.elapsed().as_secs_f64()));
    let cluster = finish(progress, instance, tools, Some(&containers_since))?;
    stage.done_with(&messages::cluster_is_up(
        instance.node(),
        &cluster.api_url,
        cluster.public_https,
    ));
    Ok(cluster)
}

/// What comes after a ready node: the cluster's own images, its add-ons and the door to the host.
/// `started` is when this call began to start containers, and nothing when all ran already.
fn finish(
    progress: &Progress,
    instance: &Instance,
    tools: &ToolPaths,
    started: Option<&str>,
) -> Result<Cluster> {
    let since = started.unwrap_or_default();
    let layout = Layout::detect()?;
    let plan = plan(progress, instance, tools, layout)?;
    let kubectl = Kubectl::new(instance, tools);
    import::import_own_images(progress, instance)?;
    addons::apply(instance, &kubectl)?;
    let last = [
        daemons::NETWORK_POLICIES,
        daemons::PROVISIONER,
        daemons::FORWARDER,
    ];
    for name in last {
        ensure_running(progress, &plan, name)?;
    }
    metrics::resume(progress, &plan)?;
    wait_for_dns(instance, &kubectl, since)?;
    for name in last {
        check(&instance.processes(), name)?;
    }
    Ok(Cluster {
        kubeconfig: instance.kubeconfig(),
        api_url: instance.network().api_url(),
        node_ip: instance.network().node,
        public_https: instance.ports().public_https,
        was_running: started.is_none(),
    })
}

/// Whether every program of the node runs, and as it would be started now.
fn is_running(progress: &Progress, instance: &Instance, tools: &ToolPaths) -> Result<bool> {
    let processes = instance.processes();
    let core = || {
        daemons::ALL
            .iter()
            .filter(|name| **name != daemons::FORWARDER)
    };
    if !sandbox::is_up(instance) || !core().all(|name| processes.alive(name).is_some()) {
        return Ok(false);
    }
    let plan = plan(progress, instance, tools, Layout::detect()?)?;
    for name in core() {
        let daemon = plan.daemon(name)?;
        let record = processes.alive(name);
        if record.is_none_or(|record| record.fingerprint != daemon.fingerprint()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How each program of this instance is started.
pub(super) fn plan<'a>(
    progress: &Progress,
    instance: &'a Instance,
    tools: &'a ToolPaths,
    layout: Layout,
) -> Result<Plan<'a>> {
    let own = paths::own_program().context(FileSnafu {
        action: "find",
        path: "this program",
    })?;
    let own_program = forwarding_program(&own);
    let snapshotter = snapshotter(progress, instance)?;
    Ok(Plan {
        instance,
        tools,
        snapshotter,
        layout,
        own_program,
    })
}

/// The program with the subcommand `internal forward`: this one, unless this is a test, which lies
/// in a directory below the developer tool.
fn forwarding_program(own: &Path) -> PathBuf {
    let dir = own.parent();
    let in_deps = dir
        .and_then(Path::file_name)
        .is_some_and(|name| name == "deps");
    match dir.and_then(Path::parent) {
        Some(above) if in_deps => above.join("xtask"),
        _ => own.to_owned(),
    }
}

/// Decided once per instance: images unpacked by one are unknown to the other.
fn snapshotter(progress: &Progress, instance: &Instance) -> Result<Snapshotter> {
    let path = instance.state_dir().join("snapshotter");
    match fs::read_to_string(&path).unwrap_or_default().trim() {
        "overlayfs" => return Ok(Snapshotter::Overlay),
        "native" => return Ok(Snapshotter::Native),
        _ => {}
    }
    let chosen = if sandbox::overlay_works(&instance.state_dir())? {
        Snapshotter::Overlay
    } else {
        progress.note(&messages::layers_copied());
        Snapshotter::Native
    };
    crate::instance::write_file(&path, chosen.name().as_bytes())?;
    Ok(chosen)
}

/// Starts the program unless it runs with this very configuration.
pub(super) fn ensure_running(
    progress: &Progress,
    plan: &Plan<'_>,
    name: &'static str,
) -> Result<()> {
    let processes = plan.instance.processes();
    let daemon = plan.daemon(name)?;
    match processes.alive(name) {
        Some(record) if record.fingerprint == daemon.fingerprint() => return Ok(()),
        Some(_) => {
            progress.note(&messages::starts_again(name));
            processes.stop(name, Duration::from_secs(10))?;
        }
        None => end_unrecorded(plan.instance, &daemon)?,
    }
    processes.spawn(&daemon).map(drop)
}

/// Ends what a start that was killed had begun and not come to record: it holds the ports and files
/// of the one to be started now.
fn end_unrecorded(instance: &Instance, daemon: &Daemon) -> Result<()> {
    let program = daemon.command.first().map(String::as_str);
    for pid in instance.cgroups()?.processes("system") {
        let runs = process::program(pid);
        if let Some(identity) = Identity::of(pid).filter(|_| runs.as_deref() == program) {
            process::end(daemon.name, &identity, Duration::from_secs(10))?;
        }
    }
    Ok(())
}

/// Fails with the log's end when the program is not running.
pub(super) fn check(processes: &Processes, name: &str) -> Result<()> {
    if processes.alive(name).is_some() {
        return Ok(());
    }
    let (log, tail) = (processes.log_path(name), processes.log_tail(name));
    DiedSnafu { name, log, tail }.fail()
}

fn check_all(instance: &Instance, names: &[&str]) -> Result<()> {
    names
        .iter()
        .try_for_each(|name| check(&instance.processes(), name))
}

fn wait_for_api(instance: &Instance, kubectl: &Kubectl) -> Result<()> {
    let alive = || check_all(instance, &[daemons::ETCD, daemons::APISERVER]);
    let ready = |answer: &str| answer.trim() == "ok";
    kubectl.wait(
        "the API server",
        API_LIMIT,
        &["get", "--raw", "/readyz"],
        ready,
        alive,
    )
}

fn wait_for_containerd(instance: &Instance) -> Result<()> {
    let begun = Instant::now();
    loop {
        let version = Run::new("ctr")
            .args(["--address"])
            .args([instance.containerd_socket()]);
        if version.args(["version"]).limit(5).succeeds() {
            return Ok(());
        }
        check(&instance.processes(), daemons::CONTAINERD)?;
        if begun.elapsed() > Duration::from_secs(30) {
            let hint = instance.processes().log_tail(daemons::CONTAINERD);
            return NotReadySnafu {
                what: "containerd",
                seconds: 30_u64,
                hint,
            }
            .fail();
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Waits for a report that the kubelet made after `since`: what it said before the programs ended
/// stays on record for a while.
fn wait_for_node(instance: &Instance, kubectl: &Kubectl, since: &str) -> Result<()> {
    let node = instance.node();
    let report = "--output=jsonpath={range .status.conditions[?(@.type=='Ready')]}{.status} \
                  {.lastHeartbeatTime}{end}";
    let args = ["get", "node", &node, report];
    let ready = |answer: &str| is_ready_since(answer, since);
    let alive = || check_all(instance, &[daemons::KUBELET, daemons::CONTAINERD]);
    kubectl.wait("the node", NODE_LIMIT, &args, ready, alive)
}

fn wait_for_dns(instance: &Instance, kubectl: &Kubectl, since: &str) -> Result<()> {
    let args = [
        "--namespace=kube-system",
        "get",
        "pods",
        "--selector=k8s-app=kube-dns",
        "--output=jsonpath={range .items[*]}{.status.conditions[?(@.type=='Ready')].status} \
         {.status.containerStatuses[0].state.running.startedAt}{'\\n'}{end}",
    ];
    let ready = |answer: &str| answer.lines().any(|line| is_ready_since(line, since));
    let alive = || check_all(instance, &[daemons::KUBELET]);
    kubectl.wait("the cluster's DNS", DNS_LIMIT, &args, ready, alive)
}

/// Whether `answer` is `True` with a time that is not before `since`; times in this notation sort
/// as text.
fn is_ready_since(answer: &str, since: &str) -> bool {
    answer
        .trim()
        .split_once(' ')
        .is_some_and(|(ready, at)| ready == "True" && at.trim() >= since)
}

/// The time in the notation of the API, to the second.
fn now() -> Result<String> {
    let printed = Run::new("date")
        .args(["--utc", "+%Y-%m-%dT%H:%M:%SZ"])
        .ok()?;
    Ok(printed.stdout.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_report_is_not_believed() {
        let since = "2026-11-22T11:18:15Z";
        assert!(is_ready_since("True 2026-11-22T11:18:15Z", since));
        assert!(is_ready_since("True 2026-11-22T11:18:16Z", ""));
        assert!(!is_ready_since("True 2026-11-22T11:18:14Z", since));
        assert!(!is_ready_since("False 2026-11-22T11:18:16Z", since));
        assert!(!is_ready_since("", since) && !is_ready_since("True", since));
    }

    #[test]
    fn tests_forward_with_the_developer_tool() {
        let program = |path: &str| forwarding_program(Path::new(path));
        assert_eq!(
            program("/t/debug/deps/platform-1a2b"),
            Path::new("/t/debug/xtask")
        );
        assert_eq!(program("/t/debug/xtask"), Path::new("/t/debug/xtask"));
    }
}
