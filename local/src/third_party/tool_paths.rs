//! Where the built programs are.

use std::path::PathBuf;

use snafu::ensure;

use super::Tool;
use crate::error::{NotBuiltSnafu, Result};

/// Where every program is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolPaths {
    /// The API server.
    pub kube_apiserver: PathBuf,
    /// The controllers.
    pub kube_controller_manager: PathBuf,
    /// The scheduler.
    pub kube_scheduler: PathBuf,
    /// The Services' address translation.
    pub kube_proxy: PathBuf,
    /// The node's agent.
    pub kubelet: PathBuf,
    /// The command line.
    pub kubectl: PathBuf,
    /// The store.
    pub etcd: PathBuf,
    /// The volume provisioner.
    pub local_path_provisioner: PathBuf,
    /// The enforcer of network policies.
    pub network_policies: PathBuf,
    /// The DNS server, for its image.
    pub coredns: PathBuf,
    /// Object storage, for its image. It exists when [`Tool::Minio`] was asked for.
    pub minio: PathBuf,
    /// Helm. It exists when [`Tool::Helm`] was asked for.
    pub helm: PathBuf,
    /// Helm 3. It exists when [`Tool::Helm3`] was asked for.
    pub helm3: PathBuf,
    /// Helm 3.14. It exists when [`Tool::Helm314`] was asked for.
    pub helm314: PathBuf,
    /// What measures pods. It exists when [`Tool::MetricsServer`] was asked for.
    pub metrics_server: PathBuf,
}

impl ToolPaths {
    /// Where they are once they are built.
    pub(super) fn expected() -> Result<Self> {
        let kubernetes = Tool::Kubernetes.dir()?;
        Ok(Self {
            kube_apiserver: kubernetes.join("kube-apiserver"),
            kube_controller_manager: kubernetes.join("kube-controller-manager"),
            kube_scheduler: kubernetes.join("kube-scheduler"),
            kube_proxy: kubernetes.join("kube-proxy"),
            kubelet: kubernetes.join("kubelet"),
            kubectl: kubernetes.join("kubectl"),
            etcd: Tool::Etcd.dir()?.join("etcd"),
            local_path_provisioner: Tool::LocalPathProvisioner
                .dir()?
                .join("local-path-provisioner"),
            network_policies: Tool::NetworkPolicies.dir()?.join("network-policies"),
            coredns: Tool::Coredns.dir()?.join("coredns"),
            minio: Tool::Minio.dir()?.join("minio"),
            helm: Tool::Helm.dir()?.join("helm"),
            helm3: Tool::Helm3.dir()?.join("helm"),
            helm314: Tool::Helm314.dir()?.join("helm"),
            metrics_server: Tool::MetricsServer.dir()?.join("metrics-server"),
        })
    }

    /// The programs as built earlier, without building any.
    ///
    /// # Errors
    /// When a program of the cluster is missing.
    pub fn built() -> Result<Self> {
        let paths = Self::expected()?;
        for path in paths.of_cluster() {
            ensure!(path.is_file(), NotBuiltSnafu { path });
        }
        Ok(paths)
    }

    /// The program `name`, such as `kubectl` or `helm`; the name itself when it is none of ours,
    /// to be looked for on the path.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        let all = self
            .of_cluster()
            .into_iter()
            .chain([&self.coredns, &self.minio, &self.helm]);
        let mut named = all.filter(|path| path.file_name().is_some_and(|file| file == name));
        named.next().cloned().unwrap_or_else(|| name.into())
    }

    fn of_cluster(&self) -> [&PathBuf; 9] {
        [
            &self.kube_apiserver,
            &self.kube_controller_manager,
            &self.kube_scheduler,
            &self.kube_proxy,
            &self.kubelet,
            &self.kubectl,
            &self.etcd,
            &self.local_path_provisioner,
            &self.network_policies,
        ]
    }
}
