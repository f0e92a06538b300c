//! What is generated from code: the CRD, the chart's copies, the operator's RBAC.

use std::path::Path;

use snafu::ResultExt;

use crate::error::{FileSnafu, RefusedSnafu, Result};
use crate::paths;
use crate::shell::{capture, command, show};

/// A generated file and the `lotoai-operator` arguments that print it.
const GENERATED: [(&str, &[&str]); 3] = [
    ("crds/lotoais.yaml", &["crd"]),
    (
        "charts/lotoai-crds/templates/lotoais.yaml",
        &["crd", "--helm"],
    ),
    ("charts/lotoai-operator/files/rules.yaml", &["rbac"]),
];

/// Writes every generated file.
pub(crate) fn run() -> Result<()> {
    show(&mut command(
        "cargo",
        ["build", "--locked", "--workspace", "--bins"],
    ))?;
    for (file, arguments) in GENERATED {
        let text = render(arguments)?;
        let path = paths::root().join(file);
        std::fs::write(&path, text).context(FileSnafu {
            action: "write",
            path,
        })?;
        println!("  {file}");
    }
    Ok(())
}

/// Fails when a generated file differs from what the code says now. The operator is built already.
pub(crate) fn check() -> Result<()> {
    let mut stale = Vec::new();
    for (file, arguments) in GENERATED {
        if std::fs::read_to_string(paths::root().join(file))
            .ok()
            .as_deref()
            != Some(&render(arguments)?)
        {
            stale.push(file);
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    let message = format!(
        "generated files are stale: {}; run `make generate`",
        stale.join(", ")
    );
    RefusedSnafu { message }.fail()
}

fn render(arguments: &[&str]) -> Result<String> {
    let operator = paths::binaries().join("lotoai-operator");
    capture(&mut command(&path_text(&operator), arguments))
}

fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
