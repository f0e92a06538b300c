//! Credentials: which Secrets there must be and how each value is made, described without making
//! any; and the values that the controller read or made.

mod lost;
mod values;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use lotoai_api::{Component, Store};

use crate::graph::{CredentialKind, Edge, Node};
use crate::labels;
use crate::platform::Platform;
use crate::rotation::{self, Subject};
use crate::tls;

pub use lost::{Data, Lost, lost, told};
pub use values::{Credentials, MissingCredential, digest};

/// Key of a user name.
pub const USERNAME: &str = "username";
/// Key of a password.
pub const PASSWORD: &str = "password";
/// Key of the secret of an application at an external issuer.
pub const CLIENT_SECRET: &str = "clientSecret";
/// Key of the one key of a store without accounts.
pub const API_KEY: &str = "apiKey";
/// Key of a bearer token.
pub const TOKEN: &str = "token";
/// Key of a single value.
pub const KEY: &str = "key";

/// Random bytes in every generated value.
const RANDOM_BYTES: usize = 32;

/// How a generated value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Base64 with `-` and `_`, without padding: safe in URLs, XML and configuration files.
    Base64Url,
    /// Standard base64 with padding.
    Base64,
}

/// How one value of a Secret is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Random bytes from the system's generator.
    Random {
        /// How many bytes.
        bytes: usize,
        /// How they are written.
        encoding: Encoding,
    },
    /// Known; written as it is, and written again when it changed.
    Fixed(String),
    /// Known when it is made; what is there stays.
    First(String),
    /// Name of an account that takes turns with a second one; the first, unless it is the second.
    Account {
        /// The first name.
        first: String,
        /// The second name.
        second: String,
    },
    /// Copied from a Secret of somebody else.
    Given {
        /// The Secret.
        secret: String,
        /// The key in it.
        key: String,
    },
}

/// What a Secret holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretKind {
    /// Values by key. An existing value is never overwritten, but for fixed ones.
    Values(BTreeMap<String, Value>),
    /// `tls.crt` and `tls.key` of the authority that signs, its own or a copy of a given one, and of
    /// the ones before and after it while there are any. [`tls::life::turn`] says what happens to
    /// it.
    Authority,
    /// `tls.crt`, `tls.key` and `ca.crt` of a certificate that the platform's authority signs, the
    /// last being the root above it. [`tls::life::is_due`] says when it is made anew.
    Certificate {
        /// Subject.
        common_name: String,
        /// Names and addresses that it is for.
        names: Vec<String>,
        /// Life in days.
        days: u16,
    },
}

/// A Secret that must be there before anything is built.
///
/// With deletion policy `Retain` it has no owner reference: it must outlive the resource together
/// with the data that it opens.
#[derive(Debug, Clone, PartialEq)]
pub struct SecretSpec {
    /// Name, namespace, labels and owner.
    pub metadata: ObjectMeta,
    /// What it is for, for people.
    pub purpose: String,
    /// What it holds.
    pub kind: SecretKind,
    /// What holds its password as well, where no other password would do any more.
    pub data: Option<Data>,
}

impl SecretSpec {
    /// Name of the Secret.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// Value of the Secret's `type`.
    #[must_use]
    pub const fn type_(&self) -> &'static str {
        match self.kind {
            SecretKind::Values(_) => "Opaque",
            SecretKind::Authority | SecretKind::Certificate { .. } => "kubernetes.io/tls",
        }
    }

    /// Keys that it must hold.
    #[must_use]
    pub fn keys(&self) -> Vec<&str> {
        match &self.kind {
            SecretKind::Values(values) => values.keys().map(String::as_str).collect(),
            SecretKind::Authority => vec![tls::CERTIFICATE, tls::PRIVATE_KEY],
            SecretKind::Certificate { .. } => {
                vec![tls::CERTIFICATE, tls::PRIVATE_KEY, tls::AUTHORITY]
            }
        }
    }
}

/// All Secrets that a platform needs, sorted by name.
#[must_use]
pub fn required_secrets(platform: &Platform) -> Vec<SecretSpec> {
    let topology = &platform.topology;
    let mut specs: Vec<SecretSpec> = topology
        .edges()
        .iter()
        .filter_map(|edge| edge_secret(platform, edge))
        .collect();
    let ours = |store: &Store| topology.external(*store).is_none();
    specs.extend(Store::ALL.into_iter().filter(ours).map(|store| {
        let first = admin_username(store);
        let mut spec = spec(
            platform,
            platform.admin_secret(store),
            format!("administrator of {}", store.component()),
            if rotation::has_second_administrator(store) {
                taking_turns(store, first)
            } else {
                account(first)
            },
        );
        if rotation::has_changing_administrator(store) {
            answer(platform, Subject::Administrator(store), &mut spec);
        }
        spec.data = lost::data(platform, store, &spec.kind);
        spec
    }));
    if let Some(name) = platform.first_user_secret() {
        let username = first_username(platform);
        specs.push(spec(
            platform,
            name,
            "sign-in of the first user".to_owned(),
            // Keycloak knows the password by the name that it was made with.
            password_of(Value::First(username)),
        ));
    }
    let mut sessions = spec(
        platform,
        platform.session_secret(),
        "key of the gateway's session cookies".to_owned(),
        random(KEY, Encoding::Base64),
    );
    answer(platform, Subject::Sessions, &mut sessions);
    specs.push(sessions);
    if topology.has(Node::Component(Component::Rabbitmq)) {
        specs.push(spec(
            platform,
            platform.cookie_secret(),
            "Erlang cookie of rabbitmq".to_owned(),
            random(KEY, Encoding::Base64Url),
        ));
    }
    if !platform.members(Component::Clickhouse).is_empty() {
        specs.push(spec(
            platform,
            platform.replication_secret(),
            "servers of clickhouse fetch from each other".to_owned(),
            random(KEY, Encoding::Base64Url),
        ));
    }
    specs.push(spec(
        platform,
        platform.authority_secret(),
        tls::purpose(platform),
        SecretKind::Authority,
    ));
    let served = topology.components().filter(|c| tls::serves(*c));
    specs.extend(served.map(|component| server(platform, component)));
    if platform.spec.edge.tls.is_self_signed() {
        specs.push(spec(
            platform,
            platform.tls_secret(),
            "self-signed certificate of the public address".to_owned(),
            edge_certificate(platform),
        ));
    }
    specs.sort_by(|a, b| a.name().cmp(b.name()));
    specs
}

/// Name of the first user: that in the Secret, once there is one.
pub(crate) fn first_username(platform: &Platform) -> String {
    let secret = platform.first_user_secret();
    let held = secret.and_then(|secret| platform.held.get(&secret));
    let held = held.and_then(|held| held.username.clone());
    held.unwrap_or_else(|| platform.spec.identity.first_user().username.to_string())
}

/// The certificate that a component shows inside the platform. It goes with the resource whatever
/// the deletion policy: it opens nothing that stays.
fn server(platform: &Platform, component: Component) -> SecretSpec {
    let names = tls::names(platform, component);
    let kind = SecretKind::Certificate {
        common_name: platform.component_name(component),
        names,
        days: tls::SERVER_DAYS,
    };
    let name = platform.certificate_secret(component);
    let mut metadata = platform.platform_metadata(name);
    mark(&mut metadata);
    SecretSpec {
        metadata,
        purpose: format!("certificate of {component}"),
        kind,
        data: None,
    }
}

fn edge_certificate(platform: &Platform) -> SecretKind {
    let service = platform.object_name("traefik");
    SecretKind::Certificate {
        common_name: platform.url.host.clone(),
        names: vec![
            platform.url.host.clone(),
            format!("{service}.{}.svc", platform.namespace),
        ],
        days: tls::EDGE_DAYS,
    }
}

/// The administrator's name in each store.
#[must_use]
pub const fn admin_username(store: Store) -> &'static str {
    match store {
        Store::Postgres => "postgres",
        Store::Rabbitmq | Store::S3 | Store::Keycloak | Store::Clickhouse | Store::Qdrant => {
            "admin"
        }
    }
}

fn edge_secret(platform: &Platform, edge: &Edge) -> Option<SecretSpec> {
    let mut rotated = rotation::edges(&platform.topology);
    let is_rotated = rotated.any(|rotated| rotated == edge);
    let kind = match edge.credential {
        CredentialKind::None | CredentialKind::Admin(_) | CredentialKind::Given(_) => return None,
        CredentialKind::Token => random(TOKEN, Encoding::Base64Url),
        CredentialKind::ApiKey(_) => random(API_KEY, Encoding::Base64Url),
        CredentialKind::Account(store, username) => {
            let first = platform.topology.account(store, username);
            if is_rotated && rotation::has_second_account(store) {
                taking_turns(store, &first)
            } else {
                account(&first)
            }
        }
    };
    let purpose = format!("{} calls {}", edge.from.name(), edge.to);
    let name = platform.edge_secret(edge.from, edge.to);
    let mut spec = spec(platform, name, purpose, kind);
    if is_rotated {
        answer(platform, Subject::Edge(edge), &mut spec);
    }
    Some(spec)
}

/// What is made now answers what is asked now, and is what is given now.
fn answer(platform: &Platform, subject: Subject<'_>, spec: &mut SecretSpec) {
    let given = subject.given(&platform.spec);
    if let (Some(secret), SecretKind::Values(values)) = (given, &mut spec.kind) {
        let (secret, key) = (secret.to_owned(), subject.key().to_owned());
        values.insert(key.clone(), Value::Given { secret, key });
    }
    if let Some(request) = subject.request(&platform.spec) {
        spec.metadata
            .annotations
            .get_or_insert_default()
            .insert(rotation::REQUEST.to_owned(), request);
    }
}

fn spec(platform: &Platform, name: String, purpose: String, kind: SecretKind) -> SecretSpec {
    let mut metadata = platform.platform_metadata(name);
    platform.retain(&mut metadata);
    mark(&mut metadata);
    SecretSpec {
        metadata,
        purpose,
        kind,
        data: None,
    }
}

fn mark(metadata: &mut ObjectMeta) {
    metadata
        .labels
        .get_or_insert_default()
        .insert(labels::CREDENTIAL.to_owned(), "true".to_owned());
}

fn account(username: &str) -> SecretKind {
    password_of(Value::Fixed(username.to_owned()))
}

/// An account of which there are two.
fn taking_turns(store: Store, first: &str) -> SecretKind {
    password_of(Value::Account {
        first: first.to_owned(),
        second: rotation::second(store, first),
    })
}

fn password_of(username: Value) -> SecretKind {
    SecretKind::Values(BTreeMap::from([
        (USERNAME.to_owned(), username),
        (
            PASSWORD.to_owned(),
            Value::Random {
                bytes: RANDOM_BYTES,
                encoding: Encoding::Base64Url,
            },
        ),
    ]))
}

fn random(key: &str, encoding: Encoding) -> SecretKind {
    SecretKind::Values(BTreeMap::from([(
        key.to_owned(),
        Value::Random {
            bytes: RANDOM_BYTES,
            encoding,
        },
    )]))
}
