//! The program as the operator runs it: it makes its tables, and serves who has a token.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, in its helpers too, and says why it is skipped"
)]

#[expect(dead_code, reason = "the tests of the gateway use the rest")]
#[path = "../../gateway/src/tests/postgres/mod.rs"]
mod postgres;

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lotoai_contracts::v1::orchestrator_client::OrchestratorClient;
use lotoai_contracts::v1::{Caller, ListApprovalsRequest};
// What the shared module calls by this name.
use lotoai_orchestrator::store;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

const TOKEN: &str = "gateway-token-0123456789";
/// Nothing listens there, and nothing needs to before somebody asks.
const NOWHERE: &str = "http://127.0.0.1:1";

/// A running program; ended when dropped.
struct Orchestrator {
    child: Child,
    listen: SocketAddr,
}

impl Orchestrator {
    fn start(postgres: &str) -> Self {
        let [listen, admin] = free_addresses();
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(env!("CARGO_BIN_EXE_orchestrator"))
            .env_clear()
            .env("LISTEN", listen.to_string())
            .env("ADMIN_LISTEN", admin.to_string())
            .env("POSTGRES_URL", postgres)
            .env("POSTGRES_USERNAME", "gateway")
            .env("POSTGRES_PASSWORD", "none")
            .env("CALLER_TOKEN_GATEWAY", TOKEN);
        for side in ["AGENTS", "RAG_SERVER", "MODEL_SERVER", "MCP_SERVER"] {
            command.env(format!("{side}_URL"), NOWHERE);
            command.env(format!("{side}_TOKEN"), TOKEN);
        }
        let child = command
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, listen }
    }

    async fn client(&self) -> OrchestratorClient<Channel> {
        let begun = Instant::now();
        loop {
            match OrchestratorClient::connect(format!("http://{}", self.listen)).await {
                Ok(client) => return client,
                Err(error) if begun.elapsed() > Duration::from_secs(30) => {
                    panic!("the program does not listen: {error}")
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

impl Drop for Orchestrator {
    fn drop(&mut self) {
        // Whatever has gone already is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_addresses() -> [SocketAddr; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}

/// How many approvals somebody with this token is shown.
async fn shown(client: &mut OrchestratorClient<Channel>, token: &str) -> Result<usize, Status> {
    let mut request = Request::new(ListApprovalsRequest {
        caller: Some(Caller {
            subject: "s".to_owned(),
            ..Caller::default()
        }),
        ..ListApprovalsRequest::default()
    });
    let bearer = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    let listed = client.list_approvals(request).await?;
    Ok(listed.into_inner().approvals.len())
}

#[tokio::test]
async fn on_an_empty_database_it_serves_who_has_a_token_and_nobody_else() {
    let Some(database) = postgres::start_empty() else {
        return;
    };
    let pool = database.pool();
    let options = pool.connect_options();
    let socket = options.get_socket().unwrap().display().to_string();
    let name = options.get_database().unwrap();
    let url = format!("postgres:///{name}?host={socket}&sslmode=disable");
    let orchestrator = Orchestrator::start(&url);
    let mut client = orchestrator.client().await;
    let refused = shown(&mut client, "somebody-elses-token").await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(shown(&mut client, TOKEN).await.unwrap(), 0, "the control");
    let tables = "select count(*) from approval_decisions";
    let rows = sqlx::query_scalar::<_, i64>(tables).fetch_one(&pool).await;
    assert_eq!(rows.unwrap(), 0);
}
