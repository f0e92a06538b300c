//! The table of edges. `docs/ARCHITECTURE.md` explains each line.

use lotoai_api::{Component, Store};

use super::{ADMIN_PORT, CredentialKind, Edge, Node, Protocol, TRAEFIK_ADMIN_PORT};

const fn service(from: Component, to: Component) -> Edge {
    let (port, protocol) = match to {
        Component::Orchestrator | Component::Agents | Component::RagServer => {
            (50051, Protocol::Grpc)
        }
        _ => (8080, Protocol::Https),
    };
    Edge {
        from: Node::Component(from),
        to,
        port,
        protocol,
        credential: CredentialKind::Token,
        waits: true,
    }
}

const fn route(to: Component, port: u16) -> Edge {
    Edge {
        from: Node::Component(Component::Traefik),
        to,
        port,
        protocol: Protocol::Https,
        credential: CredentialKind::None,
        waits: true,
    }
}

/// An account in a store: `username` is its name there.
const fn account(from: Component, store: Store, username: &'static str) -> Edge {
    let (port, protocol) = match store {
        Store::Postgres => (5432, Protocol::Postgres),
        Store::Rabbitmq => (5671, Protocol::Amqps),
        Store::S3 => (9000, Protocol::S3),
        Store::Keycloak => (8443, Protocol::Oidc),
        Store::Clickhouse => (8443, Protocol::Https),
        Store::Qdrant => (6334, Protocol::Grpc),
    };
    Edge {
        from: Node::Component(from),
        to: store.component(),
        port,
        protocol,
        credential: CredentialKind::Account(store, username),
        waits: true,
    }
}

const fn provision(store: Store) -> Edge {
    let (port, protocol) = match store {
        Store::Postgres => (5432, Protocol::Postgres),
        // Users and permissions are made through the management API.
        Store::Rabbitmq => (15671, Protocol::Https),
        Store::S3 => (9000, Protocol::S3),
        Store::Keycloak => (8443, Protocol::Https),
        Store::Clickhouse => (8443, Protocol::Https),
        Store::Qdrant => (6334, Protocol::Grpc),
    };
    Edge {
        from: Node::Provision(store),
        to: store.component(),
        port,
        protocol,
        credential: CredentialKind::Admin(store),
        waits: true,
    }
}

const fn edge(port: u16, protocol: Protocol) -> Edge {
    Edge {
        from: Node::Anyone,
        to: Component::Traefik,
        port,
        protocol,
        credential: CredentialKind::None,
        waits: true,
    }
}

/// Between the pods of one component.
const fn peers(component: Component, port: u16, protocol: Protocol) -> Edge {
    Edge {
        from: Node::Component(component),
        to: component,
        port,
        protocol,
        credential: CredentialKind::None,
        waits: false,
    }
}

/// Word of something that the callee need not be there for.
const fn notice(from: Component, to: Component) -> Edge {
    Edge {
        credential: CredentialKind::None,
        waits: false,
        ..service(from, to)
    }
}

/// Metrics, from the port that only the kubelet asks besides; only where the resource says who asks.
const fn scrape(to: Component, port: u16) -> Edge {
    Edge {
        from: Node::Scraper,
        to,
        port,
        protocol: Protocol::Http,
        credential: CredentialKind::None,
        waits: false,
    }
}

const METRICS: &str = "metrics, for whom the resource names; nothing that people or models said";

/// The ports at which TLS is not spoken, and why: the whole list. A test holds it against the edges.
pub const PLAIN: &[(Component, u16, &str)] = &[
    (
        Component::Traefik,
        8000,
        "answers every request with a redirect to HTTPS",
    ),
    (
        Component::Keycloak,
        57800,
        "sockets by which a lost server is noticed; no data go over them",
    ),
    (
        Component::Rabbitmq,
        4369,
        "names and ports of Erlang nodes; no data go over it",
    ),
    (Component::Traefik, TRAEFIK_ADMIN_PORT, METRICS),
    (Component::Gateway, ADMIN_PORT, METRICS),
    (Component::Orchestrator, ADMIN_PORT, METRICS),
    (Component::Agents, ADMIN_PORT, METRICS),
    (Component::ModelServer, ADMIN_PORT, METRICS),
    (Component::McpServer, ADMIN_PORT, METRICS),
    (Component::RagIngest, ADMIN_PORT, METRICS),
    (Component::RagServer, ADMIN_PORT, METRICS),
    (Component::Analytics, ADMIN_PORT, METRICS),
];

/// Every edge of a platform.
pub const EDGES: &[Edge] = &[
    edge(8443, Protocol::Https),
    edge(8000, Protocol::Http),
    Edge {
        from: Node::Operator,
        to: Component::Traefik,
        port: 8443,
        protocol: Protocol::Https,
        credential: CredentialKind::Account(Store::Keycloak, "lotoai-probe"),
        waits: true,
    },
    route(Component::Gateway, 8080),
    route(Component::Keycloak, 8443),
    account(Component::Gateway, Store::Postgres, "gateway"),
    account(Component::Gateway, Store::Rabbitmq, "gateway"),
    account(Component::Gateway, Store::S3, "gateway"),
    account(Component::Gateway, Store::Keycloak, "lotoai-web"),
    service(Component::Gateway, Component::Orchestrator),
    service(Component::Gateway, Component::ModelServer),
    account(Component::Orchestrator, Store::Postgres, "orchestrator"),
    service(Component::Orchestrator, Component::Agents),
    service(Component::Orchestrator, Component::RagServer),
    service(Component::Orchestrator, Component::ModelServer),
    service(Component::Orchestrator, Component::McpServer),
    service(Component::Agents, Component::ModelServer),
    service(Component::McpServer, Component::Analytics),
    account(Component::RagIngest, Store::Rabbitmq, "rag-ingest"),
    account(Component::RagIngest, Store::S3, "rag-ingest"),
    service(Component::RagIngest, Component::ModelServer),
    service(Component::RagIngest, Component::RagServer),
    service(Component::RagServer, Component::ModelServer),
    // Only where the vectors are not embedded.
    Edge {
        from: Node::Component(Component::RagServer),
        to: Component::Qdrant,
        port: 6334,
        protocol: Protocol::Grpc,
        credential: CredentialKind::ApiKey(Store::Qdrant),
        waits: true,
    },
    account(Component::Analytics, Store::Rabbitmq, "analytics"),
    account(Component::Analytics, Store::Clickhouse, "analytics"),
    account(Component::Keycloak, Store::Postgres, "keycloak"),
    // That a session ended: signed, so that the gateway need not know who says it.
    notice(Component::Keycloak, Component::Gateway),
    // Caches, between certificates that the servers make themselves and share in their database,
    // and the sockets by which a lost server is noticed.
    peers(Component::Keycloak, 7800, Protocol::ClusterTls),
    peers(Component::Keycloak, 57800, Protocol::Cluster),
    // Names of Erlang nodes, and what they say to each other.
    peers(Component::Rabbitmq, 4369, Protocol::Cluster),
    peers(Component::Rabbitmq, 25672, Protocol::ClusterTls),
    peers(Component::Minio, 9000, Protocol::S3),
    // Parts of tables, what the servers agree on, and how they do.
    peers(Component::Clickhouse, 9010, Protocol::ClusterTls),
    peers(Component::Clickhouse, 9281, Protocol::ClusterTls),
    peers(Component::Clickhouse, 9234, Protocol::ClusterTls),
    peers(Component::Qdrant, 6335, Protocol::ClusterTls),
    provision(Store::Postgres),
    provision(Store::Rabbitmq),
    provision(Store::S3),
    provision(Store::Keycloak),
    provision(Store::Clickhouse),
    scrape(Component::Traefik, TRAEFIK_ADMIN_PORT),
    scrape(Component::Gateway, ADMIN_PORT),
    scrape(Component::Orchestrator, ADMIN_PORT),
    scrape(Component::Agents, ADMIN_PORT),
    scrape(Component::ModelServer, ADMIN_PORT),
    scrape(Component::McpServer, ADMIN_PORT),
    scrape(Component::RagIngest, ADMIN_PORT),
    scrape(Component::RagServer, ADMIN_PORT),
    scrape(Component::Analytics, ADMIN_PORT),
];
