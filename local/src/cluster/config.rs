//! The configuration files of the node's programs, as text.

use std::path::Path;

use serde_json::{Value, json};

use crate::cgroup::Layout;
use crate::instance::Instance;

/// The image that holds a pod's namespaces.
pub(crate) const PAUSE_IMAGE: &str = "localhost/lotoai/pause:local";
/// The image of the cluster's DNS.
pub(crate) const COREDNS_IMAGE: &str = "localhost/lotoai/coredns:local";
/// The image with a shell in which directories of volumes are made and removed.
pub(crate) const BASE_IMAGE: &str = "localhost/lotoai/base:local";

/// How container file systems are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Snapshotter {
    /// Layers are stacked by the kernel.
    Overlay,
    /// Layers are copied: slow and large, but works everywhere.
    Native,
}

impl Snapshotter {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Overlay => "overlayfs",
            Self::Native => "native",
        }
    }
}

/// `containerd.toml`. Everything that has a default place outside the instance is moved inside.
pub(crate) fn containerd(instance: &Instance, snapshotter: Snapshotter) -> String {
    let state = instance.state_dir().display().to_string();
    let run = instance.run_dir().display().to_string();
    format!(
        r#"version = 2
root = "{state}/containerd"
state = "{run}/containerd"
temp = "{state}/containerd-temp"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "{run}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{state}/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # Without CAP_SYS_RESOURCE, as inside a container, every pod fails otherwise, and runc says no
  # more than "can't get final child's PID from pipe: EOF".
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{state}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    # The packed layers are not needed once they are unpacked, and nothing is pushed from here.
    discard_unpacked_layers = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"#,
        snapshotter = snapshotter.name(),
    )
}

/// The network of pods: a bridge in the instance's network namespace.
pub(crate) fn cni(instance: &Instance) -> String {
    let network = instance.network();
    let config = json!({
        "cniVersion": "0.4.0",
        "name": "lotoai",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "pods",
                "isGateway": true,
                "ipMasq": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": instance.run_dir().join("addresses"),
                    "ranges": [[{ "subnet": network.node_pods.to_string() }]],
                    "routes": [{ "dst": "0.0.0.0/0" }],
                },
            },
            { "type": "portmap", "capabilities": { "portMappings": true } },
        ],
    });
    format!("{config:#}\n")
}

/// The kubelet's configuration.
pub(crate) fn kubelet(instance: &Instance, layout: &Layout) -> String {
    let state = instance.state_dir();
    let pki = instance.pki_dir();
    let mut config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": pki.join("ca.crt") },
        },
        "authorization": { "mode": "Webhook" },
        "containerRuntimeEndpoint":
            format!("unix://{}", instance.containerd_socket().display()),
        "cgroupDriver": "cgroupfs",
        // Two kubelets on one machine would delete each other's pods in a common group.
        "cgroupRoot": format!("/{}", instance.handle()),
        "enforceNodeAllocatable": [],
        "failSwapOn": false,
        // The machine's kernel settings stay as they are: see the mounts of the sandbox.
        "protectKernelDefaults": true,
        "clusterDNS": [instance.network().dns_service],
        "clusterDomain": "cluster.local",
        "resolvConf": state.join("resolv.conf"),
        "readOnlyPort": 0,
        "tlsCertFile": pki.join("kubelet.crt"),
        "tlsPrivateKeyFile": pki.join("kubelet.key"),
        // How often a pod's mounted Secrets are brought up to date: once a minute unless told, which
        // is long to wait for a renewed certificate on one's own machine.
        "syncFrequency": "10s",
        "volumePluginDir": state.join("volume-plugins"),
        "podLogsDir": state.join("pod-logs"),
        "maxPods": 110,
        "podPidsLimit": 8192,
        // Images come from archives: what is deleted cannot be pulled again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "200Mi",
            "nodefs.available": "1Gi",
            "imagefs.available": "1Gi",
        },
        "shutdownGracePeriod": "0s",
        "containerLogMaxSize": "20Mi",
    });
    if matches!(layout, Layout::V1 { .. }) {
        // v1 is refused by default since 1.35.
        config["failCgroupV1"] = Value::Bool(false);
    }
    format!("{config:#}\n")
}

/// kube-proxy's configuration.
pub(crate) fn kube_proxy(instance: &Instance) -> String {
    let config = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": instance.network().pods.to_string(),
        "hostnameOverride": instance.node(),
        "clientConnection": { "kubeconfig": instance.pki_dir().join("proxy.conf") },
        "nodePortAddresses": ["primary"],
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        // Limits of the whole machine, which cannot be set from a network namespace.
        "conntrack": { "maxPerCore": 0, "min": 0 },
        "iptables": { "localhostNodePorts": false, "minSyncPeriod": "100ms" },
    });
    format!("{config:#}\n")
}

/// Where the volume provisioner makes directories.
pub(crate) fn volumes(instance: &Instance) -> String {
    let config = json!({
        "nodePathMap": [{
            "node": "DEFAULT_PATH_FOR_NON_LISTED_NODES",
            "paths": [instance.state_dir().join("volumes")],
        }],
    });
    format!("{config:#}\n")
}

/// The pod that makes and removes directories of volumes.
pub(crate) fn helper_pod() -> String {
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "helper-pod" },
        "spec": {
            "priorityClassName": "system-node-critical",
            "automountServiceAccountToken": false,
            "tolerations": [
                { "key": "node.kubernetes.io/disk-pressure", "operator": "Exists" },
            ],
            "containers": [{
                "name": "helper-pod",
                "image": BASE_IMAGE,
                "imagePullPolicy": "Never",
                "resources": { "limits": { "memory": "64Mi" } },
                // The directories belong to whoever wrote in them.
                "securityContext": { "runAsUser": 0, "runAsNonRoot": false },
            }],
        },
    });
    format!("{pod:#}\n")
}

/// The host's name servers that a pod can reach, as `resolv.conf`. Those on a loopback address,
/// as systemd-resolved has one, are not.
pub(crate) fn resolv_conf() -> String {
    let candidates = ["/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"];
    let texts = candidates
        .iter()
        .filter_map(|path| std::fs::read_to_string(Path::new(path)).ok());
    texts
        .map(|text| reachable_servers(&text))
        .find(|text| !text.is_empty())
        .unwrap_or_default()
}

fn reachable_servers(resolv_conf: &str) -> String {
    let servers = resolv_conf
        .lines()
        .filter_map(|line| line.strip_prefix("nameserver"));
    servers
        .filter_map(|server| server.trim().parse::<std::net::Ipv4Addr>().ok())
        .filter(|address| !address.is_loopback())
        .map(|address| format!("nameserver {address}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::MAIN;

    fn parse(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_kubelet_follows_the_cgroup_version() {
        let main = Instance::new(MAIN).unwrap();
        let hierarchies = Vec::new();
        let v1 = parse(&kubelet(&main, &Layout::V1 { hierarchies }));
        let v2 = parse(&kubelet(
            &main,
            &Layout::V2 {
                root: "/sys/fs/cgroup".into(),
            },
        ));
        assert_eq!(v1["failCgroupV1"], false);
        assert_eq!(v2.get("failCgroupV1"), None);
        assert_eq!(v1["cgroupRoot"], "/lotoai-main");
        assert_eq!(v1["clusterDNS"][0], "198.18.16.10");
        assert_eq!(v1["readOnlyPort"], 0);
    }

    #[test]
    fn everything_of_containerd_is_inside_the_instance() {
        let main = Instance::new(MAIN).unwrap();
        let text = containerd(&main, Snapshotter::Native);
        assert!(text.contains("snapshotter = \"native\""));
        assert!(text.contains("restrict_oom_score_adj = true"));
        for key in ["root", "state", "temp", "  address", "  path"] {
            let line = text
                .lines()
                .find(|line| line.starts_with(&format!("{key} = ")))
                .unwrap();
            assert!(line.contains("lotoai"), "{line}");
        }
    }

    #[test]
    fn pods_get_addresses_of_the_instance() {
        let network = parse(&cni(&Instance::new(MAIN).unwrap()));
        let subnet = &network["plugins"][0]["ipam"]["ranges"][0][0]["subnet"];
        assert_eq!(subnet, "198.18.0.0/24");
        let proxy = parse(&kube_proxy(&Instance::new(MAIN).unwrap()));
        assert_eq!(proxy["clusterCIDR"], "198.18.0.0/20");
    }

    #[test]
    fn loopback_name_servers_are_left_out() {
        let text = "search x\nnameserver 127.0.0.53\nnameserver 192.0.2.53\nnameserver ::1\n";
        assert_eq!(reachable_servers(text), "nameserver 192.0.2.53\n");
        assert_eq!(reachable_servers("nameserver 127.0.0.1\n"), "");
    }
}
