//! Status against made-up states of the cluster.

use lotoai_api::spec::Spreading;
use lotoai_api::{Component, LotoAIStatus, Mode, Store, reasons};
use lotoai_plan::{Node, ObjectId, Observed, Outcome, Pass, ProbeOutcome, status};
use rstest::rstest;
use serde_json::json;

use crate::cluster::Cluster;
use crate::common::{operator, resource};

pub(crate) const T1: &str = "2026-11-22T10:00:00Z";

const T2: &str = "2026-11-22T10:05:00Z";

fn conditions(status: &LotoAIStatus) -> Vec<(&str, &str, &str)> {
    let all = status.conditions.iter();
    all.map(|c| (c.type_.as_str(), c.status.as_str(), c.reason.as_str()))
        .collect()
}

#[test]
fn what_was_just_sent_has_yet_to_be_rolled_out() {
    let mut cluster = Cluster::up();
    let mut lotoai = resource("minimal");
    lotoai.status = Some(cluster.status(&lotoai, &ProbeOutcome::Answered, T1));
    let agents = "demo-agents".to_owned();
    let mut metadata = cluster.observed.deployments[&agents].metadata.clone();
    metadata.generation = Some(2);
    let id = ObjectId {
        kind: "Deployment".to_owned(),
        name: agents,
    };
    cluster.observed.sent(&id, metadata);
    let status = cluster.status(&lotoai, &ProbeOutcome::Answered, T2);
    assert_eq!(
        conditions(&status),
        [
            ("Ready", "True", "Available"),
            ("Reconciling", "True", "Progressing")
        ]
    );
}

#[test]
fn ready_needs_every_component_and_an_answer() {
    let lotoai = resource("minimal");
    let cluster = Cluster::up();
    let status = cluster.status(&lotoai, &ProbeOutcome::Pending, T1);
    assert_eq!(
        conditions(&status),
        [
            ("Ready", "False", "ProbePending"),
            ("Reconciling", "True", "ProbePending")
        ]
    );
    let failed = ProbeOutcome::Failed {
        message: "HTTP 502".to_owned(),
    };
    let status = cluster.status(&lotoai, &failed, T1);
    assert_eq!(conditions(&status)[0], ("Ready", "False", "ProbeFailed"));
    assert!(status.conditions[0].message.contains("HTTP 502"));
    let status = cluster.status(&lotoai, &ProbeOutcome::Answered, T1);
    assert_eq!(conditions(&status), [("Ready", "True", "Available")]);
    assert_eq!(status.components_ready.as_deref(), Some("14/14"));
    assert_eq!(status.url.as_deref(), Some("https://lotoai.example.com"));
    assert_eq!(status.first_user_secret.as_deref(), Some("demo-first-user"));
    assert!(
        status
            .components
            .iter()
            .all(|component| component.message.is_empty())
    );
}

#[test]
fn a_platform_that_answered_is_ready_until_the_next_question_fails() {
    let mut cluster = Cluster::up();
    let mut lotoai = resource("minimal");
    lotoai.status = Some(cluster.status(&lotoai, &ProbeOutcome::Answered, T1));
    // The operator has just started.
    let status = cluster.status(&lotoai, &ProbeOutcome::Pending, T2);
    assert_eq!(status.condition("Ready").unwrap().status, "True");
    let failed = ProbeOutcome::Failed {
        message: "HTTP 502".to_owned(),
    };
    let status = cluster.status(&lotoai, &failed, T2);
    assert_eq!(status.condition("Ready").unwrap().status, "False");
    // An answer makes it ready again, though something that people do not need is still missing.
    lotoai.status = Some(status);
    cluster.set_ready(Node::Component(Component::Analytics), 0);
    let status = cluster.status(&lotoai, &ProbeOutcome::Answered, T2);
    assert_eq!(status.condition("Ready").unwrap().status, "True");
    // Where a component is down, or another spec was asked for, the last answer says nothing.
    lotoai.status = Some(status);
    let status = cluster.status(&lotoai, &ProbeOutcome::Pending, T2);
    assert_eq!(status.condition("Ready").unwrap().status, "False");
    cluster.set_ready(Node::Component(Component::Analytics), 1);
    let pending = cluster.status(&lotoai, &ProbeOutcome::Pending, T2);
    assert_eq!(pending.condition("Ready").unwrap().status, "True");
    lotoai.metadata.generation = lotoai
        .metadata
        .generation
        .map(|number| number + 1)
        .or(Some(7));
    let status = cluster.status(&lotoai, &ProbeOutcome::Pending, T2);
    assert_eq!(status.condition("Ready").unwrap().status, "False");
}

#[test]
fn external_stores_are_shown_but_neither_counted_nor_waited_for() {
    let cluster = Cluster::of("external");
    let open = cluster.open();
    for job in ["postgres", "rabbitmq", "s3", "clickhouse"] {
        assert!(open.contains(&format!("provision-{job}")), "{open:?}");
    }
    let cluster = Cluster::up_of("external");
    let status = cluster.status(&resource("external"), &ProbeOutcome::Answered, T1);
    assert_eq!(conditions(&status), [("Ready", "True", "Available")]);
    assert_eq!(status.components_ready.as_deref(), Some("10/10"));
    let external: Vec<_> = status
        .components
        .iter()
        .filter(|component| component.mode == Mode::External)
        .map(|component| (component.name.as_str(), component.endpoint.as_str()))
        .collect();
    assert_eq!(
        external,
        [
            ("postgres", "pg:5432"),
            ("rabbitmq", "rabbitmq.example.com:5672"),
            ("minio", "10.20.0.7:9000"),
            ("clickhouse", "clickhouse.analytics.svc:8443"),
        ]
    );
    // There is no Qdrant: the vectors are embedded.
    assert_eq!(status.components.len(), Component::ALL.len() - 1);
}

#[test]
fn the_first_time_an_answer_is_not_enough() {
    let mut cluster = Cluster::up();
    cluster.set_ready(Node::Component(Component::Analytics), 0);
    let status = cluster.status(&resource("minimal"), &ProbeOutcome::Answered, T1);
    assert_eq!(
        conditions(&status),
        [
            ("Ready", "False", "Progressing"),
            ("Reconciling", "True", "Progressing")
        ]
    );
    assert_eq!(status.components_ready.as_deref(), Some("13/14"));
    assert!(
        status.conditions[0]
            .message
            .starts_with("analytics: 0/1 pods ready")
    );
}

#[test]
fn a_platform_that_answers_stays_ready_and_says_what_is_down() {
    let mut lotoai = resource("minimal");
    let mut cluster = Cluster::up();
    lotoai.status = Some(cluster.status(&lotoai, &ProbeOutcome::Answered, T1));
    cluster.set_ready(Node::Component(Component::Analytics), 0);
    let status = cluster.status(&lotoai, &ProbeOutcome::Answered, T2);
    assert_eq!(
        conditions(&status),
        [
            ("Ready", "True", "Available"),
            ("Reconciling", "True", "Progressing"),
            ("Degraded", "True", "Progressing"),
        ]
    );
    // Down for good: not ready, still degraded.
    lotoai.status = Some(status);
    let failed = ProbeOutcome::Failed {
        message: "timed out".to_owned(),
    };
    let status = cluster.status(&lotoai, &failed, T2);
    assert_eq!(status.condition("Ready").unwrap().status, "False");
    assert!(status.condition("Degraded").is_some());
    // And up again.
    lotoai.status = Some(status);
    cluster.ready(Node::Component(Component::Analytics));
    let status = cluster.status(&lotoai, &ProbeOutcome::Answered, T2);
    assert_eq!(conditions(&status), [("Ready", "True", "Available")]);
}

#[test]
fn nothing_new_gives_the_same_status() {
    let mut lotoai = resource("minimal");
    let cluster = Cluster::up();
    lotoai.status = Some(cluster.status(&lotoai, &ProbeOutcome::Answered, T1));
    let again = cluster.status(&lotoai, &ProbeOutcome::Answered, T2);
    assert_eq!(lotoai.status, Some(again));
}

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

#[test]
fn faults_pause_failure_and_deletion_are_told() {
    let lotoai = resource("minimal");
    let cluster = Cluster::up();
    let env = operator("minimal");
    let faults =
        lotoai_plan::validate(&resource("custom"), &Observed::default(), &env).unwrap_err();
    let tell = |outcome| {
        let pass = Pass {
            lotoai: &lotoai,
            env: &env,
            observed: &cluster.observed,
            probe: &ProbeOutcome::Pending,
            outcome,
        };
        status(&pass, T1.parse().unwrap())
    };
    let invalid = tell(Outcome::Invalid(&faults));
    assert_eq!(
        conditions(&invalid),
        [
            ("Ready", "False", "SecretNotFound"),
            ("Stalled", "True", "SecretNotFound")
        ]
    );
    assert!(
        invalid.conditions[0]
            .message
            .contains("spec.edge.tls.secretName: Secret")
    );
    assert!(
        invalid.conditions[0]
            .message
            .contains("spec.agents.providers[openai]")
    );
    let paused = tell(Outcome::Paused {
        platform: &cluster.platform,
    });
    assert_eq!(conditions(&paused), [("Ready", "Unknown", "Paused")]);
    assert_eq!(paused.components_ready.as_deref(), Some("14/14"));
    let failed = tell(Outcome::Failed {
        platform: None,
        message: "failed to apply x",
    });
    assert_eq!(
        conditions(&failed)[0],
        ("Ready", "False", "ReconcileFailed")
    );
    let deleting = tell(Outcome::Deleting);
    assert_eq!(conditions(&deleting)[0], ("Ready", "False", "Deleting"));
}

#[test]
fn a_refused_object_hides_nothing_of_the_rest_and_is_waited_for() {
    let mut lotoai = resource("minimal");
    let mut cluster = Cluster::up();
    let refused = ("Reconciling", "True", "ReconcileFailed");
    // It never answered.
    let status = cluster.refused(&lotoai, &ProbeOutcome::Pending, T1);
    let never = ("Ready", "False", "ReconcileFailed");
    assert_eq!(conditions(&status), [never, refused]);
    assert_eq!(
        status.condition("Ready").unwrap().message,
        "failed to apply x"
    );

    lotoai.status = Some(cluster.status(&lotoai, &ProbeOutcome::Answered, T1));
    let status = cluster.refused(&lotoai, &ProbeOutcome::Answered, T2);
    let answers = ("Ready", "True", "Available");
    assert_eq!(conditions(&status), [answers, refused]);
    let failed = ProbeOutcome::Failed {
        message: "HTTP 502".to_owned(),
    };
    let status = cluster.refused(&lotoai, &failed, T2);
    let silent = ("Ready", "False", "ProbeFailed");
    assert_eq!(conditions(&status), [silent, refused]);

    cluster.set_ready(Node::Component(Component::Analytics), 0);
    let status = cluster.refused(&lotoai, &ProbeOutcome::Answered, T2);
    let degraded = ("Degraded", "True", "Progressing");
    assert_eq!(conditions(&status), [answers, refused, degraded]);
    // And it ends with the refusal.
    cluster.set_ready(Node::Component(Component::Analytics), 1);
    lotoai.status = Some(status);
    let status = cluster.status(&lotoai, &ProbeOutcome::Answered, T2);
    assert_eq!(conditions(&status), [answers]);
}

#[test]
fn a_platform_that_somebody_must_mend_is_stalled_whatever_was_refused() {
    let mut cluster = Cluster::up();
    cluster.set_ready(Node::Component(Component::Agents), 0);
    cluster.pod(
        Component::Agents,
        json!({ "containerStatuses": [{
            "name": "agents", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": "ImagePullBackOff", "message": "not found" } },
        }] }),
    );
    let status = cluster.refused(&resource("minimal"), &ProbeOutcome::Pending, T1);
    let usual = cluster.status(&resource("minimal"), &ProbeOutcome::Pending, T1);
    assert!(status.condition("Stalled").is_some());
    assert_eq!(conditions(&status), conditions(&usual));
}

/// Whoever keeps the operator from renewing certificates is told while there is time.
#[rstest]
#[case::fresh("2027-01-10T00:00:00Z", None)]
#[case::two_weeks_late("2026-12-01T00:00:00Z", Some("ends at 2026-12-01T00:00:00Z"))]
#[case::over("2026-11-20T00:00:00Z", Some("ended at 2026-11-20T00:00:00Z"))]
fn a_certificate_that_nobody_renews_is_in_the_message(
    #[case] end: &str,
    #[case] said: Option<&str>,
) {
    let mut cluster = Cluster::up();
    let secret = json!({ "metadata": { "annotations": { "lotoai.dev/not-after": end } } });
    let secret = serde_json::from_value(secret).unwrap();
    let secrets = &mut cluster.observed.secrets;
    secrets.insert("demo-gateway-tls".to_owned(), secret);
    let lotoai = resource("minimal");
    let env = operator("minimal");
    let platform = &cluster.platform;
    let message = "failed to apply x";
    for outcome in [
        Outcome::Paused { platform },
        Outcome::Failed {
            platform: Some(platform),
            message,
        },
    ] {
        let pass = Pass {
            lotoai: &lotoai,
            env: &env,
            observed: &cluster.observed,
            probe: &ProbeOutcome::Pending,
            outcome,
        };
        let status = status(&pass, "2026-11-22T10:00:00Z".parse().unwrap());
        let message = &status.condition("Ready").unwrap().message;
        let found = message.contains("the certificate in Secret demo-gateway-tls");
        assert_eq!(found, said.is_some(), "{message}");
        assert!(message.contains(said.unwrap_or_default()), "{message}");
    }
}

#[test]
fn what_an_autoscaler_wants_is_what_the_status_counts() {
    let mut cluster = Cluster::of("high-availability");
    for node in cluster.nodes() {
        cluster.set_ready(node, 3);
    }
    let gateway = cluster
        .observed
        .deployments
        .get_mut("demo-gateway")
        .unwrap();
    gateway.spec.as_mut().unwrap().replicas = Some(5);
    let orchestrator = cluster.observed.deployments.get_mut("demo-orchestrator");
    orchestrator.unwrap().spec.as_mut().unwrap().replicas = Some(1);
    let lotoai = resource("high-availability");
    let status = cluster.status(&lotoai, &ProbeOutcome::Pending, T1);
    let of = |component: Component| {
        let all = status.components.iter();
        let found = all.clone().find(|c| c.name == component.name()).unwrap();
        found.ready.clone()
    };
    assert_eq!(of(Component::Gateway), "3/5");
    // The autoscaler has not spoken yet: a new Deployment has one pod until then.
    assert_eq!(of(Component::Orchestrator), "3/3");
    assert_eq!(of(Component::Minio), "3/4");
    assert_eq!(status.components_ready.as_deref(), Some("12/14"));
}

#[test]
fn components_that_are_not_there_are_counted_as_wanted() {
    let cluster = Cluster::of("high-availability");
    let lotoai = resource("high-availability");
    let status = cluster.status(&lotoai, &ProbeOutcome::Pending, T1);
    let minio = status.components.iter().find(|c| c.name == "minio");
    assert_eq!(minio.unwrap().ready, "0/4");
}

#[test]
fn high_availability_says_what_is_not() {
    let warned = |fixture: &str| {
        let cluster = Cluster::up_of(fixture);
        let status = cluster.status(&resource(fixture), &ProbeOutcome::Answered, T1);
        let first = |text: &String| text.split(' ').next().unwrap_or_default().to_owned();
        status.warnings.iter().map(first).collect::<Vec<_>>()
    };
    assert_eq!(warned("high-availability"), ["postgres", "rag-server"]);
    assert_eq!(warned("delegated-postgres-ha"), ["rag-server"]);
    assert!(warned("minimal").is_empty());
}
