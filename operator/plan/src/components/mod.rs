//! Builders: one directory per component, one file per kind of object. All are infallible: what
//! could fail was checked by [`crate::validate()`].

pub mod agents;
pub mod analytics;
pub mod builtin;
pub mod clickhouse;
pub mod edge;
pub mod gateway;
pub mod keycloak;
pub mod mcp_server;
pub mod minio;
pub mod model_server;
pub mod orchestrator;
pub mod postgres;
pub mod provision;
pub mod qdrant;
pub mod rabbitmq;
pub mod rag_ingest;
pub mod rag_server;
pub mod shared;
pub mod traefik;

use lotoai_api::{Component, Store};

use crate::credentials::Credentials;
use crate::delegated;
use crate::gate::{Gates, gates};
use crate::graph::{Node, ports};
use crate::observed::Observed;
use crate::platform::Platform;
use crate::recreate;
use crate::resources::{Prepared, ResourceSet};
use crate::suspend;
use shared::{authorities, autoscaler, disruption, hash, network_policy, service, service_account};

/// Which kind of object runs a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkloadKind {
    /// Without a volume.
    Deployment,
    /// With a volume or a stable name.
    StatefulSet,
}

impl WorkloadKind {
    /// Kind of the object.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
        }
    }
}

/// Which kind of object runs this component. It never changes: whether vectors are embedded is fixed.
#[must_use]
pub const fn workload_kind(platform: &Platform, component: Component) -> WorkloadKind {
    match component {
        Component::Postgres
        | Component::Rabbitmq
        | Component::Minio
        | Component::Clickhouse
        | Component::Qdrant
        | Component::Keycloak => WorkloadKind::StatefulSet,
        Component::RagServer if platform.spec.rag.vector_store.is_embedded() => {
            WorkloadKind::StatefulSet
        }
        Component::Traefik
        | Component::Gateway
        | Component::Orchestrator
        | Component::Agents
        | Component::ModelServer
        | Component::McpServer
        | Component::RagIngest
        | Component::RagServer
        | Component::Analytics => WorkloadKind::Deployment,
    }
}

/// All objects that a platform should have now, and which of them must wait.
#[must_use]
pub fn plan(
    platform: &Platform,
    credentials: &Credentials,
    observed: &Observed,
) -> (ResourceSet<Prepared>, Gates) {
    let mut set = build(platform, credentials);
    recreate::stop_first(platform, observed, &mut set);
    if platform.spec.suspend {
        suspend::drop_unfinished_jobs(&mut set, observed);
    }
    let gates = gates(platform, &set, observed);
    (set, gates)
}

/// All objects of a platform.
#[must_use]
pub fn build(platform: &Platform, credentials: &Credentials) -> ResourceSet<Prepared> {
    let mut set = ResourceSet::default();
    for component in platform.topology.components() {
        set.extend(own(platform, credentials, component));
        set.service_accounts
            .push(service_account::build(platform, Node::Component(component)));
        if !ports(component).is_empty() {
            set.services.push(service::build(platform, component));
        }
        set.services.extend(service::members(platform, component));
        set.disruption_budgets
            .extend(disruption::build(platform, component));
        set.autoscalers
            .extend(autoscaler::build(platform, component));
    }
    let provisioned = |store: &Store| platform.topology.has(Node::Provision(*store));
    for store in Store::ALL.into_iter().filter(provisioned) {
        set.extend(provision::build(platform, store));
        set.service_accounts
            .push(service_account::build(platform, Node::Provision(store)));
    }
    set.config_maps
        .push(authorities::bundle(platform, credentials));
    set.extend(delegated::build(platform));
    set.extend(edge::build(platform));
    set.network_policies
        .push(network_policy::default_deny(platform));
    set.network_policies.extend(
        platform
            .topology
            .nodes()
            .map(|node| network_policy::build(platform, node)),
    );
    hash::seal(platform, credentials, &mut set);
    set
}

fn own(
    platform: &Platform,
    credentials: &Credentials,
    component: Component,
) -> ResourceSet<Prepared> {
    match component {
        Component::Postgres => postgres::build(platform),
        Component::Rabbitmq => rabbitmq::build(platform),
        Component::Minio => minio::build(platform),
        Component::Clickhouse => clickhouse::build(platform, credentials),
        Component::Qdrant => qdrant::build(platform),
        Component::Keycloak => keycloak::build(platform),
        Component::Traefik => traefik::build(platform),
        Component::Gateway => gateway::build(platform),
        Component::Orchestrator => orchestrator::build(platform),
        Component::Agents => agents::build(platform),
        Component::ModelServer => model_server::build(platform),
        Component::McpServer => mcp_server::build(platform),
        Component::RagIngest => rag_ingest::build(platform),
        Component::RagServer => rag_server::build(platform),
        Component::Analytics => analytics::build(platform),
    }
}
