//! The size of an image of the gateway that is measured.

use std::path::Path;
use std::process::Command;

use snafu::ResultExt as _;

use crate::Result;

/// Packed size in bytes of an image upon `base`, an archive: that, and a layer with the program and
/// the web client, packed with gzip as most builders do. `None`, with the reason printed, where the
/// web client is not built.
pub(crate) fn packed(base: &Path, program: &Path) -> Result<Option<f64>> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/dist");
    if !web.join("index.html").is_file() {
        println!(
            "SKIPPED the size of the image: the web client is not built; `make images` does it"
        );
        return Ok(None);
    }
    let failed = || format!("failed to read {}", base.display());
    let below = std::fs::metadata(base).with_whatever_context(|_| failed())?;
    let (directory, name) = (program.parent(), program.file_name());
    let mut pack = Command::new("tar");
    pack.args(["--create", "--gzip", "--file=-", "--directory"])
        .arg(directory.unwrap_or(Path::new("/")))
        .arg(name.unwrap_or_default())
        .arg("--directory")
        .arg(&web)
        .arg(".");
    let packed = pack.output().whatever_context("failed to run tar")?;
    if !packed.status.success() {
        let said = String::from_utf8_lossy(&packed.stderr);
        snafu::whatever!("tar could not pack the program and the web client: {said}");
    }
    Ok(Some(below.len() as f64 + packed.stdout.len() as f64))
}
