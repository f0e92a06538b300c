//! mcp-server: tools over MCP.

mod config;
mod deployment;

use crate::platform::Platform;
use crate::resources::{Prepared, ResourceSet};

/// Objects of its own.
#[must_use]
pub fn build(platform: &Platform) -> ResourceSet<Prepared> {
    ResourceSet {
        config_maps: vec![config::build(platform)],
        deployments: vec![deployment::build(platform)],
        ..ResourceSet::default()
    }
}
