//! How many pods of each component run.

use std::collections::BTreeMap;

use lotoai_api::Component;
use lotoai_api::spec::{Autoscaling, LotoAISpec};

use crate::graph::Node;
use crate::observed::Observed;
use crate::platform::Platform;
use crate::profile;
use crate::resources::ObjectId;

/// How many pods of a component run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// So many, whatever the load.
    Fixed(i32),
    /// As many as a HorizontalPodAutoscaler says; the operator does not write the number.
    Following(Autoscaling),
}

impl Scale {
    /// Fewest pods.
    #[must_use]
    pub const fn least(self) -> i32 {
        match self {
            Self::Fixed(replicas) => replicas,
            Self::Following(autoscaling) => autoscaling.min_replicas,
        }
    }

    /// Most pods.
    #[must_use]
    pub const fn most(self) -> i32 {
        match self {
            Self::Fixed(replicas) => replicas,
            Self::Following(autoscaling) => autoscaling.max_replicas,
        }
    }

    /// The number that the operator writes into the workload object.
    #[must_use]
    pub const fn written(self) -> Option<i32> {
        match self {
            Self::Fixed(replicas) => Some(replicas),
            Self::Following(_) => None,
        }
    }
}

/// The resource's word, else the profile's.
#[must_use]
pub fn scale(spec: &LotoAISpec, component: Component) -> Scale {
    let settings = spec.components.get(component.name());
    let given = settings.and_then(|settings| {
        let replicas = settings.replicas.map(Scale::Fixed);
        replicas.or(settings.autoscaling.map(Scale::Following))
    });
    if component == Component::RagServer && spec.rag.vector_store.is_embedded() {
        return Scale::Fixed(1);
    }
    given.unwrap_or_else(|| profile::scale_of(spec.profile, component))
}

/// The Deployments that ask for no pods although an autoscaler follows the load of each, with the
/// number of pods to wake them with. An autoscaler leaves alone what asks for none, so whoever scaled
/// one to nothing would have stopped it for good; from then on the number is the autoscaler's again.
#[must_use]
pub fn asleep(platform: &Platform, observed: &Observed) -> BTreeMap<ObjectId, i32> {
    if platform.spec.suspend {
        return BTreeMap::new();
    }
    let woken = |component| {
        let Scale::Following(autoscaling) = platform.scale(component) else {
            return None;
        };
        let name = platform.component_name(component);
        let asked = observed.deployments.get(&name)?.spec.as_ref()?.replicas;
        (asked == Some(0)).then(|| {
            let id = ObjectId::new("Deployment", &name);
            (id, autoscaling.min_replicas)
        })
    };
    platform.topology.components().filter_map(woken).collect()
}

impl Platform {
    /// How many pods of a component run.
    #[must_use]
    pub fn scale(&self, component: Component) -> Scale {
        scale(&self.spec, component)
    }

    /// The number of pods that the operator writes into the workload object of a component; nothing
    /// where an autoscaler writes it.
    #[must_use]
    pub fn written_replicas(&self, component: Component) -> Option<i32> {
        if self.spec.suspend {
            // An autoscaler leaves alone what asks for no pods.
            return Some(0);
        }
        self.scale(component).written()
    }

    /// Names by which the servers of a store reach each other, in the order of their numbers;
    /// none when it is one server.
    #[must_use]
    pub fn members(&self, component: Component) -> Vec<String> {
        let count = self.scale(component).least();
        let is_here = self.topology.has(Node::Component(component));
        if !is_here || !component.members_are_fixed() || count < 2 {
            return Vec::new();
        }
        let name = self.component_name(component);
        let domain = self.member_domain(component);
        (0..count)
            .map(|number| format!("{name}-{number}.{domain}"))
            .collect()
    }

    /// Domain of [`Platform::members`], found through the search list of every pod.
    #[must_use]
    pub fn member_domain(&self, component: Component) -> String {
        format!("{}.{}", self.members_name(component), self.namespace)
    }
}
