//! The wiring graph: which component talks to which, where, and with what credential.
//!
//! Environment, Secrets, network policies, start order, readiness of gates, the probe and the
//! diagram in the documentation come from it and from nowhere else.

mod mermaid;
mod outside;
mod table;
mod topology;

use lotoai_api::{Component, Store};

pub use mermaid::{mermaid, mermaid_of};
pub use outside::{Outside, exporters, outside};
pub use table::{EDGES, PLAIN};
pub use topology::{External, Topology};

/// Somebody who talks to a component, or is talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// People's browsers and clients.
    Anyone,
    /// The operator, in its own namespace.
    Operator,
    /// A Prometheus that asks for metrics, in a place that the resource names.
    Scraper,
    /// The Job that prepares a store.
    Provision(Store),
    /// A component.
    Component(Component),
}

impl Node {
    /// All nodes with pods of their own in the platform's namespace.
    pub fn pods() -> impl Iterator<Item = Self> {
        Component::ALL
            .into_iter()
            .map(Self::Component)
            .chain(Store::ALL.into_iter().map(Self::Provision))
    }

    /// Name in objects and labels, for example `rag-server` or `provision-postgres`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Anyone => "anyone".to_owned(),
            Self::Operator => "operator".to_owned(),
            Self::Scraper => "scraper".to_owned(),
            Self::Provision(store) => format!("provision-{}", store.name()),
            Self::Component(component) => component.name().to_owned(),
        }
    }

    /// Value of label `app.kubernetes.io/component`: the part that it plays.
    #[must_use]
    pub const fn role(self) -> &'static str {
        match self {
            Self::Anyone | Self::Operator | Self::Scraper => "outside",
            Self::Provision(_) => "provision",
            Self::Component(component) => match component {
                Component::Postgres
                | Component::Clickhouse
                | Component::Qdrant
                | Component::Minio => "data",
                Component::Rabbitmq => "messaging",
                Component::Keycloak => "identity",
                Component::Traefik => "edge",
                Component::Gateway
                | Component::Orchestrator
                | Component::Agents
                | Component::ModelServer
                | Component::McpServer
                | Component::RagIngest
                | Component::RagServer
                | Component::Analytics => "service",
            },
        }
    }

    /// Whether this node asks OpenTelemetry to be exported, as all of our own images do.
    #[must_use]
    pub const fn is_ours(self) -> bool {
        match self {
            Self::Anyone | Self::Operator | Self::Scraper => false,
            Self::Provision(_) => true,
            Self::Component(component) => is_ours(component),
        }
    }
}

/// Whether the component is built from this repository.
#[must_use]
pub const fn is_ours(component: Component) -> bool {
    match component {
        Component::Postgres
        | Component::Rabbitmq
        | Component::Minio
        | Component::Clickhouse
        | Component::Qdrant
        | Component::Keycloak
        | Component::Traefik => false,
        Component::Gateway
        | Component::Orchestrator
        | Component::Agents
        | Component::ModelServer
        | Component::McpServer
        | Component::RagIngest
        | Component::RagServer
        | Component::Analytics => true,
    }
}

/// What is spoken on an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// HTTP with TLS.
    Https,
    /// HTTP without.
    Http,
    /// gRPC with TLS.
    Grpc,
    /// PostgreSQL's own, with TLS.
    Postgres,
    /// AMQP 0-9-1 with TLS.
    Amqps,
    /// Amazon S3 over HTTPS.
    S3,
    /// OpenID Connect over HTTPS.
    Oidc,
    /// What the servers of one engine say to each other, without TLS.
    Cluster,
    /// The same, with TLS.
    ClusterTls,
}

impl Protocol {
    /// Whether the server proves who it is, and nobody on the way can read or change anything.
    #[must_use]
    pub const fn is_tls(self) -> bool {
        match self {
            Self::Https
            | Self::Grpc
            | Self::Postgres
            | Self::Amqps
            | Self::S3
            | Self::Oidc
            | Self::ClusterTls => true,
            Self::Http | Self::Cluster => false,
        }
    }
}

/// What the caller proves itself with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CredentialKind {
    /// Nothing: the callee checks each request itself, or the caller is another pod of the callee
    /// and knows what it knows.
    None,
    /// Secret `<platform>-<from>-<to>` with key `token`; the callee, or who is behind it when it is
    /// the proxy, knows the same token.
    Token,
    /// Secret `<platform>-<from>-<to>` with keys `username` and `password`; a provision Job makes
    /// the user in the store.
    Account(Store, &'static str),
    /// Secret `<platform>-<from>-<to>` with key `apiKey`, which the store itself is started with: it
    /// has no accounts.
    ApiKey(Store),
    /// The Secret of the store's administrator, with keys `username` and `password`.
    Admin(Store),
    /// The Secret that the resource names for an external store in which no accounts can be made,
    /// with keys `username` and `password`, or `apiKey`.
    Given(Store),
}

impl CredentialKind {
    /// The provision Job that makes the credential known to the callee.
    #[must_use]
    pub const fn provisioned_by(self) -> Option<Store> {
        match self {
            // Whoever uses it makes what there must be in it.
            Self::Given(Store::Qdrant) => None,
            Self::Account(store, _) | Self::Given(store) => Some(store),
            Self::None | Self::Token | Self::ApiKey(_) | Self::Admin(_) => None,
        }
    }

    /// The store in which the credential is one.
    #[must_use]
    pub const fn store(self) -> Option<Store> {
        match self {
            Self::Account(store, _)
            | Self::ApiKey(store)
            | Self::Given(store)
            | Self::Admin(store) => Some(store),
            Self::None | Self::Token => None,
        }
    }
}

/// One line of the wiring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Who calls.
    pub from: Node,
    /// Who is called.
    pub to: Component,
    /// Port of the callee's pods.
    pub port: u16,
    /// What is spoken.
    pub protocol: Protocol,
    /// What the caller proves itself with.
    pub credential: CredentialKind,
    /// Whether the caller starts after the callee and stops before it. One that only tells something,
    /// and goes on without an answer, waits for nobody, and no component for its own like.
    pub waits: bool,
}

/// A port of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// Name in Service and pod.
    pub name: &'static str,
    /// Port of the pods.
    pub number: u16,
    /// Port of the Service.
    pub service: u16,
}

const fn port(name: &'static str, number: u16) -> Port {
    Port {
        name,
        number,
        service: number,
    }
}

/// Where our own workloads serve `/healthz`, `/readyz` and `/metrics`.
pub const ADMIN_PORT: u16 = 9090;
/// Where Traefik serves `/ping` and `/metrics`.
pub const TRAEFIK_ADMIN_PORT: u16 = 9100;

/// What a component serves to others. The ports of its metrics are not among them.
#[must_use]
pub const fn ports(component: Component) -> &'static [Port] {
    match component {
        Component::Postgres => const { &[port("postgres", 5432)] },
        Component::Rabbitmq => const { &[port("amqps", 5671), port("management", 15671)] },
        Component::Minio => const { &[port("s3", 9000)] },
        Component::Clickhouse => const { &[port("https", 8443)] },
        Component::Qdrant => const { &[port("grpc", 6334)] },
        Component::Keycloak => const { &[port("https", 8443)] },
        Component::Traefik => {
            const {
                &[
                    Port {
                        name: "https",
                        number: 8443,
                        service: 443,
                    },
                    Port {
                        name: "http",
                        number: 8000,
                        service: 80,
                    },
                ]
            }
        }
        Component::Orchestrator | Component::Agents | Component::RagServer => {
            const { &[port("grpc", 50051)] }
        }
        Component::Gateway
        | Component::ModelServer
        | Component::McpServer
        | Component::Analytics => const { &[port("https", 8080)] },
        Component::RagIngest => &[],
    }
}

/// Where the pods of a component talk to each other; no Service with an address exposes these.
#[must_use]
pub const fn peer_ports(component: Component) -> &'static [Port] {
    match component {
        Component::Keycloak => const { &[port("cache", 7800), port("cache-failure", 57800)] },
        Component::Rabbitmq => const { &[port("epmd", 4369), port("distribution", 25672)] },
        Component::Minio => const { &[port("s3", 9000)] },
        Component::Clickhouse => {
            const {
                &[
                    port("replication", 9010),
                    port("keeper", 9281),
                    port("raft", 9234),
                ]
            }
        }
        Component::Qdrant => const { &[port("peers", 6335)] },
        Component::Postgres
        | Component::Traefik
        | Component::Gateway
        | Component::Orchestrator
        | Component::Agents
        | Component::ModelServer
        | Component::McpServer
        | Component::RagIngest
        | Component::RagServer
        | Component::Analytics => &[],
    }
}

#[cfg(test)]
mod tests;
