//! Real clients of OpenAI's API and of resumable uploads, as their publishers ship them, told nothing
//! but the address and a key. What they are made to do is in `clients/` of this crate; `make test`
//! installs them, and a validator of OpenAPI documents beside them.

mod document;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpListener;
use tokio::process::Command;

use super::api_keys::{every_scope, key};
use super::model_server;
use super::orchestrator;
use super::support::{Gateway, Parts};

/// What every client is made to do.
const CASES: &[&str] = &[
    "models",
    "chat",
    "stream",
    "usage",
    "unauthorized",
    "unknown_model",
    "bad_request",
    "too_many",
    "broken_stream",
    "tools",
    "consent",
    "responses",
    "background",
    "embeddings",
];
/// Most of a client's time goes into loading it.
const LIMIT: Duration = Duration::from_secs(100);

/// Where `make test` installed the clients. `None`, with the reason printed, when it did not.
fn installed() -> Option<PathBuf> {
    let directory = std::env::var_os("LOTOAI_OPENAI_CLIENTS").map(PathBuf::from);
    if directory.is_none() {
        println!(
            "SKIPPED: LOTOAI_OPENAI_CLIENTS is not set; `make test` installs them and sets it"
        );
    }
    directory
}

/// The Python that finds what was installed. Its script's own directory may hold more; nothing else
/// that a person has may be found.
fn python(installed: &Path) -> Command {
    let mut python = Command::new(installed.join("venv/bin/python"));
    python.arg("-B").env("PYTHONNOUSERSITE", "1");
    python
}

/// The program of a client, without the names of cases.
fn program(client: &str) -> Option<Command> {
    let installed = installed()?;
    let sources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("clients");
    let mut command = if client.ends_with(".py") {
        python(&installed)
    } else {
        Command::new("node")
    };
    command
        .arg(sources.join(client))
        .env("CLIENTS", &installed)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        // Keys, addresses and proxies of the person who runs the tests.
        let is_theirs = name.starts_with("OPENAI") || name.starts_with("LITELLM");
        if is_theirs || name.to_ascii_lowercase().ends_with("_proxy") {
            command.env_remove(name);
        }
    }
    // Or it asks the internet for prices at its start.
    command.env("LITELLM_LOCAL_MODEL_COST_MAP", "true");
    Some(command)
}

/// A gateway that listens, and the two keys of a client.
struct Served {
    address: String,
    key: String,
    poor: String,
}

async fn serve(gateway: &Gateway) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/v1", listener.local_addr().unwrap());
    let (service, router) = (gateway.service.clone(), gateway.router.clone());
    tokio::spawn(async move { service.serve_http_on(listener, router).await });
    let all = json!({ "name": "client", "scopes": every_scope() });
    Served {
        address,
        key: key(gateway, "ana", &[], &all).await,
        poor: key(gateway, "poor", &[], &json!({ "name": "client" })).await,
    }
}

#[rstest::rstest]
#[case::openai_for_python("with_openai.py", &[])]
#[case::openai_for_node("with_openai.cjs", &[])]
#[case::langchain("with_langchain.py", &["models", "background"])]
#[case::litellm("with_litellm.py", &["background"])]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_client_works(#[case] client: &str, #[case] absent: &[&str]) {
    let Some(mut command) = program(client) else {
        return;
    };
    let (orchestrator, seen) = orchestrator::start().await;
    let model_server = model_server::start().await;
    let parts = Parts {
        orchestrator,
        model_server: model_server.uri(),
        budgets: "budgets: [{name: once, scope: User, names: [poor], per: Month, requests: 1}]"
            .to_owned(),
        ..Parts::default()
    };
    let Some((_server, gateway)) = Gateway::stored(parts).await else {
        return;
    };
    let served = serve(&gateway).await;
    command
        .args(CASES)
        .env("OPENAI_BASE_URL", &served.address)
        .env("OPENAI_API_KEY", &served.key)
        .env("POOR_API_KEY", &served.poor);
    let output = tokio::time::timeout(LIMIT, command.output())
        .await
        .unwrap_or_else(|_| panic!("{client} took longer than {LIMIT:?}"))
        .unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    for case in CASES {
        let outcome = if absent.contains(case) {
            "absent"
        } else {
            "ok"
        };
        let line = format!("{case} {outcome}");
        assert!(text.lines().any(|it| it == line), "no {line:?} in:\n{text}");
    }
    assert!(output.status.success(), "{text}");
    // What case `chat` asked for beside the question arrived.
    let requests = seen.requests.lock().unwrap();
    let mut asked = requests.iter().filter_map(|it| it.sampling.as_ref());
    assert!(asked.any(|it| it.stop == ["END"] && it.seed == Some(7)));
}

/// The client of resumable uploads that browsers use, as it runs in Node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_client_of_resumable_uploads_works() {
    const CASES: [&str; 6] = [
        "whole",
        "pieces",
        "resumed",
        "ended",
        "refused",
        "unauthorized",
    ];
    let Some(mut command) = program("with_tus.cjs") else {
        return;
    };
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let served = serve(&gateway).await;
    let endpoint = served.address.replace("/v1", "/api/uploads");
    command
        .args(CASES)
        .env("TUS_ENDPOINT", endpoint)
        .env("TUS_KEY", &served.key);
    let output = tokio::time::timeout(LIMIT, command.output())
        .await
        .unwrap_or_else(|_| panic!("it took longer than {LIMIT:?}"))
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    for case in CASES {
        let line = format!("{case} ok");
        assert!(text.lines().any(|it| it == line), "no {line:?} in:\n{text}");
    }
    assert!(output.status.success(), "{text}");
    // Three files became documents, and nothing else did.
    let list = gateway.get("/api/documents", "ana").await.json();
    let sizes = list["items"].as_array().unwrap().iter();
    let sizes: Vec<_> = sizes.map(|it| it["size"].as_u64().unwrap()).collect();
    assert_eq!(sizes, [54_000; 3]);
}

/// The control: a case that must fail does, and the client says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_refused_says_so() {
    let Some(mut command) = program("with_openai.cjs") else {
        return;
    };
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let served = serve(&gateway).await;
    command
        .args(["chat", "nothing"])
        .env("OPENAI_BASE_URL", &served.address)
        .env("OPENAI_API_KEY", served.key.replace("loto_", "luto_"));
    let output = command.output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{text}");
    assert!(text.lines().any(|line| line == "chat failed"), "{text}");
    assert!(text.lines().any(|line| line == "nothing absent"), "{text}");
}
