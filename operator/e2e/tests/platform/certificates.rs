//! TLS inside the platform: who shows which certificate, and what a renewal costs.
//!
//! A server is spoken to from inside its own pod's network namespace, which takes root on the
//! machine of the package-built cluster; other clusters are skipped.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::{Api, Patch, PatchParams};
use lotoai_api::Component;
use lotoai_e2e::Platform;
use lotoai_plan::graph::{Port, ports};
use lotoai_plan::tls;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use serde_json::json;

use crate::support::{
    NAME, NAMESPACE, answered_during, component, pods, process_of, ready, run, wait_for,
};

/// How long until every pod shows a renewed certificate: the kubelet looks once a minute, and the
/// slowest server after it once more.
const SHOWN_LIMIT: Duration = Duration::from_secs(300);
/// How long a server may take for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A port that begins with a TLS handshake.
pub(crate) struct Server {
    component: Component,
    address: SocketAddr,
    /// A process of the pod.
    process: u32,
}

impl Server {
    /// The certificate that the server shows to a client that means `host`.
    fn shown(&self, roots: &RootCertStore, host: &str) -> io::Result<Vec<u8>> {
        shown_on(self.connect()?, roots, host)
    }

    /// Whether the server does what it is asked in clear text. Some say in an answer that they do
    /// not.
    fn answers_without_tls(&self) -> bool {
        let asked = self.connect().and_then(|mut stream| {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            let mut start = [0; 10];
            stream.read_exact(&mut start).map(|()| start)
        });
        asked.is_ok_and(|start| start.starts_with(b"HTTP/1.") && start[9] != b'4')
    }

    /// Only this thread's sockets are made in the namespace, so it is one of its own.
    fn connect(&self) -> io::Result<TcpStream> {
        let (address, process) = (self.address, self.process);
        let connecting = thread::spawn(move || {
            let namespace = File::open(format!("/proc/{process}/ns/net"))?;
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            TcpStream::connect_timeout(&address, ANSWER_LIMIT)
        });
        let stream = connecting.join().unwrap()?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        Ok(stream)
    }

    pub(crate) fn name(&self) -> String {
        format!("{NAME}-{}", self.component)
    }
}

/// The certificate that whoever is at the other end shows to a client that means `host`.
fn shown_on(mut stream: TcpStream, roots: &RootCertStore, host: &str) -> io::Result<Vec<u8>> {
    let config = ClientConfig::builder()
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    let host = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let mut connection = ClientConnection::new(Arc::new(config), host).map_err(io::Error::other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(connection.peer_certificates().unwrap()[0].to_vec())
}

/// Every port that begins with TLS; PostgreSQL's begins in clear text and changes over. Nothing,
/// with the reason printed, where they are out of reach.
pub(crate) async fn servers(platform: &Platform) -> Option<Vec<Server>> {
    if std::env::var_os("LOTOAI_E2E_INSTANCE").is_none() {
        println!("SKIPPED: pods are reached directly on the package-built cluster only");
        return None;
    }
    let mut found = Vec::new();
    for pod in pods(platform).await {
        let Ok(of) = component(&pod).parse::<Component>() else {
            continue;
        };
        if !tls::serves(of) || of == Component::Postgres {
            continue;
        }
        let begins_with_tls =
            |port: &&Port| ["https", "grpc", "amqps", "management", "s3"].contains(&port.name);
        let address = pod.status.unwrap().pod_ip.unwrap().parse().unwrap();
        let process = process_of(&pod.metadata.uid.unwrap()).unwrap();
        found.extend(ports(of).iter().filter(begins_with_tls).map(|port| Server {
            component: of,
            address: SocketAddr::new(address, port.number),
            process,
        }));
    }
    Some(found)
}

async fn roots(platform: &Platform) -> RootCertStore {
    let maps: Api<ConfigMap> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    let bundle = maps.get(&format!("{NAME}-ca")).await.unwrap();
    let text = bundle.data.unwrap()["ca.crt"].clone();
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(text.as_bytes()) {
        roots.add(authority.unwrap()).unwrap();
    }
    roots
}

/// The certificate that a component should show.
async fn wanted(platform: &Platform, component: Component) -> Vec<u8> {
    held(platform, &format!("{NAME}-{component}-tls")).await
}

/// The certificate that a Secret holds.
async fn held(platform: &Platform, name: &str) -> Vec<u8> {
    let secrets: Api<Secret> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    let data = secrets.get(name).await.unwrap().data.unwrap();
    let certificate = CertificateDer::from_pem_slice(&data["tls.crt"].0).unwrap();
    certificate.as_ref().to_vec()
}

#[test]
fn every_server_shows_a_certificate_for_its_name_and_no_other() {
    run(|| async {
        let (platform, _) = ready().await;
        let Some(servers) = servers(&platform).await else {
            return;
        };
        let roots = roots(&platform).await;
        assert!(servers.len() >= 10, "{}", servers.len());
        for server in &servers {
            let name = server.name();
            let wanted = wanted(&platform, server.component).await;
            for host in [name.clone(), format!("{name}.{NAMESPACE}.svc")] {
                let shown = server.shown(&roots, &host);
                let shown = shown.unwrap_or_else(|error| panic!("{host}: {error:?}"));
                assert_eq!(shown, wanted, "{host}");
            }
            // Nobody is led to it under another name, or takes it for one that he knows.
            let other = server.shown(&roots, "somebody-else");
            assert!(other.is_err(), "{name}");
            let unknown = server.shown(&RootCertStore::empty(), &name);
            assert!(unknown.is_err(), "{name}");
            assert!(!server.answers_without_tls(), "{name} answers without TLS");
        }
    });
}

/// A time at which the life of a certificate is over.
const PAST: &str = "2020-01-01T00:00:00Z";

/// Lets another time stand on a Secret, as if so much of a life had passed.
pub(crate) async fn say(platform: &Platform, secret: &str, annotation: &str, time: &str) {
    let secrets: Api<Secret> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    let patch = json!({ "metadata": { "annotations": { annotation: time } } });
    let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
    secrets.patch(secret, &params, &patch).await.unwrap();
}

/// Name, identity and restarts of every pod that stays.
pub(crate) fn lives(pods: &[Pod]) -> Vec<(String, String, i32)> {
    let live = pods
        .iter()
        .filter(|pod| component(pod).parse::<Component>().is_ok());
    let mut all: Vec<_> = live
        .map(|pod| {
            let statuses = pod.status.as_ref().unwrap().container_statuses.as_ref();
            let restarts = statuses.into_iter().flatten().map(|c| c.restart_count);
            (
                component(pod),
                pod.metadata.uid.clone().unwrap(),
                restarts.sum(),
            )
        })
        .collect();
    all.sort();
    all
}

/// Has the certificates of these servers made anew, and waits until each shows its own.
pub(crate) async fn renew(platform: &Platform, servers: &[Server]) {
    let mut old = Vec::new();
    for server in servers {
        old.push(wanted(platform, server.component).await);
    }
    // Two ports may show the same one.
    let names: BTreeSet<String> = servers.iter().map(Server::name).collect();
    for name in names {
        say(platform, &format!("{name}-tls"), tls::life::NOT_AFTER, PAST).await;
    }
    let roots = roots(platform).await;
    for (server, old) in servers.iter().zip(&old) {
        let name = server.name();
        let what = format!("{name} to show its renewed certificate");
        wait_for(&what, SHOWN_LIMIT, async || {
            let wanted = wanted(platform, server.component).await;
            let shown = server.shown(&roots, &name);
            let shown = shown.map_err(|error| error.to_string())?;
            match (&wanted != old, shown == wanted) {
                (true, true) => Ok(()),
                state => Err(format!("renewed, shown: {state:?}")),
            }
        })
        .await;
    }
}

#[test]
fn renewed_certificates_are_shown_without_a_restart_or_a_failed_question() {
    run(|| async {
        let (platform, client) = ready().await;
        let Some(servers) = servers(&platform).await else {
            return;
        };
        let before = lives(&pods(&platform).await);
        let asked = answered_during(&client, renew(&platform, &servers)).await;
        println!("{asked} questions answered while all certificates were renewed");
        assert_eq!(lives(&pods(&platform).await), before);
    });
}

#[test]
fn a_renewed_public_certificate_is_shown_without_a_failed_question() {
    run(|| async {
        let (platform, client) = ready().await;
        let url = client.url().strip_prefix("https://").unwrap();
        let (host, port) = url.split_once(':').unwrap_or((url, "443"));
        if !host.ends_with(".localhost") {
            println!("SKIPPED: the public address is reached on the package-built cluster only");
            return;
        }
        let door = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
        let public = format!("{NAME}-tls");
        let others = async || {
            let mut lives = lives(&pods(&platform).await);
            lives.retain(|(component, ..)| component != Component::Traefik.name());
            lives
        };
        let (roots, old, before) = (
            roots(&platform).await,
            held(&platform, &public).await,
            others().await,
        );
        say(&platform, &public, tls::life::NOT_AFTER, PAST).await;
        let shown = wait_for("the renewed public certificate", SHOWN_LIMIT, async || {
            let stream = TcpStream::connect_timeout(&door, ANSWER_LIMIT);
            let shown = stream.and_then(|stream| {
                stream.set_read_timeout(Some(ANSWER_LIMIT))?;
                shown_on(stream, &roots, host)
            });
            let shown = shown.map_err(|error| error.to_string())?;
            match (held(&platform, &public).await != old, shown != old) {
                (true, true) => Ok(()),
                state => Err(format!("renewed, shown: {state:?}")),
            }
        });
        let gone = wait_for("the old proxy to be gone", SHOWN_LIMIT, async || {
            let all = pods(&platform).await;
            let proxies = all
                .iter()
                .filter(|pod| component(pod) == Component::Traefik.name());
            match proxies.count() {
                1 => Ok(()),
                count => Err(format!("{count} pods")),
            }
        });
        let work = async {
            shown.await;
            gone.await;
        };
        let asked = Box::pin(answered_during(&client, work)).await;
        println!("{asked} questions answered while the public certificate was renewed");
        assert_eq!(others().await, before);
    });
}
