//! A platform whose stores and identity provider are clusters loses each of their servers in turn,
//! while it is used: it answers again, and loses nothing that it has taken in. Then credentials that
//! these servers begin with are made anew, and nothing fails.
//!
//! It is more than two cores can carry beside the other tests, so only `make soak` runs it.

mod anew;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, ListParams};
use lotoai_api::Component;
use lotoai_e2e::{Answer, Platform, PublicClient, corpus};
use serde_json::{Value, json};

use crate::beside;
use crate::cluster::{component_ready, is_ready};
use crate::dump::caught;
use crate::network;
use crate::support::{NAMESPACE, index, kill_programs, ready, run, wait_for};

const HA: &str = "ha";
/// Where the platform's proxy listens on the node; the first platform has the port before.
const NODE_PORT: u16 = lotoai_local::HTTPS_NODE_PORT + 1;
/// Nine servers that form clusters start on a busy machine, some of them one after the other.
const READY_LIMIT: Duration = Duration::from_secs(15 * 60);
/// How long a server may take until it is back in its cluster.
const BACK_LIMIT: Duration = Duration::from_secs(300);
/// How long the platform may take until it answers as before.
const ANSWER_LIMIT: Duration = Duration::from_secs(180);
/// How long what was taken in may take until it has gone all its way.
const DRAIN_LIMIT: Duration = Duration::from_secs(300);
/// From one question and upload of a client to its next.
const PACE: Duration = Duration::from_secs(2);
/// How many use it at once.
const CLIENTS: usize = 4;
/// The longest time without an upload that is taken. One that is under way with a lost server is
/// attempted on another one after 15 s, and the others know its new address after ten.
const REFUSED_LIMIT: Duration = Duration::from_secs(30);
/// How many sign-ins may fail at the loss of one server: one of each client, and of whoever waits for an
/// answer.
const FAILED_SIGN_INS: usize = CLIENTS + 1;

/// What forms a cluster, and of how many servers.
const CLUSTERS: [(&str, usize); 3] = [("rabbitmq", 3), ("minio", 4), ("keycloak", 2)];
/// What the profile would size for a company: pods, memory requested, and memory at most.
const SIZES: [(&str, Option<u8>, &str, &str); 12] = [
    ("rabbitmq", None, "192Mi", "512Mi"),
    ("minio", None, "128Mi", "512Mi"),
    ("keycloak", None, "512Mi", "896Mi"),
    ("traefik", Some(1), "64Mi", "256Mi"),
    ("gateway", Some(2), "64Mi", "512Mi"),
    ("orchestrator", Some(2), "64Mi", "256Mi"),
    ("agents", Some(1), "48Mi", "256Mi"),
    ("model-server", Some(1), "512Mi", "1536Mi"),
    ("mcp-server", Some(1), "48Mi", "768Mi"),
    ("rag-ingest", None, "64Mi", "1Gi"),
    ("rag-server", None, "128Mi", "1Gi"),
    ("analytics", Some(1), "48Mi", "256Mi"),
];

/// How the client begins what it says of a sign-in that failed.
const SIGN_IN: &str = "failed to sign in";
const QUESTION: &str = "How often must the coffee machine be descaled?";
const FACT: &str = "The coffee machine must be descaled every Friday.";

#[test]
fn each_server_of_a_cluster_may_be_lost() {
    if std::env::var_os("LOTOAI_SOAK").is_none() {
        println!("SKIPPED each_server_of_a_cluster_may_be_lost: `make soak` runs it");
        return;
    }
    run(|| async {
        let (first, _) = ready().await;
        beside::remove(&first, HA).await;
        let work = Box::pin(loses_one_after_the_other(&first));
        let outcome = caught(&first.kube, &[NAMESPACE], work).await;
        // Also when it failed: the tests after this one need the machine.
        beside::remove(&first, HA).await;
        if let Err(failure) = outcome {
            resume_unwind(failure);
        }
    });
}

async fn loses_one_after_the_other(first: &Platform) {
    let port = free_port();
    open_door(first, port).await;
    beside::make(first, HA, &["clickhouse", "postgres"], &spec(port)).await;
    let object = beside::wait_ready(first, HA, READY_LIMIT).await;
    for (engine, count) in CLUSTERS {
        assert_eq!(component_ready(&object, engine), format!("{count}/{count}"));
    }

    let opened = [Component::Clickhouse, Component::Postgres];
    Box::pin(network::assert_apart(first, HA, &opened)).await;

    let platform = Platform::connect(NAMESPACE, HA).await.unwrap();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(PublicClient::first_user(&platform).await.unwrap());
    }
    let client = &clients[0];
    index(client, "coffee-machine.md", FACT).await;
    let tally = Tally::default();
    let day = today();
    let before = wait_for("a count", ANSWER_LIMIT, async || {
        counted(&tally, client).await
    })
    .await;
    // Whether those are in the count is not known: usage is counted a little later than it happens.
    let answered_before = tally.answered();

    let done = AtomicBool::new(false);
    let losing = async {
        for (engine, count) in CLUSTERS {
            for number in 0..count {
                let server = format!("{engine}-{number}");
                tally.lost.lock().unwrap().clone_from(&server);
                lose(&platform, engine, number, count).await;
                answers_again(&tally, client, &server).await;
            }
        }
        done.store(true, Ordering::Relaxed);
    };
    let using = clients.iter().enumerate();
    let using = join_all(using.map(|(number, client)| use_it(&tally, client, number, &done)));
    futures::join!(using, losing);
    let uploads = std::mem::take(&mut *tally.uploads.lock().unwrap());
    tally.tell(&uploads);

    // As docs/operator.md says: a sign-in and an upload may meet a server that is just lost.
    let failures = tally.failures.lock().unwrap().clone();
    let (sign_ins, unanswered): (Vec<_>, Vec<_>) = failures
        .into_iter()
        .partition(|(_, failure)| failure.contains(SIGN_IN));
    assert!(unanswered.is_empty(), "{unanswered:?}");
    let mut failed: BTreeMap<String, usize> = BTreeMap::new();
    for (lost, _) in sign_ins {
        *failed.entry(lost).or_default() += 1;
    }
    let many = failed.values().any(|count| *count > FAILED_SIGN_INS);
    assert!(!many, "failed sign-ins: {failed:?}");
    assert!(uploads.taken.len() > CLIENTS, "{}", uploads.taken.len());
    let longest = uploads.longest;
    assert!(
        longest < REFUSED_LIMIT,
        "no upload was taken for {longest:?}"
    );
    corpus::wait_indexed(client, &uploads.taken, DRAIN_LIMIT, &mut |_, _| {})
        .await
        .unwrap();
    wait_for("every answer to be counted", DRAIN_LIMIT, async || {
        // Taken before the question, which is counted after its own answer.
        let (answered, asked) = (tally.answered() - answered_before, tally.asked());
        let now = counted(&tally, client).await?;
        if today() != day {
            println!("the count began anew at midnight and is not compared");
            return Ok(());
        }
        let grown = now.saturating_sub(before);
        assert!(grown <= asked, "{grown} counted of {asked} questions");
        if grown >= answered {
            Ok(())
        } else {
            Err(format!("{grown} of {answered}"))
        }
    })
    .await;

    anew::signs_everybody_in(&platform, &clients).await;
    anew::takes_every_upload(&platform, client).await;
}

fn spec(port: u16) -> Value {
    let components: serde_json::Map<String, Value> = SIZES
        .into_iter()
        .map(|(name, replicas, memory, most)| {
            let mut settings = json!({ "resources": {
                "requests": { "cpu": "10m", "memory": memory }, "limits": { "memory": most },
            } });
            if let Some(replicas) = replicas {
                settings["replicas"] = json!(replicas);
            }
            (name.to_owned(), settings)
        })
        .collect();
    json!({
        "profile": "HighAvailability",
        "url": format!("https://{HA}.localhost:{port}"),
        "deletionPolicy": "Delete",
        "edge": { "service": { "type": "NodePort", "httpsNodePort": NODE_PORT } },
        "data": { "postgres": beside::postgres(), "clickhouse": beside::clickhouse() },
        // The local cluster is one node.
        "pods": { "spreading": "Preferred" },
        "components": components,
    })
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Leads a port of this machine to the platform's, which is open on the cluster's node only.
async fn open_door(platform: &Platform, port: u16) {
    let nodes: Api<Node> = Api::all(platform.kube.clone());
    let nodes = nodes.list(&ListParams::default()).await.unwrap().items;
    let addresses = nodes.into_iter().filter_map(|node| node.status?.addresses);
    let address: IpAddr = addresses
        .flatten()
        .find(|address| address.type_ == "InternalIP")
        .and_then(|address| address.address.parse().ok())
        .unwrap();
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    // It ends with this process.
    std::thread::spawn(move || {
        lotoai_local::forward(listen, SocketAddr::from((address, NODE_PORT))).unwrap();
    });
}

/// What became of what the clients did.
#[derive(Default)]
struct Tally {
    asked: AtomicU64,
    answered: AtomicU64,
    refused_uploads: AtomicU64,
    uploads: Mutex<Uploads>,
    /// The server that was lost last.
    lost: Mutex<String>,
    /// It, and why a question or a sign-in after its loss failed.
    failures: Mutex<Vec<(String, String)>>,
}

/// The documents that were taken in.
#[derive(Default)]
struct Uploads {
    taken: Vec<String>,
    last: Option<Instant>,
    /// From one that was taken to the next.
    longest: Duration,
}

impl Uploads {
    fn take(&mut self, id: &str) {
        self.taken.push(id.to_owned());
        let last = self.last.replace(Instant::now());
        let gap = last.map(|last| last.elapsed()).unwrap_or_default();
        self.longest = self.longest.max(gap);
    }
}

impl Tally {
    fn failed(&self, error: &str) {
        let lost = self.lost.lock().unwrap().clone();
        self.failures.lock().unwrap().push((lost, error.to_owned()));
    }

    async fn ask(&self, client: &PublicClient, question: &str) -> Result<Answer, String> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = client.ask("lotoai", question).await;
        match answer {
            Ok(answer) => {
                self.answered.fetch_add(1, Ordering::Relaxed);
                Ok(answer)
            }
            Err(error) => {
                let error = error.to_string();
                self.failed(&error);
                Err(error)
            }
        }
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    fn tell(&self, uploads: &Uploads) {
        let failures = self.failures.lock().unwrap();
        println!(
            "{} questions asked, {} answered; {} uploads taken, {} refused, {:.0} s at most between two",
            self.asked(),
            self.answered(),
            uploads.taken.len(),
            self.refused_uploads.load(Ordering::Relaxed),
            uploads.longest.as_secs_f64()
        );
        for (lost, failure) in failures.iter() {
            println!("  after {lost}: {failure}");
        }
    }
}

/// Asks and uploads at a fixed pace until it is told to stop; the first client signs in anew each time.
/// An upload that is refused is nobody's loss: people see it, and try again.
async fn use_it(tally: &Tally, client: &PublicClient, number: usize, done: &AtomicBool) {
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for round in 0.. {
        pace.tick().await;
        if done.load(Ordering::Relaxed) {
            break;
        }
        if number == 0
            && let Err(error) = client.token_of("lotoai-cli").await
        {
            tally.failed(&error.to_string());
        }
        let _told = tally.ask(client, QUESTION).await;
        let shelf = format!("{number}-{round}");
        let name = format!("note-{}-{shelf}.md", std::process::id());
        let text = format!("# Note {shelf}\n\nShelf {shelf} holds box {shelf}.\n");
        match client.upload(&name, text.into_bytes()).await {
            Ok(document) => {
                let id = document["id"].as_str().unwrap();
                tally.uploads.lock().unwrap().take(id);
            }
            Err(error) => {
                println!("upload {shelf} is refused: {error}");
                tally.refused_uploads.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Takes a server away as a machine that burns would: its programs end in the middle of what they do.
/// Waits until another one is in its place.
async fn lose(platform: &Platform, engine: &str, number: usize, count: usize) {
    let pods: Api<Pod> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    let name = format!("{HA}-{engine}-{number}");
    let old = pods.get(&name).await.unwrap().metadata.uid;
    let begun = Instant::now();
    let killed = old.as_deref().map(kill_programs).unwrap_or_default();
    // Not 0 s: the next server would be started on the volume while this one may still write there.
    let at_once = DeleteParams::default().grace_period(1);
    pods.delete(&name, &at_once).await.unwrap();
    let resources = platform.resources();
    wait_for(&format!("{name} to be back"), BACK_LIMIT, async || {
        let pod = pods.get_opt(&name).await.map_err(|e| e.to_string())?;
        if !pod.is_some_and(|pod| pod.metadata.uid != old && is_ready(&pod)) {
            return Err("it is not ready".to_owned());
        }
        let object = resources.get(HA).await.map_err(|e| e.to_string())?;
        let object = serde_json::to_value(&object).map_err(|e| e.to_string())?;
        let ready = component_ready(&object, engine);
        if ready == format!("{count}/{count}") {
            Ok(())
        } else {
            Err(ready)
        }
    })
    .await;
    let seconds = begun.elapsed().as_secs();
    println!(
        "lost {name} ({}): back after {seconds} s",
        killed.join(", ")
    );
}

/// A question is answered from a document, and a new document goes all its way.
async fn answers_again(tally: &Tally, client: &PublicClient, after: &str) {
    let what = format!("an answer after the loss of {after}");
    wait_for(&what, ANSWER_LIMIT, async || {
        let answer = tally.ask(client, QUESTION).await?;
        if answer.text.contains("Friday") {
            Ok(())
        } else {
            Err(format!("{answer:?}"))
        }
    })
    .await;
    let run = std::process::id();
    let text = format!("# Locker {run}\n\nAfter {after} locker {run} holds the umbrella.\n");
    index(client, &format!("after-{after}-{run}.md"), &text).await;
}

/// Requests that the platform says it has served today.
async fn counted(tally: &Tally, client: &PublicClient) -> Result<u64, String> {
    let question = "How many requests has the platform served today?";
    let answer = tally.ask(client, question).await?;
    let result = answer.lotoai["tool_calls"][0]["result"].as_str();
    let summary: Value = serde_json::from_str(result.unwrap_or_default())
        .map_err(|error| format!("{error}: {answer:?}"))?;
    summary["requests"]
        .as_u64()
        .ok_or_else(|| format!("no count: {summary}"))
}

/// The day in UTC, by its number.
fn today() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs() / (24 * 60 * 60)
}
