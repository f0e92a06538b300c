//! Which instance has which addresses.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use snafu::{OptionExt, ResultExt};

use crate::error::{DecodeSnafu, NoSlotSnafu, Result};
use crate::instance::{MAIN_HTTPS, write_file};
use crate::lock::{self, Lock};
use crate::network::SLOTS;
use crate::paths;
use crate::process::Identity;

/// What has to be the same at the next start, in `<state>/instance.json`; the same is kept per slot
/// in `/run/lotoai/slots` so that two instances never get the same addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) name: String,
    pub(crate) slot: u8,
    pub(crate) public_https: u16,
    pub(crate) state_dir: PathBuf,
    /// The process that made the instance.
    pub(crate) owner: Option<Identity>,
}

impl Claim {
    pub(crate) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).context(DecodeSnafu {
            what: "the record of an instance",
        })?;
        write_file(path, &text)
    }

    /// A claim without state ends with the process that made it.
    pub(crate) fn holds(&self) -> bool {
        self.state_dir.join("instance.json").exists()
            || self.owner.as_ref().is_some_and(Identity::is_alive)
    }
}

/// Finds a free slot. Without the right to write in `/run` nothing is kept: the preflight check
/// will say that root is needed.
pub(crate) fn new_claim(name: &str, state_dir: &Path) -> Result<Claim> {
    let _lock = if rustix::process::geteuid().is_root() {
        Some(shared_lock()?)
    } else {
        None
    };
    let held: Vec<_> = (0..SLOTS)
        .filter_map(|slot| Claim::read(&slot_path(slot)))
        .filter(Claim::holds)
        .collect();
    if let Some(own) = held.iter().find(|claim| claim.name == name) {
        return Ok(own.clone());
    }
    let slot = pick_slot(&held)?;
    let claim = Claim {
        name: name.to_owned(),
        slot,
        public_https: free_port(slot, &held),
        state_dir: state_dir.to_owned(),
        owner: Identity::own(),
    };
    if rustix::process::geteuid().is_root() {
        claim.write(&slot_path(slot))?;
    }
    Ok(claim)
}

/// The lowest free slot but 0, which is for [`MAIN`].
fn pick_slot(held: &[Claim]) -> Result<u8> {
    let is_free = |slot: &u8| held.iter().all(|claim| claim.slot != *slot);
    (1..SLOTS).find(is_free).with_context(|| NoSlotSnafu {
        slots: SLOTS,
        owners: held
            .iter()
            .map(|claim| claim.name.clone())
            .collect::<Vec<_>>(),
    })
}

/// The first port from 8444 on that nobody listens on and no other instance has.
fn free_port(slot: u8, held: &[Claim]) -> u16 {
    let first = MAIN_HTTPS + u16::from(slot);
    let usable = |port: &u16| {
        held.iter().all(|claim| claim.public_https != *port)
            && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()
    };
    (first..first.saturating_add(1000))
        .find(usable)
        .unwrap_or(first)
}

pub(crate) fn slot_path(slot: u8) -> PathBuf {
    paths::shared_dir()
        .join("slots")
        .join(format!("{slot}.json"))
}

/// One at a time may change what the instances share: the slots and the list of mount points.
pub(crate) fn shared_lock() -> Result<Lock> {
    lock::take(
        &paths::shared_dir().join("shared.lock"),
        Duration::from_secs(30),
        || {},
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(name: &str, slot: u8) -> Claim {
        Claim {
            name: name.to_owned(),
            slot,
            public_https: MAIN_HTTPS + u16::from(slot),
            state_dir: PathBuf::from("/nowhere"),
            owner: Identity::own(),
        }
    }

    #[test]
    fn slot_zero_is_kept_for_main() {
        assert_eq!(pick_slot(&[]).unwrap(), 1);
        assert_eq!(pick_slot(&[claim("test-1", 1)]).unwrap(), 2);
        let all: Vec<_> = (1..SLOTS)
            .map(|slot| claim(&format!("test-{slot}"), slot))
            .collect();
        let error = pick_slot(&all).unwrap_err().to_string();
        assert!(
            error.contains("test-7") && error.contains("8 address blocks"),
            "{error}"
        );
    }

    #[test]
    fn a_claim_ends_with_its_process_unless_it_has_state() {
        let mut claim = claim("test-1", 1);
        assert!(claim.holds());
        claim.owner = None;
        assert!(!claim.holds());
        let dir = tempfile::tempdir().unwrap();
        claim.state_dir = dir.path().to_owned();
        claim.write(&dir.path().join("instance.json")).unwrap();
        assert!(claim.holds());
        assert_eq!(Claim::read(&dir.path().join("instance.json")), Some(claim));
    }

    #[test]
    fn a_taken_port_is_passed_over() {
        let first = free_port(3, &[]);
        let held = [Claim {
            public_https: first,
            ..claim("other", 3)
        }];
        assert!(free_port(3, &held) > first);
    }
}
