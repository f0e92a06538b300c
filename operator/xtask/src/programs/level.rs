//! The levels of the pyramid.

use std::num::NonZero;
use std::thread::available_parallelism;

/// A level of the pyramid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Functions, and servers against fakes of their far sides.
    Pure,
    /// The gateway as real clients of its API see it.
    Clients,
    /// Gateway processes that are stopped, killed and cut off.
    Processes,
    /// The Helm charts, rendered without a cluster.
    Charts,
    /// The operator against a real kube-apiserver, and what it writes against a real Traefik.
    ApiServer,
    /// Clusters whose maker is killed or interrupted.
    Cluster,
    /// The running platform.
    Platform,
    /// A second platform whose servers are lost one by one, and one whose operator is killed.
    Losses,
}

impl Level {
    /// Its name for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Pure => "pure and mocked tests",
            Self::Clients => "real OpenAI clients",
            Self::Processes => "gateways, stopped and killed",
            Self::Charts => "the Helm charts, rendered",
            Self::ApiServer => "a real kube-apiserver and Traefik",
            Self::Cluster => "clusters, killed and interrupted",
            Self::Platform => "the whole platform, end to end",
            Self::Losses => "servers lost and the operator killed, end to end",
        }
    }

    /// Whether its programs take so long that their output is shown while they run. Their tests
    /// run one by one, because they share or fill the machine.
    pub(super) fn is_long(self) -> bool {
        match self {
            Self::Pure | Self::Clients | Self::Processes | Self::Charts | Self::ApiServer => false,
            Self::Cluster | Self::Platform | Self::Losses => true,
        }
    }

    /// How many tests run at the same time, where it is not one for each core.
    pub(super) fn threads(self) -> Option<usize> {
        match self {
            // Many of them wait for a server most of the time.
            Self::Pure => Some(2 * available_parallelism().map_or(1, NonZero::get)),
            Self::Clients | Self::Processes | Self::Charts | Self::ApiServer => None,
            Self::Cluster | Self::Platform | Self::Losses => Some(1),
        }
    }

    /// That of a program of this package.
    pub(super) fn of(package: &str, target: &str, kind: &str) -> Self {
        match (package, kind) {
            ("lotoai-e2e", "test") => Self::Platform,
            ("gateway", "test") if target == "processes" => Self::Processes,
            ("xtask", "test") if target == "charts" => Self::Charts,
            ("lotoai-operator", "test") if target == "apiserver" => Self::ApiServer,
            ("xtask", "test") if target == "cluster" => Self::Cluster,
            _ => Self::Pure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_put_on_their_level() {
        assert_eq!(Level::of("lotoai-e2e", "platform", "test"), Level::Platform);
        assert_eq!(Level::of("lotoai-e2e", "lotoai-e2e", "lib"), Level::Pure);
        assert_eq!(Level::of("gateway", "processes", "test"), Level::Processes);
        assert_eq!(Level::of("xtask", "charts", "test"), Level::Charts);
        assert_eq!(Level::of("xtask", "xtask", "bin"), Level::Pure);
        assert_eq!(
            Level::of("lotoai-operator", "apiserver", "test"),
            Level::ApiServer
        );
        assert_eq!(Level::of("xtask", "cluster", "test"), Level::Cluster);
        assert_eq!(Level::of("xtask", "xtask", "bin"), Level::Pure);
    }
}
