//! What this machine has to run a PostgreSQL server with; the benchmark uses it too.

use std::path::{Path, PathBuf};

/// The directory of PostgreSQL's programs; the first on `PATH`, else a packaged one.
pub(crate) fn programs() -> Option<PathBuf> {
    let has = |directory: &Path| directory.join("postgres").is_file();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(|directory| has(directory));
    let packaged = || {
        let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
        versions
            .flatten()
            .map(|version| version.path().join("bin"))
            .find(|bin| has(bin))
    };
    on_path.or_else(packaged)
}

/// User and group of the server when this is root, which it refuses to be.
pub(crate) fn unprivileged() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    if std::fs::metadata("/proc/self").ok()?.uid() != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let entry = |name: &str| {
        let line = users
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    entry("postgres").or_else(|| entry("nobody"))
}
