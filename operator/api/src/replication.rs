//! How many pods of each component may run: one table, with the reason wherever it is not "any".

use crate::Component;

/// Most pods of one component.
pub const MAX_REPLICAS: i32 = 20;

/// How many pods of a component may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replication {
    /// From one to [`MAX_REPLICAS`], and the number may follow the load.
    Any,
    /// One of these numbers, whatever the load.
    Only {
        /// The numbers, in ascending order.
        counts: &'static [i32],
        /// Why not another one, for people.
        reason: &'static str,
    },
}

impl Replication {
    /// Whether so many pods may run.
    #[must_use]
    pub fn allows(self, replicas: i32) -> bool {
        match self {
            Self::Any => (1..=MAX_REPLICAS).contains(&replicas),
            Self::Only { counts, .. } => counts.contains(&replicas),
        }
    }
}

impl Component {
    /// How many pods of this component may run.
    #[must_use]
    pub const fn replication(self) -> Replication {
        const ONE: &[i32] = &[1];
        match self {
            Self::Traefik
            | Self::Gateway
            | Self::Orchestrator
            | Self::Agents
            | Self::ModelServer
            // It keeps no session between calls.
            | Self::McpServer
            // Its events are told apart by their run, however often and wherever they arrive.
            | Self::Analytics
            // With the embedded vector store it is one: see `components` of the spec.
            | Self::RagServer => Replication::Any,
            Self::Keycloak => Replication::Only {
                counts: &[1, 2, 3],
                reason: "each server keeps the sessions of the others too",
            },
            Self::Rabbitmq => Replication::Only {
                counts: &[1, 3],
                reason: "a majority of the queue's replicas must agree",
            },
            Self::Minio => Replication::Only {
                counts: &[1, 4],
                reason: "objects are spread over four servers or lie on one",
            },
            Self::Postgres => Replication::Only {
                counts: ONE,
                reason: "the operator runs one PostgreSQL server without replicas",
            },
            Self::Clickhouse => Replication::Only {
                counts: &[1, 3],
                reason: "a majority of its Keeper, which runs in the servers, must agree",
            },
            Self::Qdrant => Replication::Only {
                counts: &[1, 3],
                reason: "a majority of the peers must agree",
            },
            Self::RagIngest => Replication::Only {
                counts: ONE,
                reason: "two consumers could do the deletion of a document before its upload",
            },
        }
    }

    /// Whether the number of pods is fixed once the component has volumes: the data of these know
    /// how many servers they are spread over.
    #[must_use]
    pub const fn members_are_fixed(self) -> bool {
        matches!(
            self,
            Self::Rabbitmq | Self::Minio | Self::Clickhouse | Self::Qdrant
        )
    }
}

/// Numbers for people: `1`, `1 or 3`, `1, 2 or 3`.
#[must_use]
pub fn listed(counts: &[i32]) -> String {
    let words: Vec<String> = counts.iter().map(ToString::to_string).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn every_component_may_run_once() {
        for component in Component::ALL {
            assert!(component.replication().allows(1), "{component}");
            assert!(!component.replication().allows(0), "{component}");
            assert!(
                !component.replication().allows(MAX_REPLICAS + 1),
                "{component}"
            );
        }
    }

    #[rstest]
    #[case(&[1], "1")]
    #[case(&[1, 3], "1 or 3")]
    #[case(&[1, 2, 3], "1, 2 or 3")]
    fn lists(#[case] counts: &[i32], #[case] expected: &str) {
        assert_eq!(listed(counts), expected);
    }
}
