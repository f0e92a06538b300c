//! Which images there are. What each consists of stands in `local/images/<name>/`:
//!
//! - `Dockerfile`, built with the directory that [`super::context`] prepares as its context;
//! - `files/`, copied into the context;
//! - `packages.txt`, Debian packages, unpacked without running any script: `debian.tar`;
//! - `needless.txt`, directories of them that are left out;
//! - `requirements.txt`, PyPI wheels with their hashes: `python/`;
//! - `maven.txt`, Maven artefacts with their SHA-256, unpacked: `<artefact id>/`.

use crate::third_party::Tool;

/// A file that is built before the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// None.
    None,
    /// A third-party program built from its Go module.
    ThirdParty(Tool),
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
        program: Program::ThirdParty(Tool::Minio),
    },
    recipe("traefik", Some("runtime")),
    Recipe {
        name: "coredns",
        base: Some("runtime"),
        program: Program::ThirdParty(Tool::Coredns),
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
    /// The name of the image and of the binary in it, which Cargo builds.
    pub(crate) name: &'static str,
    /// The directory of its Dockerfile, from the root of the repository.
    pub(crate) dir: &'static str,
    /// The base image.
    pub(crate) base: &'static str,
    /// What else goes into it.
    pub(crate) extra: Extra,
}

const fn workload(name: &'static str, dir: &'static str) -> Workload {
    Workload {
        name,
        dir,
        base: "runtime",
        extra: Extra::None,
    }
}

/// Every image of ours.
pub(crate) const WORKLOADS: [Workload; 10] = [
    Workload {
        extra: Extra::Models,
        ..workload("model-server", "workloads/model-server")
    },
    Workload {
        extra: Extra::Web,
        ..workload("gateway", "workloads/gateway")
    },
    workload("orchestrator", "workloads/orchestrator"),
    workload("agents", "workloads/agents"),
    Workload {
        base: "script-runtime",
        ..workload("mcp-server", "workloads/mcp-server")
    },
    workload("rag-ingest", "workloads/rag-ingest"),
    workload("rag-server", "workloads/rag-server"),
    workload("analytics", "workloads/analytics"),
    workload("provision", "workloads/provision"),
    workload("lotoai-operator", "operator/controller"),
];

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::exec::Run;

    fn repository() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    fn read(path: &str) -> String {
        let path = repository().join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
    }

    #[test]
    fn every_image_has_a_dockerfile_that_takes_its_base_as_an_argument() {
        let recipes = BASES.iter().chain(&UPSTREAM);
        let ours = recipes.map(|recipe| (format!("local/images/{}", recipe.name), recipe.base));
        let workloads = WORKLOADS
            .iter()
            .map(|image| (image.dir.to_owned(), Some(image.base)));
        for (dir, base) in ours.chain(workloads) {
            let text = read(&format!("{dir}/Dockerfile"));
            assert_eq!(text.contains("ARG BASE_IMAGE="), base.is_some(), "{dir}");
            assert_eq!(text.contains("FROM ${BASE_IMAGE}"), base.is_some(), "{dir}");
            assert!(text.contains("org.opencontainers.image.title="), "{dir}");
        }
    }

    #[test]
    fn cargo_builds_a_binary_of_the_name_of_every_workload() {
        for image in WORKLOADS {
            let text = read(&format!("{}/Cargo.toml", image.dir));
            let name = format!("name = \"{}\"\n", image.name);
            assert!(text.contains(&name), "{}", image.name);
        }
    }

    #[test]
    fn workloads_run_without_root() {
        for image in WORKLOADS {
            let text = read(&format!("{}/Dockerfile", image.dir));
            assert!(text.contains("\nUSER 65532:65532\n"), "{}", image.name);
            let copied = format!("\nCOPY {0} /usr/local/bin/{0}\n", image.name);
            assert!(text.contains(&copied), "{}", image.name);
        }
    }

    #[test]
    fn every_wheel_is_pinned_by_version_and_hash() {
        for recipe in UPSTREAM {
            let path = format!("local/images/{}/requirements.txt", recipe.name);
            if !repository().join(&path).exists() {
                continue;
            }
            for line in read(&path).lines() {
                assert!(
                    line.contains("==") && line.contains(" --hash=sha256:"),
                    "{path}: {line}"
                );
            }
        }
    }

    #[test]
    fn the_http_front_of_clickhouse_passes_its_tests() {
        Run::inheriting("python3")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .args(["-m", "unittest", "discover", "--start-directory"])
            .args([repository().join("local/images/clickhouse/tests")])
            .ok()
            .unwrap();
    }
}
