//! A cluster without the platform, for the tests that kill and interrupt what makes one.

use lotoai_local::{Instance, Progress, Tool};

use crate::cluster::local;
use crate::e2e;
use crate::error::Result;

/// Starts the cluster `name`, with programs and images that have been built before.
pub(crate) fn start(name: &str) -> Result<()> {
    let instance =
        Instance::new(name).map_err(|error| local("name the cluster to start", error))?;
    up(&instance)
}

/// Starts a cluster as the end-to-end level does, tells its name in a line `ready <name>`, and lasts
/// until it is killed.
pub(crate) fn hold() -> Result<()> {
    let instance = e2e::instance()?;
    e2e::guard(&instance);
    up(&instance)?;
    println!("ready {}", instance.name);
    loop {
        std::thread::park();
    }
}

fn up(instance: &Instance) -> Result<()> {
    let progress = Progress::new();
    let tools = lotoai_local::third_party(&progress, Tool::CLUSTER)
        .map_err(|error| local("build third-party programs", error))?;
    lotoai_local::start(&progress, instance, &tools)
        .map(drop)
        .map_err(|error| local("start the cluster", error))
}
