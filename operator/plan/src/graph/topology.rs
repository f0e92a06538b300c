//! The topology of one platform: the table of edges, resolved against its resource. It says which
//! nodes there are and where each edge leads; whoever builds, waits or reports asks it.

use std::collections::{BTreeMap, BTreeSet};

use lotoai_api::{Component, Store};
use url::Url;

use crate::delegated::Delegated;
use crate::env::{BUCKET, COLLECTION, REGION, VHOST};

use super::{CredentialKind, EDGES, Edge, Node};

/// A store that somebody else runs: one that is there already, or one that another operator runs
/// for the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    /// Address for those who use it.
    pub url: Url,
    /// Address for the provision Job.
    pub admin_url: Url,
    /// Secret with `username` and `password`: of an administrator, or, where no accounts can be
    /// made, the ones that everybody uses.
    pub secret: String,
    /// Secret with `ca.crt` that vouches for the server.
    pub ca_secret: Option<String>,
    /// Whether the platform makes an account of its own for everybody who uses it.
    pub accounts: bool,
    /// Where in it the platform's things lie: virtual host, bucket or collection. Databases are named after
    /// their account.
    pub container: String,
    /// Region, for S3.
    pub region: String,
    /// Whether the bucket's name stands in the path, for S3.
    pub path_style: bool,
    /// How another operator is asked for it; nothing when it is there already.
    pub delegated: Option<Delegated>,
}

impl External {
    /// A server with accounts, and without anything that only some stores have.
    #[must_use]
    pub fn new(url: Url, secret: String, ca_secret: Option<String>) -> Self {
        Self {
            admin_url: url.clone(),
            url,
            secret,
            ca_secret,
            accounts: true,
            container: String::new(),
            region: REGION.to_owned(),
            path_style: true,
            delegated: None,
        }
    }

    /// The address for an edge, without a slash at the end.
    #[must_use]
    pub fn address(&self, edge: &Edge) -> &Url {
        match edge.from {
            Node::Provision(_) => &self.admin_url,
            Node::Component(_) | Node::Anyone | Node::Operator | Node::Scraper => &self.url,
        }
    }

    /// Host and port of the server, for people. Validation gave every address both.
    #[must_use]
    pub fn host_and_port(&self) -> (&str, u16) {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        (host, port)
    }
}

/// Nodes and edges of one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// Prefix of names in stores that the platform may not have for itself.
    prefix: String,
    external: BTreeMap<Store, External>,
    /// Whether Traefik is the way in, and not a controller of the cluster.
    managed_edge: bool,
    /// Whether the operator runs Qdrant.
    managed_vectors: bool,
    edges: Vec<Edge>,
}

impl Topology {
    /// The topology of the platform of this name with these external stores, with Traefik where
    /// the edge is managed, and with Qdrant where it is.
    #[must_use]
    pub fn new(
        platform: &str,
        external: BTreeMap<Store, External>,
        managed_edge: bool,
        managed_vectors: bool,
    ) -> Self {
        let elsewhere = |component: Component| {
            let mut stores = external.keys();
            stores.any(|store| store.component() == component)
        };
        // What is elsewhere calls nobody here. People find their way to an issuer that is
        // elsewhere by themselves, and nothing is made there.
        let vectors = managed_vectors || external.contains_key(&Store::Qdrant);
        let there_is = |edge: &&Edge| match edge.from {
            _ if edge.to == Component::Qdrant && !vectors => false,
            Node::Component(Component::Traefik) | Node::Provision(Store::Keycloak) => {
                edge.to != Component::Keycloak || !elsewhere(Component::Keycloak)
            }
            Node::Component(component) => !elsewhere(component),
            Node::Provision(_) | Node::Anyone | Node::Operator => true,
            // Nobody asks for metrics unless the resource says who does.
            Node::Scraper => false,
        };
        let resolve = |edge: &Edge| match edge.credential {
            // An issuer that is elsewhere need not have an account for us.
            CredentialKind::Account(Store::Keycloak, _)
                if edge.from == Node::Operator && external.contains_key(&Store::Keycloak) =>
            {
                Edge {
                    credential: CredentialKind::Token,
                    ..*edge
                }
            }
            CredentialKind::Account(store, _) | CredentialKind::ApiKey(store)
                if external.get(&store).is_some_and(|to| !to.accounts) =>
            {
                Edge {
                    credential: CredentialKind::Given(store),
                    ..*edge
                }
            }
            _ => *edge,
        };
        Self {
            prefix: platform.to_owned(),
            edges: EDGES.iter().filter(there_is).map(resolve).collect(),
            external,
            managed_edge,
            managed_vectors,
        }
    }

    /// The same with somebody who asks for metrics.
    #[must_use]
    pub fn scraped(mut self) -> Self {
        let is_here = |edge: &&Edge| self.has(Node::Component(edge.to));
        let scrapes = EDGES.iter().filter(|edge| edge.from == Node::Scraper);
        let scrapes: Vec<Edge> = scrapes.filter(is_here).copied().collect();
        self.edges.extend(scrapes);
        self
    }

    /// A store that somebody else runs; nothing when the operator does.
    #[must_use]
    pub fn external(&self, store: Store) -> Option<&External> {
        self.external.get(&store)
    }

    /// The external server that stands for a component, with its store.
    #[must_use]
    pub fn outside(&self, component: Component) -> Option<(Store, &External)> {
        self.external
            .iter()
            .find(|(store, _)| store.component() == component)
            .map(|(store, external)| (*store, external))
    }

    /// How another operator is asked for a component, if one is.
    #[must_use]
    pub fn delegated(&self, component: Component) -> Option<&Delegated> {
        self.outside(component)?.1.delegated.as_ref()
    }

    /// All stores that other operators run for the platform, with their component.
    pub fn delegated_stores(&self) -> impl Iterator<Item = (Component, &External, &Delegated)> {
        self.external.iter().filter_map(|(store, external)| {
            Some((store.component(), external, external.delegated.as_ref()?))
        })
    }

    /// Whether the node has pods in the platform's namespace.
    #[must_use]
    pub fn has(&self, node: Node) -> bool {
        match node {
            Node::Anyone | Node::Operator | Node::Scraper => false,
            Node::Provision(Store::Keycloak) => self.external(Store::Keycloak).is_none(),
            Node::Provision(store) => store != Store::Qdrant,
            Node::Component(Component::Traefik) => self.managed_edge,
            Node::Component(Component::Qdrant) => self.managed_vectors,
            Node::Component(component) => self.outside(component).is_none(),
        }
    }

    /// All nodes with pods in the platform's namespace.
    pub fn nodes(&self) -> impl Iterator<Item = Node> {
        Node::pods().filter(|node| self.has(*node))
    }

    /// The components that the operator runs.
    pub fn components(&self) -> impl Iterator<Item = Component> {
        Component::ALL
            .into_iter()
            .filter(|component| self.has(Node::Component(*component)))
    }

    /// All edges.
    #[must_use]
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// Edges that begin at a node.
    pub fn edges_from(&self, node: Node) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(move |edge| edge.from == node)
    }

    /// Edges that end at a component.
    pub fn edges_to(&self, component: Component) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(move |edge| edge.to == component)
    }

    /// External servers that a node calls, with the edge that leads there.
    pub fn outside_from(&self, node: Node) -> impl Iterator<Item = (&Edge, Store, &External)> {
        self.edges_from(node).filter_map(|edge| {
            let (store, external) = self.outside(edge.to)?;
            Some((edge, store, external))
        })
    }

    /// Where the managed Keycloak tells the gateway that a session ended; nothing where the issuer
    /// is elsewhere.
    #[must_use]
    pub fn session_notices(&self) -> Option<&Edge> {
        let mut edges = self.edges_from(Node::Component(Component::Keycloak));
        edges.find(|edge| edge.to == Component::Gateway)
    }

    /// The credential of the operator's question: a token that the gateway knows, or an account of
    /// the managed Keycloak.
    #[must_use]
    pub fn probe_has_token(&self) -> bool {
        let mut edges = self.edges_from(Node::Operator);
        edges.any(|edge| edge.credential == CredentialKind::Token)
    }

    /// Name of an account, or of a database, in a store. In a server that others may use as well
    /// it says whose it is.
    #[must_use]
    pub fn account(&self, store: Store, name: &str) -> String {
        match (self.external.contains_key(&store), store) {
            (false, _) => name.to_owned(),
            // ClickHouse would want dashes quoted.
            (true, Store::Clickhouse) => format!("{}_{name}", self.prefix).replace('-', "_"),
            (true, _) => format!("{}-{name}", self.prefix),
        }
    }

    /// Virtual host in RabbitMQ.
    #[must_use]
    pub fn virtual_host(&self) -> &str {
        self.external(Store::Rabbitmq)
            .map_or(VHOST, |to| to.container.as_str())
    }

    /// Bucket of documents.
    #[must_use]
    pub fn bucket(&self) -> &str {
        self.external(Store::S3)
            .map_or(BUCKET, |to| to.container.as_str())
    }

    /// Collection of passages in Qdrant.
    #[must_use]
    pub fn collection(&self) -> &str {
        self.external(Store::Qdrant)
            .map_or(COLLECTION, |to| to.container.as_str())
    }

    /// Region of the object store.
    #[must_use]
    pub fn region(&self) -> &str {
        self.external(Store::S3)
            .map_or(REGION, |to| to.region.as_str())
    }

    /// What must be ready before a node starts: whom it calls, and the Jobs that make its
    /// credentials. Nobody waits for what is external: the Job that prepares it does.
    #[must_use]
    pub fn needs(&self, node: Node) -> BTreeSet<Node> {
        self.edges_from(node)
            .filter(|edge| edge.waits)
            .flat_map(|edge| {
                let job = edge.credential.provisioned_by().map(Node::Provision);
                [Some(Node::Component(edge.to)), job]
            })
            .flatten()
            .filter(|need| self.has(*need) || self.is_delegated(*need))
            .collect()
    }

    fn is_delegated(&self, node: Node) -> bool {
        matches!(node, Node::Component(component) if self.delegated(component).is_some())
    }

    /// All nodes with pods, each after everything with pods that it needs.
    ///
    /// The table has no cycle (a test proves it); were there one, its nodes would come last.
    #[must_use]
    pub fn start_order(&self) -> Vec<Node> {
        let mut rest: Vec<Node> = self.nodes().collect();
        let mut order = Vec::with_capacity(rest.len());
        while !rest.is_empty() {
            let (now, later): (Vec<_>, Vec<_>) = rest.iter().copied().partition(|node| {
                let needs = self.needs(*node);
                needs
                    .iter()
                    .all(|need| order.contains(need) || self.is_delegated(*need))
            });
            if now.is_empty() {
                order.extend(later);
                break;
            }
            order.extend(now);
            rest = later;
        }
        order
    }
}
