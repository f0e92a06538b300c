//! Where things are kept.

use std::env;
use std::path::PathBuf;

/// What survives a reboot and belongs to all instances: built programs and images.
/// `$LOTOAI_CACHE`, else `$HOME/.cache/lotoai`.
#[must_use]
pub fn cache_dir() -> PathBuf {
    if let Some(dir) = set("LOTOAI_CACHE") {
        return dir;
    }
    set("HOME")
        .unwrap_or_else(|| PathBuf::from("/root"))
        .join(".cache/lotoai")
}

/// The parent of every instance's state: `$LOTOAI_STATE`, else `/var/lib/lotoai`.
#[must_use]
pub fn state_root() -> PathBuf {
    set("LOTOAI_STATE").unwrap_or_else(|| PathBuf::from("/var/lib/lotoai"))
}

/// Where the image archives are: `<cache>/images/<image>.tar`.
#[must_use]
pub fn images_dir() -> PathBuf {
    cache_dir().join("images")
}

/// What all instances of this machine share until the next boot: locks and slots.
pub(crate) fn shared_dir() -> PathBuf {
    PathBuf::from("/run/lotoai")
}

/// The file of this program. `cargo build` replaces the file of a program that runs, and the kernel
/// then calls the old one `<path> (deleted)`.
///
/// # Errors
/// When the kernel does not say.
pub fn own_program() -> std::io::Result<PathBuf> {
    let own = env::current_exe()?;
    let replaced = own
        .to_str()
        .and_then(|text| text.strip_suffix(" (deleted)"));
    Ok(replaced.map_or(own.clone(), PathBuf::from))
}

fn set(variable: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}
