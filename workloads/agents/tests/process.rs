//! The program as the operator runs it: the key of a provider comes from the environment, goes to
//! that provider, and is seen nowhere else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lotoai_contracts::v1::agents_client::AgentsClient;
use lotoai_contracts::v1::complete_event::Event;
use lotoai_contracts::v1::{CompleteRequest, Message};
use tonic::Request;
use tonic::transport::Channel;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const KEY: &str = "sk-test-8c1f0e5d7a";
const TOKEN: &str = "orchestrator-token-0123456789";
const STREAM: &str = include_str!("golden/openai.sse");

/// A running program; ended when dropped.
struct Agents {
    child: Child,
    table: PathBuf,
    listen: SocketAddr,
}

impl Agents {
    fn start(provider: &str) -> Self {
        let [listen, admin] = free_addresses();
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        std::fs::create_dir_all(directory).unwrap();
        let table = directory.join(format!("agents-{}.yaml", listen.port()));
        let text = format!(
            "providers:\n\
             - {{name: far, kind: OpenAICompatible, baseURL: '{provider}/v1', \
                apiKeyEnv: PROVIDER_FAR_API_KEY}}\n\
             roles:\n\
             - {{name: writer, prompt: Be brief., models: [{{provider: far, model: m}}]}}\n"
        );
        std::fs::write(&table, text).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_agents"))
            .env_clear()
            .env("AGENTS_CONFIG", &table)
            .env("LISTEN", listen.to_string())
            .env("ADMIN_LISTEN", admin.to_string())
            // More than anybody would have on in a company.
            .env("LOG", "debug")
            .env("CALLER_TOKEN_ORCHESTRATOR", TOKEN)
            .env("PROVIDER_FAR_API_KEY", KEY)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            child,
            table,
            listen,
        }
    }

    async fn client(&self) -> AgentsClient<Channel> {
        let begun = Instant::now();
        loop {
            match AgentsClient::connect(format!("http://{}", self.listen)).await {
                Ok(client) => return client,
                Err(error) if begun.elapsed() > Duration::from_secs(30) => {
                    panic!("the program does not listen: {error}")
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Ends it and gives all that it has logged.
    fn logs(mut self) -> String {
        self.child.kill().unwrap();
        let mut text = String::new();
        for mut pipe in [
            Box::new(self.child.stdout.take().unwrap()) as Box<dyn std::io::Read>,
            Box::new(self.child.stderr.take().unwrap()),
        ] {
            pipe.read_to_string(&mut text).unwrap();
        }
        text
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        // Whatever has gone already is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.table);
    }
}

fn free_addresses() -> [SocketAddr; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}

/// The text that a question gets, and its last event.
async fn ask(client: &mut AgentsClient<Channel>) -> (String, Event) {
    let mut request = Request::new(CompleteRequest {
        run_id: "r".to_owned(),
        role: "writer".to_owned(),
        messages: vec![Message {
            role: "user".to_owned(),
            content: "Hello?".to_owned(),
            ..Message::default()
        }],
        ..CompleteRequest::default()
    });
    let bearer = format!("Bearer {TOKEN}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    let mut events = client.complete(request).await.unwrap().into_inner();
    let mut text = String::new();
    loop {
        match events.message().await.unwrap().unwrap().event.unwrap() {
            Event::Delta(piece) => text.push_str(&piece),
            last => return (text, last),
        }
    }
}

/// They take turns: an address that is free may be taken by the provider of the other one.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test]
async fn a_key_reaches_its_provider_and_no_log() {
    let _turn = TURN.lock().await;
    let provider = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/chat/completions"))
        .and(header("authorization", format!("Bearer {KEY}").as_str()))
        .respond_with(ResponseTemplate::new(200).set_body_raw(STREAM, "text/event-stream"))
        .expect(1)
        .mount(&provider)
        .await;
    let agents = Agents::start(&provider.uri());
    let (text, last) = ask(&mut agents.client().await).await;
    assert_eq!(text, "Hello, world.");
    let Event::Finished(finished) = last else {
        panic!("{last:?}");
    };
    assert_eq!(
        (finished.provider.as_str(), finished.model.as_str()),
        ("far", "m")
    );
    holds_no_key(&agents.logs());
}

#[tokio::test]
async fn a_refused_key_is_repeated_by_nobody() {
    let _turn = TURN.lock().await;
    let provider = MockServer::start().await;
    let said = format!(r#"{{"error": {{"message": "Incorrect API key provided: {KEY}"}}}}"#);
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(401).set_body_raw(said, "application/json"))
        .mount(&provider)
        .await;
    let agents = Agents::start(&provider.uri());
    let (text, last) = ask(&mut agents.client().await).await;
    assert_eq!(text, "");
    let Event::Failed(failed) = last else {
        panic!("{last:?}");
    };
    assert!(failed.message.contains("refused the key"), "{failed:?}");
    assert!(!failed.message.contains(KEY), "{failed:?}");
    holds_no_key(&agents.logs());
}

fn holds_no_key(logs: &str) {
    // An empty log would hold none either.
    assert!(logs.contains("the role table is loaded"), "{logs}");
    assert!(!logs.contains(KEY), "{logs}");
}
