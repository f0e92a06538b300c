//! Pods and Jobs that do not get on, and what a person is told to do.

use lotoai_api::spec::Spreading;
use lotoai_api::{Component, Store, reasons};
use lotoai_plan::{Node, ProbeOutcome, without_volume};
use rstest::rstest;
use serde_json::json;

use super::{T1, T2};
use crate::cluster::Cluster;
use crate::common::resource;

/// A platform on somebody else's PostgreSQL.
const EXTERNAL: &str = "external-postgres";

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

/// What the kubelet keeps of the log of a provision program that failed.
fn log(reason: Option<&str>, error: &str) -> String {
    let starts = json!({ "level": "INFO", "message": "starting provision" });
    let mut ends = json!({
        "level": "ERROR", "message": "provision ended with a failure", "error": error,
    });
    if let Some(reason) = reason {
        ends["reason"] = json!(reason);
    }
    format!("{starts}\n{ends}\n")
}

/// A platform whose provision Job of a store had these attempts, each with what is kept of its log.
fn attempted(fixture: &str, store: Store, logs: &[String]) -> (Cluster, String) {
    let mut cluster = Cluster::up_of(fixture);
    let node = Node::Provision(store);
    cluster.set_ready(node, 0);
    let name = cluster.set.job_name(&node.name()).unwrap().to_owned();
    let job = cluster.observed.jobs.get_mut(&name).unwrap();
    job.status = serde_json::from_value(json!({ "failed": logs.len(), "active": 1 })).unwrap();
    for (number, log) in logs.iter().enumerate() {
        let pod = json!({
            "metadata": {
                "name": format!("{name}-{number}"),
                "labels": lotoai_plan::labels::recommended(&cluster.platform, node),
                "ownerReferences": [{
                    "apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": "j",
                }],
            },
            "status": { "phase": "Failed", "containerStatuses": [{
                "name": node.name(), "image": "x", "imageID": "", "ready": false, "restartCount": 0,
                "state": { "terminated": {
                    "exitCode": 1, "reason": "Error", "message": log,
                    "finishedAt": format!("2026-11-22T10:0{number}:00Z"),
                } },
            }] },
        });
        let pod = serde_json::from_value(pod).unwrap();
        cluster
            .observed
            .pods
            .insert(format!("{name}-{number}"), pod);
    }
    (cluster, name)
}

#[test]
fn an_attempt_that_failed_is_told_while_the_job_goes_on() {
    let logs = [log(None, "the first"), log(None, "the second")];
    let (cluster, job) = attempted("minimal", Store::Keycloak, &logs);
    let status = cluster.status(&resource("minimal"), &ProbeOutcome::Pending, T1);
    let ready = status.condition("Ready").unwrap();
    assert_eq!(ready.reason, reasons::PROVISION_FAILED);
    assert_eq!(
        ready.message,
        format!(
            "provision-keycloak: Job {job}: attempt 2 of 7 failed: the second; see  kubectl -n ai \
             logs {job}-1"
        )
    );
    assert_eq!(status.condition("Stalled"), None);
}

#[test]
fn a_job_that_gave_up_says_why_its_last_attempt_failed() {
    let logs = [log(None, "the disk is full")];
    let (mut cluster, job) = attempted("minimal", Store::Keycloak, &logs);
    let given_up = json!({ "failed": 7, "conditions": [{
        "type": "Failed", "status": "True",
        "message": "Job has reached the specified backoff limit",
    }] });
    let object = cluster.observed.jobs.get_mut(&job).unwrap();
    object.status = serde_json::from_value(given_up).unwrap();
    let status = cluster.status(&resource("minimal"), &ProbeOutcome::Pending, T1);
    let stalled = &status.condition("Stalled").unwrap().message;
    let said = "Job has reached the specified backoff limit: the disk is full; see why with";
    assert!(stalled.contains(said), "{stalled}");
}

#[rstest]
#[case::an_external_store(EXTERNAL, "AuthFailed", 1, reasons::AUTH_FAILED, true)]
#[case::one_that_may_be_on_its_way(
    EXTERNAL,
    "ExternalUnreachable",
    1,
    reasons::EXTERNAL_UNREACHABLE,
    false
)]
#[case::one_that_is_not(
    EXTERNAL,
    "ExternalUnreachable",
    2,
    reasons::EXTERNAL_UNREACHABLE,
    true
)]
#[case::a_store_of_ours("minimal", "AuthFailed", 1, reasons::AUTH_FAILED, false)]
#[case::ours_is_not_external("minimal", "ExternalUnreachable", 2, reasons::PROVISION_FAILED, false)]
#[case::a_word_that_is_no_reason(EXTERNAL, "Available", 2, reasons::PROVISION_FAILED, false)]
fn the_programs_word_for_its_failure_becomes_the_reason(
    #[case] fixture: &str,
    #[case] word: &str,
    #[case] attempts: usize,
    #[case] reason: &str,
    #[case] needs_a_person: bool,
) {
    let logs = vec![log(Some(word), "password authentication failed"); attempts];
    let (cluster, _) = attempted(fixture, Store::Postgres, &logs);
    let status = cluster.status(&resource(fixture), &ProbeOutcome::Pending, T1);
    let ready = status.condition("Ready").unwrap();
    assert_eq!(ready.reason, reason, "{}", ready.message);
    let said = format!("attempt {attempts} of 7 failed: password authentication failed");
    assert!(ready.message.contains(&said), "{}", ready.message);
    let stalled = status.condition("Stalled");
    assert_eq!(stalled.is_some(), needs_a_person, "{stalled:?}");
    if fixture == EXTERNAL && reason == reasons::AUTH_FAILED {
        let secret = cluster.platform.admin_secret(Store::Postgres);
        let fix = format!("; correct Secret {secret}, which has the account at ");
        assert!(ready.message.contains(&fix), "{}", ready.message);
    }
}

#[test]
fn a_container_that_ran_out_of_memory_says_so() {
    let mut cluster = Cluster::new();
    cluster.set_ready(Node::Component(Component::Gateway), 0);
    cluster.pod(
        Component::Gateway,
        json!({ "containerStatuses": [{
            "name": "gateway", "image": "x", "imageID": "", "ready": false, "restartCount": 2,
            "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 20s" } },
            "lastState": { "terminated": { "exitCode": 137, "reason": "OOMKilled" } },
        }] }),
    );
    let status = cluster.status(&resource("minimal"), &ProbeOutcome::Pending, T1);
    assert_eq!(
        status
            .condition("Ready")
            .unwrap()
            .message
            .split("; see")
            .next(),
        Some(
            "gateway: Pod demo-gateway-0: CrashLoopBackOff: it used more memory than its limit \
             (OOMKilled)"
        )
    );
}

/// A pod of PostgreSQL that no node takes, and its claim, made at T1, about which there are these
/// events.
fn with_claim(scheduler: &str, events: &[(&str, &str)]) -> Cluster {
    let mut cluster = Cluster::new();
    cluster.set_ready(Node::Component(Component::Postgres), 0);
    cluster.whole_pod(
        Component::Postgres,
        json!({
            "spec": { "containers": [], "volumes": [{
                "name": "data",
                "persistentVolumeClaim": { "claimName": "data-demo-postgres-0" },
            }] },
            "status": { "conditions": [{
                "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": scheduler, "lastTransitionTime": T1,
            }] },
        }),
    );
    let claim = json!({
        "metadata": { "name": "data-demo-postgres-0", "uid": "c", "creationTimestamp": T1 },
        "spec": { "storageClassName": "fast" },
        "status": { "phase": "Pending" },
    });
    let claim = serde_json::from_value(claim).unwrap();
    let claims = &mut cluster.observed.claims;
    claims.insert("data-demo-postgres-0".to_owned(), claim);
    for (number, (reason, message)) in events.iter().enumerate() {
        let event = json!({
            "metadata": { "name": format!("e{number}") },
            "involvedObject": { "uid": "c" },
            "reason": reason, "message": message,
            "lastTimestamp": format!("2026-11-22T10:00:0{number}Z"),
        });
        let event = serde_json::from_value(event).unwrap();
        let name = format!("e{number}");
        cluster.observed.events.insert(name, event);
    }
    cluster
}

#[rstest]
#[case::by_the_provisioner(
    "0/1 nodes are available",
    &[("ProvisioningFailed", "class \"fast\" not found"), ("WaitForFirstConsumer", "waiting")],
    "class \"fast\" not found"
)]
#[case::by_the_scheduler(
    "pod has unbound immediate PersistentVolumeClaims",
    &[],
    "pod has unbound immediate PersistentVolumeClaims"
)]
fn a_claim_without_a_volume_is_named_with_its_class_and_the_words_of_the_cluster(
    #[case] scheduler: &str,
    #[case] events: &[(&str, &str)],
    #[case] said: &str,
) {
    let cluster = with_claim(scheduler, events);
    let judged = cluster.judge(&resource("minimal"), &ProbeOutcome::Pending, T1);
    let ready = judged.status.condition("Ready").unwrap();
    assert_eq!(ready.reason, reasons::VOLUME_PENDING);
    assert_eq!(judged.status.condition("Stalled"), None);
    assert!(judged.due.is_some());
    let status = cluster.status(&resource("minimal"), &ProbeOutcome::Pending, T2);
    let stalled = status.condition("Stalled").unwrap();
    assert_eq!(stalled.reason, reasons::VOLUME_PENDING);
    assert_eq!(
        stalled.message,
        format!(
            "postgres: Pod demo-postgres-0: PersistentVolumeClaim data-demo-postgres-0 (of storage \
             class fast) is Pending: {said}; see  kubectl -n ai describe pvc data-demo-postgres-0  \
             and  kubectl get storageclass"
        )
    );
}

#[test]
fn a_claim_that_waits_for_its_pod_is_not_to_blame() {
    let events = [("WaitForFirstConsumer", "waiting for first consumer")];
    let cluster = with_claim("0/1 nodes are available: 1 Insufficient cpu.", &events);
    let status = cluster.status(&resource("minimal"), &ProbeOutcome::Pending, T2);
    assert_eq!(
        status.condition("Stalled").unwrap().reason,
        reasons::POD_UNSCHEDULABLE
    );
}

#[test]
fn the_events_of_claims_are_read_once_they_are_not_young_any_more() {
    let mut cluster = with_claim("", &[]);
    let of = |cluster: &Cluster, now: &str| without_volume(&cluster.observed, now.parse().unwrap());
    assert_eq!(of(&cluster, T1), Vec::<String>::new());
    assert_eq!(of(&cluster, T2), ["c"]);
    let mut claims = cluster.observed.claims.values_mut();
    let status = claims.next().unwrap().status.as_mut().unwrap();
    status.phase = Some("Bound".to_owned());
    assert_eq!(of(&cluster, T2), Vec::<String>::new());
}

#[rstest]
#[case::nothing_answers(
    "minimal",
    "failed to look up the edge",
    "logs deployment/demo-traefik"
)]
#[case::no_token(
    "minimal",
    "failed to get a token from the identity provider through the edge: HTTP 503: x",
    "logs statefulset/demo-keycloak"
)]
#[case::an_answer_that_is_none(
    "minimal",
    "failed to get an answer through the public URL: HTTP 500: x",
    "logs deployment/demo-gateway"
)]
#[case::nobody_vouches(
    "minimal",
    "failed to get a token from the identity provider through the edge: nothing in Secret \
     \"demo-tls\" vouches for the certificate that the edge shows: x",
    "describe secret demo-tls"
)]
#[case::a_controller_of_the_cluster(
    "ingress",
    "failed to look up the edge",
    "describe ingress demo-edge"
)]
#[case::a_gateway(
    "gateway-api",
    "failed to look up the edge",
    "describe httproute demo-edge"
)]
fn a_question_that_failed_has_the_command_for_the_part_to_blame(
    #[case] fixture: &str,
    #[case] message: &str,
    #[case] command: &str,
) {
    let (platform, _) = crate::common::objects(fixture);
    let next = lotoai_plan::probe::next_command(&platform, message);
    assert!(
        next.starts_with(&format!("kubectl -n ai {command}")),
        "{next}"
    );
}
