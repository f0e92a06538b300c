//! metrics-server, where somebody asks for it: HorizontalPodAutoscalers follow what it measures, and
//! `kubectl top` shows it. It runs beside the node's other programs.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use snafu::ResultExt;

use super::addons::render;
use super::daemons::{METRICS_PORT, Plan};
use super::{Kubectl, start};
use crate::cgroup::Layout;
use crate::error::{FileSnafu, Result};
use crate::instance::{Instance, remove_file, write_file};
use crate::pki::{self, METRICS_SERVER};
use crate::progress::Progress;
use crate::text::messages;
use crate::third_party::{Tool, third_party};

const TEMPLATE: (&str, &str) = (
    "metrics-server.yaml",
    include_str!("../addons/metrics-server.yaml"),
);
/// It looks twice, 15 s apart, before it tells anything.
const LIMIT: Duration = Duration::from_secs(120);
const PATIENCE: Duration = Duration::from_secs(10);

/// Adds metrics-server to a cluster that runs, and waits until it tells what pods use. It is there
/// again after each start, until [`remove_metrics`]. Builds it where it is not built yet.
///
/// # Errors
/// When it cannot be built, ends, or has measured nothing in time.
pub fn add_metrics(progress: &Progress, instance: &Instance) -> Result<()> {
    let tools = third_party(progress, Tool::METRICS)?;
    let _lock = instance.lock()?;
    let stage = progress.stage(METRICS_SERVER, &messages::adds_metrics());
    pki::ensure_metrics_server(instance)?;
    write_file(&wanted(instance), b"")?;
    let kubectl = Kubectl::new(instance, &tools);
    // With its rights, without which it ends.
    kubectl.apply(&objects(instance)?)?;
    let plan = start::plan(progress, instance, &tools, Layout::detect()?)?;
    start::ensure_running(progress, &plan, METRICS_SERVER)?;
    let args = [
        "get",
        "--raw",
        "/apis/metrics.k8s.io/v1beta1/namespaces/kube-system/pods",
    ];
    let measured = |answer: &str| answer.contains("\"containers\"");
    let alive = || start::check(&instance.processes(), METRICS_SERVER);
    kubectl.wait(METRICS_SERVER, LIMIT, &args, measured, alive)?;
    stage.done();
    Ok(())
}

/// Takes metrics-server away again. A cluster without it is fine.
///
/// # Errors
/// When the API server cannot be reached, or the process cannot be ended.
pub fn remove_metrics(progress: &Progress, instance: &Instance) -> Result<()> {
    let tools = third_party(progress, &[])?;
    let _lock = instance.lock()?;
    if !wanted(instance).exists() {
        return Ok(());
    }
    Kubectl::new(instance, &tools).delete(&objects(instance)?)?;
    instance.processes().stop(METRICS_SERVER, PATIENCE)?;
    remove_file(&wanted(instance))
}

/// Starts it again where it was asked for before.
pub(super) fn resume(progress: &Progress, plan: &Plan<'_>) -> Result<()> {
    if !wanted(plan.instance).exists() {
        return Ok(());
    }
    // Programs may have been deleted meanwhile.
    third_party(progress, Tool::METRICS)?;
    start::ensure_running(progress, plan, METRICS_SERVER)
}

/// A file that is there while the cluster is to have it.
fn wanted(instance: &Instance) -> PathBuf {
    instance.state_dir().join("with-metrics")
}

fn objects(instance: &Instance) -> Result<String> {
    let path = instance.pki_dir().join("ca.crt");
    let authority = fs::read(&path).context(FileSnafu {
        action: "read",
        path: &path,
    })?;
    filled(instance, &authority)
}

/// Its objects. `authority` is who signed its certificate, PEM.
fn filled(instance: &Instance, authority: &[u8]) -> Result<String> {
    let authority = base64::engine::general_purpose::STANDARD.encode(authority);
    let (name, template) = TEMPLATE;
    let values = [
        ("authority", authority),
        ("node", instance.network().node.to_string()),
        ("port", METRICS_PORT.to_string()),
    ];
    render(name, template, &values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::MAIN;
    use serde::Deserialize;
    use serde_yaml_ng::{Deserializer, Value};

    fn all() -> Vec<Value> {
        let text = filled(&Instance::new(MAIN).unwrap(), b"PEM").unwrap();
        Deserializer::from_str(&text)
            .map(|document| Value::deserialize(document).unwrap())
            .collect()
    }

    #[test]
    fn the_api_server_checks_whom_it_asks() {
        let all = all();
        let [service, _, slice, ..] = &all[..] else {
            panic!("{all:?}");
        };
        // The first, as the file says why.
        assert_eq!(service["kind"], "APIService");
        assert_eq!(service["spec"]["caBundle"], "UEVN");
        assert!(service["spec"].get("insecureSkipTLSVerify").is_none());
        assert_eq!(slice["endpoints"][0]["addresses"][0], "198.18.32.2");
        assert_eq!(slice["ports"][0]["port"], METRICS_PORT);
    }

    #[test]
    fn every_right_is_its_own_users() {
        let all = all();
        let subjects = all.iter().filter_map(|one| one["subjects"].as_sequence());
        let names: Vec<_> = subjects.flatten().map(|one| &one["name"]).collect();
        assert_eq!(names.len(), 3);
        assert!(names.iter().all(|name| *name == METRICS_SERVER));
    }
}
