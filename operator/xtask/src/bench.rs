//! `make bench`: figures of this machine, to compare with those in the documentation.

use crate::error::Result;
use crate::paths;
use crate::shell::{command, show};

/// Measures the models of the model server, with one thread and with all cores.
pub(crate) fn run() -> Result<()> {
    let build = ["build", "--locked", "--workspace", "--example", "speed"];
    show(&mut command("cargo", build))?;
    let program = paths::binaries().join("examples/speed");
    let models = paths::cache().join("third-party/models-1");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("== model server");
    for threads in [1, cores] {
        let mut measure = command(&program.to_string_lossy(), [&models]);
        show(measure.arg(threads.to_string()))?;
    }
    Ok(())
}
