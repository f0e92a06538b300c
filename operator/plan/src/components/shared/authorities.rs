//! Certificate authorities of external servers, as files in the pods that call them.

use k8s_openapi::api::core::v1::{Volume, VolumeMount};
use lotoai_api::Store;

use super::config::{mount_read_only, secret_volume};
use crate::graph::Node;
use crate::platform::Platform;

/// Key of the authority's Secret, and name of its file.
pub const KEY: &str = "ca.crt";

/// File with the authority of a store's server.
#[must_use]
pub fn file(store: Store) -> String {
    format!("{}/{KEY}", directory(store))
}

fn directory(store: Store) -> String {
    format!("/etc/lotoai-ca/{}", store.name())
}

/// Volumes with the authorities of the servers that a node calls, and where they are mounted.
pub fn volumes(
    platform: &Platform,
    node: Node,
) -> impl Iterator<Item = (Volume, VolumeMount)> + use<'_> {
    platform
        .topology
        .outside_from(node)
        .filter_map(|(_, store, external)| {
            let secret = external.ca_secret.as_deref()?;
            let name = format!("ca-{}", store.name());
            Some((
                secret_volume(&name, secret, &[KEY]),
                mount_read_only(&name, &directory(store)),
            ))
        })
}
