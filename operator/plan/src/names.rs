//! Names of objects.

use lotoai_api::{Component, Store};

use crate::components::shared::workload::DATA;
use crate::graph::Node;
use crate::platform::Platform;

impl Platform {
    /// `<platform>-<part>`.
    #[must_use]
    pub fn object_name(&self, part: &str) -> String {
        format!("{}-{part}", self.name)
    }

    /// `<platform>-<component>`: the workload object, its Service and its ServiceAccount.
    #[must_use]
    pub fn component_name(&self, component: Component) -> String {
        self.object_name(component.name())
    }

    /// `<platform>-<component>-nodes`: the headless Service that names each pod of a component.
    #[must_use]
    pub fn members_name(&self, component: Component) -> String {
        format!("{}-nodes", self.component_name(component))
    }

    /// Name of what belongs to a node of the graph, for example `demo-provision-postgres`.
    #[must_use]
    pub fn node_name(&self, node: Node) -> String {
        self.object_name(&node.name())
    }

    /// Secret of the edge between two nodes.
    #[must_use]
    pub fn edge_secret(&self, from: Node, to: Component) -> String {
        self.object_name(&format!("{}-{to}", from.name()))
    }

    /// Object that stands for what the provision Job of a store makes: a volume claim, or what asks
    /// another operator for the store; none when the store is external.
    #[must_use]
    pub fn data_object(&self, store: Store) -> Option<String> {
        let component = data_component(store);
        if let Some(delegated) = self.topology.delegated(component) {
            return Some(delegated.object.clone());
        }
        self.topology
            .has(Node::Component(component))
            .then(|| format!("{DATA}-{}-0", self.component_name(component)))
    }

    /// Secret with the administrator of a store: the one the resource names, the one that another
    /// operator makes, or our own.
    #[must_use]
    pub fn admin_secret(&self, store: Store) -> String {
        self.topology.external(store).map_or_else(
            || self.object_name(&format!("{}-admin", store.component())),
            |external| external.secret.clone(),
        )
    }

    /// Secret with the first user's name and password; none when people are known elsewhere.
    #[must_use]
    pub fn first_user_secret(&self) -> Option<String> {
        self.topology
            .has(Node::Component(Component::Keycloak))
            .then(|| self.object_name("first-user"))
    }

    /// Secret with the certificate that people see: the one the resource names, the one that
    /// cert-manager fills, or our own.
    #[must_use]
    pub fn tls_secret(&self) -> String {
        let tls = &self.spec.edge.tls;
        match (&tls.secret_name, &tls.cert_manager) {
            (Some(name), _) => name.clone(),
            (None, Some(_)) => issued_secret(self.name.as_str()),
            (None, None) => self.object_name("tls"),
        }
    }

    /// Secret with the authority that signs, its own or a copy of a given one, and those before and
    /// after it. No pod mounts it.
    #[must_use]
    pub fn authority_secret(&self) -> String {
        authority_secret(self.name.as_str())
    }

    /// ConfigMap with the authorities that vouch for servers inside the platform.
    #[must_use]
    pub fn bundle_name(&self) -> String {
        authority_bundle(self.name.as_str())
    }

    /// Secret with the certificate that a component shows inside the platform.
    #[must_use]
    pub fn certificate_secret(&self, component: Component) -> String {
        certificate_secret(self.name.as_str(), component)
    }

    /// The way in through a controller of the cluster.
    #[must_use]
    pub fn edge_name(&self) -> String {
        self.object_name("edge")
    }

    /// Secret with the key that seals the gateway's session cookies.
    #[must_use]
    pub fn session_secret(&self) -> String {
        self.object_name("gateway-session")
    }

    /// Secret by which the servers of ClickHouse know each other.
    #[must_use]
    pub fn replication_secret(&self) -> String {
        self.object_name("clickhouse-replication")
    }

    /// Secret with the Erlang cookie of RabbitMQ.
    #[must_use]
    pub fn cookie_secret(&self) -> String {
        self.object_name("rabbitmq-cookie")
    }
}

/// Component that keeps what the provision Job of a store makes.
pub(crate) const fn data_component(store: Store) -> Component {
    match store {
        Store::Keycloak => Component::Postgres,
        other => other.component(),
    }
}

/// Secret in which the operator keeps the authorities of the platform of this name.
#[must_use]
pub fn authority_secret(platform: &str) -> String {
    format!("{platform}-ca")
}

/// ConfigMap with the authorities that vouch for servers inside the platform of this name.
#[must_use]
pub fn authority_bundle(platform: &str) -> String {
    format!("{platform}-ca")
}

/// Secret with the certificate that a component of the platform of this name shows inside it.
pub(crate) fn certificate_secret(platform: &str, component: Component) -> String {
    format!("{platform}-{component}-tls")
}

/// Secret that cert-manager fills for the platform of this name, and the Certificate behind it.
#[must_use]
pub fn issued_secret(platform: &str) -> String {
    format!("{platform}-edge-tls")
}
