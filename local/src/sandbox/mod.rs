//! The walls around an instance: a network namespace with one link to the host, and a mount
//! namespace that a process of ours holds open. What the kubelet mounts is seen in there only and
//! vanishes with the last process, however that ends.

pub(crate) mod egress;
mod mounts;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use snafu::ResultExt;

use crate::error::{Error, FileSnafu, NotReadySnafu, Result};
use crate::exec::Run;
use crate::instance::{Instance, remove_file};
use crate::process::Daemon;

pub(crate) use mounts::{mounts_under, unmount_under};

/// The process that holds the mount namespace.
pub(crate) const HOLDER: &str = "sandbox";

/// Whether both namespaces are there to be entered.
pub(crate) fn is_up(instance: &Instance) -> bool {
    instance.processes().alive(HOLDER).is_some()
        && netns_works(instance)
        && device_exists(&instance.network().host_device)
}

/// Makes both namespaces and the link. Leftovers of an earlier attempt are replaced.
pub(crate) fn set_up(instance: &Instance) -> Result<()> {
    make_netns(instance)?;
    make_link(instance)?;
    mounts::make_mount_points()?;
    hold(instance)
}

/// Command words that enter the network namespace.
pub(crate) fn enter_network(instance: &Instance) -> Vec<String> {
    vec![
        "nsenter".to_owned(),
        format!("--net={}", instance.netns_path().display()),
    ]
}

/// Command words that enter both namespaces.
pub(crate) fn enter(instance: &Instance) -> Result<Vec<String>> {
    let holder = instance
        .processes()
        .alive(HOLDER)
        .ok_or_else(|| Error::Died {
            name: HOLDER.to_owned(),
            log: instance.processes().log_path(HOLDER),
            tail: instance.processes().log_tail(HOLDER),
        })?;
    let mut words = enter_network(instance);
    words.push(format!("--mount=/proc/{}/ns/mnt", holder.identity.pid));
    Ok(words)
}

/// Removes link, network namespace and sockets. The processes have ended before.
pub(crate) fn tear_down(instance: &Instance) -> Result<()> {
    egress::withdraw(instance)?;
    let device = &instance.network().host_device;
    let netns = instance.netns_path();
    if netns.exists() {
        // A plain file is left when the namespace was unmounted behind our back.
        if !Run::new("ip")
            .args(["netns", "delete", &instance.handle()])
            .succeeds()
        {
            remove_file(&netns)?;
        }
    }
    // The kernel removes the link with the namespace, but only some time later.
    if device_exists(device) && link_is_ours(instance) {
        Run::new("ip").args(["link", "delete", device]).succeeds();
    }
    let run = instance.run_dir();
    unmount_under(&run)?;
    remove_dir(&run)?;
    mounts::remove_mount_points()
}

/// Removes a directory in which nothing is mounted; one that does not exist is fine.
pub(crate) fn remove_dir(path: &Path) -> Result<()> {
    if let Some(mount) = mounts_under(path)?.into_iter().next() {
        return Err(Error::StillMounted { path: mount });
    }
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context(FileSnafu {
                action: "remove",
                path,
            })
        }
        _ => Ok(()),
    }
}

fn netns_works(instance: &Instance) -> bool {
    let net = format!("--net={}", instance.netns_path().display());
    instance.netns_path().exists() && Run::new("nsenter").args([&net, "true"]).succeeds()
}

fn make_netns(instance: &Instance) -> Result<()> {
    // Without it the answers of a Service's pod to another pod of the node do not come back. Where
    // it is part of the kernel there is no module to load.
    Run::new("modprobe").args(["br_netfilter"]).succeeds();
    if netns_works(instance) {
        return Ok(());
    }
    if instance.netns_path().exists() {
        Run::new("ip")
            .args(["netns", "delete", &instance.handle()])
            .succeeds();
        remove_file(&instance.netns_path())?;
    }
    Run::new("ip")
        .args(["netns", "add", &instance.handle()])
        .ok()?;
    Ok(())
}

fn device_exists(device: &str) -> bool {
    Path::new("/sys/class/net").join(device).exists()
}

/// Whether the device carries the address of our slot, or none because a start was cut off before
/// it gave it one, and the slot is not another instance's by now: nobody else's device may be
/// removed.
fn link_is_ours(instance: &Instance) -> bool {
    if !instance.holds_slot() {
        return false;
    }
    let network = instance.network();
    let printed = Run::new("ip").args(["-o", "-4", "addr", "show", "dev", &network.host_device]);
    printed
        .ok()
        .is_ok_and(|printed| carries_ours_or_none(&printed.stdout, &network.host.to_string()))
}

fn carries_ours_or_none(addresses: &str, ours: &str) -> bool {
    addresses.trim().is_empty() || addresses.contains(&format!(" {ours}/"))
}

fn make_link(instance: &Instance) -> Result<()> {
    let network = instance.network();
    let device = network.host_device.as_str();
    let ip = |line: &str| Run::new("ip").args(line.split(' ')).ok().map(drop);
    if !device_exists(device) || !link_is_ours(instance) {
        ip(&format!(
            "link add {device} type veth peer name eth0 netns {}",
            instance.handle()
        ))?;
    }
    ip(&format!(
        "addr replace {}/{} dev {device}",
        network.host, network.link.prefix
    ))?;
    ip(&format!("link set {device} up"))?;
    let script = inside_script(instance);
    let mut words = enter_network(instance);
    words.extend(["sh".to_owned(), "-c".to_owned(), script]);
    Run::new(&words[0]).args(&words[1..]).ok()?;
    Ok(())
}

/// `replace` and not `add`: the script runs again when a half-made instance is repaired.
fn inside_script(instance: &Instance) -> String {
    let network = instance.network();
    // Connections of the node itself to a Service need a route before the packet is rewritten.
    // Without a way out everything else is refused at once instead of timing out.
    let default = if egress::is_wanted(instance) {
        format!("ip route replace default via {}", network.host)
    } else {
        "ip route replace unreachable default".to_owned()
    };
    format!(
        "set -e
         ip link set lo up
         ip addr replace {node}/{prefix} dev eth0
         ip link set eth0 up
         {default}
         ip route replace {services} dev eth0
         echo 1 > /proc/sys/net/ipv4/ip_forward
         if [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then
           echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables
         fi",
        node = network.node,
        prefix = network.link.prefix,
        services = network.services,
    )
}

/// Starts the process that holds the mount namespace, and waits until all is mounted in it.
fn hold(instance: &Instance) -> Result<()> {
    let processes = instance.processes();
    if processes.alive(HOLDER).is_some() {
        return Ok(());
    }
    let ready = instance.run_dir().join("sandbox.ready");
    remove_file(&ready)?;
    let script = mounts::script(instance, &ready)?;
    let mut prefix = enter_network(instance);
    prefix.extend(["unshare", "--mount", "--propagation", "slave"].map(str::to_owned));
    let daemon = Daemon {
        name: HOLDER,
        command: ["sh", "-c", &script].map(str::to_owned).to_vec(),
        prefix,
        cgroups: instance.cgroups()?.entrances(),
        env: Vec::new(),
        config: Vec::new(),
    };
    let record = processes.spawn(&daemon)?;
    let begun = Instant::now();
    while !ready.exists() {
        let tail = processes.log_tail(HOLDER);
        if !record.identity.is_alive() {
            let log = processes.log_path(HOLDER);
            return Err(Error::Died {
                name: HOLDER.to_owned(),
                log,
                tail,
            });
        }
        if begun.elapsed() > Duration::from_secs(10) {
            let what = "the mount namespace";
            return NotReadySnafu {
                what,
                seconds: 10_u64,
                hint: tail,
            }
            .fail();
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Whether the kernel can stack directories below `dir`, as the overlay snapshotter needs.
pub(crate) fn overlay_works(dir: &Path) -> Result<bool> {
    let trial: PathBuf = dir.join("overlay-trial");
    for part in ["lower", "upper", "work", "merged"] {
        let path = trial.join(part);
        fs::create_dir_all(&path).context(FileSnafu {
            action: "create",
            path,
        })?;
    }
    let script = "cd \"$0\" && mount -t overlay overlay \
                  -o lowerdir=lower,upperdir=upper,workdir=work merged";
    let trial_text = trial.display().to_string();
    let works = Run::new("unshare")
        .args(["--mount", "sh", "-c", script, &trial_text])
        .succeeds();
    fs::remove_dir_all(&trial).context(FileSnafu {
        action: "remove",
        path: &trial,
    })?;
    Ok(works)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_with_another_address_is_not_ours() {
        let shown = "7: lotoai1    inet 198.18.96.1/30 scope global lotoai1\\ valid_lft forever\n";
        assert!(carries_ours_or_none(shown, "198.18.96.1"));
        assert!(!carries_ours_or_none(shown, "98.18.96.1"));
        assert!(!carries_ours_or_none(shown, "198.18.96.10"));
        // What is left of a start that was cut off.
        assert!(carries_ours_or_none("\n", "198.18.96.1"));
    }
}
