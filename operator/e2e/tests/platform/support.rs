//! What every test needs: the platform, a signed-in client, a small corpus, waiting with a deadline.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, Patch, PatchParams};
use lotoai_e2e::{Platform, PublicClient, corpus};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::process::Command;

/// Namespace of the platform under test.
pub(crate) const NAMESPACE: &str = "lotoai";
/// Name of the platform under test.
pub(crate) const NAME: &str = "demo";

/// The first token of this process; the test of expired tokens needs an old one.
pub(crate) static FIRST_TOKEN: OnceLock<FirstToken> = OnceLock::new();

/// A token that was good once.
#[derive(Debug)]
pub(crate) struct FirstToken {
    /// The token.
    pub(crate) token: String,
    /// When it expires.
    pub(crate) expires: Instant,
}

/// Runs a test body on a runtime of its own, with the TLS provider installed.
pub(crate) fn run<F: Future<Output = ()>>(body: impl FnOnce() -> F) {
    // A second test in the same process finds the provider installed: that is fine.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    tokio::runtime::Runtime::new().unwrap().block_on(body());
}

/// The platform, Ready, and a client of its first user.
pub(crate) async fn ready() -> (Platform, PublicClient) {
    let platform = Platform::connect(NAMESPACE, NAME).await.unwrap();
    wait_ready(&platform, Duration::from_secs(300)).await;
    let client = PublicClient::first_user(&platform).await.unwrap();
    if FIRST_TOKEN.get().is_none() {
        let (token, life) = client.token_of("lotoai-cli").await.unwrap();
        let expires = Instant::now() + life;
        let (status, body) = get_with(&client, &token, "/api/me").await.unwrap();
        assert_eq!(status, 200, "the first token: {body}");
        // Another thread may have been first: one old token is enough.
        let _ = FIRST_TOKEN.set(FirstToken { token, expires });
    }
    (platform, client)
}

/// `GET path` with this very token: status and body.
pub(crate) async fn get_with(
    client: &PublicClient,
    token: &str,
    path: &str,
) -> Result<(u16, Value), String> {
    let request = client.http().get(format!("{}{path}", client.url()));
    let response = request
        .timeout(Duration::from_secs(30))
        .bearer_auth(token)
        .send()
        .await
        .map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let body = response.json().await.map_err(|error| error.to_string())?;
    Ok((status, body))
}

/// The same, with the small corpus indexed. Uploading it again changes nothing.
pub(crate) async fn ready_with_corpus() -> (Platform, PublicClient) {
    let (platform, client) = ready().await;
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let files = corpus::files(&root).unwrap();
    corpus::load(&client, &files, Duration::from_secs(120), |_, _| {})
        .await
        .unwrap();
    (platform, client)
}

/// Uploads a text as a document of its own and waits until it is indexed.
pub(crate) async fn index(client: &PublicClient, name: &str, text: &str) {
    // A store that has just come back may refuse the first attempts with 503.
    let document = wait_for(
        &format!("{name} to be taken"),
        Duration::from_secs(60),
        async || {
            let uploaded = client.upload(name, text.as_bytes().to_vec()).await;
            uploaded.map_err(|error| error.to_string())
        },
    )
    .await;
    let id = document["id"].as_str().unwrap().to_owned();
    wait_for(
        &format!("{name} to be indexed"),
        Duration::from_secs(120),
        async || {
            let document = client.get(&format!("/api/documents/{id}")).await;
            let document = document.map_err(|error| error.to_string())?;
            match document["status"].as_str() {
                Some("indexed") => Ok(()),
                _ => Err(document.to_string()),
            }
        },
    )
    .await;
}

/// Waits until the resource is Ready at its own generation.
pub(crate) async fn wait_ready(platform: &Platform, limit: Duration) {
    let resources = platform.resources();
    wait_for("the platform to be Ready", limit, async || {
        let object = resources
            .get(NAME)
            .await
            .map_err(|error| error.to_string())?;
        let data = serde_json::to_value(&object).map_err(|error| error.to_string())?;
        if condition(&data, "Ready") == "True" {
            Ok(())
        } else {
            Err(message(&data))
        }
    })
    .await;
}

/// Sets fields of the resource's spec; one that is null goes.
pub(crate) async fn set_spec(platform: &Platform, spec: &Value) {
    let patch = Patch::Merge(json!({ "spec": spec }));
    let resources = platform.resources();
    let patched = resources.patch(NAME, &PatchParams::default(), &patch).await;
    patched.unwrap();
}

/// The resource as it is now.
pub(crate) async fn resource(platform: &Platform) -> Result<Value, String> {
    let object = platform.resources().get(NAME).await;
    let object = object.map_err(|error| error.to_string())?;
    serde_json::to_value(&object).map_err(|error| error.to_string())
}

/// Panics unless an answer comes while it is written.
pub(crate) async fn assert_streams(client: &PublicClient) {
    let question = "Write five sentences that welcome a new colleague.";
    let mut pieces = 0;
    let streamed = client.ask_streaming("writer", question, |_| pieces += 1);
    let streamed = streamed.await.unwrap();
    assert!(pieces > 1, "{streamed:?}");
    // Pieces that were held back are all there when the first is.
    assert!(streamed.waits > 0, "{pieces} pieces at once: {streamed:?}");
}

/// Asks the probe's question over and over while `work` goes on, and says how often it was
/// answered. Panics when it was not.
pub(crate) async fn answered_during(client: &PublicClient, work: impl Future<Output = ()>) -> u32 {
    repeated_during(work, async || {
        let answer = client.ask("probe", "What does LotoAI answer with?").await;
        answer.unwrap();
    })
    .await
}

/// Does something over and over while `work` goes on, and says how often.
pub(crate) async fn repeated_during(
    work: impl Future<Output = ()>,
    mut step: impl AsyncFnMut(),
) -> u32 {
    let done = AtomicBool::new(false);
    let repeating = async {
        let mut times = 0;
        while !done.load(Ordering::Relaxed) {
            step().await;
            times += 1;
        }
        times
    };
    let working = async {
        work.await;
        done.store(true, Ordering::Relaxed);
    };
    let (times, ()) = futures::join!(repeating, working);
    assert!(times > 0);
    times
}

/// Asks the probe's question again and again while `work` restarts what is a single pod: the longest
/// time from one answer to the next.
pub(crate) async fn longest_gap_during(
    client: &PublicClient,
    work: impl Future<Output = ()>,
) -> Duration {
    let (mut failed, mut longest) = (0, Duration::ZERO);
    let mut answered = Instant::now();
    let mut pace = tokio::time::interval(Duration::from_millis(500));
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let times = repeated_during(work, async || {
        pace.tick().await;
        let answer = client.ask("probe", "What does LotoAI answer with?").await;
        longest = longest.max(answered.elapsed());
        match answer {
            Ok(_) => answered = Instant::now(),
            Err(error) => {
                println!("  not answered: {error}");
                failed += 1;
            }
        }
    })
    .await;
    println!(
        "{failed} of {times} questions not answered, {:.0} s at most from one answer to the next",
        longest.as_secs_f64()
    );
    longest
}

/// Status of a condition at the current generation; `Unknown` when it is missing or stale.
pub(crate) fn condition(object: &Value, kind: &str) -> String {
    let conditions = object["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
        .filter(|condition| condition["observedGeneration"] == object["metadata"]["generation"])
        .and_then(|condition| condition["status"].as_str())
        .unwrap_or("Unknown")
        .to_owned()
}

fn message(object: &Value) -> String {
    object["status"]["conditions"].to_string()
}

/// Polls `probe` until it is `Ok`; panics with the last `Err` when the limit passes.
pub(crate) async fn wait_for<T>(
    what: &str,
    limit: Duration,
    probe: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    wait_every(Duration::from_millis(500), what, limit, probe).await
}

/// The same with another pause between two looks, where moments count.
pub(crate) async fn wait_every<T>(
    pause: Duration,
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let begun = Instant::now();
    loop {
        match probe().await {
            Ok(value) => return value,
            Err(last) if begun.elapsed() > limit => {
                panic!(
                    "gave up after {} ms waiting for {what}; last seen: {last}",
                    limit.as_millis()
                )
            }
            Err(_) => tokio::time::sleep(pause).await,
        }
    }
}

/// The platform's pods that have not finished.
pub(crate) async fn pods(platform: &Platform) -> Vec<Pod> {
    pods_of(platform, NAME).await
}

/// Those of the platform of this name in the same namespace.
pub(crate) async fn pods_of(platform: &Platform, name: &str) -> Vec<Pod> {
    let api: Api<Pod> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    let selector = format!("app.kubernetes.io/instance={name}");
    let all = api
        .list(&ListParams::default().labels(&selector))
        .await
        .unwrap()
        .items;
    all.into_iter()
        .filter(|pod| {
            let phase = pod
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref());
            !matches!(phase, Some("Succeeded" | "Failed"))
        })
        .collect()
}

/// The component that a pod belongs to.
pub(crate) fn component(pod: &Pod) -> String {
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    labels
        .get("app.kubernetes.io/name")
        .cloned()
        .unwrap_or_default()
}

/// Runs a program: what it printed, or why it failed.
pub(crate) async fn run_program(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let run = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    let output = run.await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// Stops and starts the package-built cluster that the tests run on.
pub(crate) fn restart_cluster(instance: &str) {
    let instance = lotoai_local::Instance::new(instance).unwrap();
    let progress = lotoai_local::Progress::new();
    lotoai_local::stop(&progress, &instance).unwrap();
    let tools = lotoai_local::third_party(&progress, lotoai_local::Tool::CLUSTER).unwrap();
    lotoai_local::start(&progress, &instance, &tools).unwrap();
}

/// The processes of a pod, found by the pod's control group.
pub(crate) fn processes_of(uid: &str) -> Vec<u32> {
    let spellings = [uid.to_owned(), uid.replace('-', "_")];
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|process| {
            let groups = fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap_or_default();
            spellings.iter().any(|spelling| groups.contains(spelling))
        })
        .collect()
}

/// One of them.
pub(crate) fn process_of(uid: &str) -> Option<u32> {
    processes_of(uid).first().copied()
}

/// Ends the programs of a pod in a way that none of them notices: the names of those that were there.
/// Nothing happens where the pod is on another machine.
pub(crate) fn kill_programs(uid: &str) -> Vec<String> {
    let mut killed = Vec::new();
    for process in processes_of(uid) {
        let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
        let name = name.trim();
        // It holds the pod's network and runs nothing of ours.
        let is_program = !name.is_empty() && name != "pause";
        let id = Pid::from_raw(process.cast_signed()).filter(|_| is_program);
        if id.is_some_and(|id| kill_process(id, Signal::KILL).is_ok()) {
            killed.push(name.to_owned());
        }
    }
    killed
}
