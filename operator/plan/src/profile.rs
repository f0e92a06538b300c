//! Profiles: sizes and numbers of pods to begin with, and nothing else.

use lotoai_api::Component;
use lotoai_api::spec::{Autoscaling, Profile};

use crate::graph::Node;
use crate::scale::Scale;

/// What a container asks for and may use at most. The CPU limit is that of the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// CPU request.
    pub cpu: &'static str,
    /// Memory request.
    pub memory: &'static str,
    /// Memory limit.
    pub memory_limit: &'static str,
}

const fn size(cpu: &'static str, memory: &'static str, memory_limit: &'static str) -> Size {
    Size {
        cpu,
        memory,
        memory_limit,
    }
}

/// CPU limit of every container: what is free may be used.
#[must_use]
pub const fn cpu_limit(profile: Profile) -> &'static str {
    match profile {
        Profile::Demo | Profile::Small => "2",
        Profile::HighAvailability => "4",
    }
}

/// Size of a node's container.
#[must_use]
pub const fn size_of(profile: Profile, node: Node) -> Size {
    let Node::Component(component) = node else {
        return size("10m", "32Mi", "128Mi");
    };
    match profile {
        Profile::Demo => demo(component),
        Profile::Small => small(component),
        Profile::HighAvailability => high_availability(component),
    }
}

/// Made so that the whole platform asks for less than one core and schedules on a node with 2
/// cores and 10 GiB.
const fn demo(component: Component) -> Size {
    match component {
        Component::Postgres => size("50m", "128Mi", "512Mi"),
        Component::Rabbitmq => size("100m", "192Mi", "512Mi"),
        Component::Minio => size("50m", "128Mi", "512Mi"),
        Component::Clickhouse => size("100m", "384Mi", "1536Mi"),
        Component::Qdrant => size("50m", "128Mi", "1Gi"),
        // The heap ends at three sevenths; the rest is metaspace, code and threads.
        Component::Keycloak => size("150m", "512Mi", "896Mi"),
        Component::Traefik => size("25m", "64Mi", "256Mi"),
        Component::Gateway => size("50m", "64Mi", "512Mi"),
        Component::Orchestrator => size("50m", "64Mi", "256Mi"),
        Component::Agents => size("25m", "48Mi", "256Mi"),
        // Both models are in memory: 100 MB and 90 MB of weights, and the context.
        Component::ModelServer => size("200m", "512Mi", "1536Mi"),
        // Each script may use 256 MiB.
        Component::McpServer => size("25m", "48Mi", "768Mi"),
        // A document of 32 MiB is there as bytes, as a tree, as text and as chunks with vectors.
        Component::RagIngest => size("50m", "64Mi", "1Gi"),
        Component::RagServer => size("50m", "128Mi", "1Gi"),
        Component::Analytics => size("25m", "48Mi", "256Mi"),
    }
}

/// Requests near what a team of some tens uses, so that a busy neighbour takes nothing away.
const fn small(component: Component) -> Size {
    match component {
        Component::Postgres => size("250m", "512Mi", "1Gi"),
        Component::Rabbitmq => size("200m", "384Mi", "768Mi"),
        Component::Minio => size("100m", "256Mi", "1Gi"),
        Component::Clickhouse => size("250m", "1Gi", "3Gi"),
        Component::Qdrant => size("200m", "384Mi", "2Gi"),
        Component::Keycloak => size("250m", "768Mi", "1280Mi"),
        Component::Traefik => size("50m", "96Mi", "256Mi"),
        Component::Gateway => size("100m", "128Mi", "512Mi"),
        Component::Orchestrator => size("100m", "96Mi", "384Mi"),
        Component::Agents => size("50m", "64Mi", "256Mi"),
        Component::ModelServer => size("500m", "768Mi", "1536Mi"),
        Component::McpServer => size("50m", "96Mi", "1Gi"),
        Component::RagIngest => size("100m", "128Mi", "1Gi"),
        Component::RagServer => size("200m", "384Mi", "2Gi"),
        Component::Analytics => size("50m", "64Mi", "256Mi"),
    }
}

/// CPU requests of the stateless components are also what autoscaling measures against.
const fn high_availability(component: Component) -> Size {
    match component {
        Component::Postgres => size("1", "2Gi", "4Gi"),
        Component::Rabbitmq => size("500m", "1Gi", "2Gi"),
        Component::Minio => size("250m", "512Mi", "2Gi"),
        Component::Clickhouse => size("500m", "2Gi", "6Gi"),
        Component::Qdrant => size("500m", "1Gi", "4Gi"),
        Component::Keycloak => size("500m", "1Gi", "2Gi"),
        Component::Traefik => size("200m", "128Mi", "512Mi"),
        Component::Gateway => size("250m", "256Mi", "1Gi"),
        Component::Orchestrator => size("250m", "192Mi", "768Mi"),
        Component::Agents => size("100m", "96Mi", "512Mi"),
        Component::ModelServer => size("1", "768Mi", "2Gi"),
        Component::McpServer => size("100m", "128Mi", "1Gi"),
        Component::RagIngest => size("250m", "256Mi", "2Gi"),
        Component::RagServer => size("500m", "1Gi", "4Gi"),
        Component::Analytics => size("100m", "96Mi", "512Mi"),
    }
}

/// How many pods of a component run; of rag-server, when its vectors are not embedded.
#[must_use]
pub const fn scale_of(profile: Profile, component: Component) -> Scale {
    match profile {
        Profile::Demo => Scale::Fixed(1),
        Profile::Small => match component {
            Component::Traefik
            | Component::Gateway
            | Component::Orchestrator
            | Component::Agents
            | Component::ModelServer
            | Component::McpServer
            | Component::RagServer
            | Component::Analytics => Scale::Fixed(2),
            Component::Postgres
            | Component::Rabbitmq
            | Component::Minio
            | Component::Clickhouse
            | Component::Qdrant
            | Component::Keycloak
            | Component::RagIngest => Scale::Fixed(1),
        },
        Profile::HighAvailability => match component {
            Component::Gateway | Component::Orchestrator => following(3, 6),
            Component::Agents
            | Component::ModelServer
            | Component::McpServer
            | Component::RagServer
            | Component::Analytics => following(2, 4),
            Component::Traefik | Component::Keycloak => Scale::Fixed(2),
            Component::Rabbitmq | Component::Clickhouse | Component::Qdrant => Scale::Fixed(3),
            Component::Minio => Scale::Fixed(4),
            Component::Postgres | Component::RagIngest => Scale::Fixed(1),
        },
    }
}

/// How many servers a store has that another operator runs, and that can replicate.
#[must_use]
pub const fn delegated_instances(profile: Profile) -> i32 {
    match profile {
        Profile::Demo | Profile::Small => 1,
        Profile::HighAvailability => 3,
    }
}

const fn following(min_replicas: i32, max_replicas: i32) -> Scale {
    Scale::Following(Autoscaling {
        min_replicas,
        max_replicas,
        target_cpu_utilization: Autoscaling::TARGET,
    })
}

#[cfg(test)]
mod tests {
    use lotoai_api::Replication;

    use super::*;

    #[test]
    fn no_profile_asks_for_what_a_component_cannot_do() {
        for profile in [Profile::Demo, Profile::Small, Profile::HighAvailability] {
            for component in Component::ALL {
                let scale = scale_of(profile, component);
                let replication = component.replication();
                assert!(replication.allows(scale.least()), "{profile:?} {component}");
                assert!(replication.allows(scale.most()), "{profile:?} {component}");
                let follows = matches!(scale, Scale::Following(_));
                assert!(!follows || replication == Replication::Any, "{component}");
            }
        }
    }
}
