//! What the platform shows to nobody outside: a pod's own network. To enter it takes root on the
//! machine of the package-built cluster; other clusters are skipped.

use std::fs::File;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use lotoai_e2e::Platform;
use reqwest::{Certificate, Client, RequestBuilder};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{component, pods, process_of};

/// How long a server in there may take to answer.
const LIMIT: Duration = Duration::from_secs(20);
/// How long a connection may take that is let through. One that is not is refused, or hears nothing.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Whether pods' networks can be entered; the reason is printed where not.
pub(crate) fn is_within_reach() -> bool {
    let here = std::env::var_os("LOTOAI_E2E_INSTANCE").is_some();
    if !here {
        println!("SKIPPED: pods are reached directly on the package-built cluster only");
    }
    here
}

/// The network of a pod.
pub(crate) struct Inside {
    /// The address of the pod.
    pub(crate) address: IpAddr,
    process: u32,
}

/// What a server answered.
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) text: String,
    /// When the head of the answer was here.
    pub(crate) at: Instant,
}

impl Inside {
    /// The network of the component's only pod. Nothing, with the reason printed, where it is out of
    /// reach.
    pub(crate) async fn of(platform: &Platform, name: &str) -> Option<Self> {
        if !is_within_reach() {
            return None;
        }
        let pod = pods(platform)
            .await
            .into_iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .find(|pod| component(pod) == name)
            .unwrap_or_else(|| panic!("{name} has no pod"));
        Some(Self::of_pod(&pod))
    }

    /// The network of a pod that runs.
    pub(crate) fn of_pod(pod: &Pod) -> Self {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let address = pod.status.as_ref().and_then(|it| it.pod_ip.as_ref());
        let address = address.unwrap_or_else(|| panic!("{name} has no address"));
        let process = pod.metadata.uid.as_deref().and_then(process_of);
        Self {
            address: address.parse().unwrap(),
            process: process.unwrap_or_else(|| panic!("{name} has no process")),
        }
    }

    /// The file of its network namespace.
    pub(crate) fn namespace(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.process))
    }

    /// What `work` gives on a thread of its own, whose sockets are made in there.
    async fn within<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let thread = entered(self.namespace(), work);
        let ended = tokio::task::spawn_blocking(move || thread.join()).await;
        ended.unwrap().unwrap()
    }

    /// The same for work that waits. All of it happens on that thread.
    pub(crate) async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let work = move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(work)
        };
        self.within(work).await
    }

    /// What a server in there answers that listens on this port and shows a certificate of one of
    /// these authorities, PEM, for this host.
    pub(crate) async fn call(
        &self,
        (host, port): (&str, u16),
        authorities: &str,
        request: impl FnOnce(&Client) -> RequestBuilder + Send + 'static,
    ) -> Told {
        let authorities = Certificate::from_pem_bundle(authorities.as_bytes()).unwrap();
        let (host, address) = (host.to_owned(), SocketAddr::new(self.address, port));
        // In a box, because it comes as a part of whatever is awaited from here up.
        let call = Box::pin(async move {
            let http = Client::builder()
                .tls_certs_only(authorities)
                .resolve(&host, address)
                .no_proxy()
                .timeout(LIMIT)
                .build()
                .unwrap();
            let response = request(&http).send().await.unwrap();
            let at = Instant::now();
            Told {
                status: response.status().as_u16(),
                text: response.text().await.unwrap(),
                at,
            }
        });
        self.finish(call).await
    }

    /// Which of these addresses take a TCP connection from in there.
    pub(crate) async fn connects(&self, addresses: Vec<SocketAddr>) -> Vec<bool> {
        let attempts = addresses.into_iter().map(|address| async move {
            let attempt = timeout(CONNECT_LIMIT, TcpStream::connect(address));
            attempt.await.is_ok_and(|connected| connected.is_ok())
        });
        self.finish(join_all(attempts)).await
    }

    /// A port in there that listens until it is dropped.
    pub(crate) fn listen(&self) -> TcpListener {
        listen(self.namespace(), self.address)
    }
}

/// A port of an address in a network namespace that listens until it is dropped.
pub(crate) fn listen(namespace: PathBuf, address: IpAddr) -> TcpListener {
    let listening = entered(namespace, move || TcpListener::bind((address, 0)).unwrap());
    listening.join().unwrap()
}

/// Work on a thread whose sockets are made in a network namespace. It is none of a runtime's, which
/// would be in there for good.
fn entered<T: Send + 'static>(
    namespace: PathBuf,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    std::thread::spawn(move || {
        let namespace = File::open(namespace).unwrap();
        let kind = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(namespace.as_fd(), kind).unwrap();
        work()
    })
}
