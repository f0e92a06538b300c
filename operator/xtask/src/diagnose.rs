//! What a person wants to see of a platform that does not do what it should: written to files, and
//! the part that most often tells the reason printed.

use std::path::Path;

use serde_json::Value;

use crate::platform::{Access, NAMESPACE, OPERATOR_NAMESPACE};

/// Lines of a failing pod's log that are printed.
const TAIL: &str = "--tail=25";

/// Writes the state of all pods, the events, the resource and every log below `directory`. It is a
/// help after a failure, so its own failures only leave gaps.
pub(crate) fn write(access: &Access, directory: &Path) {
    if std::fs::create_dir_all(directory).is_err() {
        return;
    }
    let save = |file: &str, arguments: &[&str]| {
        let text = access
            .kubectl(arguments)
            .unwrap_or_else(|error| lotoai_local::chain(&error));
        // See above: a gap.
        let _ = std::fs::write(directory.join(file), text);
    };
    save("pods.txt", &["get", "pods,jobs,pvc", "-A", "-o", "wide"]);
    save(
        "events.txt",
        &["get", "events", "-A", "--sort-by=.lastTimestamp"],
    );
    save(
        "describe.txt",
        &["describe", "pods,lotoai", "-n", NAMESPACE],
    );
    for pod in pods(access) {
        let (namespace, name) = (pod.namespace.as_str(), pod.name.as_str());
        let logs = ["logs", "-n", namespace, name, "--all-containers"];
        save(&format!("{name}.log"), &logs);
        if pod.restarts > 0 {
            let mut logs = logs.to_vec();
            logs.push("--previous");
            save(&format!("{name}.previous.log"), &logs);
        }
    }
    println!("  state and logs of the platform: {}", directory.display());
}

/// Prints all pods, the warnings, and the end of the log of every pod that is not ready.
pub(crate) fn print(access: &Access) {
    let show = |arguments: &[&str]| match access.kubectl(arguments) {
        Ok(text) => println!("{text}"),
        Err(error) => println!("{}", lotoai_local::chain(&error)),
    };
    show(&["get", "pods,jobs,pvc", "-n", NAMESPACE, "-o", "wide"]);
    let warnings = "--field-selector=type=Warning";
    show(&[
        "get",
        "events",
        "-n",
        NAMESPACE,
        warnings,
        "--sort-by=.lastTimestamp",
    ]);
    for pod in pods(access).into_iter().filter(|pod| !pod.is_ready) {
        println!("-- log of {}", pod.name);
        show(&[
            "logs",
            "-n",
            &pod.namespace,
            &pod.name,
            "--all-containers",
            TAIL,
        ]);
        if pod.restarts > 0 {
            println!("-- log of {} before its restart", pod.name);
            show(&["logs", "-n", &pod.namespace, &pod.name, "--previous", TAIL]);
        }
    }
    let operator = "deployment/lotoai-operator";
    println!("-- log of the operator");
    show(&["logs", "-n", OPERATOR_NAMESPACE, operator, TAIL]);
}

struct Pod {
    namespace: String,
    name: String,
    is_ready: bool,
    restarts: u64,
}

/// The pods of the operator and of the platform; none when the API server does not answer.
fn pods(access: &Access) -> Vec<Pod> {
    let listed = |namespace| {
        let text = access.kubectl(&["get", "pods", "-n", namespace, "-o", "json"]);
        let list: Value = text
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        list["items"].as_array().cloned().unwrap_or_default()
    };
    [OPERATOR_NAMESPACE, NAMESPACE]
        .into_iter()
        .flat_map(listed)
        .map(|pod| read(&pod))
        .collect()
}

fn read(pod: &Value) -> Pod {
    let text = |pointer: &str| {
        let value = pod.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let containers = pod["status"]["containerStatuses"].as_array();
    let containers = containers.map(Vec::as_slice).unwrap_or_default();
    let has_ended = text("/status/phase") == "Succeeded";
    Pod {
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name"),
        is_ready: has_ended
            || (!containers.is_empty() && containers.iter().all(|c| c["ready"] == true)),
        restarts: containers
            .iter()
            .filter_map(|container| container["restartCount"].as_u64())
            .sum(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_is_ready_when_all_its_containers_are_or_its_work_is_done() {
        let pod = |phase: &str, ready: bool| {
            let container = json!({"ready": ready, "restartCount": 2});
            read(&json!({
                "metadata": {"namespace": "a", "name": "b"},
                "status": {"phase": phase, "containerStatuses": [container]},
            }))
        };
        assert!(pod("Running", true).is_ready);
        assert!(!pod("Running", false).is_ready);
        assert!(pod("Succeeded", false).is_ready);
        assert_eq!(pod("Running", true).restarts, 2);
        assert!(!read(&json!({"metadata": {"name": "b"}})).is_ready);
    }
}
