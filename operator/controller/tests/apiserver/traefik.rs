//! A real Traefik on loopback, with the configuration that the operator writes for a resource, in
//! front of an upstream that the test plays.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::planned::planned;
use crate::server::{Guarded, free_port, third_party};
use crate::upstream::{Authority, Upstream};
use crate::world::{DEADLINE, wait_for};

/// The host of the public URL.
pub(crate) const HOST: &str = "ai.example.com";
/// Another host that leads here as well.
pub(crate) const OTHER: &str = "other.example.com";
/// The program that the local image holds, with its version.
const PIN: &str = include_str!("../../../../local/images/traefik/requirements.txt");

/// What differs from a platform of nothing but a URL.
#[derive(Default)]
pub(crate) struct Setup {
    /// The resource's `spec.edge`.
    pub(crate) edge: Value,
    /// Done to the routes, services and middlewares that the operator writes.
    pub(crate) alter: Option<fn(&mut Value)>,
    /// The name in the certificate of the gateway; the right one when not set.
    pub(crate) gateway_is: Option<&'static str>,
}

/// Where it listens.
struct Ports {
    plain: u16,
    secure: u16,
    probe: u16,
    internal: u16,
}

/// The running proxy. It ends when it is dropped.
pub(crate) struct Traefik {
    ports: Ports,
    client: reqwest::Client,
    process: Guarded,
    log: PathBuf,
    pub(crate) gateway: Upstream,
    pub(crate) keycloak: Upstream,
}

impl Traefik {
    /// Starts with a resource's `spec.edge`; `None`, with the reason printed, when the program is
    /// not on this machine.
    pub(crate) async fn with(edge: Value) -> Option<Self> {
        Self::start(Setup {
            edge,
            ..Setup::default()
        })
        .await
    }

    /// Starts and waits until it is ready; `None`, with the reason printed, when the program is not
    /// on this machine.
    pub(crate) async fn start(setup: Setup) -> Option<Self> {
        let program = program();
        if !program.is_file() {
            eprintln!(
                "SKIPPED: {} is not there; `make test` gets it",
                program.display()
            );
            return None;
        }
        let directory = TempDir::with_prefix("lotoai-traefik-").unwrap().keep();
        let authority = Authority::new();
        let gateway_is = setup.gateway_is.unwrap_or("demo-gateway");
        let gateway = Upstream::start("gateway", &authority.issue(&[gateway_is])).await;
        let keycloak = Upstream::start("keycloak", &authority.issue(&["demo-keycloak"])).await;
        let public = authority.issue(&[HOST, OTHER]);
        std::fs::write(directory.join("ca.crt"), authority.pem()).unwrap();
        std::fs::write(directory.join("tls.crt"), &public.pem).unwrap();
        std::fs::write(directory.join("tls.key"), &public.key_pem).unwrap();

        let ports = Ports {
            plain: free_port(),
            secure: free_port(),
            probe: free_port(),
            internal: free_port(),
        };
        let (fixed, dynamic) = configuration(setup.edge);
        let fixed = moved(&fixed, &places(&directory, &ports));
        std::fs::write(directory.join("traefik.yaml"), &fixed).unwrap();
        let upstreams = [
            ("demo-gateway:8080".to_owned(), local(gateway.port)),
            ("demo-keycloak:8443".to_owned(), local(keycloak.port)),
        ];
        let dynamic = moved(&moved(&dynamic, &places(&directory, &ports)), &upstreams);
        let mut dynamic: Value = serde_yaml_ng::from_str(&dynamic).unwrap();
        if let Some(alter) = setup.alter {
            alter(&mut dynamic);
        }
        let dynamic = serde_yaml_ng::to_string(&dynamic).unwrap();
        std::fs::write(directory.join("dynamic.yaml"), dynamic).unwrap();

        let log = directory.join("traefik.log");
        let file = directory.join("traefik.yaml");
        let process = Guarded::spawn(
            Command::new(program).arg(format!("--configFile={}", file.display())),
            &log,
            &directory,
        );
        let traefik = Self {
            ports,
            client: client(&authority),
            process,
            log,
            gateway,
            keycloak,
        };
        traefik.ready().await;
        Some(traefik)
    }

    async fn ready(&self) {
        let url = format!("http://{}/ping", local(self.ports.internal));
        wait_for("Traefik is ready", DEADLINE, async || {
            assert!(!self.process.has_ended(), "{}", self.process.log_tail());
            let answer = self.client.get(&url).send().await;
            answer.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
    }

    /// A request to the public HTTPS port.
    pub(crate) fn secure(&self, method: Method, path: &str) -> RequestBuilder {
        self.secure_at(HOST, method, path)
    }

    /// A request to the public HTTPS port by the name of `host`.
    pub(crate) fn secure_at(&self, host: &str, method: Method, path: &str) -> RequestBuilder {
        let url = format!("https://{host}:{}{path}", self.ports.secure);
        self.client.request(method, url)
    }

    /// `GET` from the public HTTPS port.
    pub(crate) async fn get(&self, path: &str) -> Response {
        self.secure(Method::GET, path).send().await.unwrap()
    }

    /// A request to the public HTTP port.
    pub(crate) async fn plain(&self, method: Method, path: &str) -> Response {
        let url = format!("http://{HOST}:{}{path}", self.ports.plain);
        self.client.request(method, url).send().await.unwrap()
    }

    /// `GET` from the port that only the operator reaches.
    pub(crate) async fn probe(&self, path: &str) -> Response {
        let url = format!("https://{HOST}:{}{path}", self.ports.probe);
        self.client.get(url).send().await.unwrap()
    }

    /// All that it has written so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

fn program() -> PathBuf {
    let (_, rest) = PIN.split_once("==").unwrap();
    let version = rest.split_whitespace().next().unwrap();
    third_party().join(format!("traefik-{version}/bin/traefik"))
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// What stands in the operator's files, and what it is here.
fn places(directory: &Path, ports: &Ports) -> [(String, String); 7] {
    let here = format!("{}/", directory.display());
    let port = |theirs: &str, ours: u16| (format!("address: :{theirs}\n"), ours);
    let listens = [
        port("8000", ports.plain),
        port("8443", ports.secure),
        port("8444", ports.probe),
        port("9100", ports.internal),
    ]
    .map(|(theirs, ours)| (theirs, format!("address: {}\n", local(ours))));
    let [plain, secure, probe, internal] = listens;
    [
        plain,
        secure,
        probe,
        internal,
        ("/etc/traefik/".to_owned(), here.clone()),
        ("/etc/traefik-tls/".to_owned(), here.clone()),
        (lotoai_plan::tls::bundle_file(), format!("{here}ca.crt")),
    ]
}

fn moved(text: &str, places: &[(String, String)]) -> String {
    let places = places.iter();
    places.fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// The files `traefik.yaml` and `dynamic.yaml`.
fn configuration(edge: Value) -> (String, String) {
    let mut spec = json!({ "url": format!("https://{HOST}") });
    if !edge.is_null() {
        spec["edge"] = edge;
    }
    let mut maps = planned(&spec).config_maps.into_iter();
    let map = maps.find(|map| map.metadata.name.as_deref() == Some("demo-traefik"));
    let mut files = map.unwrap().data.unwrap();
    let mut file = |name: &str| files.remove(name).unwrap();
    (file("traefik.yaml"), file("dynamic.yaml"))
}

/// A client that trusts the test's authority, finds both hosts here and follows nobody.
fn client(authority: &Authority) -> reqwest::Client {
    let authority = reqwest::Certificate::from_der(authority.der()).unwrap();
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    reqwest::Client::builder()
        .tls_certs_only([authority])
        .resolve(HOST, here)
        .resolve(OTHER, here)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(DEADLINE)
        .build()
        .unwrap()
}
