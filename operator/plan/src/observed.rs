//! What planning is told: the state of the cluster, and the operator's own settings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use lotoai_api::spec::PullPolicy;

use crate::kinds::{BackendTLSPolicy, Certificate, Cluster, HTTPRoute};
use crate::resources::ObjectId;

/// What was read, each map by object name. Workloads, Jobs, pods and claims are those with the
/// platform's labels; Secrets are also those that the resource names, and
/// those that others make for it.
#[derive(Clone, Default)]
pub struct Observed {
    /// Secrets: credentials, those that the resource names, and those that others make.
    pub secrets: BTreeMap<String, Secret>,
    /// Deployments of the platform.
    pub deployments: BTreeMap<String, Deployment>,
    /// StatefulSets of the platform.
    pub stateful_sets: BTreeMap<String, StatefulSet>,
    /// Jobs of the platform.
    pub jobs: BTreeMap<String, Job>,
    /// Pods of the platform.
    pub pods: BTreeMap<String, Pod>,
    /// Volume claims of the platform.
    pub claims: BTreeMap<String, PersistentVolumeClaim>,
    /// Certificates of the platform.
    pub certificates: BTreeMap<String, Certificate>,
    /// Routes of the platform.
    pub routes: BTreeMap<String, HTTPRoute>,
    /// How Gateways check who is behind the routes.
    pub backend_tls_policies: BTreeMap<String, BackendTLSPolicy>,
    /// PostgreSQL clusters of the platform that CloudNativePG runs.
    pub clusters: BTreeMap<String, Cluster>,
    /// Events about workloads that have been short of pods for a while, and about claims that have
    /// been without a volume; of others none are read.
    pub events: BTreeMap<String, Event>,
    /// Optional kinds that the cluster does not have, for example `HTTPRoute`.
    pub missing_kinds: BTreeSet<String>,
    /// The authorities that pods are handed, PEM. They are read while one of them has yet to begin to
    /// sign.
    pub authorities: Option<String>,
}

impl Observed {
    /// Takes over what a write made of a workload's metadata: a new generation has yet to be rolled
    /// out, whatever was read of the one before.
    pub fn sent(&mut self, id: &ObjectId, metadata: ObjectMeta) {
        let current = match id.kind.as_str() {
            "Deployment" => self.deployments.get_mut(&id.name).map(|o| &mut o.metadata),
            "StatefulSet" => self
                .stateful_sets
                .get_mut(&id.name)
                .map(|o| &mut o.metadata),
            _ => None,
        };
        if let Some(current) = current {
            *current = metadata;
        }
    }

    /// One value of a Secret; an empty one is none.
    #[must_use]
    pub fn secret_value(&self, name: &str, key: &str) -> Option<&[u8]> {
        let data = self.secrets.get(name)?.data.as_ref()?;
        let value = data.get(key)?.0.as_slice();
        (!value.is_empty()).then_some(value)
    }
}

impl fmt::Debug for Observed {
    /// Counts only: Secrets must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observed")
            .field("secrets", &self.secrets.len())
            .field("deployments", &self.deployments.len())
            .field("stateful_sets", &self.stateful_sets.len())
            .field("jobs", &self.jobs.len())
            .field("pods", &self.pods.len())
            .field("claims", &self.claims.len())
            .field("certificates", &self.certificates.len())
            .field("routes", &self.routes.len())
            .field("backend_tls_policies", &self.backend_tls_policies.len())
            .field("clusters", &self.clusters.len())
            .field("events", &self.events.len())
            .field("missing_kinds", &self.missing_kinds)
            .field("authorities", &self.authorities.is_some())
            .finish()
    }
}

/// What the operator was told at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorEnv {
    /// Namespace that the operator runs in.
    pub namespace: String,
    /// Version of the operator; the tag of our own images.
    pub version: String,
    /// Image references by component name (`provision` for provision Jobs), instead of the
    /// built-in table.
    pub images: BTreeMap<String, String>,
    /// When nodes pull, unless the resource says otherwise.
    pub pull_policy: PullPolicy,
    /// OTLP endpoint of platforms that name none.
    pub otlp_endpoint: Option<String>,
}
