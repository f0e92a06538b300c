//! Helm, as the project builds it, without a cluster: version 4, or an older one with `LOTOAI_HELM=3` or
//! `LOTOAI_HELM=3.14`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde::Deserialize as _;
use serde_json::Value;

/// Namespace of the release.
pub(crate) const NAMESPACE: &str = "lotoai-system";
/// The chart of the operator.
pub(crate) const OPERATOR: &str = "lotoai-operator";
/// The chart of the definition.
pub(crate) const CRDS: &str = "lotoai-crds";
/// Files in `ci/` of the operator's chart.
pub(crate) const FILES: [&str; 5] = ["default", "namespaced", "replicated", "monitored", "full"];

const SERVICE_MONITOR: &str = "monitoring.coreos.com/v1/ServiceMonitor";
const PROMETHEUS_RULE: &str = "monitoring.coreos.com/v1/PrometheusRule";

/// Whether the cluster has the types of the Prometheus operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prometheus {
    Installed,
    Absent,
}

/// A path below the root of the checkout.
pub(crate) fn path(below: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(below)
}

/// A file of the checkout.
pub(crate) fn file(below: &str) -> String {
    std::fs::read_to_string(path(below)).unwrap_or_else(|error| panic!("{below}: {error}"))
}

/// The values in a file of `ci/`.
pub(crate) fn values(name: &str) -> String {
    file(&format!("charts/{OPERATOR}/ci/{name}-values.yaml"))
}

/// Where Helm is; `None`, with the reason printed, when it is not on this machine.
pub(crate) struct Helm(PathBuf);

impl Helm {
    pub(crate) fn find() -> Option<&'static Self> {
        static HELM: OnceLock<Option<Helm>> = OnceLock::new();
        let found = HELM.get_or_init(|| {
            // Builds nothing: it is asked for no program.
            let tools = lotoai_local::third_party(&lotoai_local::Progress::new(), &[]).ok()?;
            let helm = match std::env::var("LOTOAI_HELM").as_deref() {
                Ok("3") => tools.helm3,
                Ok("3.14") => tools.helm314,
                Ok(other) => panic!("LOTOAI_HELM is {other:?}: it can be 3 or 3.14"),
                Err(_) => tools.helm,
            };
            helm.is_file().then_some(Self(helm))
        });
        if found.is_none() {
            eprintln!("SKIPPED: Helm is not built; `make test` builds it");
        }
        found.as_ref()
    }

    /// Runs Helm with values on its standard input.
    fn run(&self, arguments: &[&str], values: &str) -> Result<String, String> {
        let mut child = Command::new(&self.0)
            .args(arguments)
            .current_dir(path("charts"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Helm starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // Helm may refuse before it has read everything.
        let _ = stdin.write_all(values.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("Helm ends");
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// `helm lint --strict`.
    pub(crate) fn lint(&self, chart: &str, values: &str) -> Result<String, String> {
        self.run(&["lint", "--strict", chart, "--values", "-"], values)
    }

    /// All objects of a release named `lotoai`, its test included.
    pub(crate) fn template(
        &self,
        chart: &str,
        values: &str,
        prometheus: Prometheus,
    ) -> Result<Vec<Value>, String> {
        self.template_as("lotoai", chart, values, prometheus)
    }

    /// All objects of a release of this name.
    pub(crate) fn template_as(
        &self,
        release: &str,
        chart: &str,
        values: &str,
        prometheus: Prometheus,
    ) -> Result<Vec<Value>, String> {
        let mut arguments = vec!["template", release, chart, "--namespace", NAMESPACE];
        arguments.extend(["--kube-version", "1.33.0", "--values", "-"]);
        if prometheus == Prometheus::Installed {
            arguments.extend(["--api-versions", SERVICE_MONITOR]);
            arguments.extend(["--api-versions", PROMETHEUS_RULE]);
        }
        let text = self.run(&arguments, values)?;
        let documents = serde_yaml_ng::Deserializer::from_str(&text);
        let objects = documents.map(|document| Value::deserialize(document).expect("YAML"));
        Ok(objects.filter(|object| !object.is_null()).collect())
    }

    /// The objects with the values of a file of `ci/`.
    pub(crate) fn objects(&self, file: &str) -> Vec<Value> {
        self.template(OPERATOR, &values(file), Prometheus::Installed)
            .unwrap_or_else(|refusal| panic!("{file}: {refusal}"))
    }

    /// What a person reads after the installation; `None`, with the reason printed, of Helm 3.
    pub(crate) fn notes(&self, values: &str) -> Option<String> {
        if std::env::var_os("LOTOAI_HELM").is_some() {
            eprintln!("SKIPPED notes: Helm 3 asks a cluster even in a dry run of the client");
            return None;
        }
        let arguments = ["install", "lotoai", OPERATOR, "--namespace", NAMESPACE];
        let arguments = [&arguments[..], &["--dry-run=client", "--values", "-"]].concat();
        let text = self.run(&arguments, values).expect("a dry run");
        let from = text.find("\nNOTES:").expect("notes");
        Some(text[from..].to_owned())
    }
}

/// The objects of one kind.
pub(crate) fn of<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let all = objects.iter();
    all.filter(|object| object["kind"] == kind).collect()
}

/// The one object of a kind.
pub(crate) fn the<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let all = of(objects, kind);
    assert_eq!(all.len(), 1, "{kind}");
    all[0]
}

/// Whether a selector's labels are all among `labels`.
pub(crate) fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object().expect("a selector");
    !wanted.is_empty() && wanted.iter().all(|(key, value)| &labels[key] == value)
}
