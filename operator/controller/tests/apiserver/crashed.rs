//! Two operator processes, one of which leads and is killed: the other one takes over, and never
//! writes before.

use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use lotoai_operator::leader::LEASE;
use lotoai_testing::Proxy;
use serde_json::{Value, json};

use crate::proxy::before;
use crate::server::{self, ApiServer, Guarded, OPERATOR, free_port};
use crate::world::{Answering, DEADLINE, World, wait_for};

/// A lease that nobody renews is taken after 15 s. Who waits looks for it every 2 to 3 s, so that it
/// may see the last renewal as late as that, and the end of its time as well.
const TAKE_OVER: Duration = Duration::from_secs(15 + 3 + 3);
/// What a busy machine adds to that.
const SLACK: Duration = Duration::from_secs(9);
/// A process that has more to write does it within this time.
const PAUSE: Duration = Duration::from_secs(3);

/// A process, and its own way to the API server, which notes what it writes.
pub(crate) struct Operator {
    pub(crate) process: Guarded,
    proxy: Proxy,
    http: reqwest::Client,
    /// Address of its admin server.
    admin: String,
}

impl Operator {
    /// Starts the program as a pod of this name would, with these variables on top.
    pub(crate) fn start(
        server: &ApiServer,
        world: &World,
        name: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        let proxy = before(server);
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{ "name": "proxy", "cluster": { "server": proxy.url() } }],
            "users": [{ "name": "operator", "user": { "token": OPERATOR } }],
            "contexts": [{ "name": "proxy", "context": { "cluster": "proxy", "user": "operator" } }],
        });
        let file = |kind: &str, text: &str| {
            server.file(&format!("{}-{name}.{kind}", world.namespace), text)
        };
        let config = file("kubeconfig", &config.to_string());
        let log = file("log", "");
        let admin = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_lotoai-operator"));
        command
            .arg("run")
            .env("KUBECONFIG", config)
            .env("ADMIN_LISTEN", &admin)
            .env("WATCH_NAMESPACES", &world.namespace)
            .env("LEADER_ELECTION", "true")
            .env("POD_NAMESPACE", &world.namespace)
            .env("POD_NAME", name)
            .envs(variables.iter().copied());
        // A proxy of this machine would look for the address on itself.
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            process: Guarded::spawn(&mut command, &log, &log),
            proxy,
            http,
            admin,
        }
    }

    /// What a path of its admin server says; nothing while it does not.
    pub(crate) async fn says(&self, path: &str) -> Option<String> {
        assert!(!self.process.has_ended(), "{}", self.process.log_tail());
        let url = format!("http://{}{path}", self.admin);
        let answer = self.http.get(url).send().await.ok()?;
        answer.error_for_status().ok()?.text().await.ok()
    }

    async fn is_ready(&self) -> bool {
        self.says("/readyz").await.is_some()
    }

    async fn leads(&self) -> bool {
        let metrics = self.says("/metrics").await.unwrap();
        metrics
            .lines()
            .any(|line| line == "lotoai_operator_leader 1")
    }

    /// Method and path of all that it wrote so far but the lease.
    fn written(&self) -> Vec<String> {
        let leases = format!("/leases/{LEASE}");
        let mut writes = self.proxy.writes();
        writes.retain(|line| !line.ends_with("/leases") && !line.ends_with(&leases));
        writes
    }
}

/// A specification with this text, which reaches the ConfigMap of the agents.
fn spec(prompt: &str) -> Value {
    json!({
        "url": "https://lotoai.localhost",
        "agents": { "roles": [{
            "name": "assistant", "description": "General questions", "prompt": prompt,
            "models": [{ "provider": "local", "model": "smollm2-135m-instruct" }],
        }] },
    })
}

/// Waits until the text of the specification has reached its child.
async fn carried_out(world: &World, prompt: &str) {
    let configs = world.api::<ConfigMap>();
    wait_for(
        &format!("{prompt:?} is carried out"),
        DEADLINE,
        async || {
            let config = configs.get_opt("demo-agents").await.unwrap();
            let data = config.and_then(|config| config.data).unwrap_or_default();
            data.values().any(|text| text.contains(prompt))
        },
    )
    .await;
}

async fn holder(world: &World) -> Option<String> {
    let lease = world.api::<Lease>().get_opt(LEASE).await.unwrap()?;
    lease.spec?.holder_identity
}

/// Waits until a process has written what it has to write.
async fn rest(operator: &Operator) {
    let mut last = (0, Instant::now());
    wait_for("a pause", 2 * DEADLINE, async || {
        let count = operator.written().len();
        if count != last.0 {
            last = (count, Instant::now());
        }
        last.1.elapsed() > PAUSE
    })
    .await;
}

#[tokio::test]
async fn another_process_takes_over_from_a_leader_that_is_killed_and_only_one_writes() {
    let Some(world) = World::new("crashed", &spec("prompt-one"), Answering).await else {
        return;
    };
    let server = server::shared().unwrap();
    let first = Operator::start(server, &world, "first", &[]);
    carried_out(&world, "prompt-one").await;
    let second = Operator::start(server, &world, "second", &[]);
    wait_for("the second process is ready", DEADLINE, async || {
        second.is_ready().await
    })
    .await;
    world.change(&spec("prompt-two")).await;
    carried_out(&world, "prompt-two").await;
    rest(&first).await;
    assert_eq!(holder(&world).await.as_deref(), Some("first"));
    assert!(first.leads().await && !second.leads().await);
    assert_eq!(second.written(), [""; 0]);
    assert!(first.written().len() > 40, "{:?}", first.written());

    let Operator { process, proxy, .. } = first;
    process.end();
    let killed = Instant::now();
    world.change(&spec("prompt-three")).await;
    wait_for("the lease is taken", TAKE_OVER + SLACK, async || {
        // In this order: what was written is older than what the lease says.
        let written = second.written();
        let taken = holder(&world).await.as_deref() == Some("second");
        assert!(taken || written.is_empty(), "{written:?}");
        taken
    })
    .await;
    println!("taken over after {:.1} s", killed.elapsed().as_secs_f64());
    let of_first = proxy.writes().len();
    carried_out(&world, "prompt-three").await;
    rest(&second).await;
    assert!(second.leads().await);
    assert_eq!(proxy.writes().len(), of_first, "the first one still writes");

    // What the first one has made is not sent again.
    let about_resource = |line: &&String| line.contains("/lotoais/") || line.contains("/events");
    let written = second.written();
    let children: Vec<_> = written
        .iter()
        .filter(|line| !about_resource(line))
        .collect();
    assert!(!children.is_empty());
    for line in children {
        assert!(line.ends_with("/demo-agents"), "{line}");
    }
}
