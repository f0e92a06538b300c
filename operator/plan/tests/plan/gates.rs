//! Gates and status against made-up states of the cluster.

use std::collections::BTreeSet;

use crate::common::{FIXTURES, objects, operator, provided, resource};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, StatefulSet, StatefulSetStatus};
use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use lotoai_api::{Component, LotoAI, LotoAIStatus, Mode, Store, reasons};
use lotoai_plan::{
    Gate, Node, ObjectId, Observed, Outcome, Pass, Platform, Prepared, ProbeOutcome, ResourceSet,
    gates, status,
};
use serde_json::json;

pub(crate) struct Cluster {
    pub(crate) platform: Platform,
    pub(crate) set: ResourceSet<Prepared>,
    pub(crate) observed: Observed,
}

impl Cluster {
    fn new() -> Self {
        Self::of("minimal")
    }

    fn up() -> Self {
        Self::up_of("minimal")
    }

    /// Nothing applied.
    pub(crate) fn of(fixture: &str) -> Self {
        let (platform, set) = objects(fixture);
        Self {
            platform,
            set,
            observed: provided(),
        }
    }

    /// Everything applied, and everything ready.
    pub(crate) fn up_of(fixture: &str) -> Self {
        let mut cluster = Self::of(fixture);
        cluster.ready_stores();
        for node in cluster.nodes() {
            cluster.ready(node);
        }
        cluster
    }

    fn nodes(&self) -> Vec<Node> {
        self.platform.topology.start_order()
    }

    /// Stores that other operators run become ready.
    fn ready_stores(&mut self) {
        for (_, _, delegated) in self.platform.topology.delegated_stores() {
            let cluster = serde_json::from_value(json!({
                "metadata": { "name": delegated.object, "uid": "c" },
                "spec": {},
                "status": {
                    "readyInstances": delegated.instances,
                    "phase": "Cluster in healthy state",
                    "conditions": [{ "type": "Ready", "status": "True" }],
                },
            }));
            self.observed
                .clusters
                .insert(delegated.object.clone(), cluster.unwrap());
        }
    }

    fn ready(&mut self, node: Node) {
        self.set_ready(node, 1);
    }

    fn set_ready(&mut self, node: Node, ready: i32) {
        let name = self.platform.node_name(node);
        match node {
            Node::Provision(_) => {
                let name = self.set.job_name(&node.name()).unwrap().to_owned();
                let status = JobStatus {
                    succeeded: Some(ready),
                    ..JobStatus::default()
                };
                let mut job = Job {
                    status: Some(status),
                    ..Job::default()
                };
                job.metadata.name = Some(name.clone());
                self.observed.jobs.insert(name, job);
            }
            Node::Component(_) => {
                let by_name = |found: Option<&String>| found == Some(&name);
                let sets = self.set.stateful_sets.iter();
                if let Some(found) = sets.clone().find(|o| by_name(o.metadata.name.as_ref())) {
                    let status = StatefulSetStatus {
                        replicas: 1,
                        ready_replicas: Some(ready),
                        updated_replicas: Some(ready.max(1)),
                        ..StatefulSetStatus::default()
                    };
                    let object = StatefulSet {
                        status: Some(status),
                        ..found.clone()
                    };
                    self.observed.stateful_sets.insert(name, object);
                } else {
                    let all = &self.set.deployments;
                    let found = all
                        .iter()
                        .find(|o| by_name(o.metadata.name.as_ref()))
                        .unwrap();
                    let status = DeploymentStatus {
                        ready_replicas: Some(ready),
                        updated_replicas: Some(ready.max(1)),
                        ..DeploymentStatus::default()
                    };
                    let object = Deployment {
                        status: Some(status),
                        ..found.clone()
                    };
                    self.observed.deployments.insert(name, object);
                }
            }
            Node::Anyone | Node::Operator => panic!("{node:?} has no pods"),
        }
    }

    fn pod(&mut self, component: Component, status: serde_json::Value) {
        let node = Node::Component(component);
        let name = format!("{}-0", self.platform.node_name(node));
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {
                "name": name,
                "labels": lotoai_plan::labels::recommended(&self.platform, node),
            },
            "status": status,
        }))
        .unwrap();
        self.observed.pods.insert(name, pod);
    }

    fn open(&self) -> BTreeSet<String> {
        let gates = gates(&self.platform, &self.set, &self.observed);
        self.nodes()
            .into_iter()
            .filter(|node| *gates.gate(*node) == Gate::Open)
            .map(Node::name)
            .collect()
    }

    pub(crate) fn status(&self, lotoai: &LotoAI, probe: &ProbeOutcome, now: &str) -> LotoAIStatus {
        let gates = gates(&self.platform, &self.set, &self.observed);
        let env = operator("minimal");
        let outcome = Outcome::Reconciled {
            platform: &self.platform,
            prepared: &self.set,
            gates: &gates,
        };
        let pass = Pass {
            lotoai,
            env: &env,
            observed: &self.observed,
            probe,
            outcome,
        };
        status(&pass, now.parse::<Timestamp>().unwrap())
    }
}

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
fn an_empty_cluster_starts_with_what_needs_nothing() {
    let open = Cluster::new().open();
    let expected = [
        "clickhouse",
        "minio",
        "model-server",
        "postgres",
        "rabbitmq",
    ];
    assert_eq!(
        open.iter().map(String::as_str).collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn gates_open_step_by_step_until_everything_runs() {
    for fixture in FIXTURES {
        open_step_by_step(Cluster::of(fixture));
    }
}

fn open_step_by_step(mut cluster: Cluster) {
    let mut started: BTreeSet<String> = BTreeSet::new();
    let mut steps = 0;
    while started.len() < cluster.nodes().len() {
        let open = cluster.open();
        assert!(open.len() > started.len(), "stuck after {started:?}");
        for node in cluster
            .nodes()
            .into_iter()
            .filter(|node| open.contains(&node.name()))
        {
            cluster.ready(node);
        }
        cluster.ready_stores();
        started = open;
        steps += 1;
    }
    assert!(steps <= 8, "{steps} steps");
}

#[test]
fn what_runs_already_is_never_held_back() {
    let mut cluster = Cluster::up();
    for node in cluster.nodes() {
        cluster.set_ready(node, 0);
    }
    assert_eq!(cluster.open().len(), cluster.nodes().len());
}

#[test]
fn a_new_job_waits_for_its_store_and_holds_back_newcomers_only() {
    let mut cluster = Cluster::up();
    let name = cluster
        .set
        .job_name("provision-postgres")
        .unwrap()
        .to_owned();
    cluster.observed.jobs.remove(&name);
    cluster.observed.deployments.remove("demo-gateway");
    let gates = gates(&cluster.platform, &cluster.set, &cluster.observed);
    let gateway = ObjectId {
        kind: "Deployment".to_owned(),
        name: "demo-gateway".to_owned(),
    };
    assert_eq!(gates.held(&gateway), Some("waits for provision-postgres"));
    let job = ObjectId {
        kind: "Job".to_owned(),
        name,
    };
    assert_eq!(gates.held(&job), None);
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
    assert_eq!(status.components.len(), Component::ALL.len());
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
fn what_an_autoscaler_wants_is_what_the_status_counts() {
    let mut cluster = Cluster::of("high-availability");
    for node in Node::pods() {
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
fn an_autoscaler_waits_with_its_deployment() {
    let mut cluster = Cluster::of("high-availability");
    let held = |cluster: &Cluster| {
        let gates = gates(&cluster.platform, &cluster.set, &cluster.observed);
        let id = ObjectId {
            kind: "HorizontalPodAutoscaler".to_owned(),
            name: "demo-gateway".to_owned(),
        };
        gates.held(&id).is_some()
    };
    assert!(held(&cluster));
    for node in Node::pods() {
        cluster.ready(node);
    }
    assert!(!held(&cluster));
}
