//! The kinds that the operator owns: one list, from which come the set of objects, the order in
//! which they are applied, what is pruned, and the RBAC table. An `optional` kind comes with another
//! project: it is read, watched and pruned only in a cluster that has it. A `delegated` one is an
//! optional kind that asks another operator for a store. Of an `unread` one nobody here reads the
//! status, so that a change of it wakes nobody.

use std::marker::PhantomData;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube_core::{ApiResource, Resource as _};

use crate::kinds::{BackendTLSPolicy, Certificate, Cluster, HTTPRoute};

/// Planned, not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prepared {}
/// Written, but for what gates held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {}

/// A kind that the operator owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedKind {
    /// Group, version, kind and plural.
    pub resource: ApiResource,
    /// Whether a cluster may be without the kind: it comes with another project, and only some
    /// resources need it.
    pub optional: bool,
    /// Whether its objects stand for data: they may have no owner, and are never pruned.
    pub delegated: bool,
    /// Whether its objects have a status that others keep writing and nobody here reads.
    pub unread: bool,
}

/// Kind and name of an object in the platform's namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// Kind, for example `Deployment`.
    pub kind: String,
    /// Name.
    pub name: String,
}

impl ObjectId {
    /// The object of this kind and name.
    #[must_use]
    pub fn new(kind: &str, name: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// An object ready to be applied.
#[derive(Debug, Clone)]
pub struct PlannedObject {
    /// Group, version, kind and plural.
    pub resource: ApiResource,
    /// Name.
    pub name: String,
    /// The whole object, with `apiVersion` and `kind`.
    pub body: serde_json::Value,
}

impl PlannedObject {
    /// Kind and name.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        ObjectId {
            kind: self.resource.kind.clone(),
            name: self.name.clone(),
        }
    }
}

macro_rules! resource_kinds {
    ($($(#[$doc:meta])* $field:ident: $kind:ty $(=> $($mark:ident)+)?,)*) => {
        /// All objects of a platform, by kind, in the order in which they are applied.
        #[derive(Debug, Clone)]
        pub struct ResourceSet<S> {
            $($(#[$doc])* pub $field: Vec<$kind>,)*
            /// Whether it was written.
            pub(crate) state: PhantomData<S>,
        }

        impl<S> Default for ResourceSet<S> {
            fn default() -> Self {
                Self { $($field: Vec::new(),)* state: PhantomData }
            }
        }

        impl<S> ResourceSet<S> {
            /// Takes over the objects of another set.
            pub fn extend(&mut self, other: Self) {
                let Self { $($field,)* state: PhantomData } = other;
                $(self.$field.extend($field);)*
            }

            /// All objects in the order in which they are applied: a pod must not start before
            /// what it mounts is there, or it would start twice.
            #[must_use]
            pub fn objects(&self) -> Vec<PlannedObject> {
                let Self { $($field,)* state: PhantomData } = self;
                let mut objects = Vec::new();
                $(objects.extend($field.iter().map(planned));)*
                objects
            }
        }

        impl ResourceSet<Prepared> {
            /// Says that everything was written that no gate holds back.
            #[must_use]
            pub fn into_applied(self) -> ResourceSet<Applied> {
                let Self { $($field,)* state: PhantomData } = self;
                ResourceSet { $($field,)* state: PhantomData }
            }
        }

        /// The kinds in the order in which they are applied. Pruning goes through the same list;
        /// the operator needs get, list, watch, create and patch on each, and delete on those that are not
        /// delegated.
        #[must_use]
        pub fn owned_kinds() -> Vec<OwnedKind> {
            vec![$(OwnedKind::marked(
                ApiResource::erase::<$kind>(&()),
                &[$($(stringify!($mark)),+)?],
            ),)*]
        }
    };
}

impl OwnedKind {
    fn marked(resource: ApiResource, marks: &[&str]) -> Self {
        let is = |mark| marks.contains(&mark);
        Self {
            resource,
            optional: is("optional") || is("delegated"),
            delegated: is("delegated"),
            unread: is("unread"),
        }
    }
}

resource_kinds! {
    /// Identities of pods, without a token.
    service_accounts: ServiceAccount,
    /// Configuration that holds a credential. Credentials themselves are not in the set.
    secrets: Secret,
    /// Configuration.
    config_maps: ConfigMap,
    /// Stable names of components.
    services: Service => unread,
    /// Who may talk to whom.
    network_policies: NetworkPolicy,
    /// How many pods may be taken away at once.
    disruption_budgets: PodDisruptionBudget => unread,
    /// The certificate that people see, from cert-manager.
    certificates: Certificate => optional,
    /// The way in through a controller of the cluster.
    ingresses: Ingress => unread,
    /// How a Gateway of the cluster checks who is behind the route.
    backend_tls_policies: BackendTLSPolicy => optional,
    /// The way in through a Gateway of the cluster.
    http_routes: HTTPRoute => optional,
    /// PostgreSQL that CloudNativePG runs.
    clusters: Cluster => delegated,
    /// Components with a volume.
    stateful_sets: StatefulSet,
    /// Components without one.
    deployments: Deployment,
    /// How many pods a component without a volume has.
    autoscalers: HorizontalPodAutoscaler => unread,
    /// Provisioning of stores.
    jobs: Job,
}

fn planned<K>(object: &K) -> PlannedObject
where
    K: kube_core::Resource<DynamicType = ()> + serde::Serialize,
{
    let resource = ApiResource::erase::<K>(&());
    // Serialising k8s-openapi types cannot fail: their maps have text as keys.
    let body = serde_json::to_value(object).unwrap_or_default();
    PlannedObject {
        resource,
        name: object.meta().name.clone().unwrap_or_default(),
        body,
    }
}

impl<S> ResourceSet<S> {
    /// Name of the Job whose labels name this provision Job.
    #[must_use]
    pub fn job_name(&self, component: &str) -> Option<&str> {
        self.jobs
            .iter()
            .find(|job| {
                job.meta()
                    .labels
                    .as_ref()
                    .and_then(|labels| labels.get(crate::labels::NAME))
                    .is_some_and(|name| name == component)
            })
            .and_then(|job| job.meta().name.as_deref())
    }
}
