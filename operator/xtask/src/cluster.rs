//! Which cluster the platform runs on, chosen once and printed.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use lotoai_local::{Instance, Progress};
use snafu::{OptionExt, ResultExt, ensure};

use crate::error::{Error, FileSnafu, RefusedSnafu, Result};
use crate::platform::Access;
use crate::shell::{capture, command, found};
use crate::{paths, text};

/// The kind cluster's name.
const KIND_NAME: &str = "lotoai";

/// Where the platform runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Whatever `kubectl` points at now.
    Current,
    /// A kind cluster; needs a Docker engine and an image registry.
    Kind,
    /// The package-built cluster of this machine.
    Local,
}

impl Target {
    /// The target that `LOTOAI_CLUSTER` names, or the one that can work on this machine.
    pub(crate) fn choose() -> Result<Self> {
        let asked = std::env::var("LOTOAI_CLUSTER").unwrap_or_default();
        match asked.as_str() {
            "" | "auto" if kind_can_work() => Ok(Self::Kind),
            "" | "auto" => Ok(Self::Local),
            name => Self::named(name).context(RefusedSnafu {
                message: text::unknown_cluster(name),
            }),
        }
    }

    /// The target that the last `make up` chose, unless `LOTOAI_CLUSTER` names another: a Docker
    /// engine that appeared since must not lead later commands to another cluster. Nor must a current
    /// context that is another one since: it is refused.
    pub(crate) fn of_last_up() -> Result<Self> {
        let is_asked = std::env::var_os("LOTOAI_CLUSTER").is_some_and(|asked| !asked.is_empty());
        let remembered = std::fs::read_to_string(memory()).unwrap_or_default();
        let (name, context) = remembered.split_once('\n').unwrap_or((&remembered, ""));
        let target = match Self::named(name.trim()) {
            Some(target) if !is_asked => target,
            _ => Self::choose()?,
        };
        if target == Self::Current && !context.is_empty() {
            let current = current_context()?;
            let message = text::other_context(context, &current);
            ensure!(current == context, RefusedSnafu { message });
        }
        Ok(target)
    }

    /// Remembers the choice for later commands.
    pub(crate) fn remember(self) -> Result<()> {
        let path = memory();
        let failed = || FileSnafu {
            action: "write",
            path: &path,
        };
        let context = match self {
            // Within a pod there is none, and then it cannot become another one.
            Self::Current => current_context().unwrap_or_default(),
            Self::Kind | Self::Local => String::new(),
        };
        std::fs::create_dir_all(paths::cache()).with_context(|_| failed())?;
        std::fs::write(&path, format!("{}\n{context}", self.name())).with_context(|_| failed())
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Kind => "kind",
            Self::Local => "local",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Current, Self::Kind, Self::Local]
            .into_iter()
            .find(|target| target.name() == name)
    }

    /// What the choice means, for people.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Current => text::cluster_current(),
            Self::Kind => text::cluster_kind(),
            Self::Local => text::cluster_local(),
        }
    }

    /// kubectl and Helm for this target, for commands that come after `make up`.
    pub(crate) fn access(self) -> Result<Access> {
        let tools = paths::cache().join("third-party");
        match self {
            Self::Current => Ok(Access {
                kubeconfig: None,
                kubectl: "kubectl".into(),
                helm: "helm".into(),
            }),
            Self::Kind => Ok(Access {
                kubeconfig: Some(kind_kubeconfig()?),
                kubectl: newest(&tools, "kubernetes-", "kubectl"),
                helm: newest(&tools, "helm-", "helm"),
            }),
            Self::Local => {
                let instance = main_instance()?;
                let kubeconfig = instance.kubeconfig();
                if !kubeconfig.exists() {
                    let message = text::no_cluster();
                    return RefusedSnafu { message }.fail();
                }
                Ok(Access {
                    kubeconfig: Some(kubeconfig),
                    kubectl: newest(&tools, "kubernetes-", "kubectl"),
                    helm: newest(&tools, "helm-", "helm"),
                })
            }
        }
    }
}

/// What `kubectl` points at now.
fn current_context() -> Result<String> {
    let context = capture(&mut command("kubectl", ["config", "current-context"]))?;
    Ok(context.trim().to_owned())
}

fn memory() -> PathBuf {
    paths::cache().join("cluster")
}

/// The instance that `make up` uses.
pub(crate) fn main_instance() -> Result<Instance> {
    Instance::new(lotoai_local::MAIN).map_err(|error| local("name the local cluster", error))
}

/// Wraps an error of the local cluster.
pub(crate) fn local(
    action: &'static str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    Error::Local {
        action,
        source: Box::new(source),
    }
}

/// A kubeconfig of the kind cluster alone: the current context may be another cluster's.
fn kind_kubeconfig() -> Result<PathBuf> {
    let text = capture(&mut command(
        "kind",
        ["get", "kubeconfig", "--name", KIND_NAME],
    ))?;
    let path = paths::cache().join("kind.kubeconfig");
    let write = || {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(&path)?.write_all(text.as_bytes())
    };
    write().context(FileSnafu {
        action: "write",
        path: &path,
    })?;
    Ok(path)
}

/// Creates the kind cluster if it is missing and loads image archives into it.
pub(crate) fn kind_up(archives: &[PathBuf]) -> Result<()> {
    let clusters = capture(&mut command("kind", ["get", "clusters"]))?;
    if !clusters.lines().any(|name| name == KIND_NAME) {
        let create = [
            "create",
            "cluster",
            "--name",
            KIND_NAME,
            "--config",
            "kind-config.yaml",
            "--wait",
            "120s",
        ];
        capture(&mut command("kind", create))?;
    }
    for archive in archives {
        let archive = archive.to_string_lossy();
        capture(&mut command(
            "kind",
            ["load", "image-archive", "--name", KIND_NAME, &archive],
        ))?;
    }
    Ok(())
}

/// Deletes the kind cluster.
pub(crate) fn kind_down() -> Result<()> {
    capture(&mut command(
        "kind",
        ["delete", "cluster", "--name", KIND_NAME],
    ))
    .map(drop)
}

/// Runs until it is told to stop; see [`lotoai_local::forward`].
pub(crate) fn forward(listen: SocketAddr, to: SocketAddr) -> Result<()> {
    lotoai_local::forward(listen, to).map_err(|error| local("forward a port", error))
}

/// Waits for the end of a test cluster's owner; see [`lotoai_local::watch`].
pub(crate) fn watch(name: &str) -> Result<()> {
    lotoai_local::watch(&Progress::new(), name)
        .map_err(|error| local("remove the test cluster", error))
}

/// kind can run only where its node image can be pulled: an engine and a registry must answer.
fn kind_can_work() -> bool {
    found("kind")
        && found("docker")
        && answers(&["info", "--format", "{{.ServerVersion}}"])
        && answers(&["manifest", "inspect", "docker.io/library/busybox:1.36"])
}

/// Whether docker answers soon: without a network it would wait for minutes.
fn answers(arguments: &[&str]) -> bool {
    let mut command = command("timeout", ["20", "docker"]);
    capture(command.args(arguments)).is_ok()
}

/// The newest `<directory>/<prefix><version>/<program>`, or the program by its bare name.
fn newest(directory: &std::path::Path, prefix: &str, program: &str) -> PathBuf {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return program.into();
    };
    let mut candidates: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
        })
        .map(|path| path.join(program))
        .filter(|path| path.is_file())
        .collect();
    candidates.sort();
    candidates.pop().unwrap_or_else(|| program.into())
}
