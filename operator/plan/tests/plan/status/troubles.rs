//! Pods and Jobs that do not get on, and what a person is told to do.

use lotoai_api::spec::Spreading;
use lotoai_api::{Component, Store, reasons};
use lotoai_plan::{Node, ProbeOutcome};
use rstest::rstest;
use serde_json::json;

use super::{T1, T2};
use crate::cluster::Cluster;
use crate::common::resource;

#[test]
fn an_image_that_cannot_be_pulled_is_named_with_the_next_command() {
    let mut cluster = Cluster::new();
    cluster.set_ready(Node::Component(Component::Postgres), 0);
    cluster.pod(
        Component::Postgres,
        json!({ "containerStatuses": [{
            "name": "postgres", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": "ImagePullBackOff", "message": "not found" } },
        }] }),
    );
    let status = cluster.status(&resource("minimal"), &ProbeOutcome::Pending, T1);
    let stalled = status.condition("Stalled").unwrap();
    assert_eq!(stalled.reason, reasons::IMAGE_PULL_FAILED);
    assert_eq!(
        stalled.message,
        "postgres: Pod demo-postgres-0: ImagePullBackOff: not found; see  \
         kubectl -n ai describe pod demo-postgres-0"
    );
    assert_eq!(
        status.condition("Ready").unwrap().reason,
        reasons::IMAGE_PULL_FAILED
    );
    assert_eq!(status.condition("Reconciling"), None);
}

#[test]
fn an_unschedulable_pod_needs_a_person_only_after_a_while() {
    let mut cluster = Cluster::new();
    cluster.set_ready(Node::Component(Component::Minio), 0);
    cluster.pod(
        Component::Minio,
        json!({ "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available", "lastTransitionTime": T1,
        }] }),
    );
    let lotoai = resource("minimal");
    let status = cluster.status(&lotoai, &ProbeOutcome::Pending, T1);
    assert_eq!(
        status.condition("Ready").unwrap().reason,
        reasons::POD_UNSCHEDULABLE
    );
    assert_eq!(status.condition("Stalled"), None);
    let status = cluster.status(&lotoai, &ProbeOutcome::Pending, T2);
    assert_eq!(
        status.condition("Stalled").unwrap().reason,
        reasons::POD_UNSCHEDULABLE
    );
}

#[rstest]
#[case::of_a_cluster(Spreading::Required, true)]
#[case::which_may_share_nodes(Spreading::Preferred, false)]
fn a_server_without_a_node_of_its_own_is_told_the_way_out(
    #[case] spreading: Spreading,
    #[case] is_told: bool,
) {
    let mut cluster = Cluster::up();
    cluster.platform.spec.pods.spreading = spreading;
    cluster.set_ready(Node::Component(Component::Minio), 0);
    cluster.pod(
        Component::Minio,
        json!({ "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules.",
            "lastTransitionTime": T1,
        }] }),
    );
    let status = cluster.status(&resource("minimal"), &ProbeOutcome::Pending, T2);
    let message = &status.condition("Stalled").unwrap().message;
    assert!(message.contains("3 node(s) didn't match"), "{message}");
    let way_out = "or write  spec.pods.spreading: Preferred; see  kubectl -n ai describe pod";
    assert_eq!(message.contains(way_out), is_told, "{message}");
}

#[test]
fn a_component_that_falls_over_shows_how_to_read_its_last_words() {
    let mut cluster = Cluster::new();
    cluster.set_ready(Node::Component(Component::Gateway), 0);
    let crash = |restarts: i32| {
        json!({ "containerStatuses": [{
            "name": "gateway", "image": "x", "imageID": "", "ready": false,
            "restartCount": restarts,
            "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off" } },
        }] })
    };
    let lotoai = resource("minimal");
    cluster.pod(Component::Gateway, crash(2));
    let status = cluster.status(&lotoai, &ProbeOutcome::Pending, T1);
    assert!(
        status
            .condition("Ready")
            .unwrap()
            .message
            .contains("--previous")
    );
    assert_eq!(status.condition("Stalled"), None);
    cluster.pod(Component::Gateway, crash(5));
    let status = cluster.status(&lotoai, &ProbeOutcome::Pending, T1);
    assert_eq!(
        status.condition("Stalled").unwrap().reason,
        reasons::POD_CRASH_LOOPING
    );
}

#[test]
fn a_job_that_gave_up_says_how_to_try_again() {
    let mut cluster = Cluster::up();
    let node = Node::Provision(Store::Keycloak);
    cluster.set_ready(node, 0);
    let name = cluster.set.job_name(&node.name()).unwrap().to_owned();
    cluster.observed.jobs.get_mut(&name).unwrap().status = serde_json::from_value(json!({
        "conditions": [{ "type": "Failed", "status": "True",
                         "message": "Job has reached the specified backoff limit" }],
    }))
    .unwrap();
    let status = cluster.status(&resource("minimal"), &ProbeOutcome::Pending, T1);
    let stalled = status.condition("Stalled").unwrap();
    assert_eq!(stalled.reason, reasons::PROVISION_FAILED);
    assert!(
        stalled
            .message
            .contains(&format!("kubectl -n ai delete job {name}"))
    );
}
