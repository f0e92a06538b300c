//! Starting, stopping and removing the node.

mod addons;
mod config;
mod daemons;
mod import;
mod kubectl;
mod memory;
mod metrics;
mod remove;
mod start;
mod stop;

pub use import::{Imported, import_images, tag_image};
pub use kubectl::Kubectl;
pub use memory::{PodMemory, memory_by_pod};
pub use metrics::{add_metrics, remove_metrics};
pub use remove::{Removed, reap_stale, remove};
pub use start::{Cluster, start};
pub use stop::stop;

pub(crate) use daemons::{ALL as DAEMONS, FORWARDER};
