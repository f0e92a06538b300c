//! Certificates as files in pods: the authorities of the servers that a pod calls, and its own.

use k8s_openapi::api::core::v1::{ConfigMap, Volume, VolumeMount};
use lotoai_api::{Component, Store};

use super::config::{config_map_named, map_volume, mount_read_only, secret_files, secret_volume};
use crate::credentials::Credentials;
use crate::graph::Node;
use crate::platform::Platform;
use crate::tls::{self, AUTHORITIES, CERTIFICATE, OWN, PRIVATE_KEY};

/// Key of the authority's Secret, and name of its file.
pub const KEY: &str = tls::AUTHORITY;

/// File with the authorities of a store's server; none when the well-known ones vouch for it.
#[must_use]
pub fn file(platform: &Platform, store: Store) -> Option<String> {
    match platform.topology.external(store) {
        None => Some(tls::bundle_file()),
        Some(external) => external.ca_secret.as_ref().map(|_| external_file(store)),
    }
}

fn external_file(store: Store) -> String {
    format!("{}/{KEY}", directory(store))
}

fn directory(store: Store) -> String {
    format!("{AUTHORITIES}/{}", store.name())
}

/// ConfigMap with the platform's authorities.
#[must_use]
pub fn bundle(platform: &Platform, credentials: &Credentials) -> ConfigMap {
    let text = tls::bundle(platform, credentials);
    config_map_named(
        platform.platform_metadata(platform.bundle_name()),
        &[(KEY, text)],
    )
}

/// Volume with the platform's authorities, and where it is mounted.
#[must_use]
pub fn of_the_platform(platform: &Platform) -> (Volume, VolumeMount) {
    (
        map_volume("ca", platform.bundle_name()),
        mount_read_only("ca", &format!("{AUTHORITIES}/platform")),
    )
}

/// Volumes with the authorities of the servers that a node calls, and where they are mounted.
pub fn volumes(
    platform: &Platform,
    node: Node,
) -> impl Iterator<Item = (Volume, VolumeMount)> + use<'_> {
    let bundle = tls::trusts(platform, node).then(|| of_the_platform(platform));
    let external = platform.topology.outside_from(node);
    bundle
        .into_iter()
        .chain(external.filter_map(|(_, store, external)| {
            let secret = external.ca_secret.as_deref()?;
            let name = format!("ca-{}", store.name());
            Some((
                secret_volume(&name, secret, &[KEY]),
                mount_read_only(&name, &directory(store)),
            ))
        }))
}

/// Volume with the certificate that a component shows, and where it is mounted.
#[must_use]
pub fn certificate(platform: &Platform, component: Component) -> (Volume, VolumeMount) {
    certificate_as(platform, component, [CERTIFICATE, PRIVATE_KEY])
}

/// The same with names of its own for the files of the certificate and of its key.
#[must_use]
pub fn certificate_as(
    platform: &Platform,
    component: Component,
    [certificate, key]: [&str; 2],
) -> (Volume, VolumeMount) {
    let secret = platform.certificate_secret(component);
    let files = [(CERTIFICATE, certificate), (PRIVATE_KEY, key)];
    (
        secret_files("tls", &secret, &files),
        mount_read_only("tls", OWN),
    )
}
