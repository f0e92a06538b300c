//! The parts that a platform is made of.

use std::fmt;
use std::str::FromStr;

use snafu::Snafu;

/// A part of the platform that runs for as long as the platform does.
///
/// Every `match` on it is exhaustive: a new component does not compile until each table knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// Relational store of gateway, orchestrator and Keycloak.
    Postgres,
    /// Message broker for events.
    Rabbitmq,
    /// Object store for documents.
    Minio,
    /// Column store for usage.
    Clickhouse,
    /// Vector database for passages, when rag-server does not keep them itself.
    Qdrant,
    /// Identity provider.
    Keycloak,
    /// Reverse proxy that ends TLS.
    Traefik,
    /// Public APIs and the web client.
    Gateway,
    /// Decides per request between knowledge, a role and a tool.
    Orchestrator,
    /// Talks to model providers.
    Agents,
    /// The built-in models.
    ModelServer,
    /// Tools over MCP.
    McpServer,
    /// Turns documents into chunks and vectors.
    RagIngest,
    /// Owns the vector store.
    RagServer,
    /// Usage events into the column store, and queries on them.
    Analytics,
}

impl Component {
    /// All components, in the order in which status and documentation list them.
    pub const ALL: [Self; 15] = [
        Self::Postgres,
        Self::Rabbitmq,
        Self::Minio,
        Self::Clickhouse,
        Self::Qdrant,
        Self::Keycloak,
        Self::Traefik,
        Self::Gateway,
        Self::Orchestrator,
        Self::Agents,
        Self::ModelServer,
        Self::McpServer,
        Self::RagIngest,
        Self::RagServer,
        Self::Analytics,
    ];

    /// The name that objects, labels, environment and documentation use, for example `rag-server`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Rabbitmq => "rabbitmq",
            Self::Minio => "minio",
            Self::Clickhouse => "clickhouse",
            Self::Qdrant => "qdrant",
            Self::Keycloak => "keycloak",
            Self::Traefik => "traefik",
            Self::Gateway => "gateway",
            Self::Orchestrator => "orchestrator",
            Self::Agents => "agents",
            Self::ModelServer => "model-server",
            Self::McpServer => "mcp-server",
            Self::RagIngest => "rag-ingest",
            Self::RagServer => "rag-server",
            Self::Analytics => "analytics",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text is the name of no component.
#[derive(Debug, Snafu, PartialEq, Eq)]
#[snafu(display("{name:?} is no component"))]
pub struct UnknownComponent {
    name: String,
}

impl FromStr for Component {
    type Err = UnknownComponent;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|component| component.name() == name)
            .ok_or_else(|| UnknownComponent {
                name: name.to_owned(),
            })
    }
}

/// A store of the platform. A provision Job prepares all but Qdrant: users, databases, queues,
/// buckets, clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Store {
    /// Roles and databases in PostgreSQL.
    Postgres,
    /// Virtual host, users, exchanges and queues in RabbitMQ.
    Rabbitmq,
    /// Buckets and users in the object store.
    S3,
    /// Realm, clients, groups and the first user in Keycloak.
    Keycloak,
    /// Database and users in ClickHouse.
    Clickhouse,
    /// Vectors in Qdrant. It has no accounts, and rag-server alone uses it and makes its collection.
    Qdrant,
}

impl Store {
    /// All stores that a provision Job prepares.
    pub const ALL: [Self; 5] = [
        Self::Postgres,
        Self::Rabbitmq,
        Self::S3,
        Self::Keycloak,
        Self::Clickhouse,
    ];

    /// Its name in files and volumes; also the subcommand of the provision image that prepares it,
    /// and the last part of the Job's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Rabbitmq => "rabbitmq",
            Self::S3 => "s3",
            Self::Keycloak => "keycloak",
            Self::Clickhouse => "clickhouse",
            Self::Qdrant => "qdrant",
        }
    }

    /// The component that is the store.
    #[must_use]
    pub const fn component(self) -> Component {
        match self {
            Self::Postgres => Component::Postgres,
            Self::Rabbitmq => Component::Rabbitmq,
            Self::S3 => Component::Minio,
            Self::Keycloak => Component::Keycloak,
            Self::Clickhouse => Component::Clickhouse,
            Self::Qdrant => Component::Qdrant,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_parse_back() {
        for component in Component::ALL {
            assert_eq!(component.name().parse::<Component>().unwrap(), component);
        }
        assert!("mailer".parse::<Component>().is_err());
    }
}
