//! Where things are: the checkout, the build output, the cache.

use std::path::PathBuf;

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest
        .ancestors()
        .nth(2)
        .map(PathBuf::from)
        .unwrap_or(manifest)
}

/// The per-user cache of third-party builds, images and build output.
pub(crate) fn cache() -> PathBuf {
    std::env::var_os("LOTOAI_CACHE").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/lotoai"),
        PathBuf::from,
    )
}

/// Where cargo puts binaries of the one profile that images and tests share.
pub(crate) fn binaries() -> PathBuf {
    target().join("debug")
}

/// Cargo's target directory.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| cache().join("target"), PathBuf::from)
}
