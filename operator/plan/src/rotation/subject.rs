//! What can be made anew while it is used, and what is different about each.

use lotoai_api::spec::LotoAISpec;
use lotoai_api::{Component, Store};

use super::{ALL, GIVEN};
use crate::credentials::{API_KEY, KEY, PASSWORD, TOKEN, admin_username};
use crate::graph::{CredentialKind, EDGES, Edge, Node, Topology};
use crate::platform::Platform;

/// A credential that can be made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// That of an edge.
    Edge(&'a Edge),
    /// The password of a store's administrator, whom the provision Job is.
    Administrator(Store),
    /// The key that seals the gateway's cookies and sessions.
    Sessions,
}

/// The edges whose credential can be made anew while it is used.
pub fn edges(topology: &Topology) -> impl Iterator<Item = &Edge> {
    topology.edges().iter().filter(|edge| can_change(edge))
}

const fn can_change(edge: &Edge) -> bool {
    matches!(edge.from, Node::Component(_) | Node::Operator)
        && match edge.credential {
            CredentialKind::Token | CredentialKind::Account(..) | CredentialKind::ApiKey(_) => true,
            CredentialKind::None | CredentialKind::Admin(_) | CredentialKind::Given(_) => false,
        }
}

/// The key of its Secret under which the credential of this name lies, if there can be one on any
/// platform that is given.
#[must_use]
pub fn key_of(name: &str) -> Option<&'static str> {
    let administrators = Store::ALL
        .into_iter()
        .filter(|store| has_changing_administrator(*store));
    EDGES
        .iter()
        .filter(|edge| can_change(edge))
        .map(Subject::Edge)
        .chain(administrators.map(Subject::Administrator))
        .chain([Subject::Sessions])
        .filter(|subject| subject.can_be_given())
        .find(|subject| subject.name() == name)
        .map(Subject::key)
}

/// Everything that can be made anew while it is used.
pub fn subjects(topology: &Topology) -> impl Iterator<Item = Subject<'_>> {
    let managed = move |store: &Store| topology.has(Node::Component(store.component()));
    let administrators = Store::ALL
        .into_iter()
        .filter(|store| has_changing_administrator(*store))
        .filter(managed);
    edges(topology)
        .map(Subject::Edge)
        .chain(administrators.map(Subject::Administrator))
        .chain([Subject::Sessions])
}

/// Whether a store's administrator can be made anew. Qdrant has none but the key of its one caller.
#[must_use]
pub const fn has_changing_administrator(store: Store) -> bool {
    match store {
        Store::Postgres | Store::Rabbitmq | Store::Keycloak | Store::S3 | Store::Clickhouse => true,
        Store::Qdrant => false,
    }
}

/// Whether a store keeps its administrator itself, so that a Job can give it a new password. Its
/// servers read the one of the Secret when they start for the first time, and never again. Those of
/// ClickHouse read a file again whenever it changes. Those of MinIO must be started anew, all of
/// them together.
#[must_use]
pub const fn has_own_administrator(store: Store) -> bool {
    match store {
        Store::Postgres | Store::Rabbitmq | Store::Keycloak => true,
        Store::S3 | Store::Clickhouse | Store::Qdrant => false,
    }
}

/// Whether two administrators of a store take turns. Others keep their name and get another password.
#[must_use]
pub const fn has_second_administrator(store: Store) -> bool {
    matches!(store, Store::Clickhouse)
}

/// Whether the second credential in a store is a second account. A client of Keycloak has one
/// secret at a time, and what it gave to one client it takes back from no other: there the one who
/// calls knows both.
#[must_use]
pub const fn has_second_account(store: Store) -> bool {
    !matches!(store, Store::Keycloak)
}

impl Subject<'_> {
    /// Its name in the resource: that of its Secret, without the platform's.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Edge(edge) => format!("{}-{}", edge.from.name(), edge.to),
            Self::Administrator(store) => format!("{}-admin", store.component()),
            Self::Sessions => "gateway-session".to_owned(),
        }
    }

    /// Name of its Secret.
    #[must_use]
    pub fn secret(self, platform: &Platform) -> String {
        match self {
            Self::Edge(edge) => platform.edge_secret(edge.from, edge.to),
            Self::Administrator(store) => platform.admin_secret(store),
            Self::Sessions => platform.session_secret(),
        }
    }

    /// Whether it can be taken from a Secret of somebody else. What the operator alone uses cannot.
    pub(crate) const fn can_be_given(self) -> bool {
        !matches!(
            self,
            Self::Edge(Edge {
                from: Node::Operator,
                ..
            })
        )
    }

    /// The Secret of somebody else that it is taken from, if it is not made.
    #[must_use]
    pub fn given(self, spec: &LotoAISpec) -> Option<&str> {
        let given = spec.credentials.given.get(&self.name())?;
        Some(given.name.0.as_str())
    }

    /// The request that it should have been made for; of one that is given, the word for its
    /// Secret. What everything is asked for does not mean the sessions' key, whose rotation takes a
    /// day, nor MinIO's administrator, for whom all of its servers stop.
    #[must_use]
    pub fn request(self, spec: &LotoAISpec) -> Option<String> {
        if let Some(secret) = self.given(spec) {
            return Some(format!("{GIVEN}{secret}"));
        }
        let rotate = &spec.credentials.rotate;
        let all = match self {
            Self::Administrator(Store::S3) | Self::Sessions => None,
            Self::Edge(_) | Self::Administrator(_) => rotate.get(ALL),
        };
        rotate.get(&self.name()).or(all).cloned()
    }

    /// The key of the Secret that is made anew.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Edge(Edge {
                credential: CredentialKind::Token,
                ..
            }) => TOKEN,
            Self::Edge(Edge {
                credential: CredentialKind::ApiKey(_),
                ..
            }) => API_KEY,
            Self::Edge(_) | Self::Administrator(_) => PASSWORD,
            Self::Sessions => KEY,
        }
    }

    /// The store and the first name of its account there, where two accounts take turns.
    pub(super) fn account(self) -> Option<(Store, &'static str)> {
        match self {
            Self::Edge(Edge {
                credential: CredentialKind::Account(store, name),
                ..
            }) if has_second_account(*store) => Some((*store, *name)),
            Self::Administrator(store) if has_second_administrator(store) => {
                Some((store, admin_username(store)))
            }
            Self::Edge(_) | Self::Administrator(_) | Self::Sessions => None,
        }
    }

    /// The Job that makes it known to a store.
    pub(super) fn provisioned_by(self) -> Option<Store> {
        match self {
            Self::Edge(edge) => edge.credential.provisioned_by(),
            Self::Administrator(store) => Some(store),
            Self::Sessions => None,
        }
    }

    /// Who must know both before they change places, beside the store.
    pub(super) fn learns(self) -> Option<Component> {
        match self {
            Self::Edge(edge) => match edge.credential {
                // The proxy passes the operator's on.
                CredentialKind::Token if edge.from == Node::Operator => Some(Component::Gateway),
                // The store itself is started with its key.
                CredentialKind::Token | CredentialKind::ApiKey(_) => Some(edge.to),
                CredentialKind::Account(Store::Keycloak, _) => self.user(),
                CredentialKind::Account(..)
                | CredentialKind::None
                | CredentialKind::Admin(_)
                | CredentialKind::Given(_) => None,
            },
            // None of the servers that stop together may lack what says so, or be on its way.
            Self::Administrator(_) | Self::Sessions => self.user(),
        }
    }

    /// Whose servers show it to each other, beside who uses it.
    pub(super) fn peers(self) -> Option<Component> {
        match self {
            Self::Edge(edge) => match edge.credential {
                CredentialKind::ApiKey(_) => Some(edge.to),
                CredentialKind::Token
                | CredentialKind::Account(..)
                | CredentialKind::None
                | CredentialKind::Admin(_)
                | CredentialKind::Given(_) => None,
            },
            Self::Administrator(_) | Self::Sessions => None,
        }
    }

    /// Who uses it, of those who are started with it. The operator reads it at every pass.
    pub(super) fn user(self) -> Option<Component> {
        match self {
            Self::Edge(edge) => match edge.from {
                Node::Component(caller) => Some(caller),
                Node::Anyone | Node::Operator | Node::Scraper | Node::Provision(_) => None,
            },
            Self::Administrator(Store::S3) => Some(Component::Minio),
            // The Job that uses it is the one that is asked for beside.
            Self::Administrator(_) => None,
            Self::Sessions => Some(Component::Gateway),
        }
    }
}
