//! Stores that somebody else runs: where they are, and which Secrets open them.
//!
//! Secrets are named, never held. One with an account has the keys `username` and `password`, one
//! with a certificate authority the key `ca.crt`.

use kube_core::Rule;
use kube_derive::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::names::ObjectName;

/// An address of one of these schemes: a host, with a port if it is not the scheme's own, and
/// nothing else.
fn address(schemes: &str, field: &str, example: &str) -> Rule {
    let host = "[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[1-9][0-9]{0,4})?";
    let message = format!(
        "{field} must be {}:// and a lower-case host, with a port if it is not the usual one and \
         with nothing before or after them, for example {example}; users and passwords belong in \
         the Secret",
        schemes.replace('|', ":// or "),
    );
    Rule::new(format!("self.matches('^({schemes})://{host}$')")).message(message.as_str())
}

/// An authority without TLS is never asked.
fn ca_needs_tls(field: &str, scheme: &str) -> Rule {
    let message =
        format!("caSecretName needs TLS: write {field} with {scheme}://, or remove caSecretName");
    Rule::new(format!(
        "!has(self.caSecretName) || self.{field}.startsWith('{scheme}://')"
    ))
    .message(message.as_str())
}

/// A PostgreSQL server, version 14 or newer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("self.tls || !has(self.caSecretName)").message(
        "caSecretName needs TLS: remove tls: false, or remove caSecretName",
    ),
)]
pub struct ExternalPostgres {
    /// Address, for example `postgres://postgres.example.com:5432`.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = address("postgres", "url", "postgres://postgres.example.com:5432"))]
    pub url: String,
    /// Whether to speak TLS and to check the server's certificate and name. `false`: everything,
    /// passwords included, goes in clear text.
    #[serde(default = "yes")]
    pub tls: bool,
    /// Secret with `username` and `password` of a role that may create roles and databases. The
    /// platform's own accounts are made with it.
    pub admin_secret_name: ObjectName,
    /// Secret with `ca.crt`, the authority of the server's certificate; the well-known
    /// authorities when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_name: Option<ObjectName>,
}

const fn yes() -> bool {
    true
}

/// A RabbitMQ broker, version 4 or newer, with the management plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new(
        "!has(self.caSecretName) || self.url.startsWith('amqps://') \
         || self.managementURL.startsWith('https://')",
    ).message(
        "caSecretName needs TLS: write url with amqps:// or managementURL with https://, or \
         remove caSecretName",
    ),
)]
pub struct ExternalRabbitmq {
    /// Address, for example `amqps://rabbitmq.example.com:5671`.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = address("amqp|amqps", "url", "amqps://rabbitmq.example.com:5671"))]
    pub url: String,
    /// Address of the management plugin, for example `https://rabbitmq.example.com:15671`.
    #[serde(rename = "managementURL")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = address(
        "http|https", "managementURL", "https://rabbitmq.example.com:15671",
    ))]
    pub management_url: String,
    /// Virtual host; `<platform>-lotoai` when it is not set. It is made when it is not there. No
    /// two platforms may share one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub virtual_host: Option<String>,
    /// Secret with `username` and `password` of a user with tag `administrator`. The platform's
    /// own users are made with it.
    pub admin_secret_name: ObjectName,
    /// Secret with `ca.crt`, the authority of the broker's certificates; the well-known
    /// authorities when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_name: Option<ObjectName>,
}

/// A ClickHouse server, reached over its HTTP interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = ca_needs_tls("url", "https"),
)]
pub struct ExternalClickhouse {
    /// Address, for example `https://clickhouse.example.com:8443`.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = address("http|https", "url", "https://clickhouse.example.com:8443"))]
    pub url: String,
    /// Secret with `username` and `password` of a user that may create databases and users. The
    /// platform's own user is made with it.
    pub admin_secret_name: ObjectName,
    /// Secret with `ca.crt`, the authority of the server's certificate; the well-known
    /// authorities when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_name: Option<ObjectName>,
}

/// A Qdrant server or cluster, version 1.19 or newer, reached over gRPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = ca_needs_tls("url", "https"),
)]
pub struct ExternalQdrant {
    /// Address of its gRPC port, for example `https://qdrant.example.com:6334`.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = address("http|https", "url", "https://qdrant.example.com:6334"))]
    pub url: String,
    /// Collection of passages; `<platform>-passages` when it is not set. It is made when it is not
    /// there. No two platforms may share one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub collection: Option<String>,
    /// On how many peers each passage lies, when the collection is made.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 9))]
    pub replication_factor: i32,
    /// Into how many shards passages are divided, when the collection is made.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 64))]
    pub shards: i32,
    /// Secret with `apiKey`, a key that may manage and write the collection.
    pub api_key_secret_name: ObjectName,
    /// Secret with `ca.crt`, the authority of the server's certificate; the well-known
    /// authorities when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_name: Option<ObjectName>,
}

const fn one() -> i32 {
    1
}

/// An object store that speaks S3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = ca_needs_tls("url", "https"),
)]
pub struct ExternalObjectStorage {
    /// Address without the bucket, for example `https://s3.eu-central-1.amazonaws.com`.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = address(
        "http|https", "url", "https://s3.eu-central-1.amazonaws.com",
    ))]
    pub url: String,
    /// Region that requests are signed for.
    #[serde(default = "ExternalObjectStorage::default_region")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[-a-z0-9]+$"))]
    pub region: String,
    /// Bucket of documents. It is made when it is not there. No two platforms may share one.
    #[schemars(
        length(min = 3, max = 63),
        regex(pattern = r"^[a-z0-9][-a-z0-9]*[a-z0-9]$")
    )]
    pub bucket: String,
    /// Whether the bucket's name stands in the path; `false`: before the host.
    #[serde(default = "yes")]
    pub path_style: bool,
    /// Secret with `username` (access key) and `password` (secret key), which gateway and
    /// rag-ingest use as they are: S3 has no interface to make accounts with.
    pub credentials_secret_name: ObjectName,
    /// Secret with `ca.crt`, the authority of the server's certificate; the well-known
    /// authorities when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_name: Option<ObjectName>,
}

impl ExternalObjectStorage {
    fn default_region() -> String {
        "us-east-1".to_owned()
    }
}
