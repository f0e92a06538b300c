//! Deleted pods that do not go.

use k8s_openapi::api::core::v1::Pod;
use lotoai_api::{Component, LotoAIStatus, Store, reasons};
use lotoai_plan::{Node, Platform, ProbeOutcome, labels};
use rstest::rstest;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::common::resource;
use crate::stuck::{END, LAST_SECOND, SINCE, creating, stalled, unready, with_gateway};

#[test]
fn a_pod_that_does_not_go_is_named_with_its_node() {
    let pod = json!({
        "metadata": { "deletionTimestamp": SINCE },
        "spec": { "containers": [], "nodeName": "worker-1" },
        "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
    });
    let status = with_gateway(pod).status(&resource("minimal"), &ProbeOutcome::Pending, END);
    let message = "gateway: Pod demo-gateway-0 should be gone since 2026-11-22T10:00:00Z: it has \
                   not ended, so node worker-1 may be lost; see  kubectl describe node worker-1";
    assert_eq!(stalled(&status), Some((reasons::POD_NOT_READY, message)));
}

/// A pod of the gateway that was deleted and still runs.
fn leaving() -> Value {
    json!({
        "metadata": { "deletionTimestamp": SINCE },
        "spec": { "containers": [], "nodeName": "worker-1" },
        "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
    })
}

const STAYS: &str = "gateway: Pod demo-gateway-0 should be gone since 2026-11-22T10:00:00Z: it has \
                     not ended, so node worker-1 may be lost; see  kubectl describe node worker-1";

#[test]
fn a_pod_that_was_replaced_and_does_not_go_is_named() {
    let mut cluster = Cluster::up();
    let ready = |status: &LotoAIStatus| status.condition("Ready").unwrap().status.clone();
    let mut lotoai = resource("minimal");
    lotoai.status = Some(cluster.status(&lotoai, &ProbeOutcome::Answered, SINCE));
    cluster.whole_pod(Component::Gateway, leaving());
    let judged = cluster.judge(&lotoai, &ProbeOutcome::Answered, LAST_SECOND);
    assert_eq!(judged.status.condition("Stalled"), None);
    assert_eq!(
        judged.due,
        Some(END.parse().unwrap()),
        "it is looked at then"
    );
    let status = cluster.status(&lotoai, &ProbeOutcome::Answered, END);
    assert_eq!(stalled(&status), Some((reasons::POD_NOT_READY, STAYS)));
    assert_eq!(ready(&status), "True", "questions are answered");
    // Nor is a platform that was never ready before held up by it: everything that is wanted is there.
    lotoai.status = None;
    let first = cluster.status(&lotoai, &ProbeOutcome::Answered, END);
    assert_eq!(stalled(&first), Some((reasons::POD_NOT_READY, STAYS)));
    assert_eq!(ready(&first), "True");
    assert!(first.version.is_some());
    // One that has ended holds nothing.
    let mut ended = leaving();
    ended["status"] = json!({ "phase": "Succeeded" });
    cluster.whole_pod(Component::Gateway, ended);
    let status = cluster.status(&lotoai, &ProbeOutcome::Answered, END);
    assert_eq!(status.condition("Stalled"), None);
}

/// A platform that is suspended, of which this pod of a node and what it needs still run.
fn stopping(node: Node, pod: Value) -> Cluster {
    let mut cluster = Cluster::up();
    cluster.platform.spec.suspend = true;
    let needs = cluster.platform.topology.needs(node);
    let needs: Vec<_> = needs
        .into_iter()
        .map(|need| cluster.platform.node_name(need))
        .collect();
    let observed = &mut cluster.observed;
    for (name, object) in &mut observed.deployments {
        object.spec.as_mut().unwrap().replicas = Some(needs.contains(name).into());
    }
    for (name, object) in &mut observed.stateful_sets {
        object.spec.as_mut().unwrap().replicas = Some(needs.contains(name).into());
    }
    let pod = pod_of(&cluster.platform, node, pod);
    let name = pod.metadata.name.clone().unwrap();
    cluster.observed.pods.insert(name, pod);
    cluster
}

fn pod_of(platform: &Platform, node: Node, mut pod: Value) -> Pod {
    pod["metadata"]["name"] = json!(format!("{}-0", platform.node_name(node)));
    pod["metadata"]["labels"] = json!(labels::recommended(platform, node));
    serde_json::from_value(pod).unwrap()
}

#[rstest]
#[case::of_a_part(Node::Component(Component::Gateway), "gateway", "demo-gateway-0")]
#[case::of_a_job(
    Node::Provision(Store::Postgres),
    "postgres",
    "demo-provision-postgres-0"
)]
fn a_pod_that_holds_a_suspension_is_named(
    #[case] node: Node,
    #[case] part: &str,
    #[case] pod: &str,
) {
    let cluster = stopping(node, leaving());
    let lotoai = resource("minimal");
    let judged = cluster.judge(&lotoai, &ProbeOutcome::Pending, LAST_SECOND);
    let status = &judged.status;
    assert_eq!(status.condition("Stalled"), None);
    let ready = status.condition("Ready").unwrap();
    assert_eq!(ready.reason, reasons::SUSPENDING);
    assert_eq!(
        judged.due,
        Some(END.parse().unwrap()),
        "it is looked at then"
    );
    let status = cluster.status(&lotoai, &ProbeOutcome::Pending, END);
    let (reason, message) = stalled(&status).unwrap();
    assert_eq!(reason, reasons::POD_NOT_READY);
    let begins = format!("{part}: Pod {pod} should be gone since {SINCE}: ");
    assert!(message.starts_with(&begins), "{message}");
    let ready = status.condition("Ready").unwrap();
    assert_eq!(ready.reason, reasons::SUSPENDING);
    assert!(ready.message.contains(&begins), "{}", ready.message);
}

#[test]
fn a_suspended_platform_says_nothing_of_other_troubles() {
    let unready = unready(SINCE, &[], &creating());
    let cluster = stopping(Node::Component(Component::Gateway), unready);
    let status = cluster.status(&resource("minimal"), &ProbeOutcome::Pending, END);
    assert_eq!(status.condition("Stalled"), None);
    assert_eq!(
        status.condition("Ready").unwrap().reason,
        reasons::SUSPENDING
    );
}
