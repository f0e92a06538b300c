//! A made-up state of a cluster with one platform.

use std::collections::BTreeSet;

use crate::common::{objects, operator, provided};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, StatefulSet, StatefulSetStatus};
use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use lotoai_api::{Component, LotoAI, LotoAIStatus};
use lotoai_plan::{
    Gate, Judgement, Node, Observed, Outcome, Pass, Platform, Prepared, ProbeOutcome, ResourceSet,
    gates, judge,
};
use serde_json::{Value, json};

pub(crate) struct Cluster {
    pub(crate) platform: Platform,
    pub(crate) set: ResourceSet<Prepared>,
    pub(crate) observed: Observed,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        Self::of("minimal")
    }

    pub(crate) fn up() -> Self {
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

    pub(crate) fn nodes(&self) -> Vec<Node> {
        self.platform.topology.start_order()
    }

    /// Stores that other operators run become ready.
    pub(crate) fn ready_stores(&mut self) {
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

    pub(crate) fn ready(&mut self, node: Node) {
        self.set_ready(node, 1);
    }

    pub(crate) fn set_ready(&mut self, node: Node, ready: i32) {
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
            Node::Anyone | Node::Operator | Node::Scraper => panic!("{node:?} has no pods"),
        }
    }

    /// The first pod of a component, with this status.
    pub(crate) fn pod(&mut self, component: Component, status: Value) {
        self.whole_pod(component, json!({ "status": status }));
    }

    /// The first pod of a component, but for its name and labels.
    pub(crate) fn whole_pod(&mut self, component: Component, mut pod: Value) {
        let node = Node::Component(component);
        let name = format!("{}-0", self.platform.node_name(node));
        pod["metadata"]["name"] = json!(name);
        pod["metadata"]["labels"] = json!(lotoai_plan::labels::recommended(&self.platform, node));
        let pod: Pod = serde_json::from_value(pod).unwrap();
        self.observed.pods.insert(name, pod);
    }

    pub(crate) fn open(&self) -> BTreeSet<String> {
        let gates = gates(&self.platform, &self.set, &self.observed);
        self.nodes()
            .into_iter()
            .filter(|node| *gates.gate(*node) == Gate::Open)
            .map(Node::name)
            .collect()
    }

    pub(crate) fn status(&self, lotoai: &LotoAI, probe: &ProbeOutcome, now: &str) -> LotoAIStatus {
        self.judge(lotoai, probe, now).status
    }

    pub(crate) fn judge(&self, lotoai: &LotoAI, probe: &ProbeOutcome, now: &str) -> Judgement {
        let gates = gates(&self.platform, &self.set, &self.observed);
        let outcome = Outcome::Reconciled {
            platform: &self.platform,
            prepared: &self.set,
            gates: &gates,
        };
        self.judge_outcome(lotoai, probe, now, outcome)
    }

    /// The status after a pass in which the cluster refused an object.
    pub(crate) fn refused(&self, lotoai: &LotoAI, probe: &ProbeOutcome, now: &str) -> LotoAIStatus {
        let gates = gates(&self.platform, &self.set, &self.observed);
        let outcome = Outcome::Refused {
            platform: &self.platform,
            prepared: &self.set,
            gates: &gates,
            message: "failed to apply x",
        };
        self.judge_outcome(lotoai, probe, now, outcome).status
    }

    pub(crate) fn judge_outcome(
        &self,
        lotoai: &LotoAI,
        probe: &ProbeOutcome,
        now: &str,
        outcome: Outcome<'_>,
    ) -> Judgement {
        let env = operator("minimal");
        let pass = Pass {
            lotoai,
            env: &env,
            observed: &self.observed,
            probe,
            outcome,
        };
        judge(&pass, now.parse::<Timestamp>().unwrap())
    }
}
