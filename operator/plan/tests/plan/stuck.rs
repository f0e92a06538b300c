//! Pods that neither fail nor become ready: when patience with them ends, and what is said then.

use lotoai_api::{Component, LotoAIStatus, reasons};
use lotoai_plan::{Node, ProbeOutcome};
use rstest::rstest;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::common::resource;

pub(crate) const SINCE: &str = "2026-11-22T10:00:00Z";
pub(crate) const LAST_SECOND: &str = "2026-11-22T10:14:59Z";
pub(crate) const END: &str = "2026-11-22T10:15:00Z";
const DESCRIBE: &str = "kubectl -n ai describe pod demo-gateway-0";
const LOGS_AND_DESCRIBE: &str = "kubectl -n ai logs demo-gateway-0 -c gateway  and  kubectl -n ai \
                                 describe pod demo-gateway-0";

/// A platform whose gateway has this pod, and is not ready.
pub(crate) fn with_gateway(pod: Value) -> Cluster {
    let mut cluster = Cluster::up();
    cluster.set_ready(Node::Component(Component::Gateway), 0);
    cluster.whole_pod(Component::Gateway, pod);
    cluster
}

/// A pod on a node that has been unready, with these conditions beside that and this container.
pub(crate) fn unready(since: &str, conditions: &[Value], container: &Value) -> Value {
    let ready = json!({ "type": "Ready", "status": "False", "lastTransitionTime": since });
    let conditions: Vec<_> = [ready].iter().chain(conditions).cloned().collect();
    json!({
        "spec": { "containers": [], "nodeName": "worker-1" },
        "status": { "conditions": conditions, "containerStatuses": [container] },
    })
}

/// The first container of a component, in a state that is not ready.
fn container(component: Component, state: &Value) -> Value {
    json!({
        "name": component.name(), "image": "x", "imageID": "", "ready": false, "restartCount": 0,
        "state": state,
    })
}

fn running(since: &str) -> Value {
    container(
        Component::Gateway,
        &json!({ "running": { "startedAt": since } }),
    )
}

pub(crate) fn creating() -> Value {
    let state = json!({ "waiting": { "reason": "ContainerCreating" } });
    container(Component::Gateway, &state)
}

fn with(mut value: Value, fields: &Value) -> Value {
    let fields = fields.as_object().unwrap().clone();
    value.as_object_mut().unwrap().extend(fields);
    value
}

pub(crate) fn stalled(status: &LotoAIStatus) -> Option<(&str, &str)> {
    let condition = status.condition("Stalled")?;
    assert_eq!(condition.status, "True");
    assert_eq!(status.condition("Reconciling"), None);
    Some((&condition.reason, &condition.message))
}

#[rstest]
#[case::a_readiness_probe(
    unready(SINCE, &[], &with(running(SINCE), &json!({ "started": true }))),
    "container gateway runs, but its readiness probe does not succeed",
    LOGS_AND_DESCRIBE
)]
#[case::a_startup_probe(
    unready(SINCE, &[], &with(running(SINCE), &json!({ "started": false }))),
    "container gateway runs, but its startup probe does not succeed",
    LOGS_AND_DESCRIBE
)]
#[case::a_volume_that_is_not_attached(
    unready(
        SINCE,
        &[json!({ "type": "PodReadyToStartContainers", "status": "False" })],
        &creating()
    ),
    "container gateway has not started (ContainerCreating): its volumes or its network are not there",
    DESCRIBE
)]
#[case::a_container_that_is_not_made(
    unready(
        SINCE,
        &[json!({ "type": "PodReadyToStartContainers", "status": "True" })],
        &creating()
    ),
    "container gateway has not started (ContainerCreating): its volumes are there, its image or \
     the container is not",
    DESCRIBE
)]
#[case::a_kubelet_that_does_not_say_how_far_it_is(
    unready(SINCE, &[], &creating()),
    "container gateway has not started (ContainerCreating)",
    DESCRIBE
)]
#[case::a_container_that_comes_first(
    json!({
        "metadata": { "creationTimestamp": SINCE },
        "spec": { "containers": [], "nodeName": "worker-1" },
        "status": {
            "initContainerStatuses": [
                with(
                    running(SINCE),
                    &json!({ "name": "done", "state": { "terminated": { "exitCode": 0 } } })
                ),
                with(running(SINCE), &json!({ "name": "proxy" })),
            ],
            "containerStatuses": [creating()],
        },
    }),
    "init container proxy runs, but it has neither ended nor become ready",
    "kubectl -n ai logs demo-gateway-0 -c proxy  and  kubectl -n ai describe pod demo-gateway-0"
)]
#[case::a_condition_of_somebody_else(
    json!({
        "spec": { "containers": [], "nodeName": "worker-1" },
        "status": {
            "conditions": [{
                "type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady",
                "message": "the status of pod readiness gate \"mesh\" is not \"True\", but False",
                "lastTransitionTime": SINCE,
            }],
            "containerStatuses": [with(running(SINCE), &json!({ "ready": true }))],
        },
    }),
    "the status of pod readiness gate \"mesh\" is not \"True\", but False",
    DESCRIBE
)]
#[case::a_node_that_is_gone(
    unready(SINCE, &[], &with(running(SINCE), &json!({ "ready": true }))),
    "nothing new is heard of its containers, so node worker-1 may be lost",
    "kubectl describe node worker-1"
)]
#[case::a_node_that_does_not_take_it_up(
    json!({
        "metadata": { "creationTimestamp": SINCE },
        "spec": { "containers": [], "nodeName": "worker-1" },
    }),
    "nothing new is heard of its containers, so node worker-1 may be lost",
    "kubectl describe node worker-1"
)]
#[case::no_scheduler(
    json!({ "metadata": { "creationTimestamp": SINCE } }),
    "it is on no node: no scheduler has looked at it",
    DESCRIBE
)]
#[case::a_scheduler_that_waits(
    json!({
        "metadata": { "creationTimestamp": SINCE },
        "status": { "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
        }] },
    }),
    "it is on no node: SchedulingGated: Scheduling is blocked due to non-empty scheduling gates",
    DESCRIBE
)]
fn a_pod_that_hangs_is_named_with_what_it_hangs_on(
    #[case] pod: Value,
    #[case] cause: &str,
    #[case] next: &str,
) {
    let mut cluster = with_gateway(pod);
    let lotoai = resource("minimal");
    let early = cluster.judge(&lotoai, &ProbeOutcome::Pending, LAST_SECOND);
    assert_eq!(stalled(&early.status), None);
    let reconciling = early.status.condition("Reconciling").unwrap();
    assert_eq!(reconciling.reason, reasons::PROGRESSING);
    assert_eq!(early.due, Some(END.parse().unwrap()));

    let late = cluster.judge(&lotoai, &ProbeOutcome::Pending, END);
    let message = format!(
        "gateway: Pod demo-gateway-0 is not ready since 2026-11-22T10:00:00Z: {cause}; see  {next}"
    );
    assert_eq!(
        stalled(&late.status),
        Some((reasons::POD_NOT_READY, &*message))
    );
    let ready = late.status.condition("Ready").unwrap();
    assert_eq!(
        (&*ready.status, &*ready.reason),
        ("False", reasons::POD_NOT_READY)
    );
    assert_eq!(late.about["Stalled"].name, "demo-gateway-0");
    assert_eq!(late.due, None);

    cluster.ready(Node::Component(Component::Gateway));
    let status = cluster.status(&lotoai, &ProbeOutcome::Answered, END);
    assert_eq!(status.condition("Stalled"), None);
    assert_eq!(status.condition("Ready").unwrap().status, "True");
}

#[test]
fn a_volume_claim_that_stays_pending_is_named() {
    let mut pod = unready(SINCE, &[], &creating());
    pod["spec"]["volumes"] = json!([
        { "name": "tmp", "emptyDir": {} },
        { "name": "data", "persistentVolumeClaim": { "claimName": "data-demo-gateway-0" } },
    ]);
    let mut cluster = with_gateway(pod);
    let claim = json!({ "spec": { "storageClassName": "fast" }, "status": { "phase": "Pending" } });
    let claim = serde_json::from_value(claim).unwrap();
    let claims = &mut cluster.observed.claims;
    claims.insert("data-demo-gateway-0".to_owned(), claim);
    let status = cluster.status(&resource("minimal"), &ProbeOutcome::Pending, END);
    let (reason, message) = stalled(&status).unwrap();
    assert_eq!(reason, reasons::VOLUME_PENDING);
    let said = "PersistentVolumeClaim data-demo-gateway-0 (of storage class fast) is Pending; see  \
                kubectl -n ai describe pvc data-demo-gateway-0  and  kubectl get storageclass";
    assert!(message.ends_with(said), "{message}");
}

/// A server that the kubelet ends whenever its start takes too long looks like one that starts,
/// most of the time.
#[rstest]
#[case::runs_again(
    json!({
        "running": { "startedAt": LAST_SECOND },
    }),
    json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } }),
    "container gateway: its startup probe does not succeed, and it ends: 2 restarts, last exit \
     code 137 (OOMKilled); see  kubectl -n ai logs demo-gateway-0 -c gateway --previous"
)]
#[case::has_just_ended(
    json!({ "terminated": { "exitCode": 1, "message": "the disk is full\n" } }),
    json!({}),
    "container gateway: its startup probe does not succeed, and it ends: 2 restarts, last exit \
     code 1: the disk is full; see  kubectl -n ai logs demo-gateway-0 -c gateway"
)]
#[case::backs_off(
    json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 40s" } }),
    json!({ "terminated": { "exitCode": 1 } }),
    "Pod demo-gateway-0: CrashLoopBackOff: it ended with exit code 1; see  kubectl -n ai logs \
     demo-gateway-0 -c gateway --previous"
)]
fn what_ends_again_and_again_needs_a_person_however_slowly_it_does(
    #[case] state: Value,
    #[case] last: Value,
    #[case] said: &str,
) {
    let fields = json!({ "started": false, "restartCount": 2, "lastState": last });
    let container = with(container(Component::Gateway, &state), &fields);
    let cluster = with_gateway(unready(SINCE, &[], &container));
    let lotoai = resource("minimal");
    let status = cluster.status(&lotoai, &ProbeOutcome::Pending, LAST_SECOND);
    assert_eq!(stalled(&status), None);
    let status = cluster.status(&lotoai, &ProbeOutcome::Pending, END);
    let (reason, message) = stalled(&status).unwrap();
    assert_eq!(reason, reasons::POD_CRASH_LOOPING);
    assert!(message.ends_with(said), "{message}");
}

#[test]
fn a_container_that_has_run_since_long_ago_hangs_though_it_once_ended() {
    let fields = json!({
        "started": true, "restartCount": 1, "lastState": { "terminated": { "exitCode": 1 } },
    });
    let cluster = with_gateway(unready(SINCE, &[], &with(running(SINCE), &fields)));
    let status = cluster.status(&resource("minimal"), &ProbeOutcome::Pending, END);
    assert_eq!(stalled(&status).unwrap().0, reasons::POD_NOT_READY);
}

#[test]
fn what_a_pod_needs_is_at_fault_before_the_pod_is() {
    let hangs = with(running(SINCE), &json!({ "started": true }));
    let mut cluster = with_gateway(unready(SINCE, &[], &hangs));
    cluster.set_ready(Node::Component(Component::Postgres), 0);
    let postgres = container(
        Component::Postgres,
        &json!({ "waiting": { "reason": "ContainerCreating" } }),
    );
    let later = "2026-11-22T10:10:00Z";
    cluster.whole_pod(Component::Postgres, unready(later, &[], &postgres));
    let lotoai = resource("minimal");
    let judged = cluster.judge(&lotoai, &ProbeOutcome::Pending, END);
    assert_eq!(stalled(&judged.status), None);
    assert_eq!(judged.due, Some("2026-11-22T10:25:00Z".parse().unwrap()));
    let status = cluster.status(&lotoai, &ProbeOutcome::Pending, "2026-11-22T10:25:00Z");
    let (_, message) = stalled(&status).unwrap();
    assert!(
        message.starts_with("postgres: Pod demo-postgres-0 is not ready since"),
        "{message}"
    );

    // Once it is there the gateway has all its time again.
    cluster.ready(Node::Component(Component::Postgres));
    let ready = json!({ "conditions": [{
        "type": "Ready", "status": "True", "lastTransitionTime": "2026-11-22T10:26:00Z",
    }] });
    cluster.pod(Component::Postgres, ready);
    let judged = cluster.judge(&lotoai, &ProbeOutcome::Pending, "2026-11-22T10:26:00Z");
    assert_eq!(stalled(&judged.status), None);
    assert_eq!(judged.due, Some("2026-11-22T10:41:00Z".parse().unwrap()));
    let status = cluster.status(&lotoai, &ProbeOutcome::Pending, "2026-11-22T10:41:00Z");
    assert!(stalled(&status).unwrap().1.starts_with("gateway: "));
}

#[test]
fn a_platform_that_answers_stays_ready_and_is_stalled() {
    let mut lotoai = resource("minimal");
    lotoai.status = Some(Cluster::up().status(&lotoai, &ProbeOutcome::Answered, SINCE));
    let hangs = with(running(SINCE), &json!({ "started": true }));
    let cluster = with_gateway(unready(SINCE, &[], &hangs));
    let status = cluster.status(&lotoai, &ProbeOutcome::Answered, END);
    assert!(stalled(&status).is_some());
    assert_eq!(status.condition("Ready").unwrap().status, "True");
    // Nothing is written while it goes on.
    lotoai.status = Some(status);
    let again = cluster.status(&lotoai, &ProbeOutcome::Answered, "2026-11-22T18:00:00Z");
    assert_eq!(lotoai.status, Some(again));
}

#[test]
fn patience_with_a_pod_that_is_ready_never_ends() {
    let mut cluster = Cluster::up();
    cluster.set_ready(Node::Component(Component::Gateway), 0);
    let ready = json!({ "conditions": [{
        "type": "Ready", "status": "True", "lastTransitionTime": SINCE,
    }] });
    cluster.pod(Component::Gateway, ready);
    let judged = cluster.judge(
        &resource("minimal"),
        &ProbeOutcome::Pending,
        "2026-11-23T10:00:00Z",
    );
    assert_eq!(stalled(&judged.status), None);
    assert_eq!(judged.due, None);
}

#[test]
fn a_pod_that_no_node_takes_is_looked_at_again_when_its_minute_is_over() {
    let pod = json!({ "status": { "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/1 nodes are available", "lastTransitionTime": SINCE,
    }] } });
    let judged = with_gateway(pod).judge(&resource("minimal"), &ProbeOutcome::Pending, SINCE);
    assert_eq!(judged.due, Some("2026-11-22T10:01:00Z".parse().unwrap()));
}
