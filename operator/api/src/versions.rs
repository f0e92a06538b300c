//! The one table of images. A release bumps versions here and nowhere else; where each was found
//! stands in `docs/images.md`.

use crate::Component;

/// Name of the image that provision Jobs run.
pub const PROVISION: &str = "provision";

/// Where an image comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Published by its own project: the complete reference.
    Upstream(&'static str),
    /// Built from this repository: `<registry>/lotoai/<name>:<operator version>`.
    Workload(&'static str),
}

/// The registry that our own images are published to unless the operator is told another.
pub const DEFAULT_REGISTRY: &str = "ghcr.io";

impl Component {
    /// The image that this component runs.
    #[must_use]
    pub const fn image(self) -> Source {
        match self {
            Self::Postgres => Source::Upstream("docker.io/library/postgres:18.6"),
            Self::Rabbitmq => Source::Upstream("docker.io/library/rabbitmq:4.3.5-management"),
            Self::Minio => Source::Upstream("quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z"),
            Self::Clickhouse => Source::Upstream("docker.io/library/clickhouse:26.3.20.7"),
            // The version that the client of rag-server is tested with by its authors.
            Self::Qdrant => Source::Upstream("docker.io/qdrant/qdrant:v1.20.0"),
            Self::Keycloak => Source::Upstream("quay.io/keycloak/keycloak:26.7.3"),
            Self::Traefik => Source::Upstream("docker.io/library/traefik:v3.7.13"),
            Self::Gateway
            | Self::Orchestrator
            | Self::Agents
            | Self::ModelServer
            | Self::McpServer
            | Self::RagIngest
            | Self::RagServer
            | Self::Analytics => Source::Workload(self.name()),
        }
    }
}

/// PostgreSQL as CloudNativePG runs it: that operator starts its own manager in the pod and relies
/// on the paths of its own images.
pub const CLOUDNATIVE_PG_POSTGRES: Source =
    Source::Upstream("ghcr.io/cloudnative-pg/postgresql:18.6-system-trixie");

impl Source {
    /// The complete reference: upstream as published, ours with this operator version as tag.
    #[must_use]
    pub fn reference(self, operator_version: &str) -> String {
        match self {
            Self::Upstream(reference) => reference.to_owned(),
            Self::Workload(name) => format!("{DEFAULT_REGISTRY}/lotoai/{name}:{operator_version}"),
        }
    }
}

/// Moves an image reference to another registry: `docker.io/library/postgres:18.6` in registry
/// `registry.corp:5000/mirror` is `registry.corp:5000/mirror/library/postgres:18.6`.
#[must_use]
pub fn relocate(reference: &str, registry: &str) -> String {
    let path = match reference.split_once('/') {
        // By the rule of every container tool the first part is a host when it looks like one.
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => path,
        _ => reference,
    };
    format!("{}/{path}", registry.trim_end_matches('/'))
}

/// The part of a reference that says the version: its tag, else its digest, else nothing.
#[must_use]
pub fn tag(reference: &str) -> &str {
    let (name, digest) = reference.split_once('@').unwrap_or((reference, ""));
    let last = name.rsplit('/').next().unwrap_or(name);
    last.split_once(':').map_or(digest, |(_, tag)| tag)
}

/// The reference with another tag, or another digest.
#[must_use]
pub fn with_tag(reference: &str, tag: &str) -> String {
    let name = reference.split('@').next().unwrap_or(reference);
    let old = self::tag(name);
    let name = name.strip_suffix(&format!(":{old}")).unwrap_or(name);
    let separator = if tag.contains(':') { '@' } else { ':' };
    format!("{name}{separator}{tag}")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "docker.io/library/postgres:18.6",
        "r.corp:5000/m/",
        "r.corp:5000/m/library/postgres:18.6"
    )]
    #[case(
        "localhost/lotoai/agents:local",
        "r.corp",
        "r.corp/lotoai/agents:local"
    )]
    #[case("library/postgres:18.6", "r.corp", "r.corp/library/postgres:18.6")]
    fn relocates(#[case] reference: &str, #[case] registry: &str, #[case] expected: &str) {
        assert_eq!(relocate(reference, registry), expected);
    }

    #[rstest]
    #[case("localhost:5000/a/b:v1", "v1")]
    #[case("localhost:5000/a/b", "")]
    #[case("a/b:v1@sha256:00", "v1")]
    #[case("a/b@sha256:00", "sha256:00")]
    fn tags(#[case] reference: &str, #[case] expected: &str) {
        assert_eq!(tag(reference), expected);
    }

    #[rstest]
    #[case("localhost:5000/a/b:v1", "v2", "localhost:5000/a/b:v2")]
    #[case("localhost:5000/a/b", "v2", "localhost:5000/a/b:v2")]
    #[case("a/b:v1@sha256:00", "v2", "a/b:v2")]
    #[case("a/b:v1", "sha256:00", "a/b@sha256:00")]
    fn tags_anew(#[case] reference: &str, #[case] tag: &str, #[case] expected: &str) {
        assert_eq!(with_tag(reference, tag), expected);
    }

    /// A tag with a zero in the place of every number.
    fn form(tag: &str) -> String {
        let zero = |letter: char| if letter.is_ascii_digit() { '0' } else { letter };
        let mut form: String = tag.chars().map(zero).collect();
        while form.contains("00") {
            form = form.replace("00", "0");
        }
        form
    }

    /// A shorter one, such as `26.3` of ClickHouse, is moved to every release below it.
    #[test]
    fn every_image_has_an_exact_tag() {
        let of_component = |component| match component {
            Component::Postgres => "0.0",
            Component::Rabbitmq => "0.0.0-management",
            Component::Minio => "RELEASE.0-0-0T0-0-0Z",
            Component::Clickhouse => "0.0.0.0",
            Component::Qdrant | Component::Traefik => "v0.0.0",
            Component::Keycloak
            | Component::Gateway
            | Component::Orchestrator
            | Component::Agents
            | Component::ModelServer
            | Component::McpServer
            | Component::RagIngest
            | Component::RagServer
            | Component::Analytics => "0.0.0",
        };
        let components =
            Component::ALL.map(|component| (component.image(), of_component(component)));
        let delegated = (CLOUDNATIVE_PG_POSTGRES, "0.0-system-trixie");
        for (image, expected) in components.into_iter().chain([delegated]) {
            let reference = image.reference("0.1.0");
            assert_eq!(form(tag(&reference)), expected, "{reference}");
        }
    }

    #[rstest]
    #[case("26.3.20.7", "0.0.0.0")]
    #[case("26.3", "0.0")]
    #[case("latest", "latest")]
    fn forms(#[case] tag: &str, #[case] expected: &str) {
        assert_eq!(form(tag), expected);
    }
}
