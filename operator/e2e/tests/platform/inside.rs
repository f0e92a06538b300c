//! What the platform shows to nobody outside: a pod's own network. To enter it takes root on the
//! machine of the package-built cluster; other clusters are skipped.

use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use lotoai_e2e::Platform;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::support::{component, pods, process_of};

/// The network of a component's pod.
pub(crate) struct Inside {
    /// The address of the pod.
    pub(crate) address: IpAddr,
    process: u32,
}

impl Inside {
    /// The network of the component's only pod. Nothing, with the reason printed, where it is out of
    /// reach.
    pub(crate) async fn of(platform: &Platform, name: &str) -> Option<Self> {
        if std::env::var_os("LOTOAI_E2E_INSTANCE").is_none() {
            println!("SKIPPED: pods are reached directly on the package-built cluster only");
            return None;
        }
        let pod = pods(platform)
            .await
            .into_iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .find(|pod| component(pod) == name)
            .unwrap_or_else(|| panic!("{name} has no pod"));
        Some(Self {
            address: pod.status.unwrap().pod_ip.unwrap().parse().unwrap(),
            process: process_of(&pod.metadata.uid.unwrap()).unwrap(),
        })
    }

    /// The file of its network namespace.
    pub(crate) fn namespace(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.process))
    }

    /// What `work` gives on a thread of its own, whose sockets are made in there.
    pub(crate) async fn within<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let namespace = self.namespace();
        let entered = move || {
            let namespace = File::open(namespace).unwrap();
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), kind).unwrap();
            work()
        };
        // Not a thread of the runtime's, which would be in there for good.
        let thread = std::thread::spawn(entered);
        let ended = tokio::task::spawn_blocking(move || thread.join()).await;
        ended.unwrap().unwrap()
    }
}
