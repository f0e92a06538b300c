//! Helm on the running cluster: the test in the operator's chart, and charts that hold a platform.

use std::path::PathBuf;
use std::time::Duration;

use lotoai_local::{Progress, ToolPaths, third_party};
use serde_json::Value;
use tempfile::TempDir;

use crate::cluster::{OPERATOR, OPERATOR_NAMESPACE};
use crate::support::{NAMESPACE, ready, run, run_program};

/// The chart of the operator.
pub(crate) const OPERATOR_CHART: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/lotoai-operator");

/// Where the programs are, built or not.
fn tools() -> ToolPaths {
    // Builds nothing: it is asked for no program.
    third_party(&Progress::new(), &[]).unwrap()
}

/// Where Helm 3 is.
pub(crate) fn helm_3() -> PathBuf {
    tools().helm3
}

/// Whether it is there.
pub(crate) fn is_helm_3_there() -> bool {
    helm_3().is_file()
}

/// Runs Helm: what it printed, or why it failed.
async fn helm(arguments: &[&str]) -> Result<String, String> {
    let built = tools().helm;
    let program = if built.is_file() {
        built
    } else {
        "helm".into()
    };
    run_program(&program, arguments).await
}

/// A chart with one object in it, and its release of the same name.
pub(crate) struct Chart {
    name: &'static str,
    directory: TempDir,
}

impl Chart {
    pub(crate) fn new(name: &'static str, object: &Value) -> Self {
        let directory = TempDir::new().unwrap();
        let write = |file: &str, text: &str| {
            std::fs::write(directory.path().join(file), text).unwrap();
        };
        write(
            "Chart.yaml",
            &format!("apiVersion: v2\nname: {name}\nversion: 0.1.0\n"),
        );
        std::fs::create_dir(directory.path().join("templates")).unwrap();
        write("templates/object.yaml", &object.to_string());
        Self { name, directory }
    }

    /// Installs it and waits as long as Helm does.
    pub(crate) async fn install(&self, limit: Duration) -> Result<String, String> {
        let directory = self.directory.path().to_string_lossy();
        let limit = format!("{}s", limit.as_secs());
        let arguments = ["install", self.name, &*directory, "--namespace", NAMESPACE];
        let waiting = ["--wait", "--timeout", limit.as_str()];
        helm(&[&arguments[..], &waiting].concat()).await
    }
}

/// Removes a release, also that of a run that was cut off.
pub(crate) async fn uninstall(name: &str) {
    let arguments = ["uninstall", name, "--namespace", NAMESPACE];
    helm(&[&arguments[..], &["--ignore-not-found"]].concat())
        .await
        .unwrap();
}

/// Upgrades the operator to these values on top of those that it has.
pub(crate) async fn upgrade_operator(values: &Value) -> Result<String, String> {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("values.json");
    // JSON is YAML.
    std::fs::write(&file, values.to_string()).unwrap();
    let file = file.to_string_lossy();
    let arguments = [
        "upgrade",
        OPERATOR,
        OPERATOR_CHART,
        "--namespace",
        OPERATOR_NAMESPACE,
    ];
    let keeping = ["--reuse-values", "--values", &*file];
    let waiting = ["--wait", "--timeout", "3m"];
    helm(&[&arguments[..], &keeping, &waiting].concat()).await
}

#[test]
fn the_test_in_the_chart_of_the_operator_passes() {
    run(|| async {
        ready().await;
        let arguments = ["test", "lotoai-operator", "--namespace", OPERATOR_NAMESPACE];
        let told = helm(&[&arguments[..], &["--timeout", "2m"]].concat()).await;
        let told = told.unwrap();
        assert!(told.contains("Succeeded"), "{told}");
    });
}
