//! A real kube-apiserver with its etcd on loopback, without nodes or controllers: what the tests
//! see is exactly what a cluster would accept, refuse and store.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::config::{AuthInfo, Config};
use kube::{Client, client::ClientBuilder};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

const ETCD: &str = "etcd-3.6.8/etcd";
const APISERVER: &str = "kubernetes-1.36.3/kube-apiserver";
const ADMINISTRATOR: &str = "tests-only";
/// Token of the user `operator`.
pub(crate) const OPERATOR: &str = "tests-only-operator";
/// A cold kube-apiserver takes some five seconds on two busy cores.
const START: Duration = Duration::from_secs(90);

/// A server with a store of its own. All tests of a process share one.
pub(crate) struct ApiServer {
    port: u16,
    authority: Authority,
    directory: PathBuf,
    server: Guarded,
    _etcd: Guarded,
}

/// What a client trusts.
struct Authority {
    der: Vec<u8>,
    pem: String,
}

/// The shared server, started at the first call; `None`, with the reason printed, when its
/// binaries are not on this machine.
pub(crate) fn shared() -> Option<&'static ApiServer> {
    static SERVER: OnceLock<Option<ApiServer>> = OnceLock::new();
    // Each test says that it was skipped, or all but the first would count as passed.
    programs()?;
    SERVER.get_or_init(ApiServer::start).as_ref()
}

/// etcd and kube-apiserver; `None`, with the reason printed, when they are not on this machine.
fn programs() -> Option<[PathBuf; 2]> {
    let programs = [ETCD, APISERVER].map(|program| third_party().join(program));
    for program in &programs {
        if !program.is_file() {
            eprintln!(
                "SKIPPED: {} is not there; `make up` builds it",
                program.display()
            );
            return None;
        }
    }
    Some(programs)
}

/// Where programs that are built or fetched from elsewhere are.
fn third_party() -> PathBuf {
    lotoai_local::cache_dir().join("third-party")
}

impl ApiServer {
    /// Starts both programs and waits until the server is ready; `None`, with the reason printed,
    /// when they are not on this machine.
    pub(crate) fn start() -> Option<Self> {
        let [etcd, server] = programs()?;
        let directory = TempDir::with_prefix("lotoai-apiserver-").expect("a temporary directory");
        // A static is never dropped, so the guard of etcd removes it.
        let directory = directory.keep();
        let at = |name: &str| directory.join(name);
        let authority = write_certificates(&directory);
        std::fs::write(
            at("tokens.csv"),
            format!("{ADMINISTRATOR},tests,tests,system:masters\n{OPERATOR},operator,operator,\n"),
        )
        .expect("the token file is written");

        let (client, peer, port) = (free_port(), free_port(), free_port());
        let etcd = Guarded::spawn(
            Command::new(etcd)
                .arg(format!("--data-dir={}", at("etcd").display()))
                .arg(format!("--listen-client-urls=http://127.0.0.1:{client}"))
                .arg(format!("--advertise-client-urls=http://127.0.0.1:{client}"))
                .arg(format!("--listen-peer-urls=http://127.0.0.1:{peer}"))
                .arg(format!(
                    "--initial-advertise-peer-urls=http://127.0.0.1:{peer}"
                ))
                .arg(format!("--initial-cluster=default=http://127.0.0.1:{peer}"))
                // A hundred thousand objects fit.
                .arg("--quota-backend-bytes=8589934592")
                .args(["--unsafe-no-fsync", "--log-level=error"]),
            &at("etcd.log"),
            &directory,
        );
        let server = Guarded::spawn(
            Command::new(server)
                .arg(format!("--etcd-servers=http://127.0.0.1:{client}"))
                .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
                .arg(format!("--secure-port={port}"))
                .arg(format!("--tls-cert-file={}", at("server.crt").display()))
                .arg(format!(
                    "--tls-private-key-file={}",
                    at("server.key").display()
                ))
                .arg(format!("--token-auth-file={}", at("tokens.csv").display()))
                .arg(format!(
                    "--service-account-key-file={}",
                    at("server.pub").display()
                ))
                .arg(format!(
                    "--service-account-signing-key-file={}",
                    at("server.key").display()
                ))
                .arg("--service-account-issuer=https://kubernetes.default.svc")
                .arg("--service-cluster-ip-range=198.18.0.0/15")
                .arg("--authorization-mode=RBAC")
                .arg("--disable-admission-plugins=ServiceAccount"),
            &at("apiserver.log"),
            &at("apiserver.log"),
        );
        let server = Self {
            port,
            authority,
            directory,
            server,
            _etcd: etcd,
        };
        server.wait_until_ready();
        Some(server)
    }

    /// A client for the calling test's runtime, as an administrator.
    pub(crate) fn client(&self) -> Client {
        self.client_as(ADMINISTRATOR)
    }

    /// A client as the user `operator`, who may do only what it was allowed.
    pub(crate) fn operator(&self) -> Client {
        self.client_as(OPERATOR)
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Certificate of its authority.
    pub(crate) fn authority(&self) -> &[u8] {
        &self.authority.der
    }

    fn client_as(&self, token: &str) -> Client {
        let mut config = Config::new(self.url().parse().expect("a URL"));
        config.root_cert = Some(vec![self.authority.der.clone()]);
        config.auth_info = AuthInfo {
            token: Some(token.to_owned().into()),
            ..AuthInfo::default()
        };
        ClientBuilder::try_from(config).expect("a client").build()
    }

    /// Starts a program that ends with this process or when it is told to. `KUBECONFIG` lets it in
    /// as an administrator; its output is in a log.
    pub(crate) fn spawn(&self, name: &str, command: &mut Command) -> Guarded {
        let config = self.file("kubeconfig", &self.kubeconfig());
        let log = self.directory.join(format!("{name}.log"));
        Guarded::spawn(command.env("KUBECONFIG", config), &log, &log)
    }

    /// Writes a file that goes with the server, and returns its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.join(name);
        std::fs::write(&path, text).expect("the file is written");
        path
    }

    fn kubeconfig(&self) -> String {
        let authority = STANDARD.encode(&self.authority.pem);
        let config = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "server",
            "clusters": [{ "name": "server", "cluster": {
                "server": self.url(),
                "certificate-authority-data": authority,
            } }],
            "users": [{ "name": "administrator", "user": { "token": ADMINISTRATOR } }],
            "contexts": [{ "name": "server", "context": {
                "cluster": "server", "user": "administrator",
            } }],
        });
        config.to_string()
    }

    /// Waits on a thread of its own, because the caller's may drive a test already.
    fn wait_until_ready(&self) {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime");
                runtime.block_on(self.ready());
            });
        });
    }

    async fn ready(&self) {
        let deadline = Instant::now() + START;
        let client = self.client();
        loop {
            let request = http::Request::get("/readyz")
                .body(Vec::new())
                .expect("a request");
            match client.request_text(request).await {
                Ok(_) => return,
                Err(error) if Instant::now() > deadline || self.server.has_ended() => {
                    panic!(
                        "kube-apiserver is not ready: {error}\n{}",
                        self.server.log_tail()
                    )
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

/// Writes `server.crt`, `server.key` and `server.pub`.
fn write_certificates(directory: &Path) -> Authority {
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority =
        CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("a CA");
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])
        .expect("parameters")
        .signed_by(&key, &authority)
        .expect("a certificate");
    std::fs::write(directory.join("server.crt"), certificate.pem()).expect("written");
    std::fs::write(directory.join("server.key"), key.serialize_pem()).expect("written");
    std::fs::write(directory.join("server.pub"), key.public_key_pem()).expect("written");
    Authority {
        der: authority.der().to_vec(),
        pem: authority.pem(),
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// A process that ends with this one. A shell waits for the end of its standard input, which the
/// system closes however the tests end, then kills the process and removes what it left.
pub(crate) struct Guarded {
    process: Mutex<Child>,
    log: PathBuf,
    watchdog: Child,
}

impl Guarded {
    /// Starts a program with its output in `log`; `remove` goes with it.
    pub(crate) fn spawn(command: &mut Command, log: &Path, remove: &Path) -> Self {
        let output = File::create(log).expect("a log file");
        let process = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a log file"))
            .stderr(output)
            .spawn()
            .expect("the server starts");
        let watchdog = Command::new("sh")
            .args([
                "-c",
                r#"read -r end; kill -KILL "$1"; sleep 1; rm -rf "$2""#,
                "sh",
            ])
            .arg(process.id().to_string())
            .arg(remove)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh starts");
        Self {
            process: Mutex::new(process),
            log: log.to_owned(),
            watchdog,
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.lock().expect("no panic with the lock").id()
    }

    /// Kills the process.
    pub(crate) fn end(mut self) {
        // First, so that it does not kill whoever gets the same process id next.
        self.watchdog.kill().expect("a child");
        self.watchdog.wait().expect("a child");
        let mut process = self.process.lock().expect("no panic with the lock");
        process.kill().expect("a child");
        process.wait().expect("a child");
    }

    pub(crate) fn has_ended(&self) -> bool {
        let mut process = self.process.lock().expect("no panic with the lock");
        process.try_wait().expect("a child").is_some()
    }

    /// All that it has printed.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn log_tail(&self) -> String {
        let text = self.log();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}
