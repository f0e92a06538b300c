//! Spec of a `LotoAI` resource. Every leaf reaches an object or the status; nothing is ignored.
//!
//! What CEL can say is said in the schema, so that `kubectl apply` refuses it with the fix.

mod agents;
mod credentials;
mod data;
mod delegated;
mod edge;
mod external;
mod gateway;
mod identity;
mod images;
mod mcp;
mod observability;
mod placement;
mod rag;
mod tls;

use std::collections::BTreeMap;

use kube_derive::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Component;
use crate::status::LotoAIStatus;

pub use agents::{Agents, ModelRef, Provider, ProviderKind, Role, SecretKeyRef};
pub use credentials::{Credentials, GivenCredential};
pub use data::{Clickhouse, Data, Messaging, ObjectStorage, Postgres, Rabbitmq, Storage};
pub use delegated::{DelegatedPostgres, PostgresOperator};
pub use edge::{
    CertManager, Edge, EdgeService, EdgeTls, GatewayApi, Ingress, IssuerRef, ParentRef, RateLimit,
    SecurityHeaders, ServiceType, Traefik,
};
pub use external::{
    ExternalClickhouse, ExternalObjectStorage, ExternalPostgres, ExternalQdrant, ExternalRabbitmq,
};
pub use gateway::{
    Budget, BudgetPeriod, BudgetScope, Gateway, ModelPrice, Prices, Sessions, UnknownPrice,
};
pub use identity::{ExternalIdentity, FirstUser, Identity};
pub use images::{Images, PullPolicy, PullSecret};
pub use mcp::{Approval, HttpMethod, HttpTool, Mcp, ScriptTool, Tool};
pub use observability::{ExternalMetrics, Metrics, Observability};
pub use placement::{
    Autoscaling, ComponentResources, ComponentSettings, JOBS_REFUSAL, OWN_PREFIXES, Pods,
    ResourceValues, Spreading, embedded_refusal, refusal,
};
pub use rag::{Chunk, ManagedQdrant, Rag, VectorStore};
pub use tls::Tls;

/// A company's AI platform: one resource stands for all of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "lotoai.dev",
    version = "v1alpha1",
    kind = "LotoAI",
    plural = "lotoais",
    shortname = "loto",
    category = "lotoai",
    namespaced,
    cel,
    status = "LotoAIStatus",
    derive = "PartialEq",
    doc = "A company's AI platform: the operator turns this one resource into all its workloads.",
    crates(kube = "::kube_derive", kube_core = "::kube_core"),
    attr = "x_kube(crates(kube_core = \"::kube_core\"))",
    validation = kube_core::Rule::new(
        "self.metadata.name.size() <= 30 \
         && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    )
    .message(
        "metadata.name must have at most 30 characters, begin with a letter and hold only \
         lower-case letters, digits and dashes: the names of all objects begin with it",
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Components", type_ = "string", json_path = ".status.componentsReady"),
    printcolumn(name = "Profile", type_ = "string", json_path = ".spec.profile", priority = 1),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version", priority = 1),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = placement::one_with_an_embedded_store(),
)]
pub struct LotoAISpec {
    /// Sizes and replicas to begin with; `components` overrides each of them.
    #[serde(default)]
    pub profile: Profile,
    /// Public address: `https://` and a host, with a port if it is not 443, without a path.
    #[schemars(length(min = 9, max = 253))]
    #[x_kube(
        validation = kube_core::Rule::new(
            "self.matches('^https://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[1-9][0-9]{0,4})?$')",
        ).message(
            "url must be https:// and a lower-case host, with a port if it is not 443 and without \
             a path, for example https://ai.example.com",
        ),
        // An address has no SNI, and the operator's test question could not be led to the Service.
        validation = kube_core::Rule::new("!self.matches('^https://[0-9.]+(:[0-9]+)?$')").message(
            "url must name a host, not an IP address: certificates and the operator's test \
             question go by the name, for example https://ai.example.com",
        ),
    )]
    pub url: String,
    /// How people reach the platform.
    #[serde(default)]
    pub edge: Edge,
    /// Certificates inside the platform.
    #[serde(default)]
    pub tls: Tls,
    /// Who may sign in.
    #[serde(default)]
    pub identity: Identity,
    /// What may be spent, what models cost, and how long conversations and sessions last.
    #[serde(default)]
    pub gateway: Gateway,
    /// Model providers, and the roles that use them.
    #[serde(default)]
    pub agents: Agents,
    /// Tools that the platform may call.
    #[serde(default)]
    pub mcp: Mcp,
    /// Knowledge from documents.
    #[serde(default)]
    pub rag: Rag,
    /// Stores.
    #[serde(default)]
    pub data: Data,
    /// Message broker.
    #[serde(default)]
    pub messaging: Messaging,
    /// Number, size and place of pods by component; what is not given keeps the profile's value.
    /// `provision` stands for the Jobs that prepare stores, which have no number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = placement::known_components())]
    #[x_kube(validation = placement::jobs_run_once())]
    #[x_kube(validation = placement::counts_of(Component::Keycloak))]
    #[x_kube(validation = placement::counts_of(Component::Rabbitmq))]
    #[x_kube(validation = placement::counts_of(Component::Minio))]
    #[x_kube(validation = placement::counts_of(Component::Postgres))]
    #[x_kube(validation = placement::counts_of(Component::Clickhouse))]
    #[x_kube(validation = placement::counts_of(Component::Qdrant))]
    #[x_kube(validation = placement::counts_of(Component::RagIngest))]
    pub components: BTreeMap<String, ComponentSettings>,
    /// What holds for all pods, those of provision Jobs among them.
    #[serde(default)]
    pub pods: Pods,
    /// Where images come from.
    #[serde(default)]
    pub images: Images,
    /// Where telemetry goes, and who may ask for it.
    #[serde(default)]
    pub observability: Observability,
    /// Credentials between the parts of the platform: made anew, or given.
    #[serde(default)]
    pub credentials: Credentials,
    /// What becomes of volumes and credentials when the resource is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Stops every pod, those that need others first, and keeps volumes, Secrets and Services.
    #[serde(default)]
    pub suspend: bool,
    /// Stops all changes; status goes on being written.
    #[serde(default)]
    pub paused: bool,
}

/// Sizes and replica defaults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Profile {
    /// One replica of everything: fits one node with 2 cores and 10 GiB.
    #[default]
    Demo,
    /// For a team: stateless components run twice, stores once. Asks for 3.2 cores and 6 GiB.
    Small,
    /// For a company: everything that can runs two times or more, over hosts and zones, and grows
    /// with the load. PostgreSQL stays single unless it is delegated or external, and rag-server
    /// unless its vectors lie in Qdrant (`rag.vectorStore`); the status warns of both.
    HighAvailability,
}

/// What becomes of volumes and credentials when the resource is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// They stay, and a resource of the same name takes them up again.
    #[default]
    Retain,
    /// They are deleted with the resource.
    Delete,
}

/// Schema of the value of a label.
fn label_values() -> serde_json::Value {
    serde_json::json!({
        "type": "string", "maxLength": 63,
        "pattern": "^([A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?)?$",
    })
}
