//! The operator as a process of this machine. It is in the network of the package-built cluster,
//! reaches the API server through a proxy that fails on demand, and ends by a kill that no process
//! can catch or finish anything before.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use lotoai_e2e::Platform;
use lotoai_local::Instance;
use lotoai_testing::{Proxy, Upstream};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::json;
use tempfile::TempDir;

use crate::cluster::{OPERATOR, OPERATOR_NAMESPACE, sum_of};
use crate::images::Images;

/// Where the process tells how it is, on the node.
const ADMIN_PORT: u16 = 19190;
/// Seconds that its token is good for.
const TOKEN_LIFE: i64 = 3600;
/// Where the processes write, one after the other.
const LOG: &str = "operator.log";
/// Lines of it, and writes, that a test that fails tells.
const TOLD: usize = 40;
/// Where the programs are that start it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Names are looked up in the cluster, by this process alone.
const START: &str = r#"mount --bind "$0" /etc/resolv.conf && exec "$@""#;

/// What operators outside of the cluster need.
pub(crate) struct Outside {
    /// Their way to the API server.
    pub(crate) proxy: Proxy,
    netns: PathBuf,
    admin: SocketAddr,
    http: reqwest::Client,
    directory: TempDir,
}

impl Outside {
    /// A way to the API server of this instance, with the rights of the operator that is installed
    /// there.
    pub(crate) async fn new(platform: &Platform, instance: &Instance) -> Self {
        let accounts: Api<ServiceAccount> =
            Api::namespaced(platform.kube.clone(), OPERATOR_NAMESPACE);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(TOKEN_LIFE),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let token = accounts
            .create_token_request(OPERATOR, &PostParams::default(), &request)
            .await
            .unwrap();
        let config = kube::Config::infer().await.unwrap();
        let upstream = Upstream {
            url: config.cluster_url.to_string().trim_end_matches('/').into(),
            authorities: config.root_cert.unwrap(),
            token: token.status.unwrap().token,
        };
        let netns = instance.netns_path();
        let proxy = Proxy::start(listener_in(netns.clone()), upstream).unwrap();

        let directory = TempDir::with_prefix("lotoai-outside-").unwrap();
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{ "name": "proxy", "cluster": { "server": proxy.url() } }],
            "users": [{ "name": "proxy", "user": { "token": "the proxy has another" } }],
            "contexts": [{ "name": "proxy", "context": { "cluster": "proxy", "user": "proxy" } }],
        });
        let names = format!(
            "search cluster.local\noptions ndots:5\nnameserver {}\n",
            instance.network().dns_service
        );
        for (name, text) in [
            ("kubeconfig", kubeconfig.to_string()),
            ("resolv.conf", names),
        ] {
            fs::write(directory.path().join(name), text).unwrap();
        }
        Self {
            proxy,
            netns,
            admin: SocketAddr::from((instance.network().node, ADMIN_PORT)),
            // A proxy of this machine would look for the address on itself.
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            directory,
        }
    }

    /// Starts an operator that works in this namespace only, with these images in its table. It ends
    /// with the calling thread at the latest.
    pub(crate) fn start(&self, namespace: &str, images: &Images) -> Operator {
        let file = |name: &str| self.directory.path().join(name);
        // JSON is YAML.
        fs::write(file("images.yaml"), serde_json::to_vec(images).unwrap()).unwrap();
        let log = file(LOG);
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "nsenter"])
            .arg(format!("--net={}", self.netns.display()))
            // Each of these becomes the next one, so the process is the operator in the end.
            .args(["unshare", "--mount", "sh", "-c", START])
            .arg(file("resolv.conf"))
            .arg(program())
            .arg("run")
            .env_clear()
            .env("PATH", PATH)
            .env("KUBECONFIG", file("kubeconfig"))
            .env("IMAGES_FILE", file("images.yaml"))
            .env("WATCH_NAMESPACES", namespace)
            // Nobody else works there, and a lease would be one more write among those counted.
            .env("LEADER_ELECTION", "false")
            .env("POD_NAME", "outside")
            .env("POD_NAMESPACE", OPERATOR_NAMESPACE)
            .env("ADMIN_LISTEN", self.admin.to_string())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Operator { process, log }
    }

    /// Sum of the samples of one of the running operator's metrics whose labels contain `label`.
    pub(crate) async fn metric(&self, metric: &str, label: &str) -> Result<f64, String> {
        let asked = self.http.get(format!("http://{}/metrics", self.admin));
        let answer = asked.timeout(Duration::from_secs(5)).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        let text = answer.map_err(|error| error.to_string())?.text().await;
        let text = text.map_err(|error| error.to_string())?;
        Ok(sum_of(&text, metric, label))
    }
}

/// A test that fails may have killed its operator already, so what it did is told here.
impl Drop for Outside {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let writes = self.proxy.writes();
            let last = &writes[writes.len().saturating_sub(TOLD)..];
            println!("the last writes of operators outside:\n{}", last.join("\n"));
            let log = self.directory.path().join(LOG);
            println!("the end of their log:\n{}", tail(&log));
        }
    }
}

/// A running operator. Dropped, it is killed, whatever it does.
pub(crate) struct Operator {
    process: Child,
    log: PathBuf,
}

impl Operator {
    /// Panics with the end of its log when it has ended by itself.
    pub(crate) fn assert_runs(&mut self) {
        if let Some(status) = self.process.try_wait().unwrap() {
            panic!("the operator ended: {status}\n{}", tail(&self.log));
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TOLD)..].join("\n")
}

/// What cargo built beside the tests.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("lotoai-operator");
    assert!(program.is_file(), "{} is not there", program.display());
    program
}

/// A socket on the loopback of a network namespace. Only this thread's sockets are made in there, so
/// it is one of its own.
fn listener_in(namespace: PathBuf) -> TcpListener {
    let listening = std::thread::spawn(move || {
        let namespace = File::open(namespace).unwrap();
        let kind = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(namespace.as_fd(), kind).unwrap();
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
    });
    listening.join().unwrap()
}
