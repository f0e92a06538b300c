//! The programs of a node and how each is started.

use std::path::{Path, PathBuf};

use super::config;
use crate::cgroup::Layout;
use crate::error::Result;
use crate::instance::{Instance, write_file};
use crate::pki::{self, METRICS_SERVER};
use crate::process::Daemon;
use crate::sandbox;
use crate::third_party::ToolPaths;

pub(crate) const ETCD: &str = "etcd";
pub(crate) const APISERVER: &str = "kube-apiserver";
pub(crate) const CONTROLLER_MANAGER: &str = "kube-controller-manager";
pub(crate) const SCHEDULER: &str = "kube-scheduler";
pub(crate) const CONTAINERD: &str = "containerd";
pub(crate) const KUBELET: &str = "kubelet";
pub(crate) const KUBE_PROXY: &str = "kube-proxy";
pub(crate) const NETWORK_POLICIES: &str = "network-policies";
pub(crate) const PROVISIONER: &str = "local-path-provisioner";
pub(crate) const FORWARDER: &str = "forward";
/// Where metrics-server serves, on the node.
pub(crate) const METRICS_PORT: u16 = 4443;

/// Those of every cluster, in the order in which they are started.
pub(crate) const ALL: [&str; 10] = [
    ETCD,
    CONTAINERD,
    APISERVER,
    CONTROLLER_MANAGER,
    SCHEDULER,
    KUBELET,
    KUBE_PROXY,
    NETWORK_POLICIES,
    PROVISIONER,
    FORWARDER,
];

/// Knows how to start each program of one instance.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) instance: &'a Instance,
    pub(crate) tools: &'a ToolPaths,
    pub(crate) snapshotter: config::Snapshotter,
    pub(crate) layout: Layout,
    /// The program that has `internal forward` as a subcommand: this one.
    pub(crate) own_program: PathBuf,
}

impl Plan<'_> {
    /// Writes the configuration of `name` and says how to start it.
    pub(crate) fn daemon(&self, name: &'static str) -> Result<Daemon> {
        let (command, config) = match name {
            ETCD => (self.etcd(), Vec::new()),
            CONTAINERD => self.containerd()?,
            APISERVER => (self.apiserver(), Vec::new()),
            CONTROLLER_MANAGER => (self.controller_manager(), Vec::new()),
            SCHEDULER => (self.scheduler(), Vec::new()),
            KUBELET => self.kubelet()?,
            KUBE_PROXY => self.kube_proxy()?,
            NETWORK_POLICIES => (self.network_policies(), Vec::new()),
            PROVISIONER => self.provisioner()?,
            METRICS_SERVER => (self.metrics_server(), Vec::new()),
            _ => (self.forwarder(), Vec::new()),
        };
        // The forwarder is the door between the host and the instance, so it stays outside.
        let prefix = if name == FORWARDER {
            Vec::new()
        } else {
            sandbox::enter(self.instance)?
        };
        Ok(Daemon {
            name,
            command,
            prefix,
            cgroups: self.instance.cgroups()?.entrances(),
            env: Vec::new(),
            config,
        })
    }

    fn pki(&self, file: &str) -> String {
        self.instance.pki_dir().join(file).display().to_string()
    }

    fn aggregation(&self, file: &str) -> String {
        self.pki(&format!("{}/{file}", pki::AGGREGATION))
    }

    fn state(&self, file: &str) -> PathBuf {
        self.instance.state_dir().join(file)
    }

    fn etcd(&self) -> Vec<String> {
        let (client, peer) = ("http://127.0.0.1:2379", "http://127.0.0.1:2380");
        let mut command = vec![
            text(&self.tools.etcd),
            format!("--data-dir={}", self.state("etcd").display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=default={peer}"),
            "--auto-compaction-retention=1h".to_owned(),
            "--log-level=warn".to_owned(),
        ];
        if self.instance.is_test() {
            // A test's data need not survive a power cut.
            command.push("--unsafe-no-fsync".to_owned());
        }
        command
    }

    fn apiserver(&self) -> Vec<String> {
        let network = self.instance.network();
        vec![
            text(&self.tools.kube_apiserver),
            "--etcd-servers=http://127.0.0.1:2379".to_owned(),
            format!("--service-cluster-ip-range={}", network.services),
            format!("--advertise-address={}", network.node),
            format!("--bind-address={}", network.node),
            "--secure-port=6443".to_owned(),
            format!("--tls-cert-file={}", self.pki("apiserver.crt")),
            format!("--tls-private-key-file={}", self.pki("apiserver.key")),
            format!("--client-ca-file={}", self.pki("ca.crt")),
            format!("--service-account-key-file={}", self.pki("sa.pub")),
            format!("--service-account-signing-key-file={}", self.pki("sa.key")),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--enable-admission-plugins=NodeRestriction".to_owned(),
            "--allow-privileged=true".to_owned(),
            format!(
                "--kubelet-client-certificate={}",
                self.pki("kubelet-client.crt")
            ),
            format!("--kubelet-client-key={}", self.pki("kubelet-client.key")),
            format!("--kubelet-certificate-authority={}", self.pki("ca.crt")),
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
            // How it passes requests on to other API servers, such as metrics-server.
            format!(
                "--proxy-client-cert-file={}",
                self.aggregation("client.crt")
            ),
            format!("--proxy-client-key-file={}", self.aggregation("client.key")),
            format!(
                "--requestheader-client-ca-file={}",
                self.aggregation("ca.crt")
            ),
            format!("--requestheader-allowed-names={}", pki::AGGREGATOR),
            "--requestheader-username-headers=X-Remote-User".to_owned(),
            "--requestheader-group-headers=X-Remote-Group".to_owned(),
            "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
            "--profiling=false".to_owned(),
        ]
    }

    fn controller_manager(&self) -> Vec<String> {
        let network = self.instance.network();
        let mut command = self.with_kubeconfig(
            &self.tools.kube_controller_manager,
            "controller-manager.conf",
        );
        command.extend([
            format!("--root-ca-file={}", self.pki("ca.crt")),
            format!("--service-account-private-key-file={}", self.pki("sa.key")),
            "--use-service-account-credentials=true".to_owned(),
            format!("--cluster-signing-cert-file={}", self.pki("ca.crt")),
            format!("--cluster-signing-key-file={}", self.pki("ca.key")),
            "--allocate-node-cidrs=true".to_owned(),
            format!("--cluster-cidr={}", network.pods),
            format!("--service-cluster-ip-range={}", network.services),
        ]);
        command
    }

    fn scheduler(&self) -> Vec<String> {
        self.with_kubeconfig(&self.tools.kube_scheduler, "scheduler.conf")
    }

    fn with_kubeconfig(&self, program: &Path, file: &str) -> Vec<String> {
        let config = self.pki(file);
        vec![
            text(program),
            format!("--kubeconfig={config}"),
            format!("--authentication-kubeconfig={config}"),
            format!("--authorization-kubeconfig={config}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--leader-elect=false".to_owned(),
            "--profiling=false".to_owned(),
        ]
    }

    fn containerd(&self) -> Result<(Vec<String>, Vec<String>)> {
        let main = config::containerd(self.instance, self.snapshotter);
        let network = config::cni(self.instance);
        let path = self.state("containerd.toml");
        write_file(&path, main.as_bytes())?;
        write_file(&self.state("cni/10-lotoai.conflist"), network.as_bytes())?;
        let command = vec![
            CONTAINERD.to_owned(),
            format!("--config={}", path.display()),
        ];
        Ok((command, vec![main, network]))
    }

    fn kubelet(&self) -> Result<(Vec<String>, Vec<String>)> {
        let main = config::kubelet(self.instance, &self.layout);
        let path = self.state("kubelet.json");
        write_file(&path, main.as_bytes())?;
        let resolvers = config::resolv_conf();
        write_file(&self.state("resolv.conf"), resolvers.as_bytes())?;
        let command = vec![
            text(&self.tools.kubelet),
            format!("--config={}", path.display()),
            format!("--kubeconfig={}", self.pki("kubelet.conf")),
            format!("--hostname-override={}", self.instance.node()),
            format!("--node-ip={}", self.instance.network().node),
            format!("--root-dir={}", self.state("kubelet").display()),
            format!("--cert-dir={}", self.state("kubelet/pki").display()),
        ];
        Ok((command, vec![main, resolvers]))
    }

    fn kube_proxy(&self) -> Result<(Vec<String>, Vec<String>)> {
        let main = config::kube_proxy(self.instance);
        let path = self.state("kube-proxy.json");
        write_file(&path, main.as_bytes())?;
        let command = vec![
            text(&self.tools.kube_proxy),
            format!("--config={}", path.display()),
        ];
        Ok((command, vec![main]))
    }

    fn network_policies(&self) -> Vec<String> {
        vec![
            text(&self.tools.network_policies),
            // As the user of kube-proxy: a kept cluster has no certificate for another one.
            format!("--kubeconfig={}", self.pki("proxy.conf")),
            format!("--node={}", self.instance.node()),
            format!("--services={}", self.instance.network().services),
        ]
    }

    fn provisioner(&self) -> Result<(Vec<String>, Vec<String>)> {
        let main = config::volumes(self.instance);
        let pod = config::helper_pod();
        let path = self.state("volumes.json");
        let pod_path = self.state("volume-helper.json");
        write_file(&path, main.as_bytes())?;
        write_file(&pod_path, pod.as_bytes())?;
        let command = vec![
            text(&self.tools.local_path_provisioner),
            "start".to_owned(),
            format!("--config={}", path.display()),
            format!("--kubeconfig={}", self.pki("local-path-provisioner.conf")),
            "--provisioner-name=rancher.io/local-path".to_owned(),
            "--namespace=local-path-storage".to_owned(),
            format!("--helper-image={}", config::BASE_IMAGE),
            format!("--helper-pod-file={}", pod_path.display()),
            "--configmap-name=local-path-config".to_owned(),
            "--service-account-name=volume-helper".to_owned(),
        ];
        Ok((command, vec![main, pod]))
    }

    fn metrics_server(&self) -> Vec<String> {
        let own = |file: &str| self.pki(&format!("{METRICS_SERVER}/{file}"));
        let config = own("metrics-server.conf");
        vec![
            text(&self.tools.metrics_server),
            // With its authority it checks the kubelet's certificate, too.
            format!("--kubeconfig={config}"),
            format!("--authentication-kubeconfig={config}"),
            format!("--authorization-kubeconfig={config}"),
            format!("--bind-address={}", self.instance.network().node),
            format!("--secure-port={METRICS_PORT}"),
            format!("--tls-cert-file={}", own("metrics-server.crt")),
            format!("--tls-private-key-file={}", own("metrics-server.key")),
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
            // As often as an autoscaler looks.
            "--metric-resolution=15s".to_owned(),
            "--profiling=false".to_owned(),
        ]
    }

    fn forwarder(&self) -> Vec<String> {
        let ports = self.instance.ports();
        vec![
            text(&self.own_program),
            "internal".to_owned(),
            "forward".to_owned(),
            format!("127.0.0.1:{}", ports.public_https),
            format!("{}:{}", self.instance.network().node, ports.https_node_port),
        ]
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
