//! Which images there are. What each consists of stands in `local/images/<name>/`:
//!
//! - `Dockerfile`, built with the directory that [`super::context`] prepares as its context;
//! - `files/`, copied into the context;
//! - `packages.txt`, Debian packages, unpacked without running any script: `debian.tar`;
//! - `requirements.txt`, PyPI wheels with their hashes: `python/`;
//! - `maven.txt`, Maven artefacts with their SHA-256, unpacked: `<artefact id>/`.

/// A file that is built before the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// None.
    None,
    /// A third-party program; the directory in the cache names its version.
    ThirdParty {
        /// The directory under `third-party`.
        dir: &'static str,
        /// The file in it, and its name in the context.
        file: &'static str,
    },
    /// A C program of one file in `files/`, linked statically.
    C {
        /// The name in the context, and of the source file without `.c`.
        file: &'static str,
    },
}

/// One image that is no workload of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe {
    /// The name, and the directory under `local/images`.
    pub(crate) name: &'static str,
    /// The image it builds upon.
    pub(crate) base: Option<&'static str>,
    /// A program that goes into it.
    pub(crate) program: Program,
}

const fn recipe(name: &'static str, base: Option<&'static str>) -> Recipe {
    Recipe {
        name,
        base,
        program: Program::None,
    }
}

/// The base images, each after the one it builds upon.
pub(crate) const BASES: [Recipe; 3] = [
    recipe("runtime", None),
    recipe("script-runtime", Some("runtime")),
    recipe("base", Some("script-runtime")),
];

/// Third-party software: the stand-ins for upstream images, and what the cluster itself runs.
/// The slowest come first, so that two builders end at about the same time.
pub(crate) const UPSTREAM: [Recipe; 8] = [
    recipe("keycloak", Some("base")),
    recipe("clickhouse", Some("base")),
    recipe("rabbitmq", Some("base")),
    recipe("postgres", Some("base")),
    Recipe {
        name: "minio",
        base: Some("runtime"),
        program: Program::ThirdParty {
            dir: "minio-20260212201848",
            file: "minio",
        },
    },
    recipe("traefik", Some("runtime")),
    Recipe {
        name: "coredns",
        base: Some("runtime"),
        program: Program::ThirdParty {
            dir: "coredns-1.14.7",
            file: "coredns",
        },
    },
    Recipe {
        name: "pause",
        base: None,
        program: Program::C { file: "pause" },
    },
];

/// What goes into the image of a workload beside its binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extra {
    /// Nothing.
    None,
    /// The built web client, as `web/`.
    Web,
    /// The models, as `models/`.
    Models,
}

/// One image of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    /// The name of the image, and of its binary in the image.
    pub(crate) name: &'static str,
    /// The directory of its Dockerfile, from the root of the repository.
    pub(crate) dir: &'static str,
    /// The binary that Cargo builds.
    pub(crate) binary: &'static str,
    /// The base image.
    pub(crate) base: &'static str,
    /// What else goes into it.
    pub(crate) extra: Extra,
}

const fn workload(name: &'static str, dir: &'static str, binary: &'static str) -> Workload {
    Workload {
        name,
        dir,
        binary,
        base: "runtime",
        extra: Extra::None,
    }
}

/// Every image of ours.
pub(crate) const WORKLOADS: [Workload; 10] = [
    Workload {
        extra: Extra::Models,
        ..workload(
            "model-server",
            "workloads/model-server",
            "lotoai-model-server",
        )
    },
    Workload {
        extra: Extra::Web,
        ..workload("gateway", "workloads/gateway", "lotoai-gateway")
    },
    workload(
        "orchestrator",
        "workloads/orchestrator",
        "lotoai-orchestrator",
    ),
    workload("agents", "workloads/agents", "lotoai-agents"),
    Workload {
        base: "script-runtime",
        ..workload("mcp-server", "workloads/mcp-server", "lotoai-mcp-server")
    },
    workload("rag-ingest", "workloads/rag-ingest", "lotoai-rag-ingest"),
    workload("rag-server", "workloads/rag-server", "lotoai-rag-server"),
    workload("analytics", "workloads/analytics", "lotoai-analytics"),
    workload("provision", "workloads/provision", "lotoai-provision"),
    workload("lotoai-operator", "operator/controller", "lotoai-operator"),
];
