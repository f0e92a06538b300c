//! Credentials are made anew while the platform is used: each of its edges', its administrators' and
//! the key of its sessions, but for Qdrant's, since the vectors are embedded here. `make test` does
//! so with one of each kind, `make soak` with all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use lotoai_e2e::{Platform, PublicClient, corpus};
use lotoai_plan::Node;
use lotoai_plan::graph::{CredentialKind, EDGES};
use serde_json::json;

use crate::dump::told;
use crate::support::{
    NAME, NAMESPACE, condition, index, longest_gap_during, ready, ready_with_corpus,
    repeated_during, resource, run, set_spec, wait_for, wait_ready,
};

/// How long it may take. The gateway restarts three times.
const LIMIT: Duration = Duration::from_secs(900);
/// How long the platform may give no answer while a component restarts that is a single pod.
const MOMENT: Duration = Duration::from_secs(120);
/// From one upload to the next while servers restart.
const PACE: Duration = Duration::from_secs(2);
/// How long what was taken in may take until it is indexed.
const DRAIN_LIMIT: Duration = Duration::from_secs(180);

/// What becomes of a credential.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Two accounts take turns.
    Turns,
    /// An account keeps its name and gets another password.
    Password,
    /// A token.
    Token,
    /// A key, of which the old one stays for a day.
    Key,
}
use Kind::{Key, Password, Token, Turns};

/// Those whose change nobody notices.
const UNNOTICED: [(&str, Kind); 22] = [
    ("gateway-postgres", Turns),
    ("gateway-rabbitmq", Turns),
    ("gateway-minio", Turns),
    ("gateway-keycloak", Password),
    ("gateway-orchestrator", Token),
    ("gateway-model-server", Token),
    ("orchestrator-postgres", Turns),
    ("orchestrator-agents", Token),
    ("orchestrator-model-server", Token),
    ("orchestrator-mcp-server", Token),
    ("agents-model-server", Token),
    ("mcp-server-analytics", Token),
    ("rag-ingest-rabbitmq", Turns),
    ("rag-ingest-minio", Turns),
    ("rag-ingest-model-server", Token),
    ("analytics-rabbitmq", Turns),
    ("analytics-clickhouse", Turns),
    ("postgres-admin", Password),
    ("rabbitmq-admin", Password),
    ("keycloak-admin", Password),
    ("gateway-session", Key),
    ("operator-traefik", Password),
];

/// Those whose change restarts rag-server, which is a single pod in this profile: questions on
/// documents wait for it, and none fails. The probe, which waits for nothing, says that it is away.
const WAITED: [(&str, Kind); 3] = [
    ("orchestrator-rag-server", Token),
    ("rag-ingest-rag-server", Token),
    ("rag-server-model-server", Token),
];

/// Those whose change restarts what else is a single pod in this profile, as docs/operator.md says.
const NOTICED: [(&str, Kind); 1] = [("keycloak-postgres", Turns)];

/// Those of stores' servers: ClickHouse's follow, MinIO's restart, and uploads wait for that.
const SERVERS: [(&str, Kind); 2] = [("clickhouse-admin", Turns), ("minio-admin", Password)];

/// One of each kind that restarts no more than the gateway.
const SAMPLE: [&str; 7] = [
    "gateway-postgres",
    "gateway-keycloak",
    "gateway-session",
    "postgres-admin",
    "rabbitmq-admin",
    "keycloak-admin",
    "operator-traefik",
];

/// What the documents answer with a Friday.
const OF_DOCUMENTS: &str = "How often must the coffee machine be descaled?";

/// Content of a Secret.
type Data = BTreeMap<String, ByteString>;

/// Credentials that are being made anew.
struct Rotation {
    platform: Platform,
    /// By name: the text that each is asked for with, what becomes of it, and what it was before.
    asked: BTreeMap<&'static str, (String, Kind, Data)>,
}

impl Rotation {
    /// Asks for these.
    async fn begin(platform: &Platform, credentials: &[(&'static str, Kind)]) -> Self {
        let mut asked = BTreeMap::new();
        for (name, kind) in credentials {
            let secret = read(platform, name).await;
            let data = secret.data.unwrap();
            if data.contains_key("standby-key") {
                println!("{name} was made anew less than a day ago and is left alone");
                continue;
            }
            // Never the text of an earlier run.
            let text = secret.metadata.resource_version.unwrap();
            asked.insert(*name, (text, *kind, data));
        }
        let texts: BTreeMap<_, _> = asked
            .iter()
            .map(|(name, (text, ..))| (name, text))
            .collect();
        let spec = json!({ "credentials": { "rotate": texts } });
        set_spec(platform, &spec).await;
        Self {
            platform: platform.clone(),
            asked,
        }
    }

    /// Waits until nobody uses one of before any more.
    async fn done(&self) {
        wait_for("the credentials to be made anew", LIMIT, async || {
            let resource = resource(&self.platform).await?;
            let all = resource["status"]["credentials"].as_array();
            for (name, (text, ..)) in &self.asked {
                let secret = format!("{NAME}-{name}");
                let mut all = all.into_iter().flatten();
                let found = all.find(|one| one["secret"] == *secret);
                let found = found.ok_or_else(|| format!("no {secret}"))?;
                if found["rotation"] != **text || !found["message"].is_null() {
                    return Err(found.to_string());
                }
            }
            match condition(&resource, "Ready").as_str() {
                "True" => Ok(()),
                other => Err(format!("Ready={other}")),
            }
        })
        .await;
    }

    /// Each is another one now, and of those of before none is left but a key.
    async fn check(&self) {
        for (name, (_, kind, before)) in &self.asked {
            let after = read(&self.platform, name).await.data.unwrap();
            let keys: Vec<&str> = after.keys().map(String::as_str).collect();
            let (wanted, value) = match kind {
                Turns | Password => (&["password", "username"][..], "password"),
                Token => (&["token"][..], "token"),
                Key => (&["key", "standby-key"][..], "key"),
            };
            assert_eq!(keys, wanted, "{name}");
            // Not to be shown.
            assert!(after[value] != before[value], "{name} is the same");
            let other_name = after.get("username") != before.get("username");
            assert_eq!(other_name, *kind == Turns, "{name}");
            if *kind == Key {
                let is_kept = after["standby-key"] == before["key"];
                assert!(is_kept, "{name}: what the old one sealed cannot be opened");
            }
        }
    }
}

async fn read(platform: &Platform, name: &str) -> Secret {
    let secrets: Api<Secret> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    secrets.get(&format!("{NAME}-{name}")).await.unwrap()
}

fn is_soak() -> bool {
    std::env::var_os("LOTOAI_SOAK").is_some()
}

/// Uses what one edge after the other is for. Whatever fails ends the test. Returns a document that
/// was taken in.
async fn use_everything(client: &PublicClient, number: u32) -> String {
    let ask = async |model: &str, question: &str| {
        let answer = client.ask(model, question).await;
        answer.unwrap_or_else(|error| panic!("{number}: {model}: {question}: {error}"))
    };
    let answer = ask("lotoai", OF_DOCUMENTS).await;
    assert!(answer.text.contains("Friday"), "{answer:?}");
    ask(
        "writer",
        "Write one sentence that welcomes a new colleague.",
    )
    .await;
    let question = "How many requests has the platform served today?";
    let answer = ask("lotoai", question).await;
    assert_eq!(answer.lotoai["tool_calls"][0]["is_error"], false);
    let run = std::process::id();
    let text = format!("# Hook {number}\n\nHook {number} of {run} holds key {number}.\n");
    let name = format!("rotation-{run}-{number}.md");
    let document = client.upload(&name, text.into_bytes()).await.unwrap();
    document["id"].as_str().unwrap().to_owned()
}

#[test]
fn every_credential_of_an_edge_is_in_this_test() {
    let listed = UNNOTICED.iter().chain(&WAITED).chain(&NOTICED);
    let listed = listed.chain(&SERVERS);
    let listed = listed.map(|(name, _)| *name);
    let listed: BTreeSet<String> = listed.map(str::to_owned).collect();
    let of_edges = EDGES.iter().filter(|edge| {
        let is_made_anew = matches!(
            edge.credential,
            CredentialKind::Token | CredentialKind::Account(..)
        );
        matches!(edge.from, Node::Component(_) | Node::Operator) && is_made_anew
    });
    let of_edges: BTreeSet<String> = of_edges
        .map(|edge| format!("{}-{}", edge.from.name(), edge.to))
        .collect();
    let others = [
        "clickhouse-admin",
        "gateway-session",
        "keycloak-admin",
        "minio-admin",
        "postgres-admin",
        "rabbitmq-admin",
    ];
    let others: BTreeSet<String> = others.map(str::to_owned).into();
    assert_eq!(listed, &of_edges | &others);
}

#[test]
fn credentials_made_anew_fail_no_question() {
    run(|| async {
        let (platform, client) = ready_with_corpus().await;
        let work = Box::pin(fails_no_question(&platform, &client));
        told(&platform.kube, &[NAMESPACE], work).await;
    });
}

async fn fails_no_question(platform: &Platform, client: &PublicClient) {
    let chosen = UNNOTICED.into_iter();
    let chosen: Vec<_> = chosen
        .filter(|(name, _)| is_soak() || SAMPLE.contains(name))
        .collect();
    let rotation = Rotation::begin(platform, &chosen).await;
    let (mut number, mut documents) = (0, Vec::new());
    let times = repeated_during(rotation.done(), async || {
        let answer = client.ask("probe", "What does LotoAI answer with?").await;
        answer.unwrap();
        if is_soak() {
            number += 1;
            documents.push(use_everything(client, number).await);
        }
    })
    .await;
    let count = rotation.asked.len();
    println!("used {times} times while {count} credentials were made anew");
    rotation.check().await;
    corpus::wait_indexed(client, &documents, DRAIN_LIMIT, &mut |_, _| {})
        .await
        .unwrap();
}

#[test]
fn questions_wait_while_credentials_of_rag_server_are_made_anew() {
    if !is_soak() {
        println!(
            "SKIPPED questions_wait_while_credentials_of_rag_server_are_made_anew: `make soak` runs it"
        );
        return;
    }
    run(|| async {
        let (platform, client) = ready_with_corpus().await;
        let work = Box::pin(keeps_waiting(&platform, &client));
        told(&platform.kube, &[NAMESPACE], work).await;
    });
}

async fn keeps_waiting(platform: &Platform, client: &PublicClient) {
    let rotation = Rotation::begin(platform, &WAITED).await;
    let mut longest = Duration::ZERO;
    let times = repeated_during(rotation.done(), async || {
        let answer = client.ask("lotoai", OF_DOCUMENTS).await.unwrap();
        assert!(answer.text.contains("Friday"), "{answer:?}");
        longest = longest.max(answer.total);
    })
    .await;
    println!(
        "{times} questions answered, after {:.0} s at most",
        longest.as_secs_f64()
    );
    rotation.check().await;
    wait_ready(platform, LIMIT).await;
    let run = std::process::id();
    let text = format!("# Shelf {run}\n\nAfter the change shelf {run} holds the atlas.\n");
    index(client, &format!("rotation-shelf-{run}.md"), &text).await;
}

#[test]
fn uploads_wait_while_servers_get_another_administrator() {
    if !is_soak() {
        println!(
            "SKIPPED uploads_wait_while_servers_get_another_administrator: `make soak` runs it"
        );
        return;
    }
    run(|| async {
        let (platform, client) = ready().await;
        let work = Box::pin(keeps_taking(&platform, &client));
        told(&platform.kube, &[NAMESPACE], work).await;
    });
}

async fn keeps_taking(platform: &Platform, client: &PublicClient) {
    let rotation = Rotation::begin(platform, &SERVERS).await;
    let (mut documents, mut longest) = (Vec::new(), Duration::ZERO);
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let run = std::process::id();
    repeated_during(rotation.done(), async || {
        pace.tick().await;
        let number = documents.len();
        let text = format!("# Drawer {number}\n\nDrawer {number} of {run} holds pen {number}.\n");
        let begun = Instant::now();
        let document = client
            .upload(&format!("drawer-{run}-{number}.md"), text.into_bytes())
            .await
            .unwrap();
        longest = longest.max(begun.elapsed());
        documents.push(document["id"].as_str().unwrap().to_owned());
    })
    .await;
    println!(
        "{} documents taken in, after {:.0} s at most",
        documents.len(),
        longest.as_secs_f64()
    );
    rotation.check().await;
    corpus::wait_indexed(client, &documents, DRAIN_LIMIT, &mut |_, _| {})
        .await
        .unwrap();
}

#[test]
fn credentials_of_single_pods_are_made_anew_within_moments() {
    if !is_soak() {
        println!(
            "SKIPPED credentials_of_single_pods_are_made_anew_within_moments: `make soak` runs it"
        );
        return;
    }
    run(|| async {
        let (platform, client) = ready().await;
        let work = Box::pin(takes_moments(&platform, &client));
        told(&platform.kube, &[NAMESPACE], work).await;
    });
}

async fn takes_moments(platform: &Platform, client: &PublicClient) {
    let rotation = Rotation::begin(platform, &NOTICED).await;
    let longest = longest_gap_during(client, rotation.done()).await;
    assert!(longest < MOMENT, "{longest:?} without an answer");
    rotation.check().await;
    wait_ready(platform, LIMIT).await;
    client.token_of("lotoai-cli").await.unwrap();
    let run = std::process::id();
    let text = format!("# Locker {run}\n\nAfter the change locker {run} holds the umbrella.\n");
    index(client, &format!("rotation-{run}.md"), &text).await;
}
