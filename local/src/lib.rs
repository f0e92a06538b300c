//! A real Kubernetes node from packages, and the images it runs.
//!
//! An [`Instance`] is one cluster of this machine. [`preflight`] says whether the machine will do,
//! [`packages`] and [`third_party`] get the programs, [`start`], [`stop`] and [`remove`] do what
//! their names say, [`import_images`] gives images to the node, and [`add_metrics`] has its pods
//! measured. Everything an instance makes is inside a network namespace, a mount namespace and a
//! control group of its own, so instances do not disturb each other and removing one leaves nothing
//! behind.

mod cgroup;
mod cluster;
mod error;
mod exec;
mod forward;
pub mod images;
mod instance;
mod lock;
mod network;
mod packages;
mod paths;
mod pki;
mod preflight;
mod process;
mod progress;
mod sandbox;
mod slots;
pub mod text;
mod third_party;
mod watchdog;

pub use cluster::{
    Cluster, Imported, Kubectl, PodMemory, Removed, add_metrics, import_images, memory_by_pod,
    reap_stale, remove, remove_metrics, start, stop, tag_image,
};
pub use error::{Error, Result, chain};
pub use exec::wait;
pub use forward::{ForwardError, forward};
pub use instance::{HTTPS_NODE_PORT, Instance, MAIN, Ports, TEST_PREFIX};
pub use network::{Cidr, Network};
pub use packages::{Installed, PACKAGES, TEST_PACKAGES, packages};
pub use paths::{cache_dir, images_dir, own_program, state_root};
pub use preflight::{Problem, Requirements, Toolchain, preflight};
pub use progress::{Progress, Stage, StageTime};
pub use third_party::{Tool, ToolPaths, third_party};
pub use watchdog::{watch, watchdog};
