//! Pods that the cluster does not let anybody make: what the status says of them.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use lotoai_api::{Component, LotoAIStatus, Store, reasons};
use lotoai_plan::{Node, ProbeOutcome, short_of_pods};
use rstest::rstest;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::common::resource;

const MADE: &str = "2026-11-22T09:00:00Z";
const SINCE: &str = "2026-11-22T10:00:00Z";
const LAST_SECOND: &str = "2026-11-22T10:00:59Z";
const END: &str = "2026-11-22T10:01:00Z";
const QUOTA: &str = "exceeded quota: team, requested: pods=1, used: pods=9, limited: pods=9";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn status(cluster: &Cluster, now: &str) -> LotoAIStatus {
    cluster.status(&resource("minimal"), &ProbeOutcome::Pending, now)
}

/// A platform whose gateway has a Deployment with this condition, and no pod.
fn with_gateway(condition: Value) -> Cluster {
    let mut cluster = Cluster::up();
    cluster.set_ready(Node::Component(Component::Gateway), 0);
    let gateway = cluster
        .observed
        .deployments
        .get_mut("demo-gateway")
        .unwrap();
    let conditions = serde_json::from_value(json!([condition])).unwrap();
    gateway.status.as_mut().unwrap().conditions = Some(conditions);
    cluster
}

fn replica_failure(message: &str) -> Value {
    json!({
        "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
        "message": message, "lastTransitionTime": SINCE,
    })
}

#[rstest]
#[case::a_quota(QUOTA, "kubectl -n ai describe resourcequota")]
#[case::a_quota_that_wants_limits(
    "failed quota: team: must specify limits.cpu for: gateway",
    "kubectl -n ai describe resourcequota"
)]
#[case::a_limit_range(
    "maximum memory usage per Container is 256Mi, but limit is 512Mi",
    "kubectl -n ai describe limitrange"
)]
#[case::pod_security(
    "violates PodSecurity \"restricted:latest\": runAsNonRoot != true",
    "kubectl get namespace ai --show-labels"
)]
#[case::an_account(
    "error looking up service account ai/demo-gateway: serviceaccount \"demo-gateway\" not found",
    "kubectl -n ai get serviceaccount"
)]
#[case::a_priority(
    "no PriorityClass with name business was found",
    "kubectl get priorityclass"
)]
#[case::anything_else(
    "unable to validate against any security context constraint",
    "kubectl -n ai get events --field-selector reason=FailedCreate"
)]
fn what_a_deployment_says_is_told_with_the_next_command(#[case] cause: &str, #[case] next: &str) {
    let said = format!("pods \"demo-gateway-7c9-x2x4f\" is forbidden: {cause}");
    let cluster = with_gateway(replica_failure(&said));
    let status = status(&cluster, END);
    let message =
        format!("Deployment demo-gateway: its pods are not created: {cause}; see  {next}");
    let gateway = status
        .components
        .iter()
        .find(|c| c.name == "gateway")
        .unwrap();
    assert_eq!(gateway.message, message);
    let stalled = status.condition("Stalled").unwrap();
    assert_eq!(stalled.reason, reasons::POD_CREATION_FAILED);
    assert_eq!(stalled.message, format!("gateway: {message}"));
}

#[test]
fn a_webhook_names_itself() {
    let said = "admission webhook \"policy.example.com\" denied the request: no";
    let message = status(&with_gateway(replica_failure(said)), END);
    let message = &message.condition("Stalled").unwrap().message;
    assert!(message.contains(said), "{message}");
}

#[test]
fn a_person_must_act_after_a_minute_and_that_is_looked_at_then() {
    let cluster = with_gateway(replica_failure(QUOTA));
    let early = cluster.judge(&resource("minimal"), &ProbeOutcome::Pending, LAST_SECOND);
    assert_eq!(early.status.condition("Stalled"), None);
    let ready = early.status.condition("Ready").unwrap();
    assert_eq!(ready.reason, reasons::POD_CREATION_FAILED);
    assert_eq!(early.due, Some(time(END)));
    let late = cluster.judge(&resource("minimal"), &ProbeOutcome::Pending, END);
    assert!(late.status.condition("Stalled").is_some());
    assert_eq!(late.due, None);
}

#[rstest]
#[case::it_is_over(json!({ "type": "ReplicaFailure", "status": "False", "reason": "FailedCreate" }))]
#[case::a_pod_that_cannot_be_deleted(
    json!({ "type": "ReplicaFailure", "status": "True", "reason": "FailedDelete" })
)]
#[case::another_condition(json!({ "type": "Available", "status": "True", "reason": "Fine" }))]
fn other_words_are_no_refusal(#[case] condition: Value) {
    let status = status(&with_gateway(condition), END);
    assert_eq!(
        status.condition("Ready").unwrap().reason,
        reasons::PROGRESSING
    );
}

fn event(number: usize, uid: &str, reason: &str, first: &str, last: &str) -> (String, Event) {
    let name = format!("event-{number}");
    let event = json!({
        "metadata": { "name": name },
        "involvedObject": { "uid": uid },
        "reason": reason, "firstTimestamp": first, "lastTimestamp": last,
        "message": format!(
            "create Pod demo-postgres-0 in StatefulSet demo-postgres failed error: pods \
             \"demo-postgres-0\" is forbidden: {QUOTA}"
        ),
    });
    (name, serde_json::from_value(event).unwrap())
}

/// A platform whose postgres has so many pods of one, with events about it: reason, first and last
/// time.
fn with_postgres(pods: i32, events: &[(&str, &str, &str)]) -> Cluster {
    let mut cluster = Cluster::up();
    cluster.set_ready(Node::Component(Component::Postgres), 0);
    let postgres = cluster
        .observed
        .stateful_sets
        .get_mut("demo-postgres")
        .unwrap();
    postgres.metadata.uid = Some("p".to_owned());
    postgres.metadata.creation_timestamp = serde_json::from_value(json!(MADE)).unwrap();
    postgres.status.as_mut().unwrap().replicas = pods;
    cluster.observed.events = events
        .iter()
        .enumerate()
        .map(|(number, (reason, first, last))| event(number, "p", reason, first, last))
        .collect();
    cluster
}

#[rstest]
#[case::never_a_pod(0, &[("FailedCreate", SINCE, SINCE)], true)]
#[case::again_after_a_good_one(
    0,
    &[("SuccessfulCreate", MADE, MADE), ("FailedCreate", SINCE, SINCE)],
    true
)]
#[case::made_since(
    0,
    &[("FailedCreate", MADE, SINCE), ("SuccessfulCreate", LAST_SECOND, LAST_SECOND)],
    false
)]
#[case::every_pod_is_there(1, &[("FailedCreate", SINCE, SINCE)], false)]
#[case::nothing_is_heard(0, &[], false)]
fn a_stateful_set_is_told_by_the_last_word_of_its_controller(
    #[case] pods: i32,
    #[case] events: &[(&str, &str, &str)],
    #[case] is_told: bool,
) {
    let status = status(&with_postgres(pods, events), END);
    let stalled = status.condition("Stalled");
    assert_eq!(stalled.is_some(), is_told, "{stalled:?}");
    if let Some(stalled) = stalled {
        assert_eq!(stalled.reason, reasons::POD_CREATION_FAILED);
        let message = format!(
            "postgres: StatefulSet demo-postgres: its pods are not created: {QUOTA}; see  kubectl \
             -n ai describe resourcequota"
        );
        assert_eq!(stalled.message, message);
    }
}

#[test]
fn patience_begins_anew_after_a_good_pod() {
    let events = [
        ("FailedCreate", MADE, SINCE),
        (
            "SuccessfulCreate",
            "2026-11-22T09:59:58Z",
            "2026-11-22T09:59:58Z",
        ),
    ];
    let cluster = with_postgres(0, &events);
    assert_eq!(status(&cluster, SINCE).condition("Stalled"), None);
    assert!(status(&cluster, END).condition("Stalled").is_some());
}

#[test]
fn a_job_without_a_pod_is_told_and_events_of_others_are_not() {
    let mut cluster = Cluster::up();
    let node = Node::Provision(Store::Postgres);
    cluster.set_ready(node, 0);
    let name = cluster.set.job_name(&node.name()).unwrap().to_owned();
    let job = cluster.observed.jobs.get_mut(&name).unwrap();
    job.metadata.uid = Some("j".to_owned());
    job.metadata.creation_timestamp = serde_json::from_value(json!(MADE)).unwrap();
    let events = &mut cluster.observed.events;
    events.extend([event(0, "other", "FailedCreate", SINCE, SINCE)]);
    assert_eq!(status(&cluster, END).condition("Stalled"), None);
    let events = &mut cluster.observed.events;
    events.extend([event(1, "j", "FailedCreate", SINCE, SINCE)]);
    let status = status(&cluster, END);
    let message = &status.condition("Stalled").unwrap().message;
    assert!(
        message.contains(&format!("Job {name}: its pods are not created")),
        "{message}"
    );
}

#[rstest]
#[case::young("2026-11-22T09:00:29Z", 0, false)]
#[case::grown("2026-11-22T09:00:30Z", 0, true)]
#[case::with_its_pod("2026-11-22T10:00:00Z", 1, false)]
fn events_are_read_of_what_lacks_pods_and_is_not_young(
    #[case] now: &str,
    #[case] pods: i32,
    #[case] is_read: bool,
) {
    let short = short_of_pods(&with_postgres(pods, &[]).observed, time(now));
    assert_eq!(
        short,
        if is_read {
            vec!["p".to_owned()]
        } else {
            vec![]
        }
    );
}
