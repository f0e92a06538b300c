//! The processes that people consent on, and how two of them are killed and come back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::client::Client;
use crate::environment::NOWHERE;
use crate::ground::{Ground, behind};
use crate::postgres::Database;
use crate::relay::{Far, Kill, Relay, Trigger};
use crate::replica::{Replica, free};

/// By which the processes know each other.
const TOKEN: &str = "token-of-these-processes-4711";
pub(super) const TOOL: &str = "note_down";
/// What the tool says when it has done its work.
pub(super) const NOTED: &str = "It is noted";

/// What the gateway is told beside where everything is.
const TO_ORCHESTRATOR: [(&str, &str); 1] = [("ORCHESTRATOR_TOKEN", TOKEN)];
/// What the orchestrator is told of its far sides: a question that names its tool needs no other.
const FAR_SIDES: [(&str, &str); 9] = [
    ("POSTGRES_USERNAME", "gateway"),
    ("POSTGRES_PASSWORD", "none"),
    ("MCP_SERVER_TOKEN", TOKEN),
    ("AGENTS_URL", NOWHERE),
    ("AGENTS_TOKEN", TOKEN),
    ("RAG_SERVER_URL", NOWHERE),
    ("RAG_SERVER_TOKEN", TOKEN),
    ("MODEL_SERVER_URL", NOWHERE),
    ("MODEL_SERVER_TOKEN", TOKEN),
];

/// A process that is killed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Victim {
    Gateway,
    Orchestrator,
}

/// The processes, and what passes between each of the two that are killed and its far sides.
pub(super) struct Stage {
    ground: Ground,
    gateway: Replica,
    orchestrator: Replica,
    /// By which the orchestrator is started again, where it was.
    addresses: [SocketAddr; 2],
    variables: Vec<(&'static str, String)>,
    of_gateway: Arc<Trigger>,
    of_orchestrator: Arc<Trigger>,
    /// A way to the orchestrator's database beside its own.
    runs: PgPool,
    /// The file that the tool writes to.
    notes: String,
    _tools: Replica,
    _relays: [Relay; 5],
}

impl Stage {
    pub(super) async fn new(database: &Database, runs: &Database) -> Self {
        let mut ground = Ground::new(database).await;
        let [of_gateway, of_orchestrator] = [(); 2].map(|()| Arc::<Trigger>::default());
        let (addresses, tools_at) = ([free(), free()], [free(), free()]);

        // Whatever passes between the two is counted for both, by a relay each.
        let near = Relay::start(Far::Port(addresses[0]), Arc::clone(&of_orchestrator)).await;
        let orchestrator_at = Relay::start(Far::Port(near.address), Arc::clone(&of_gateway)).await;
        ground.orchestrator = format!("http://{}", orchestrator_at.address);
        let (conversations_at, postgres) = behind(&ground.pool, &of_gateway).await;
        ground.postgres = postgres;
        let runs = runs.pool();
        let (runs_at, postgres) = behind(&runs, &of_orchestrator).await;
        let mcp = Relay::start(Far::Port(tools_at[0]), Arc::clone(&of_orchestrator)).await;

        let notes = ground.file("notes", "");
        let declared = ground.file("mcp.yaml", &tools(&notes).to_string());
        let own = [
            ("MCP_CONFIG", declared.as_str()),
            ("CALLER_TOKEN_ORCHESTRATOR", TOKEN),
        ];
        let variables = listening(tools_at, &own);
        let tools = ground.start("mcp-server", tools_at, variables).await;
        let mcp_url = format!("http://{}/mcp", mcp.address);
        let own = [
            ("POSTGRES_URL", postgres.as_str()),
            ("MCP_SERVER_URL", mcp_url.as_str()),
            ("CALLER_TOKEN_GATEWAY", TOKEN),
        ];
        let variables = listening(addresses, &[&own[..], &FAR_SIDES[..]].concat());
        let orchestrator = ground
            .start("orchestrator", addresses, variables.clone())
            .await;
        let gateway = ground.replica(&TO_ORCHESTRATOR).await;
        Self {
            ground,
            gateway,
            orchestrator,
            addresses,
            variables,
            of_gateway,
            of_orchestrator,
            runs,
            notes,
            _tools: tools,
            _relays: [near, orchestrator_at, conversations_at, runs_at, mcp],
        }
    }

    pub(super) fn arm(&self, victim: Victim, kill: Kill) {
        match victim {
            Victim::Gateway => self.of_gateway.arm(self.gateway.id(), kill),
            Victim::Orchestrator => self.of_orchestrator.arm(self.orchestrator.id(), kill),
        }
    }

    pub(super) fn disarm(&self, victim: Victim) -> u64 {
        match victim {
            Victim::Gateway => self.of_gateway.disarm(),
            Victim::Orchestrator => self.of_orchestrator.disarm(),
        }
    }

    /// Ends the process, if it has not been ended yet, and starts the next one in its place.
    pub(super) async fn replace(&mut self, victim: Victim) {
        let ended = match victim {
            Victim::Gateway => &mut self.gateway,
            Victim::Orchestrator => &mut self.orchestrator,
        };
        // A load may have come to its end with less.
        ended.kill();
        ended.ended(Duration::from_secs(10)).await;
        match victim {
            Victim::Gateway => {
                self.gateway = self.ground.replica(&TO_ORCHESTRATOR).await;
                // As if the 10 s were over for which one that died holds an answer.
                let over = "update answer_streams set alive_until = now() where ended_at is null";
                sqlx::query(over).execute(&self.ground.pool).await.unwrap();
            }
            Victim::Orchestrator => {
                let variables = self.variables.clone();
                let started = self.ground.start("orchestrator", self.addresses, variables);
                self.orchestrator = started.await;
            }
        }
    }

    /// A person who asks the gateway.
    pub(super) fn client(&self, subject: &str) -> Client {
        self.ground.client(self.gateway.address, subject)
    }

    /// How often the tool has written this down.
    pub(super) fn noted(&self, note: &str) -> usize {
        let notes = std::fs::read_to_string(&self.notes).unwrap();
        notes.lines().filter(|line| *line == note).count()
    }

    /// The number that a query on the orchestrator's database gives.
    pub(super) async fn number(&self, query: &'static str) -> usize {
        let count = sqlx::query_scalar::<_, i64>(query).fetch_one(&self.runs);
        usize::try_from(count.await.unwrap()).unwrap()
    }
}

/// The variables of a program at these addresses, told so much more.
fn listening(
    [listen, admin]: [SocketAddr; 2],
    more: &[(&'static str, &str)],
) -> Vec<(&'static str, String)> {
    let own = [
        ("LISTEN", listen.to_string()),
        ("ADMIN_LISTEN", admin.to_string()),
    ];
    let more = more
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    own.into_iter().chain(more).collect()
}

/// What mcp-server is told: a tool that writes down how often it was called with what. JSON is YAML.
fn tools(notes: &str) -> Value {
    let source = format!("printf '%s\\n' \"$ARG_TEXT\" >>'{notes}' && printf '{NOTED}'");
    json!({ "tools": [{
        "name": TOOL, "description": "Notes a sentence down.", "approval": "Always",
        "inputSchema": {
            "type": "object", "required": ["text"], "properties": { "text": { "type": "string" } },
        },
        "script": { "source": source },
    }] })
}
