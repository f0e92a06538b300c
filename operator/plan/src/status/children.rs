//! State of each component and of each provision Job.

use jiff::Timestamp;
use lotoai_api::status::ComponentStatus;
use lotoai_api::{Component, LotoAIStatus, Mode, Store, reasons, versions};

use super::attempts;
use super::pods::{self, Failure};
use super::uncreated;
use super::upgrade::Upgrade;
use crate::components::workload_kind;
use crate::delegated::Delegated;
use crate::gate::{Gate, Gates, job_complete};
use crate::graph::{External, Node, ports};
use crate::observed::Observed;
use crate::platform::Platform;
use crate::recreate;
use crate::resources::{ObjectId, Prepared, ResourceSet};
use crate::rollout::{Rollout, is_behind};
use crate::suspend::has_stopped;

/// State of what one node of the graph runs.
#[derive(Debug, Clone)]
pub struct Child {
    /// The node.
    pub node: Node,
    /// Ready pods.
    pub ready: i32,
    /// Wanted pods.
    pub wanted: i32,
    /// All pods are ready and run the newest template; a Job is complete. On a suspended platform:
    /// it has stopped.
    pub settled: bool,
    /// At least one pod serves; a Job is complete.
    pub serves: bool,
    /// What it waits for; empty when settled.
    pub message: String,
    /// The workload object or Job.
    pub object: ObjectId,
    /// What went wrong, if anything did.
    pub failure: Option<Failure>,
    /// When patience with one of its pods ends.
    pub due: Option<Timestamp>,
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
            Node::Anyone | Node::Operator | Node::Scraper | Node::Provision(_) => None,
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

/// State of all components and Jobs.
pub(super) fn children(
    platform: &Platform,
    observed: &Observed,
    planned: Option<(&Gates, &ResourceSet<Prepared>)>,
    before: &LotoAIStatus,
    now: Timestamp,
) -> Vec<Child> {
    let gates = planned.map(|(gates, _)| gates);
    let components = platform
        .topology
        .components()
        .map(|c| component(platform, observed, gates, before, c, now));
    let delegated = platform
        .topology
        .delegated_stores()
        .map(|(component, external, delegated)| {
            delegated_store(platform, observed, component, external, delegated)
        });
    let jobs = planned.into_iter().flat_map(|(_, prepared)| {
        Store::ALL
            .into_iter()
            // None is waited for while the platform is suspended.
            .filter(move |store| {
                !platform.spec.suspend && platform.topology.has(Node::Provision(*store))
            })
            .map(move |store| job(platform, observed, prepared, store, now))
    });
    let mut children: Vec<_> = components.chain(delegated).chain(jobs).collect();
    if platform.spec.suspend {
        for child in &mut children {
            rest(platform, observed, gates, child, now);
        }
    }
    children
}

/// What a suspended platform shows of a part: how far it has stopped, and of its troubles only a pod
/// that does not go.
fn rest(
    platform: &Platform,
    observed: &Observed,
    gates: Option<&Gates>,
    child: &mut Child,
    now: Timestamp,
) {
    child.settled = has_stopped(platform, observed, child.node);
    child.wanted = 0;
    // The Job of a store is taken away with nobody left to tell of its pods, and they hold the store.
    let jobs = Store::ALL.map(Node::Provision);
    let of_jobs = jobs.into_iter().filter(|job| {
        platform.topology.has(*job) && platform.topology.needs(*job).contains(&child.node)
    });
    let nodes: Vec<Node> = [child.node].into_iter().chain(of_jobs).collect();
    let mut failures = nodes
        .iter()
        .filter_map(|node| pods::lingering(platform, observed, *node, now));
    child.failure = failures.next();
    let dues = nodes.iter().copied();
    child.due = dues
        .filter_map(|node| pods::lingering_due(platform, observed, node, now))
        .min();
    child.message = match (&child.failure, gates.map(|gates| gates.gate(child.node))) {
        _ if child.settled => "is suspended".to_owned(),
        (Some(failure), _) => failure.message.clone(),
        (None, Some(Gate::Closed { message })) => message.clone(),
        (None, Some(Gate::Open) | None) => "stops".to_owned(),
    };
}

fn component(
    platform: &Platform,
    observed: &Observed,
    gates: Option<&Gates>,
    before: &LotoAIStatus,
    component: Component,
    now: Timestamp,
) -> Child {
    let node = Node::Component(component);
    let object = ObjectId::new(
        workload_kind(platform, component).kind(),
        &platform.component_name(component),
    );
    let rollout = Rollout::of(platform, observed, component);
    let settled = rollout
        .as_ref()
        .is_some_and(|rollout| rollout.settled() && !is_behind(platform, rollout, component));
    let upgrade = Upgrade::of(platform, observed, before, component, settled);
    let due = if settled {
        pods::lingering_due(platform, observed, node, now)
    } else {
        due(platform, observed, node, &object, now)
    };
    let (failure, message) = if settled {
        // A pod that is not counted any more still holds what waits for every pod to be gone.
        let failure = pods::lingering(platform, observed, node, now);
        let message = failure.as_ref().map(|failure| failure.message.clone());
        (failure, message.unwrap_or_default())
    } else {
        let failure = failure(platform, observed, node, &object, now);
        let failure = match &upgrade {
            Some(upgrade) => failure.map(|failure| upgrade.stuck(failure)),
            None => failure,
        };
        let message = match &failure {
            Some(failure) => failure.message.clone(),
            None => {
                let waits = if recreate::is_stopping(platform, observed, component)
                    && rollout.is_some_and(|rollout| rollout.sleeps())
                {
                    "stops all servers before the first new one starts".to_owned()
                } else {
                    waits_for(rollout.as_ref(), gates.map(|gates| gates.gate(node)))
                };
                upgrade
                    .as_ref()
                    .map_or(waits.clone(), |upgrade| upgrade.under_way(&waits))
            }
        };
        (failure, message)
    };
    Child {
        node,
        ready: rollout.map_or(0, |rollout| rollout.ready),
        wanted: rollout.map_or(platform.scale(component).least(), |rollout| rollout.wanted),
        settled,
        serves: rollout.is_some_and(|rollout| rollout.serves()),
        message,
        failure,
        due,
        object,
        mode: Mode::Managed,
        version: upgrade.map_or_else(
            || versions::tag(platform.image(node)).to_owned(),
            |upgrade| upgrade.version_now().to_owned(),
        ),
        endpoint: endpoint(platform, component),
    }
}

/// What keeps the pods of a node from being there, or from being ready: first what needs a person.
fn failure(
    platform: &Platform,
    observed: &Observed,
    node: Node,
    object: &ObjectId,
    now: Timestamp,
) -> Option<Failure> {
    let of_pods = pods::failure(platform, observed, node, now);
    let failures = of_pods
        .into_iter()
        .chain(uncreated::failure(platform, observed, object, now));
    failures.min_by_key(|failure| !failure.needs_a_person)
}

/// When [`failure`] says something else, by nothing but time.
fn due(
    platform: &Platform,
    observed: &Observed,
    node: Node,
    object: &ObjectId,
    now: Timestamp,
) -> Option<Timestamp> {
    let of_pods = pods::due(platform, observed, node, now);
    let all = of_pods
        .into_iter()
        .chain(uncreated::due(observed, object, now));
    all.min()
}

fn waits_for(rollout: Option<&Rollout<'_>>, gate: Option<&Gate>) -> String {
    match (rollout, gate) {
        (_, Some(Gate::Closed { message })) => message.clone(),
        (None, _) => "is not created yet".to_owned(),
        (Some(rollout), _) if rollout.ready >= rollout.wanted => "rolls out".to_owned(),
        (Some(rollout), _) => format!("{}/{} pods ready", rollout.ready, rollout.wanted),
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
        due: None,
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
    let object = ObjectId::new("Job", name);
    let job = observed.jobs.get(name);
    let complete = job.is_some_and(job_complete);
    let failure = match job {
        Some(job) if !complete => {
            let of_attempts = attempts::failure(platform, observed, store, job);
            let of_pods = self::failure(platform, observed, node, &object, now);
            let failures = of_attempts.into_iter().chain(of_pods);
            failures.min_by_key(|failure| !failure.needs_a_person)
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
        failure,
        due: (!complete)
            .then(|| due(platform, observed, node, &object, now))
            .flatten(),
        object,
        mode: Mode::Managed,
        version: String::new(),
        endpoint: String::new(),
    }
}
