//! State of each component and of each provision Job.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use lotoai_api::status::ComponentStatus;
use lotoai_api::{Component, Mode, Store, reasons, versions};

use super::pods::{self, Failure};
use crate::components::{WorkloadKind, workload_kind};
use crate::delegated::Delegated;
use crate::gate::{Gate, Gates, job_complete};
use crate::graph::{External, Node, ports};
use crate::observed::Observed;
use crate::platform::Platform;
use crate::resources::{ObjectId, Prepared, ResourceSet};
use crate::scale::Scale;

/// State of what one node of the graph runs.
#[derive(Debug, Clone)]
pub struct Child {
    /// The node.
    pub node: Node,
    /// Ready pods.
    pub ready: i32,
    /// Wanted pods.
    pub wanted: i32,
    /// All pods are ready and run the newest template; a Job is complete.
    pub settled: bool,
    /// At least one pod serves; a Job is complete.
    pub serves: bool,
    /// What it waits for; empty when settled.
    pub message: String,
    /// The workload object or Job.
    pub object: ObjectId,
    /// What went wrong, if anything did.
    pub failure: Option<Failure>,
    mode: Mode,
    version: String,
    endpoint: String,
}

impl Child {
    /// The component, unless it is a Job.
    #[must_use]
    pub const fn component(&self) -> Option<Component> {
        match self.node {
            Node::Component(component) => Some(component),
            Node::Anyone | Node::Operator | Node::Provision(_) => None,
        }
    }

    /// As the resource's status shows it; Jobs are not listed.
    #[must_use]
    pub fn status(&self) -> Option<ComponentStatus> {
        self.component().map(|component| ComponentStatus {
            name: component.name().to_owned(),
            mode: self.mode,
            ready: format!("{}/{}", self.ready, self.wanted),
            message: self.message.clone(),
            version: self.version.clone(),
            endpoint: self.endpoint.clone(),
        })
    }
}

/// How the status shows every component, those that are elsewhere included.
pub(super) fn components(platform: &Platform, children: &[Child]) -> Vec<ComponentStatus> {
    let shown = |component| match platform.topology.outside(component) {
        Some((_, external)) if external.delegated.is_none() => Some(outside(component, external)),
        _ => children
            .iter()
            .find(|child| child.component() == Some(component))
            .and_then(Child::status),
    };
    Component::ALL.into_iter().filter_map(shown).collect()
}

/// A server that somebody else runs. The operator never connects to a store, so it says nothing of
/// its health: the provision Job and the components that use it do.
fn outside(component: Component, external: &External) -> ComponentStatus {
    let (host, port) = external.host_and_port();
    ComponentStatus {
        name: component.name().to_owned(),
        mode: Mode::External,
        ready: "0/0".to_owned(),
        endpoint: format!("{host}:{port}"),
        ..ComponentStatus::default()
    }
}

/// Counts of a workload object.
struct Replicas {
    wanted: i32,
    ready: i32,
    updated: i32,
    current_generation: bool,
}

impl Replicas {
    /// What an autoscaler wants stands in the object itself, where it wrote it; a new object has
    /// one pod until it does.
    fn of_deployment(scale: Scale, deployment: &Deployment) -> Self {
        let status = deployment.status.as_ref();
        let spec = deployment.spec.as_ref();
        Self {
            wanted: match scale {
                Scale::Fixed(replicas) => replicas,
                Scale::Following(_) => spec
                    .and_then(|spec| spec.replicas)
                    .map_or(scale.least(), |replicas| replicas.max(scale.least())),
            },
            ready: status.and_then(|s| s.ready_replicas).unwrap_or(0),
            updated: status.and_then(|s| s.updated_replicas).unwrap_or(0),
            current_generation: status.and_then(|s| s.observed_generation)
                >= deployment.metadata.generation,
        }
    }

    fn of_stateful_set(scale: Scale, set: &StatefulSet) -> Self {
        let status = set.status.as_ref();
        Self {
            wanted: scale.least(),
            ready: status.and_then(|s| s.ready_replicas).unwrap_or(0),
            updated: status.and_then(|s| s.updated_replicas).unwrap_or(0),
            current_generation: status.and_then(|s| s.observed_generation)
                >= set.metadata.generation,
        }
    }

    const fn settled(&self) -> bool {
        self.current_generation && self.ready >= self.wanted && self.updated >= self.wanted
    }
}

/// State of all components and Jobs.
pub(super) fn children(
    platform: &Platform,
    observed: &Observed,
    planned: Option<(&Gates, &ResourceSet<Prepared>)>,
    now: Timestamp,
) -> Vec<Child> {
    let components = platform
        .topology
        .components()
        .map(|c| component(platform, observed, planned, c, now));
    let delegated = platform
        .topology
        .delegated_stores()
        .map(|(component, external, delegated)| {
            delegated_store(platform, observed, component, external, delegated)
        });
    let jobs = planned.into_iter().flat_map(|(_, prepared)| {
        Store::ALL
            .into_iter()
            .filter(move |store| platform.topology.has(Node::Provision(*store)))
            .map(move |store| job(platform, observed, prepared, store, now))
    });
    components.chain(delegated).chain(jobs).collect()
}

fn component(
    platform: &Platform,
    observed: &Observed,
    planned: Option<(&Gates, &ResourceSet<Prepared>)>,
    component: Component,
    now: Timestamp,
) -> Child {
    let node = Node::Component(component);
    let name = platform.component_name(component);
    let scale = platform.scale(component);
    let replicas = match workload_kind(platform, component) {
        WorkloadKind::Deployment => observed
            .deployments
            .get(&name)
            .map(|deployment| Replicas::of_deployment(scale, deployment)),
        WorkloadKind::StatefulSet => observed
            .stateful_sets
            .get(&name)
            .map(|set| Replicas::of_stateful_set(scale, set)),
    };
    let settled = replicas.as_ref().is_some_and(Replicas::settled);
    let failure = if settled {
        None
    } else {
        pods::failure(platform, observed, node, now)
    };
    let message = match (
        &failure,
        &replicas,
        planned.map(|(gates, _)| gates.gate(node)),
    ) {
        _ if settled => String::new(),
        (Some(failure), _, _) => failure.message.clone(),
        (None, None, Some(Gate::Closed { message })) => message.clone(),
        (None, None, _) => "is not created yet".to_owned(),
        (None, Some(replicas), _) if replicas.ready >= replicas.wanted => "rolls out".to_owned(),
        (None, Some(replicas), _) => format!("{}/{} pods ready", replicas.ready, replicas.wanted),
    };
    Child {
        node,
        ready: replicas.as_ref().map_or(0, |replicas| replicas.ready),
        wanted: replicas
            .as_ref()
            .map_or(scale.least(), |replicas| replicas.wanted),
        settled,
        serves: replicas.as_ref().is_some_and(|replicas| replicas.ready > 0),
        message,
        object: ObjectId::new(workload_kind(platform, component).kind(), &name),
        failure,
        mode: Mode::Managed,
        version: versions::tag(platform.image(node)).to_owned(),
        endpoint: endpoint(platform, component),
    }
}

/// A store that another operator runs: its word for it.
fn delegated_store(
    platform: &Platform,
    observed: &Observed,
    component: Component,
    external: &External,
    delegated: &Delegated,
) -> Child {
    let node = Node::Component(component);
    let state = delegated.state(observed);
    let Delegated {
        operator, object, ..
    } = delegated;
    let asked = ObjectId::new(operator.kind(), object);
    let failure = state.wait.map(|wait| Failure {
        reason: reasons::STORE_NOT_READY,
        message: format!(
            "{} {object} of {}: {}; see  kubectl -n {} describe {} {object}",
            operator.kind(),
            operator.name(),
            wait.message,
            platform.namespace,
            operator.resource(),
        ),
        needs_a_person: wait.needs_a_person,
        object: asked.clone(),
    });
    let (host, port) = external.host_and_port();
    Child {
        node,
        ready: state.ready,
        wanted: delegated.instances,
        settled: failure.is_none(),
        serves: state.ready > 0,
        message: failure
            .as_ref()
            .map_or_else(String::new, |failure| failure.message.clone()),
        object: asked,
        failure,
        mode: Mode::Delegated,
        version: versions::tag(platform.image(node)).to_owned(),
        endpoint: format!("{host}.{}.svc:{port}", platform.namespace),
    }
}

fn endpoint(platform: &Platform, component: Component) -> String {
    ports(component).first().map_or_else(String::new, |port| {
        let name = platform.component_name(component);
        format!("{name}.{}.svc:{}", platform.namespace, port.service)
    })
}

fn job(
    platform: &Platform,
    observed: &Observed,
    prepared: &ResourceSet<Prepared>,
    store: Store,
    now: Timestamp,
) -> Child {
    let node = Node::Provision(store);
    let name = prepared.job_name(&node.name()).unwrap_or_default();
    let job = observed.jobs.get(name);
    let complete = job.is_some_and(job_complete);
    let failure = match job {
        Some(job) if !complete => {
            given_up(platform, job).or_else(|| pods::failure(platform, observed, node, now))
        }
        _ => None,
    };
    let message = match &failure {
        _ if complete => String::new(),
        Some(failure) => failure.message.clone(),
        None if job.is_some() => "runs".to_owned(),
        None => "is not started yet".to_owned(),
    };
    Child {
        node,
        ready: i32::from(complete),
        wanted: 1,
        settled: complete,
        serves: complete,
        message,
        object: ObjectId::new("Job", name),
        failure,
        mode: Mode::Managed,
        version: String::new(),
        endpoint: String::new(),
    }
}

/// A Job that ran out of attempts. It stays so until somebody deletes it or its inputs change.
fn given_up(platform: &Platform, job: &Job) -> Option<Failure> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let failed = conditions
        .iter()
        .find(|condition| condition.type_ == "Failed" && condition.status == "True")?;
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let cause = failed.message.as_deref().unwrap_or("it failed");
    Some(Failure {
        reason: reasons::PROVISION_FAILED,
        message: format!(
            "Job {name}: {cause}; see why with  kubectl -n {ns} logs job/{name}  and try again \
             with  kubectl -n {ns} delete job {name}",
            ns = platform.namespace
        ),
        needs_a_person: true,
        object: ObjectId::new("Job", name),
    })
}
