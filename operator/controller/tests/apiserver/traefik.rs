//! A real Traefik on loopback, with the configuration that the operator writes for a resource, in
//! front of an upstream that the test plays.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

use lotoai_testing::Authority;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::planned::planned;
use crate::server::Guarded;
use crate::upstream::Upstream;
use crate::world::{DEADLINE, wait_for};

/// The host of the public URL.
pub(crate) const HOST: &str = "ai.example.com";
/// Another host that leads here as well.
pub(crate) const OTHER: &str = "other.example.com";

/// What differs from a platform of nothing but a URL.
#[derive(Default)]
pub(crate) struct Setup {
    /// The resource's `spec.edge`.
    pub(crate) edge: Value,
    /// Done to the routes, services and middlewares that the operator writes.
    pub(crate) alter: Option<fn(&mut Value)>,
    /// Done to the ports that the operator writes.
    pub(crate) alter_ports: Option<fn(&mut Value)>,
    /// The name in the certificate of the gateway; the right one when not set.
    pub(crate) gateway_is: Option<&'static str>,
}

/// Where it listens: neither where others listen on all addresses, nor where connections begin.
const PLAIN: u16 = 28000;
const SECURE: u16 = 28443;
const PROBE: u16 = 28444;
const INTERNAL: u16 = 29100;
/// The same ports in the operator's configuration.
const THEIRS: [(u16, u16); 4] = [
    (8000, PLAIN),
    (8443, SECURE),
    (8444, PROBE),
    (9100, INTERNAL),
];

/// The running proxy. It ends when it is dropped.
pub(crate) struct Traefik {
    address: Ipv4Addr,
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
        let authority = Authority::new().unwrap();
        let gateway_is = setup.gateway_is.unwrap_or("demo-gateway");
        let issue = |names: &[&str]| authority.issue(names).unwrap();
        let gateway = Upstream::start("gateway", &issue(&[gateway_is])).await;
        let keycloak = Upstream::start("keycloak", &issue(&["demo-keycloak"])).await;
        let public = issue(&[HOST, OTHER]);
        std::fs::write(directory.join("ca.crt"), authority.pem()).unwrap();
        std::fs::write(directory.join("tls.crt"), &public.pem).unwrap();
        std::fs::write(directory.join("tls.key"), &public.key_pem).unwrap();

        let address = own_address();
        let (fixed, dynamic) = configuration(setup.edge);
        let fixed = moved(&fixed, &places(&directory, address));
        let fixed = altered(&fixed, setup.alter_ports);
        std::fs::write(directory.join("traefik.yaml"), fixed).unwrap();
        let upstreams = [
            ("demo-gateway:8080".to_owned(), local(gateway.port)),
            ("demo-keycloak:8443".to_owned(), local(keycloak.port)),
        ];
        let dynamic = moved(&moved(&dynamic, &places(&directory, address)), &upstreams);
        let dynamic = altered(&dynamic, setup.alter);
        std::fs::write(directory.join("dynamic.yaml"), dynamic).unwrap();

        let log = directory.join("traefik.log");
        let file = directory.join("traefik.yaml");
        let process = Guarded::spawn(
            Command::new(program).arg(format!("--configFile={}", file.display())),
            &log,
            &directory,
        );
        let traefik = Self {
            address,
            client: client(&authority, address),
            process,
            log,
            gateway,
            keycloak,
        };
        traefik.ready().await;
        Some(traefik)
    }

    async fn ready(&self) {
        let url = format!("http://{}:{INTERNAL}/ping", self.address);
        wait_for("Traefik is ready", DEADLINE, async || {
            assert!(!self.process.has_ended(), "{}", self.process.log_tail());
            let answer = self.client.get(&url).send().await;
            answer.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
        // It answers before it has its routes, which come after its certificates. A redirection is
        // asked for, since nobody counts those.
        let url = format!("http://{HOST}:{PLAIN}/");
        wait_for("Traefik has its routes", DEADLINE, async || {
            let answer = self.client.get(&url).send().await;
            answer.is_ok_and(|answer| answer.status().is_redirection())
        })
        .await;
    }

    /// A request to the public HTTPS port.
    pub(crate) fn secure(&self, method: Method, path: &str) -> RequestBuilder {
        self.secure_at(HOST, method, path)
    }

    /// A request to the public HTTPS port by the name of `host`.
    pub(crate) fn secure_at(&self, host: &str, method: Method, path: &str) -> RequestBuilder {
        let url = format!("https://{host}:{SECURE}{path}");
        self.client.request(method, url)
    }

    /// `GET` from the public HTTPS port.
    pub(crate) async fn get(&self, path: &str) -> Response {
        self.secure(Method::GET, path).send().await.unwrap()
    }

    /// A request to the public HTTP port.
    pub(crate) async fn plain(&self, method: Method, path: &str) -> Response {
        let url = format!("http://{HOST}:{PLAIN}{path}");
        self.client.request(method, url).send().await.unwrap()
    }

    /// `GET` from the port that only the operator reaches.
    pub(crate) async fn probe(&self, path: &str) -> Response {
        let url = format!("https://{HOST}:{PROBE}{path}");
        self.client.get(url).send().await.unwrap()
    }

    /// All that it has written so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

/// The program that the local image holds.
fn program() -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cache = lotoai_local::cache_dir();
    lotoai_local::images::path_of(&repository, &cache, "traefik").unwrap()
}

/// An address of loopback that no other proxy has, of these tests or of others that run beside them:
/// a port that is free may be taken until the proxy listens.
fn own_address() -> Ipv4Addr {
    static COUNT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, high | 0x80, low, COUNT.fetch_add(1, Ordering::Relaxed))
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// What stands in the operator's files, and what it is here.
fn places(directory: &Path, address: Ipv4Addr) -> [(String, String); 7] {
    let here = format!("{}/", directory.display());
    let [plain, secure, probe, internal] = THEIRS.map(|(theirs, ours)| {
        let ours = format!("address: {address}:{ours}\n");
        (format!("address: :{theirs}\n"), ours)
    });
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

fn altered(text: &str, alter: Option<fn(&mut Value)>) -> String {
    let mut value: Value = serde_yaml_ng::from_str(text).unwrap();
    if let Some(alter) = alter {
        alter(&mut value);
    }
    serde_yaml_ng::to_string(&value).unwrap()
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
fn client(authority: &Authority, address: Ipv4Addr) -> reqwest::Client {
    let authority = reqwest::Certificate::from_der(authority.der()).unwrap();
    let here = SocketAddr::from((address, 0));
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
