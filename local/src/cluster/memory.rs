//! How much memory each pod uses, as the kubelet counts it.

use std::collections::BTreeMap;

use serde::Deserialize;
use snafu::ResultExt;

use super::Kubectl;
use crate::error::{DecodeSnafu, Result};
use crate::instance::Instance;
use crate::third_party::ToolPaths;

/// The memory of one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodMemory {
    /// The pod's name.
    pub pod: String,
    /// What cannot be taken back from it, in bytes.
    pub working_set: u64,
    /// Anonymous memory in bytes.
    pub rss: u64,
}

#[derive(Deserialize)]
struct Summary {
    pods: Vec<PodStats>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodStats {
    pod_ref: PodRef,
    #[serde(default)]
    memory: Memory,
    #[serde(default)]
    containers: Vec<ContainerStats>,
}

#[derive(Deserialize)]
struct PodRef {
    name: String,
    namespace: String,
}

#[derive(Deserialize)]
struct ContainerStats {
    #[serde(default)]
    memory: Memory,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Memory {
    working_set_bytes: u64,
    rss_bytes: u64,
}

/// The memory of every pod in `namespace`, by name of the pod.
///
/// # Errors
/// When the cluster cannot be reached.
pub fn memory_by_pod(instance: &Instance, namespace: &str) -> Result<Vec<PodMemory>> {
    let kubectl = Kubectl::new(instance, &ToolPaths::built()?);
    let path = format!("/api/v1/nodes/{}/proxy/stats/summary", instance.node());
    parse(&kubectl.run(&["get", "--raw", &path])?, namespace)
}

fn parse(summary: &str, namespace: &str) -> Result<Vec<PodMemory>> {
    let summary: Summary = serde_json::from_str(summary).context(DecodeSnafu {
        what: "the kubelet's statistics",
    })?;
    let mut pods = BTreeMap::new();
    for stats in summary
        .pods
        .into_iter()
        .filter(|pod| pod.pod_ref.namespace == namespace)
    {
        let sum = |of: fn(&Memory) -> u64| stats.containers.iter().map(|c| of(&c.memory)).sum();
        // The pod's own count holds the sandbox as well; with cgroup v1 it lacks the rss.
        let working_set = match stats.memory.working_set_bytes {
            0 => sum(|memory| memory.working_set_bytes),
            bytes => bytes,
        };
        let rss = match stats.memory.rss_bytes {
            0 => sum(|memory| memory.rss_bytes),
            bytes => bytes,
        };
        let pod = stats.pod_ref.name;
        pods.insert(
            pod.clone(),
            PodMemory {
                pod,
                working_set,
                rss,
            },
        );
    }
    Ok(pods.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pods_of_the_namespace_are_counted() {
        let summary = r#"{"node":{},"pods":[
            {"podRef":{"name":"b","namespace":"x","uid":"1"},
             "memory":{"time":"t","workingSetBytes":30,"rssBytes":20}},
            {"podRef":{"name":"a","namespace":"x","uid":"2"},
             "containers":[{"name":"c","memory":{"workingSetBytes":5,"rssBytes":4}},
                           {"name":"d","memory":{"workingSetBytes":2}}]},
            {"podRef":{"name":"c","namespace":"y","uid":"3"}}]}"#;
        let pod = |pod: &str, working_set, rss| PodMemory {
            pod: pod.to_owned(),
            working_set,
            rss,
        };
        assert_eq!(
            parse(summary, "x").unwrap(),
            [pod("a", 7, 4), pod("b", 30, 20)]
        );
        assert!(parse("[]", "x").is_err());
    }
}
