//! Checks `kind-config.yaml` with kind's own loader, which needs no container engine.

use snafu::{ResultExt, ensure};

use crate::error::{FileSnafu, RefusedSnafu, Result};
use crate::paths;
use crate::shell::{capture, command};

const FILE: &str = "kind-config.yaml";

/// Loads the file, and sees that the loader would have refused a broken one.
pub(crate) fn check() -> Result<()> {
    let path = paths::root().join(FILE);
    load(&path)?;
    let text = std::fs::read_to_string(&path).context(FileSnafu {
        action: "read",
        path: &path,
    })?;
    let broken = std::env::temp_dir().join(format!("lotoai-kind-{}.yaml", std::process::id()));
    std::fs::write(&broken, text.replace("hostPort:", "hostPrt:")).context(FileSnafu {
        action: "write",
        path: &broken,
    })?;
    let refused = load(&broken).is_err();
    std::fs::remove_file(&broken).context(FileSnafu {
        action: "remove",
        path: &broken,
    })?;
    let message = "kind's loader took an unknown field";
    ensure!(refused, RefusedSnafu { message });
    Ok(())
}

fn load(file: &std::path::Path) -> Result<()> {
    let mut go = command("go", ["run", "."]);
    go.arg(file)
        .current_dir(paths::root().join("local/go/kind"))
        .envs([
            ("CGO_ENABLED", "0"),
            ("GOFLAGS", "-mod=readonly"),
            ("GOWORK", "off"),
        ]);
    capture(&mut go).map(drop)
}
