//! `make status`: the platform, its components and their memory.

use std::collections::BTreeMap;

use serde_json::Value;
use snafu::ResultExt;

use crate::cluster::Target;
use crate::error::{JsonSnafu, Result};
use crate::platform::{Access, NAME, NAMESPACE};
use crate::text;

/// Prints the state of the platform that `make up` made.
pub(crate) fn run() -> Result<()> {
    let access = Target::of_last_up()?.access()?;
    print!(
        "{}",
        access.kubectl(&["get", "lotoai", "--namespace", NAMESPACE, "-o", "wide"])?
    );
    let describe = format!(
        "jsonpath={{range .status.components[*]}}{}{{end}}",
        COMPONENT_LINE
    );
    println!(
        "\n{}",
        access.kubectl(&[
            "get",
            "lotoai",
            NAME,
            "--namespace",
            NAMESPACE,
            "-o",
            &describe
        ])?
    );
    print_memory(&access)
}

const COMPONENT_LINE: &str = r#"{.name}{"\t"}{.mode}{"\t"}{.ready}{"\t"}{.message}{"\n"}"#;

/// Prints the memory of each component's pods and the sum.
pub(crate) fn print_memory(access: &Access) -> Result<()> {
    let memory = memory_by_component(access)?;
    println!("  {}", text::memory());
    for (component, bytes) in &memory {
        println!("    {component:<28} {:>7.0} MiB", mebibytes(*bytes));
    }
    let total: u64 = memory.values().sum();
    println!(
        "    {:<28} {:>7.0} MiB",
        text::all_components(),
        mebibytes(total)
    );
    Ok(())
}

/// Working-set bytes per component, from the kubelet through the API server.
pub(crate) fn memory_by_component(access: &Access) -> Result<BTreeMap<String, u64>> {
    let nodes = access.kubectl(&["get", "nodes", "-o", "jsonpath={.items[*].metadata.name}"])?;
    let mut memory = BTreeMap::new();
    for node in nodes.split_whitespace() {
        let path = format!("/api/v1/nodes/{node}/proxy/stats/summary");
        let text = access.kubectl(&["get", "--raw", &path])?;
        let summary: Value = serde_json::from_str(&text).context(JsonSnafu {
            command: "stats/summary",
        })?;
        for pod in summary["pods"].as_array().into_iter().flatten() {
            if pod["podRef"]["namespace"] != NAMESPACE {
                continue;
            }
            for container in pod["containers"].as_array().into_iter().flatten() {
                let name = container["name"].as_str().unwrap_or_default().to_owned();
                *memory.entry(name).or_default() +=
                    container["memory"]["workingSetBytes"].as_u64().unwrap_or(0);
            }
        }
    }
    Ok(memory)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "shown to people, without decimals"
)]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}
