//! One cluster of this machine: its name and everything that follows from it.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use snafu::{OptionExt, ResultExt, ensure};

use crate::error::{FileSnafu, InvalidNameSnafu, InvalidVariableSnafu, Result, SlotTakenSnafu};
use crate::lock::{self, Lock};
use crate::network::Network;
use crate::process::{Identity, Processes};
use crate::slots::{Claim, new_claim, shared_lock, slot_path};
use crate::{cgroup, paths};

/// The instance of `make up`. It always has slot 0, so its addresses never change.
pub const MAIN: &str = "main";
/// Instances whose name begins so belong to the process that made them and die with it.
pub const TEST_PREFIX: &str = "test-";
/// The node port that carries the platform's HTTPS in every cluster.
pub const HTTPS_NODE_PORT: u16 = 30443;
pub(crate) const MAIN_HTTPS: u16 = 8443;
const LONGEST_NAME: usize = 24;

/// Ports of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    /// On 127.0.0.1 of the host: leads to `https_node_port`.
    pub public_https: u16,
    /// On the node: what the Service of the edge uses.
    pub https_node_port: u16,
}

/// A cluster of this machine, running or not.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Its name, such as `main` or `test-4711`.
    pub name: String,
    network: Network,
    ports: Ports,
    state_dir: PathBuf,
    owner: Option<Identity>,
}

impl Instance {
    /// The instance `name`, with the addresses and ports it has had before, else with free ones
    /// that are kept for it from now on.
    ///
    /// # Errors
    /// When the name or `LOTOAI_PORT` is not usable, or every slot is taken.
    pub fn new(name: &str) -> Result<Self> {
        ensure!(is_valid(name), InvalidNameSnafu { name });
        let state_dir = paths::state_root().join(name);
        let stored = Claim::read(&state_dir.join("instance.json"));
        let claim = match stored {
            Some(claim) => claim,
            None if name == MAIN => Claim {
                name: name.to_owned(),
                slot: 0,
                public_https: MAIN_HTTPS,
                state_dir: state_dir.clone(),
                owner: Identity::own(),
            },
            None => new_claim(name, &state_dir)?,
        };
        let asked = if name == MAIN {
            asked_port(env::var("LOTOAI_PORT").ok())?
        } else {
            None
        };
        Ok(Self {
            name: name.to_owned(),
            network: Network::of_slot(claim.slot),
            ports: Ports {
                public_https: asked.unwrap_or(claim.public_https),
                https_node_port: HTTPS_NODE_PORT,
            },
            state_dir,
            owner: claim.owner,
        })
    }

    /// Where everything is that survives [`stop`](crate::stop).
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.state_dir.clone()
    }

    /// The administrator's kubeconfig. It exists once the cluster has been started.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.state_dir.join("kubeconfig")
    }

    /// The ports at which it answers.
    #[must_use]
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Its addresses.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The name of its only node.
    #[must_use]
    pub fn node(&self) -> String {
        format!("lotoai-{}", self.name)
    }

    /// Whether it belongs to the process that made it: its data need not survive a power cut, it
    /// has no way out of the machine, and [`reap_stale`](crate::reap_stale) removes it.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.name.starts_with(TEST_PREFIX)
    }

    /// The process that made it.
    pub(crate) fn owner(&self) -> Option<&Identity> {
        self.owner.as_ref()
    }

    /// Whether the process that made a test instance has ended.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.is_test() && !self.owner.as_ref().is_some_and(Identity::is_alive)
    }

    /// The network namespace, and the name of the cgroup in every hierarchy.
    pub(crate) fn handle(&self) -> String {
        format!("lotoai-{}", self.name)
    }

    /// Sockets and everything else that ends with the cluster's processes.
    pub(crate) fn run_dir(&self) -> PathBuf {
        PathBuf::from("/run").join(self.handle())
    }

    /// The network namespace as a file, while the cluster runs. Its node and Services answer in there.
    #[must_use]
    pub fn netns_path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(self.handle())
    }

    pub(crate) fn containerd_socket(&self) -> PathBuf {
        self.run_dir().join("containerd.sock")
    }

    pub(crate) fn pki_dir(&self) -> PathBuf {
        self.state_dir.join("pki")
    }

    pub(crate) fn processes(&self) -> Processes {
        Processes {
            records: self.run_dir().join("processes"),
            logs: self.state_dir.join("log"),
        }
    }

    pub(crate) fn cgroups(&self) -> Result<cgroup::Group> {
        cgroup::Group::of(&self.handle())
    }

    /// One at a time may start, stop or remove an instance.
    pub(crate) fn lock(&self) -> Result<Lock> {
        lock::take(&self.lock_path(), Duration::from_secs(300), || {})
    }

    fn lock_path(&self) -> PathBuf {
        paths::shared_dir().join(format!("{}.lock", self.name))
    }

    /// Makes the slot and the state directory this instance's own.
    pub(crate) fn settle(&self) -> Result<()> {
        let _lock = shared_lock()?;
        let path = slot_path(self.network.slot);
        if let Some(other) = Claim::read(&path).filter(|other| other.name != self.name) {
            let slot = self.network.slot;
            ensure!(
                !other.holds(),
                SlotTakenSnafu {
                    slot,
                    name: &self.name,
                    owner: other.name
                }
            );
        }
        let claim = Claim {
            name: self.name.clone(),
            slot: self.network.slot,
            public_https: self.ports.public_https,
            state_dir: self.state_dir.clone(),
            owner: self.owner.clone(),
        };
        claim.write(&path)?;
        claim.write(&self.state_dir.join("instance.json"))
    }

    /// Whether no other instance has this one's slot.
    pub(crate) fn holds_slot(&self) -> bool {
        let claim = Claim::read(&slot_path(self.network.slot));
        claim.is_none_or(|claim| claim.name == self.name)
    }

    /// Gives the slot back. The caller holds the instance's lock, whose file goes as well.
    pub(crate) fn release(&self) -> Result<()> {
        let _lock = shared_lock()?;
        let path = slot_path(self.network.slot);
        if Claim::read(&path).is_some_and(|claim| claim.name == self.name) {
            remove_file(&path)?;
        }
        remove_file(&self.lock_path())
    }
}

fn is_valid(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() <= LONGEST_NAME
        && name.chars().all(allowed)
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
}

fn asked_port(value: Option<String>) -> Result<Option<u16>> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let port = value.parse::<u16>().ok().filter(|port| *port > 0);
    let variable = "LOTOAI_PORT";
    let port = port.context(InvalidVariableSnafu {
        variable,
        value,
        expected: "a port from 1 to 65535",
    })?;
    Ok(Some(port))
}

/// Writes `bytes` to `path` so that a reader sees all of it or nothing; makes the directory.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).context(FileSnafu {
            action: "create",
            path: dir,
        })?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    fs::write(&new, bytes).context(FileSnafu {
        action: "write",
        path: &new,
    })?;
    fs::rename(&new, path).context(FileSnafu {
        action: "replace",
        path,
    })
}

/// Removes a file; one that does not exist is fine.
pub(crate) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context(FileSnafu {
                action: "remove",
                path,
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("main", true)]
    #[case("test-4711", true)]
    #[case("", false)]
    #[case("Main", false)]
    #[case("4main", false)]
    #[case("main-", false)]
    #[case("../main", false)]
    #[case("a-name-that-is-far-too-long", false)]
    fn names(#[case] name: &str, #[case] valid: bool) {
        assert_eq!(is_valid(name), valid);
    }

    #[rstest]
    #[case(None, Some(None))]
    #[case(Some(""), Some(None))]
    #[case(Some("9443"), Some(Some(9443)))]
    #[case(Some("0"), None)]
    #[case(Some("http"), None)]
    fn ports_from_the_environment(#[case] value: Option<&str>, #[case] port: Option<Option<u16>>) {
        assert_eq!(asked_port(value.map(str::to_owned)).ok(), port);
    }
}
