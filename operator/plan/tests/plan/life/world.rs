//! A made-up cluster in which an operator writes what is planned and a kubelet carries it out, each
//! when the test says so.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, StatefulSet, StatefulSetStatus};
use k8s_openapi::api::batch::v1::JobStatus;
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use lotoai_api::{LotoAI, LotoAIStatus, Store};
use lotoai_plan::{
    Gates, Node, ObjectId, Observed, OperatorEnv, Outcome, Pass, Platform, Prepared, ProbeOutcome,
    ResourceSet, plan, status, validate,
};
use serde_json::json;

use crate::common::{operator, provided, resource};

const NOW: &str = "2026-11-22T10:00:00Z";

pub(super) struct World {
    pub(super) lotoai: LotoAI,
    pub(super) env: OperatorEnv,
    pub(super) observed: Observed,
    /// Images that no node can pull.
    pub(super) broken: BTreeSet<String>,
    /// Whether a policy of the cluster writes digests into the images of workload objects.
    pub(super) rewrites: bool,
    /// Workload objects in the order in which they were written.
    pub(super) written: Vec<String>,
    /// Who may sign in to each store, with what password.
    pub(super) accounts: BTreeMap<Store, BTreeMap<String, String>>,
    /// Passwords of the administrators that stores keep themselves.
    pub(super) administrators: BTreeMap<Store, String>,
    /// What each pod had in its environment when it started, with the digest of its template.
    pub(super) started: BTreeMap<String, (String, BTreeMap<String, String>)>,
    /// How often each pod was started.
    pub(super) starts: BTreeMap<String, u32>,
    /// Credentials that were made anew.
    pub(super) made: u32,
    /// What time it is.
    pub(super) now: Timestamp,
}

impl World {
    /// A platform that runs.
    pub(super) fn up(fixture: &str) -> Self {
        let mut world = Self {
            lotoai: resource(fixture),
            env: operator(fixture),
            observed: provided(),
            broken: BTreeSet::new(),
            rewrites: false,
            written: Vec::new(),
            accounts: BTreeMap::new(),
            administrators: BTreeMap::new(),
            started: BTreeMap::new(),
            starts: BTreeMap::new(),
            made: 0,
            now: NOW.parse().unwrap(),
        };
        world.settle();
        world.written.clear();
        world.starts.clear();
        world
    }

    pub(super) fn platform(&self) -> Platform {
        validate(&self.lotoai, &self.observed, &self.env).unwrap()
    }

    pub(super) fn plan(&self) -> (Platform, ResourceSet<Prepared>, Gates) {
        let platform = self.platform();
        let credentials = self.credentials(&platform);
        let (set, gates) = plan(&platform, &credentials, &self.observed);
        (platform, set, gates)
    }

    /// Passes and what comes of them, until nothing happens any more.
    pub(super) fn settle(&mut self) {
        for _ in 0..40 {
            let wrote = self.operator(usize::MAX) + self.rotate(usize::MAX);
            self.kubelet();
            self.report();
            if wrote == 0 {
                return;
            }
        }
        panic!("never at rest: {:?}", self.written);
    }

    /// A pass of an operator that is killed after so many writes.
    pub(super) fn operator(&mut self, most: usize) -> usize {
        self.make_secrets();
        let (_, set, gates) = self.plan();
        let mut writes = 0;
        let mut may = |kind: &str, name: &str, same: bool| {
            let id = ObjectId {
                kind: kind.to_owned(),
                name: name.to_owned(),
            };
            let write = !same && gates.held(&id).is_none() && writes < most;
            writes += usize::from(write);
            write
        };
        for wanted in &set.clusters {
            let name = wanted.metadata.name.clone().unwrap();
            let found = self.observed.clusters.get(&name);
            let same = found.is_some_and(|found| {
                found.spec == wanted.spec
                    && found.metadata.annotations == wanted.metadata.annotations
            });
            if may("Cluster", &name, same) {
                self.written.push(name.clone());
                self.observed.clusters.insert(name, wanted.clone());
            }
        }
        for wanted in &set.stateful_sets {
            let name = wanted.metadata.name.clone().unwrap();
            let found = self.observed.stateful_sets.get(&name);
            let mut spec = wanted.spec.clone().unwrap();
            admit(self.rewrites, &mut spec.template);
            let same = found.is_some_and(|found| {
                found.spec.as_ref() == Some(&spec)
                    && found.metadata.annotations == wanted.metadata.annotations
            });
            if may("StatefulSet", &name, same) {
                self.written.push(name.clone());
                let status = found.and_then(|found| found.status.clone());
                let metadata = next(&wanted.metadata, found.map(|found| &found.metadata));
                let written = StatefulSet {
                    metadata,
                    spec: Some(spec),
                    status,
                };
                self.observed.stateful_sets.insert(name, written);
            }
        }
        for wanted in &set.deployments {
            let name = wanted.metadata.name.clone().unwrap();
            let found = self.observed.deployments.get(&name);
            let mut spec = wanted.spec.clone().unwrap();
            let asked = found.and_then(|found| found.spec.as_ref()?.replicas);
            // What nobody asks for is one, and what the operator does not write is left alone.
            spec.replicas = spec
                .replicas
                .or(asked.filter(|asked| *asked > 0))
                .or(Some(1));
            admit(self.rewrites, &mut spec.template);
            let same = found.is_some_and(|found| {
                found.spec.as_ref() == Some(&spec)
                    && found.metadata.annotations == wanted.metadata.annotations
            });
            if may("Deployment", &name, same) {
                self.written.push(name.clone());
                let status = found.and_then(|found| found.status.clone());
                let metadata = next(&wanted.metadata, found.map(|found| &found.metadata));
                let written = Deployment {
                    metadata,
                    spec: Some(spec),
                    status,
                };
                self.observed.deployments.insert(name, written);
            }
        }
        for wanted in &set.jobs {
            let name = wanted.metadata.name.clone().unwrap();
            if may("Job", &name, self.observed.jobs.contains_key(&name)) {
                self.written.push(name.clone());
                self.observed.jobs.insert(name, wanted.clone());
            }
        }
        let wanted: BTreeSet<_> = set
            .jobs
            .iter()
            .map(|job| job.metadata.name.clone())
            .collect();
        self.observed
            .jobs
            .retain(|_, job| wanted.contains(&job.metadata.name));
        writes
    }

    /// Everything that was written comes about, but for what cannot be pulled.
    pub(super) fn kubelet(&mut self) {
        self.observed.pods.clear();
        let (platform, prepared, _) = self.plan();
        for store in Store::ALL {
            let name = prepared.job_name(&Node::Provision(store).name());
            let job = name.and_then(|name| self.observed.jobs.get(name)).cloned();
            if let Some(job) = job.filter(|job| job.status.is_none()) {
                self.provision(store, &prepared, &job);
            }
        }
        for (name, set) in &mut self.observed.stateful_sets {
            let spec = set.spec.as_ref().unwrap();
            let wanted = spec.replicas.unwrap();
            let pods = pods(name, &spec.template, wanted, &self.broken);
            let ready = i32::try_from(pods.iter().filter(|pod| is_ready(pod)).count()).unwrap();
            set.status = Some(StatefulSetStatus {
                observed_generation: set.metadata.generation,
                replicas: wanted,
                ready_replicas: Some(ready),
                updated_replicas: Some(wanted),
                ..StatefulSetStatus::default()
            });
            self.observed.pods.extend(pods.into_iter().map(named));
        }
        for (name, deployment) in &mut self.observed.deployments {
            let spec = deployment.spec.as_mut().unwrap();
            let node = platform
                .topology
                .nodes()
                .find(|node| platform.node_name(*node) == *name);
            if let (Some(Node::Component(component)), Some(1..)) = (node, spec.replicas) {
                // An autoscaler keeps to its least.
                let least = platform.scale(component).least();
                spec.replicas = spec.replicas.map(|asked| asked.max(least));
            }
            let wanted = spec.replicas.unwrap();
            let pods = pods(name, &spec.template, wanted, &self.broken);
            let ready = i32::try_from(pods.iter().filter(|pod| is_ready(pod)).count()).unwrap();
            deployment.status = Some(DeploymentStatus {
                observed_generation: deployment.metadata.generation,
                replicas: Some(wanted),
                ready_replicas: Some(ready),
                updated_replicas: Some(wanted),
                ..DeploymentStatus::default()
            });
            self.observed.pods.extend(pods.into_iter().map(named));
        }
        for job in self.observed.jobs.values_mut() {
            job.status = Some(JobStatus {
                succeeded: Some(1),
                ..JobStatus::default()
            });
        }
        for (_, _, delegated) in platform.topology.delegated_stores() {
            let Some(cluster) = self.observed.clusters.get_mut(&delegated.object) else {
                continue;
            };
            let annotations = cluster.metadata.annotations.as_ref();
            let hibernation = annotations.and_then(|all| all.get("cnpg.io/hibernation"));
            let rests = hibernation.is_some_and(|said| said == "on");
            cluster.status = serde_json::from_value(json!({
                "readyInstances": if rests { 0 } else { delegated.instances },
                "phase": "Cluster in healthy state",
                "conditions": [
                    { "type": "Ready", "status": "True" },
                    { "type": "cnpg.io/hibernation", "status": if rests { "True" } else { "False" } },
                ],
            }))
            .unwrap();
        }
        self.remember();
    }

    /// Writes the status.
    pub(super) fn report(&mut self) -> LotoAIStatus {
        let (platform, prepared, gates) = self.plan();
        let pass = Pass {
            lotoai: &self.lotoai,
            env: &self.env,
            observed: &self.observed,
            probe: &ProbeOutcome::Answered,
            outcome: Outcome::Reconciled {
                platform: &platform,
                prepared: &prepared,
                gates: &gates,
            },
        };
        let status = status(&pass, self.now);
        self.lotoai.status = Some(status.clone());
        status
    }

    /// Names of the nodes that have pods.
    pub(super) fn running(&self) -> BTreeSet<String> {
        let labels = self.observed.pods.values();
        labels
            .filter_map(|pod| pod.metadata.labels.as_ref()?.get("app.kubernetes.io/name"))
            .cloned()
            .collect()
    }
}

/// What a policy makes of the images of a template.
pub(super) fn admit(rewrites: bool, template: &mut PodTemplateSpec) {
    for container in &mut template.spec.as_mut().unwrap().containers {
        let image = container.image.as_mut().unwrap();
        if rewrites {
            *image = format!("mirror.corp/{image}@sha256:0123");
        }
    }
}

fn next(wanted: &ObjectMeta, found: Option<&ObjectMeta>) -> ObjectMeta {
    let generation = found.and_then(|found| found.generation).unwrap_or_default();
    ObjectMeta {
        generation: Some(generation + 1),
        ..wanted.clone()
    }
}

fn named(pod: Pod) -> (String, Pod) {
    (pod.metadata.name.clone().unwrap(), pod)
}

fn is_ready(pod: &Pod) -> bool {
    pod.status.is_none()
}

fn pods(name: &str, template: &PodTemplateSpec, count: i32, broken: &BTreeSet<String>) -> Vec<Pod> {
    let pod = |number: i32| {
        let spec = template.spec.clone().unwrap();
        let image = spec.containers[0].image.clone().unwrap();
        let status = broken.contains(&image).then(|| {
            serde_json::from_value(json!({ "containerStatuses": [{
                "name": spec.containers[0].name, "image": image, "imageID": "", "ready": false,
                "restartCount": 0,
                "state": { "waiting": { "reason": "ImagePullBackOff", "message": "not found" } },
            }] }))
            .unwrap()
        });
        Pod {
            metadata: ObjectMeta {
                name: Some(format!("{name}-{number}")),
                labels: template.metadata.as_ref().unwrap().labels.clone(),
                annotations: template.metadata.as_ref().unwrap().annotations.clone(),
                ..ObjectMeta::default()
            },
            spec: Some(spec),
            status,
        }
    };
    (0..count).map(pod).collect()
}
