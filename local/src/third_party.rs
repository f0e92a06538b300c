//! Programs that are built from Go modules, because no Debian package has them in our version.
//!
//! The versions are in `local/go/<list>/go.mod` and nowhere else. A built program is kept in
//! `<cache>/third-party/<name>-<version>/` and never built again; where sources of ours stand around
//! the module, their hash is part of the name.

mod tool_paths;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use snafu::{OptionExt, ResultExt};

pub use self::tool_paths::ToolPaths;
use crate::error::{FileSnafu, NoVersionSnafu, Result, SourcesSnafu};
use crate::exec::{Run, which};
use crate::images::Key;
use crate::progress::Progress;
use crate::text::messages;
use crate::{lock, paths};

/// The slowest build on two busy cores takes 10 minutes.
const BUILD_LIMIT: u64 = 3600;
const TICK: Duration = Duration::from_secs(20);

/// A set of programs built from one Go module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// The API server and its companions, and `kubectl`.
    Kubernetes,
    /// The store of the API server.
    Etcd,
    /// The cluster's DNS; runs in an image.
    Coredns,
    /// Makes volumes out of directories.
    LocalPathProvisioner,
    /// Enforces network policies.
    NetworkPolicies,
    /// Object storage; runs in an image.
    Minio,
    /// Installs charts.
    Helm,
    /// The Helm before it, which many still have; tests render the charts with it.
    Helm3,
    /// The oldest Helm that the charts are said to work with.
    Helm314,
    /// Measures pods and nodes, for autoscalers and `kubectl top`.
    MetricsServer,
}

/// How to build a tool.
#[derive(Debug)]
struct Recipe {
    name: &'static str,
    /// The directory in `local/go` with its build list. Tools that share Kubernetes's client
    /// share one list, so that the client is compiled once.
    list: &'static str,
    /// The module in go.mod whose version is the tool's.
    module: &'static str,
    /// File name and package of each program.
    programs: &'static [(&'static str, &'static str)],
}

impl Tool {
    /// Every tool that the platform needs.
    pub const ALL: &'static [Self] = &[
        Self::Kubernetes,
        Self::Etcd,
        Self::Coredns,
        Self::LocalPathProvisioner,
        Self::NetworkPolicies,
        Self::Minio,
        Self::Helm,
    ];
    /// Those without which there is no cluster.
    pub const CLUSTER: &'static [Self] = &[
        Self::Kubernetes,
        Self::Etcd,
        Self::Coredns,
        Self::LocalPathProvisioner,
        Self::NetworkPolicies,
    ];

    /// What tests need on top.
    pub const TESTS: &'static [Self] = &[Self::Helm3, Self::Helm314];
    /// What [`add_metrics`](crate::add_metrics) runs. Not among those that every cluster has: it is
    /// a Kubernetes client of its own to compile.
    pub const METRICS: &'static [Self] = &[Self::MetricsServer];

    fn recipe(self) -> Recipe {
        match self {
            Self::Kubernetes => Recipe {
                name: "kubernetes",
                list: "cluster",
                module: "k8s.io/kubernetes",
                programs: &[
                    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
                    ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
                    (
                        "kube-controller-manager",
                        "k8s.io/kubernetes/cmd/kube-controller-manager",
                    ),
                    ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
                    ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
                    ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
                ],
            },
            Self::Etcd => Recipe {
                name: "etcd",
                list: "etcd",
                module: "go.etcd.io/etcd/server/v3",
                programs: &[("etcd", "go.etcd.io/etcd/server/v3")],
            },
            Self::Coredns => Recipe {
                name: "coredns",
                list: "cluster",
                module: "github.com/coredns/coredns",
                programs: &[("coredns", "./coredns")],
            },
            Self::LocalPathProvisioner => Recipe {
                name: "local-path-provisioner",
                list: "cluster",
                module: "github.com/rancher/local-path-provisioner",
                programs: &[(
                    "local-path-provisioner",
                    "github.com/rancher/local-path-provisioner",
                )],
            },
            Self::NetworkPolicies => Recipe {
                name: "network-policies",
                list: "cluster",
                module: "github.com/cloudnativelabs/kube-router/v2",
                programs: &[("network-policies", "./network-policies")],
            },
            Self::Minio => Recipe {
                name: "minio",
                list: "minio",
                module: "github.com/minio/minio",
                programs: &[("minio", "github.com/minio/minio")],
            },
            Self::Helm => Recipe {
                name: "helm",
                list: "cluster",
                module: "helm.sh/helm/v4",
                programs: &[("helm", "helm.sh/helm/v4/cmd/helm")],
            },
            Self::Helm3 => Recipe {
                name: "helm3",
                // Its Kubernetes client is another one than the cluster's.
                list: "helm3",
                module: "helm.sh/helm/v3",
                programs: &[("helm", "helm.sh/helm/v3/cmd/helm")],
            },
            Self::Helm314 => Recipe {
                name: "helm314",
                list: "helm314",
                module: "helm.sh/helm/v3",
                programs: &[("helm", "helm.sh/helm/v3/cmd/helm")],
            },
            Self::MetricsServer => Recipe {
                name: "metrics-server",
                // What it needs of Kubernetes would raise versions in the cluster's list.
                list: "metrics-server",
                module: "sigs.k8s.io/metrics-server",
                programs: &[(
                    "metrics-server",
                    "sigs.k8s.io/metrics-server/cmd/metrics-server",
                )],
            },
        }
    }

    /// Where its programs are or will be.
    fn dir(self) -> Result<PathBuf> {
        let recipe = self.recipe();
        let mut key = format!("{}-{}", recipe.name, key_of(&self.version()?));
        let packages = recipe.programs.iter().map(|(_, package)| package);
        for ours in packages.filter_map(|package| package.strip_prefix("./")) {
            let mut sources = Key::new(ours);
            let directory = module_dir(recipe.list).join(ours);
            sources.tree(&directory).context(SourcesSnafu)?;
            key = format!("{key}-{}", sources.finish());
        }
        Ok(paths::cache_dir().join("third-party").join(key))
    }

    /// The version in its go.mod, such as `v1.36.3`.
    fn version(self) -> Result<String> {
        let recipe = self.recipe();
        let path = module_dir(recipe.list).join("go.mod");
        let text = fs::read_to_string(&path).context(FileSnafu {
            action: "read",
            path: &path,
        })?;
        let version = required_version(&text, recipe.module);
        version.context(NoVersionSnafu {
            path,
            module: recipe.module,
        })
    }

    fn ldflags(self) -> Result<String> {
        let strip = "-s -w ".to_owned();
        if self != Self::Kubernetes {
            return Ok(strip);
        }
        // Without it every node and client says that it is v0.0.0-master.
        let version = self.version()?;
        let mut numbers = version.trim_start_matches('v').split('.');
        let (major, minor) = (numbers.next().unwrap_or("0"), numbers.next().unwrap_or("0"));
        let set =
            |name: &str, value: &str| format!("-X k8s.io/component-base/version.{name}={value} ");
        Ok([
            strip,
            set("gitVersion", &version),
            set("gitMajor", major),
            set("gitMinor", minor),
        ]
        .concat())
    }
}

/// The Go module with the build list of a tool.
fn module_dir(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("go").join(name)
}

/// The version that a go.mod requires of `module`, in a block or in a line of its own.
fn required_version(go_mod: &str, module: &str) -> Option<String> {
    go_mod.lines().find_map(|line| {
        let line = line.trim();
        let mut words = line
            .strip_prefix("require ")
            .unwrap_or(line)
            .split_whitespace();
        let version = (words.next()? == module).then(|| words.next()).flatten()?;
        version.starts_with('v').then(|| version.to_owned())
    })
}

/// What stands for a version in a directory name: `1.36.3`, and of a commit without a release its
/// time, `20260212201848`.
fn key_of(version: &str) -> &str {
    let plain = version.trim_start_matches('v');
    let parts: Vec<_> = plain.split('-').collect();
    match parts[..] {
        ["0.0.0", time, _] => time,
        _ => plain,
    }
}

/// Builds the programs of `tools` that are not in the cache.
///
/// # Errors
/// When Go is missing or a build fails; the error quotes the compiler.
pub fn third_party(progress: &Progress, tools: &[Tool]) -> Result<ToolPaths> {
    for tool in tools {
        build(progress, *tool)?;
    }
    ToolPaths::expected()
}

fn build(progress: &Progress, tool: Tool) -> Result<()> {
    let recipe = tool.recipe();
    let dir = tool.dir()?;
    let is_missing = |(file, _): &&(&str, &str)| !dir.join(file).is_file();
    if !recipe.programs.iter().any(|program| is_missing(&program)) {
        return Ok(());
    }
    let what = messages::builds_tool(recipe.name, tool.version()?);
    let stage = progress.stage(recipe.name, &what);
    fs::create_dir_all(&dir).context(FileSnafu {
        action: "create",
        path: &dir,
    })?;
    let wait = Duration::from_secs(BUILD_LIMIT);
    let lock = dir.with_extension("lock");
    let _lock = lock::take(&lock, wait, || {
        progress.note(&messages::waits_for_build());
    })?;
    // Another run may have built them while this one waited.
    for (file, package) in recipe.programs.iter().filter(is_missing) {
        let part = dir.join(format!("{file}.part"));
        go_build(tool, &part)?
            .args([package])
            .ok_ticking(TICK, || stage.tick(&messages::still_builds(file)))?;
        let path = dir.join(file);
        fs::rename(&part, &path).context(FileSnafu {
            action: "create",
            path: &path,
        })?;
        stage.tick(&messages::built(file));
    }
    stage.done();
    Ok(())
}

fn go_build(tool: Tool, out: &Path) -> Result<Run> {
    let go = which("go").unwrap_or_else(|| "go".into());
    let ldflags = tool.ldflags()?;
    Ok(Run::inheriting(go)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=readonly")
        .env("GOWORK", "off")
        .dir(&module_dir(tool.recipe().list))
        .args([
            "build",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags",
            ldflags.trim_end(),
            "-o",
        ])
        .args([out])
        .limit(BUILD_LIMIT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("v1.36.3", "1.36.3")]
    #[case("v0.0.0-20260212201848-7aac2a2c5b7c", "20260212201848")]
    #[case("v2.0.0-rc.1", "2.0.0-rc.1")]
    fn version_keys(#[case] version: &str, #[case] key: &str) {
        assert_eq!(key_of(version), key);
    }

    #[test]
    fn every_tool_has_a_version_and_its_own_directory() {
        let all = || Tool::ALL.iter().chain(Tool::TESTS).chain(Tool::METRICS);
        let mut dirs: Vec<_> = all().map(|tool| tool.dir().unwrap()).collect();
        dirs.sort();
        dirs.dedup();
        assert_eq!(dirs.len(), all().count());
    }

    #[test]
    fn a_tool_with_sources_of_ours_is_built_anew_when_they_change() {
        let name = |tool: Tool| {
            let dir = tool.dir().unwrap();
            dir.file_name().unwrap().to_str().unwrap().to_owned()
        };
        let plain = |tool: Tool| {
            let recipe = tool.recipe();
            format!("{}-{}", recipe.name, key_of(&tool.version().unwrap()))
        };
        for tool in [Tool::Coredns, Tool::NetworkPolicies] {
            let (name, plain) = (name(tool), plain(tool));
            let hash = name.strip_prefix(&format!("{plain}-"));
            assert_eq!(hash.map(str::len), Some(12), "{name}");
        }
        // The control: of others the version says all.
        assert_eq!(name(Tool::Etcd), plain(Tool::Etcd));
    }

    #[test]
    fn versions_are_found_in_blocks_and_single_lines() {
        let single = "module x\n\nrequire a.b/c v1.2.3 // indirect\n";
        let block = "require (\n\ta.b/cd v9.9.9\n\ta.b/c v1.2.3\n)\nreplace a.b/c => a.b/d v2\n";
        for text in [single, block] {
            assert_eq!(required_version(text, "a.b/c").as_deref(), Some("v1.2.3"));
        }
        assert_eq!(required_version(single, "a.b"), None);
    }

    #[test]
    fn kubernetes_knows_its_version() {
        let version = Tool::Kubernetes.version().unwrap();
        let flags = Tool::Kubernetes.ldflags().unwrap();
        assert!(flags.contains(&format!("gitVersion={version} ")), "{flags}");
        assert!(
            flags.contains("gitMajor=1 ") && flags.starts_with("-s -w "),
            "{flags}"
        );
    }

    #[test]
    fn programs_are_found_by_name() {
        let paths = ToolPaths::expected().unwrap();
        assert_eq!(paths.path("helm"), paths.helm);
        assert_eq!(paths.path("other"), Path::new("other"));
    }
}
