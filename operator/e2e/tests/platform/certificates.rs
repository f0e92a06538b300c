//! TLS inside the platform: who shows which certificate, and what a renewal costs.
//!
//! A machine that runs the pods reaches them whatever the policies say; other clusters are skipped.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::{Api, Patch, PatchParams};
use lotoai_api::Component;
use lotoai_e2e::Platform;
use lotoai_plan::graph::{Port, ports};
use lotoai_plan::tls;
use reqwest::tls::TlsInfo;
use reqwest::{Certificate, Client};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use crate::support::{NAME, NAMESPACE, component, pods, ready, run, wait_for};

/// How long until every pod shows a renewed certificate: the kubelet looks once a minute, and the
/// slowest server after it once more.
const SHOWN_LIMIT: Duration = Duration::from_secs(300);

/// A port that speaks HTTP over TLS, of any version.
struct Server {
    component: Component,
    address: SocketAddr,
}

impl Server {
    /// The certificate that the server shows to a client that means `host`.
    async fn shown(&self, roots: &[Certificate], host: &str) -> reqwest::Result<Vec<u8>> {
        let client = Client::builder()
            .no_proxy()
            .resolve(host, self.address)
            .tls_certs_only(roots.iter().cloned())
            .tls_info(true)
            .timeout(Duration::from_secs(10))
            .build()?;
        // Whatever it answers, it answers over TLS.
        let url = format!("https://{host}:{}/", self.address.port());
        let response = client.get(url).send().await?;
        let info = response.extensions().get::<TlsInfo>().unwrap();
        Ok(info.peer_certificate().unwrap().to_vec())
    }

    fn name(&self) -> String {
        format!("{NAME}-{}", self.component)
    }
}

/// The pods that speak HTTP over TLS. Nothing, with the reason printed, where they are out of reach.
async fn servers(platform: &Platform) -> Option<Vec<Server>> {
    if std::env::var_os("LOTOAI_E2E_INSTANCE").is_none() {
        println!("SKIPPED: pods are reached directly on the package-built cluster only");
        return None;
    }
    let http = |port: &&Port| ["https", "grpc", "management", "s3"].contains(&port.name);
    let found = pods(platform).await.into_iter().filter_map(|pod| {
        let of: Component = component(&pod).parse().ok()?;
        let port = ports(of).iter().find(http)?;
        let address = pod.status?.pod_ip?.parse().ok()?;
        tls::serves(of).then(|| Server {
            component: of,
            address: SocketAddr::new(address, port.number),
        })
    });
    Some(found.collect())
}

async fn roots(platform: &Platform) -> Vec<Certificate> {
    let maps: Api<ConfigMap> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    let bundle = maps.get(&format!("{NAME}-ca")).await.unwrap();
    let text = bundle.data.unwrap()["ca.crt"].clone();
    Certificate::from_pem_bundle(text.as_bytes()).unwrap()
}

/// The certificate that a component should show.
async fn wanted(platform: &Platform, component: Component) -> Vec<u8> {
    let secrets: Api<Secret> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    let secret = secrets.get(&format!("{NAME}-{component}-tls")).await;
    let data = secret.unwrap().data.unwrap();
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
                let shown = server.shown(&roots, &host).await;
                let shown = shown.unwrap_or_else(|error| panic!("{host}: {error:?}"));
                assert_eq!(shown, wanted, "{host}");
            }
            // Nobody is led to it under another name, or takes it for well-known.
            let other = server.shown(&roots, "somebody-else").await;
            assert!(other.is_err(), "{name}");
            let unknown = server.shown(&[], &name).await;
            assert!(unknown.is_err(), "{name}");
            // There is no way in without TLS. Some servers say so in an answer.
            let plain = reqwest::Client::builder().no_proxy().build().unwrap();
            let answer = plain
                .get(format!("http://{}/", server.address))
                .send()
                .await;
            let refused = answer.is_ok_and(|answer| !answer.status().is_client_error());
            assert!(!refused, "{name} answers without TLS");
        }
    });
}

/// Name, identity and restarts of every pod that stays.
fn lives(pods: &[Pod]) -> Vec<(String, String, i32)> {
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

#[test]
fn renewed_certificates_are_shown_without_a_restart_or_a_failed_question() {
    run(|| async {
        let (platform, client) = ready().await;
        let Some(servers) = servers(&platform).await else {
            return;
        };
        let before = lives(&pods(&platform).await);
        let secrets: Api<Secret> = Api::namespaced(platform.kube.clone(), NAMESPACE);
        let mut old = Vec::new();
        for server in &servers {
            old.push(wanted(&platform, server.component).await);
        }
        // As if two thirds of their lives were over.
        let past = json!({ "metadata": { "annotations": { tls::life::NOT_AFTER: "2020-01-01T00:00:00Z" } } });
        for component in Component::ALL.into_iter().filter(|c| tls::serves(*c)) {
            let name = format!("{NAME}-{component}-tls");
            let params = PatchParams::default();
            secrets
                .patch(&name, &params, &Patch::Merge(&past))
                .await
                .unwrap();
        }
        let roots = roots(&platform).await;
        let done = AtomicBool::new(false);
        let asking = async {
            let mut asked = 0;
            while !done.load(Ordering::Relaxed) {
                client
                    .ask("probe", "What does LotoAI answer with?")
                    .await
                    .unwrap();
                asked += 1;
            }
            asked
        };
        let watching = async {
            for (server, old) in servers.iter().zip(&old) {
                let name = server.name();
                let what = format!("{name} to show its renewed certificate");
                wait_for(&what, SHOWN_LIMIT, async || {
                    let wanted = wanted(&platform, server.component).await;
                    let shown = server.shown(&roots, &name).await;
                    let shown = shown.map_err(|error| error.to_string())?;
                    match (&wanted != old, shown == wanted) {
                        (true, true) => Ok(()),
                        state => Err(format!("renewed, shown: {state:?}")),
                    }
                })
                .await;
            }
            done.store(true, Ordering::Relaxed);
        };
        let (asked, ()) = futures::join!(asking, watching);
        println!("{asked} questions answered while all certificates were renewed");
        assert!(asked > 0);
        assert_eq!(lives(&pods(&platform).await), before);
    });
}
