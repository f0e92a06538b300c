//! Tools, over MCP streamable HTTP: protocol 2026-07-28 without sessions, 2025-11-25 for a server
//! that knows nothing newer.

use std::{collections::HashMap, sync::Arc, time::Duration};

use lotoai_contracts::v1::Caller;
use reqwest::header::{HeaderName, HeaderValue};
use rmcp::{
    ClientLifecycleMode, ClientServiceExt, RoleClient,
    model::{
        CallToolRequestParams, ClientCapabilities, ClientConfig, ErrorCode, Implementation,
        ProtocolVersion, RequestMetaObject, Tool,
    },
    service::{RunningService, ServiceError},
    transport::streamable_http_client::{
        StreamableHttpClientTransport, StreamableHttpClientTransportConfig,
    },
};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use url::Url;

use crate::{domain::approval::Cleared, failure::Failure};

const SERVICE: &str = "mcp-server";
/// Carries the groups of the person, so that the server shows and runs only what they may use.
const GROUPS_HEADER: HeaderName = HeaderName::from_static("x-lotoai-groups");
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const LIST_TIMEOUT: Duration = Duration::from_secs(5);
/// Tools have limits of their own on the server; this one notices when the server is gone.
const CALL_TIMEOUT: Duration = Duration::from_secs(90);
/// Tools change with a new configuration only, which restarts the server.
const TOOLS_FRESH_FOR: Duration = Duration::from_secs(10);
/// Different sets of groups that are kept at hand.
const MAX_PEERS: usize = 64;
/// The longest text of a tool that is passed on, in characters.
const MAX_RESULT_CHARS: usize = 16_000;
/// The longest event that is accepted from the server, in bytes.
const MAX_EVENT_BYTES: usize = 1024 * 1024;

type Running = RunningService<RoleClient, ClientConfig>;

/// What a tool gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    /// Its text.
    pub text: String,
    /// The tool says that it could not do it.
    pub is_error: bool,
}

struct Peer {
    running: Arc<Running>,
    tools: Option<(Instant, Arc<Vec<Tool>>)>,
}

/// A client of the tool server.
#[derive(Clone)]
pub struct Mcp {
    client: reqwest::Client,
    url: Url,
    peers: Arc<Mutex<HashMap<String, Peer>>>,
}

impl Mcp {
    /// A client of the server at `url`; `client` sends the token.
    #[must_use]
    pub fn new(client: reqwest::Client, url: Url) -> Self {
        Self {
            client,
            url,
            peers: Arc::default(),
        }
    }

    /// The tools that the caller may use, at most ten seconds old.
    ///
    /// # Errors
    /// The tool server is away or too slow.
    pub async fn tools(&self, caller: &Caller) -> Result<Arc<Vec<Tool>>, Failure> {
        let groups = groups_header(caller);
        if let Some(Peer {
            tools: Some((at, tools)),
            ..
        }) = self.peers.lock().await.get(&groups)
            && at.elapsed() < TOOLS_FRESH_FOR
        {
            return Ok(Arc::clone(tools));
        }
        let known = self
            .peers
            .lock()
            .await
            .get(&groups)
            .map(|peer| Arc::clone(&peer.running));
        if let Some(running) = known
            && let Ok(tools) = list(&running).await
        {
            return Ok(self.keep(groups, running, tools).await);
        }
        self.fresh_tools(caller).await
    }

    /// The tools, over a new connection.
    ///
    /// # Errors
    /// The tool server is away or too slow.
    pub async fn fresh_tools(&self, caller: &Caller) -> Result<Arc<Vec<Tool>>, Failure> {
        let groups = groups_header(caller);
        let running = self.connect(&groups).await?;
        let tools = list(&running).await?;
        Ok(self.keep(groups, running, tools).await)
    }

    /// Calls a tool, once: what fails is not sent again.
    ///
    /// # Errors
    /// The tool server is away or refuses the call; a tool that says "I cannot" is a result.
    pub async fn call(&self, caller: &Caller, call: &Cleared) -> Result<ToolResult, Failure> {
        let groups = groups_header(caller);
        let known = self
            .peers
            .lock()
            .await
            .get(&groups)
            .map(|peer| Arc::clone(&peer.running));
        let running = match known {
            Some(running) => running,
            None => self.connect(&groups).await?,
        };
        let mut params = CallToolRequestParams::new(call.tool().to_owned())
            .with_arguments(call.arguments().clone());
        params.meta = call.meta().map(RequestMetaObject::from);
        let result = match timeout(CALL_TIMEOUT, running.peer().call_tool(params)).await {
            // Arguments that the tool does not take are for the person to put right.
            Ok(Err(ServiceError::McpError(error))) if error.code == ErrorCode::INVALID_PARAMS => {
                let text = error.message.chars().take(MAX_RESULT_CHARS).collect();
                return Ok(ToolResult {
                    text,
                    is_error: true,
                });
            }
            Ok(result) => result.map_err(|error| failure(&error)),
            Err(_) => Err(Failure::dependency(
                SERVICE,
                "the tool took longer than 90 s",
            )),
        };
        if result.as_ref().is_err_and(|failure| failure.retryable) {
            self.peers.lock().await.remove(&groups);
        }
        let result = result?;
        let texts: Vec<&str> = result
            .content
            .iter()
            .filter_map(|c| c.as_text())
            .map(|t| t.text.as_str())
            .collect();
        let text = match (texts.is_empty(), &result.structured_content) {
            (true, Some(value)) => value.to_string(),
            _ => texts.join("\n"),
        };
        Ok(ToolResult {
            text: text.chars().take(MAX_RESULT_CHARS).collect(),
            is_error: result.is_error.unwrap_or(false),
        })
    }

    async fn keep(
        &self,
        groups: String,
        running: Arc<Running>,
        tools: Vec<Tool>,
    ) -> Arc<Vec<Tool>> {
        let tools = Arc::new(tools);
        let mut peers = self.peers.lock().await;
        if peers.len() >= MAX_PEERS {
            peers.clear();
        }
        peers.insert(
            groups,
            Peer {
                running,
                tools: Some((Instant::now(), Arc::clone(&tools))),
            },
        );
        tools
    }

    async fn connect(&self, groups: &str) -> Result<Arc<Running>, Failure> {
        let mut config = StreamableHttpClientTransportConfig::with_uri(self.url.as_str())
            .max_sse_event_size(MAX_EVENT_BYTES);
        if !groups.is_empty()
            && let Ok(value) = HeaderValue::from_str(groups)
        {
            config = config.custom_headers(HashMap::from([(GROUPS_HEADER, value)]));
        }
        let transport = StreamableHttpClientTransport::with_client(self.client.clone(), config);
        let name = Implementation::new("lotoai-orchestrator", env!("CARGO_PKG_VERSION"));
        let identity = ClientConfig::new(ClientCapabilities::default(), name);
        let lifecycle = ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: Some(ProtocolVersion::V_2025_11_25),
        };
        let serve = identity.serve_with_lifecycle(transport, lifecycle);
        match timeout(CONNECT_TIMEOUT, Box::pin(serve)).await {
            Ok(Ok(running)) => Ok(Arc::new(running)),
            Ok(Err(error)) if error.is_authorization_required() => Err(refused()),
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "the tool server cannot be used");
                Err(Failure::dependency(SERVICE, "not reachable"))
            }
            Err(_) => Err(Failure::dependency(SERVICE, "too slow")),
        }
    }
}

async fn list(running: &Running) -> Result<Vec<Tool>, Failure> {
    match timeout(LIST_TIMEOUT, running.peer().list_all_tools()).await {
        Ok(Ok(tools)) => Ok(tools),
        Ok(Err(error)) => Err(failure(&error)),
        Err(_) => Err(Failure::dependency(SERVICE, "too slow")),
    }
}

fn refused() -> Failure {
    Failure::permanent(
        "mcp_server_unavailable",
        "mcp-server refused the orchestrator's token: check the Secret of the edge",
    )
}

fn failure(error: &ServiceError) -> Failure {
    match error {
        ServiceError::McpError(error) => {
            let message: String = error.message.chars().take(300).collect();
            Failure::permanent(
                "tool_refused",
                format!("the tool server refused: {message}"),
            )
        }
        ServiceError::Timeout { .. } => Failure::dependency(SERVICE, "too slow"),
        _ => Failure::dependency(SERVICE, "the connection broke"),
    }
}

/// The caller's groups as a header. A group whose name could be read as two, or that no header
/// can carry, is left out: that can only take rights away.
fn groups_header(caller: &Caller) -> String {
    let usable = |group: &&String| {
        !group.is_empty()
            && group
                .bytes()
                .all(|b| (b' '..=b'~').contains(&b) && b != b',')
    };
    let groups: Vec<&str> = caller
        .groups
        .iter()
        .filter(usable)
        .map(String::as_str)
        .collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_cannot_pretend_to_be_two() {
        let groups = ["admins", "a,b", "", "grün", "sales team"]
            .map(str::to_owned)
            .to_vec();
        let caller = Caller {
            groups,
            ..Caller::default()
        };
        assert_eq!(groups_header(&caller), "admins,sales team");
    }
}
