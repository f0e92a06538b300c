//! Callers that leave before their call has ended: what ends with them, and what goes on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod client;
mod server;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::routing::any;
use rstest::rstest;
use serde_json::{Value, json};
use server::{Server, appears};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// How long a test waits for anything.
const LIMIT: Duration = Duration::from_secs(20);

/// Begins a call, whose caller leaves when the task is aborted.
fn begin(server: &Server, message: &Value) -> JoinHandle<()> {
    let call = server.request(message);
    tokio::spawn(async move { drop(call.send().await) })
}

fn call_of(name: &str, arguments: Value) -> Value {
    client::message("tools/call", json!({"name": name, "arguments": arguments}))
}

fn runs(process: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let mut lines = status.lines();
    lines.any(|line| line.starts_with("State:") && !line.contains('Z'))
}

/// Notes the processes of a script: the shell, and one that it began.
const LINGER: &str = r#"
tools:
  - name: linger
    description: Goes on for long
    inputSchema: {type: object, required: [dir], properties: {dir: {type: string}}}
    script: {source: 'sleep 60 & echo "$$ $!" > "$ARG_DIR/new"; mv "$ARG_DIR/new" "$ARG_DIR/begun"; wait', timeoutSeconds: 60}
"#;

async fn begun(directory: &Path) -> Vec<String> {
    let file = directory.join("begun");
    appears(&file).await;
    let text = std::fs::read_to_string(file).unwrap();
    text.split_whitespace().map(str::to_owned).collect()
}

#[rstest]
#[case::without_session(|message| message)]
#[case::of_before(|mut message: Value| {
    message["params"]["_meta"].take();
    message
})]
#[tokio::test]
async fn a_script_ends_with_its_caller_and_gives_its_place_back(
    #[case] spoken: fn(Value) -> Value,
) {
    let server = Server::start(LINGER).await;
    // As many callers as there are places, twice: the second ones get one when the first have left.
    for _ in 0..2 {
        let (mut callers, mut processes) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let directory = tempfile::tempdir().unwrap();
            let call = call_of("linger", json!({"dir": directory.path()}));
            callers.push(begin(&server, &spoken(call)));
            processes.extend(begun(directory.path()).await);
        }
        let are_there = processes.len() == 4 && processes.iter().all(|it| runs(it));
        assert!(are_there, "the control: they are waited for: {processes:?}");
        for caller in callers {
            caller.abort();
        }
        let since = Instant::now();
        while processes.iter().any(|it| runs(it)) {
            assert!(since.elapsed() < LIMIT, "they go on: {processes:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// An API whose answer takes until it is told to go, and that notes what becomes of its calls.
#[derive(Clone)]
struct Slow {
    seen: watch::Sender<Vec<&'static str>>,
    go: Arc<Notify>,
}

struct Call(Slow, &'static str);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.seen.send_modify(|seen| seen.push(self.1));
    }
}

impl Slow {
    async fn serve() -> (Self, String) {
        let slow = Self {
            seen: watch::Sender::default(),
            go: Arc::default(),
        };
        let app = Router::new()
            .route("/", any(answer))
            .with_state(slow.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (slow, url)
    }

    /// What has become of the calls, when it is `count` things.
    async fn seen(&self, count: usize) -> Vec<&'static str> {
        let mut seen = self.seen.subscribe();
        let waited = tokio::time::timeout(LIMIT, seen.wait_for(|seen| seen.len() >= count)).await;
        waited
            .expect("something else becomes of them")
            .unwrap()
            .clone()
    }
}

async fn answer(State(slow): State<Slow>) -> &'static str {
    slow.seen.send_modify(|seen| seen.push("begun"));
    let mut call = Call(slow.clone(), "broken off");
    slow.go.notified().await;
    call.1 = "answered";
    "done"
}

#[tokio::test]
async fn what_only_reads_ends_with_its_caller_and_what_may_change_something_goes_on() {
    let (read, read_url) = Slow::serve().await;
    let (change, change_url) = Slow::serve().await;
    let tools = json!({"tools": [
        {"name": "read", "description": "Reads", "http": {"url": read_url, "timeoutSeconds": 60}},
        {"name": "change", "description": "Changes something",
         "http": {"method": "POST", "url": change_url, "timeoutSeconds": 60}},
    ]});
    let server = Server::start(&tools.to_string()).await;
    let leaving = [("change", &change), ("read", &read)];
    for (name, api) in leaving {
        let caller = begin(&server, &call_of(name, json!({})));
        assert_eq!(api.seen(1).await, ["begun"]);
        caller.abort();
    }
    assert_eq!(read.seen(2).await, ["begun", "broken off"]);
    // Its caller left before the other one did.
    change.go.notify_one();
    assert_eq!(change.seen(2).await, ["begun", "answered"]);
    // The control: whoever stays gets the answer.
    let staying = server.call("tools/call", json!({"name": "read", "arguments": {}}), "");
    let ((), answer) = tokio::join!(async { read.go.notify_one() }, staying);
    assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
}
