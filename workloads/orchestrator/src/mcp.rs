//! Tools, over MCP streamable HTTP: protocol 2026-07-28 without sessions, 2025-11-25 for a server
//! that knows nothing newer.

mod attempt;

use std::{collections::HashMap, sync::Arc, time::Duration};

use lotoai_contracts::{tools, v1::Caller};
use lotoai_kit::retry;
use reqwest::header::{HeaderName, HeaderValue};
use rmcp::{
    ClientLifecycleMode, ClientServiceExt, RoleClient,
    model::{
        CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, ErrorCode,
        Implementation, ProtocolVersion, RequestMetaObject, Tool,
    },
    service::{RunningService, ServiceError},
    transport::streamable_http_client::{
        StreamableHttpClientTransport, StreamableHttpClientTransportConfig,
    },
};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout, timeout_at},
};
use url::Url;

use self::attempt::Failed;
use crate::{domain::approval::Cleared, failure::Failure};

const SERVICE: &str = "mcp-server";
/// So that the server shows and runs only what the person may use.
const GROUPS_HEADER: HeaderName = HeaderName::from_static(tools::GROUPS_HEADER);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const LIST_TIMEOUT: Duration = Duration::from_secs(5);
/// Tools have limits of their own on the server; this one notices when the server is gone. It holds
/// for all attempts at a call together: the last one begins 8 s after the first at the latest, and the
/// server takes 103 s at most, of which a script waits 3 s for its place. It is shorter than the 120 s
/// of silence after which the gateway, and our own connection to the server, give up.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(115);
/// How long a request is made again that surely did nothing. A pod that is replaced serves for 4 s
/// and more after its Service was told to forget it, so that this adds to a time which is enough as a
/// rule; it stays within the 5 s of a hop of the probe.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);
/// Tools change with a new configuration only, which restarts the server.
const TOOLS_FRESH_FOR: Duration = Duration::from_secs(10);
/// How long after it could not be had the list is asked for without patience, so that a server which
/// stays away makes not every question wait.
const GIVEN_UP_FOR: Duration = Duration::from_secs(10);
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

/// A call without a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncalled {
    /// Why there is none.
    pub failure: Failure,
    /// Whether it surely did not come to the tool; else nobody knows, or the server refused it.
    pub is_unmade: bool,
}

impl Uncalled {
    /// Whether the tool may have done its work: the request was sent, and nobody has answered.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        !self.is_unmade && self.failure.retryable
    }
}

impl From<Uncalled> for Failure {
    fn from(uncalled: Uncalled) -> Self {
        uncalled.failure
    }
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
    /// When the list could not be had, if it could not the last time.
    given_up: Arc<Mutex<Option<Instant>>>,
}

impl Mcp {
    /// A client of the server at `url`; `client` sends the token.
    #[must_use]
    pub fn new(client: reqwest::Client, url: Url) -> Self {
        Self {
            client,
            url,
            peers: Arc::default(),
            given_up: Arc::default(),
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
        if let Some(running) = self.known(&groups).await
            && let Ok(tools) = list(&running).await
        {
            return Ok(self.keep(groups, running, tools).await);
        }
        self.fresh_tools(caller).await
    }

    /// The tools, over a new connection. Asked again for three seconds while that breaks, whatever
    /// it was: a list changes nothing on the server. Asked once where that was in vain lately.
    ///
    /// # Errors
    /// The tool server is away or too slow.
    pub async fn fresh_tools(&self, caller: &Caller) -> Result<Arc<Vec<Tool>>, Failure> {
        let groups = groups_header(caller);
        let given_up = *self.given_up.lock().await;
        let patience = match given_up {
            Some(at) if at.elapsed() < GIVEN_UP_FOR => Duration::ZERO,
            _ => PATIENCE,
        };
        let opened = repeated("list", patience, || self.open(&groups)).await;
        *self.given_up.lock().await = opened.is_err().then(Instant::now);
        let (running, tools) = opened.map_err(|failed| failed.failure)?;
        Ok(self.keep(groups, running, tools).await)
    }

    /// Calls a tool. An attempt that surely did not come to it is followed by another one, for three
    /// seconds; whatever may have begun is not sent again.
    ///
    /// # Errors
    /// The tool server is away or refuses the call; a tool that says "I cannot" is a result.
    pub async fn call(&self, caller: &Caller, call: &Cleared) -> Result<ToolResult, Uncalled> {
        let groups = groups_header(caller);
        let mut params = CallToolRequestParams::new(call.tool().to_owned())
            .with_arguments(call.arguments().clone());
        params.meta = call.meta().map(RequestMetaObject::from);
        let deadline = Instant::now() + CALL_TIMEOUT;
        let attempt = || self.attempt(&groups, params.clone(), deadline);
        let result = repeated("call", PATIENCE, attempt).await;
        result.map_err(|failed| Uncalled {
            // Those before were followed by another one, and so did not come to it either.
            is_unmade: failed.again.is_some(),
            failure: failed.failure,
        })
    }

    async fn attempt(
        &self,
        groups: &str,
        params: CallToolRequestParams,
        deadline: Instant,
    ) -> Result<ToolResult, Failed> {
        let running = match self.known(groups).await {
            Some(running) => running,
            None => self.connect(groups).await?,
        };
        let failed = match timeout_at(deadline, running.peer().call_tool(params)).await {
            Ok(Ok(result)) => return Ok(read(&result)),
            // Arguments that the tool does not take are for the person to put right.
            Ok(Err(ServiceError::McpError(error))) if error.code == ErrorCode::INVALID_PARAMS => {
                let text = error.message.chars().take(MAX_RESULT_CHARS).collect();
                return Ok(ToolResult {
                    text,
                    is_error: true,
                });
            }
            Ok(Err(error)) => Failed::call(&error),
            Err(_) => Failed::lasting(Failure::dependency(
                SERVICE,
                &format!("the tool took longer than {} s", CALL_TIMEOUT.as_secs()),
            )),
        };
        if failed.failure.retryable {
            self.peers.lock().await.remove(groups);
        }
        Err(failed)
    }

    /// The connection that is at hand for these groups.
    async fn known(&self, groups: &str) -> Option<Arc<Running>> {
        let peers = self.peers.lock().await;
        let running = &peers.get(groups)?.running;
        (!running.is_transport_closed()).then(|| Arc::clone(running))
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

    async fn open(&self, groups: &str) -> Result<(Arc<Running>, Vec<Tool>), Failed> {
        let running = self.connect(groups).await?;
        let tools = list(&running).await?;
        Ok((running, tools))
    }

    async fn connect(&self, groups: &str) -> Result<Arc<Running>, Failed> {
        // A session that is not known any more is a failed attempt like any other.
        let mut config = StreamableHttpClientTransportConfig::with_uri(self.url.as_str())
            .max_sse_event_size(MAX_EVENT_BYTES)
            .reinit_on_expired_session(false);
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
            Ok(Err(error)) if error.is_authorization_required() => Err(Failed::lasting(refused())),
            Ok(Err(error)) => Err(Failed::passing("not reachable", error.to_string())),
            Err(_) => Err(Failed::slow()),
        }
    }
}

/// Makes a request, and again for as long as `patience` while it fails in a way that allows it.
async fn repeated<T, F, Fut>(
    request: &'static str,
    patience: Duration,
    mut attempt: F,
) -> Result<T, Failed>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, Failed>>,
{
    let mut is_repeated = false;
    let counted = || {
        if std::mem::replace(&mut is_repeated, true) {
            metrics::counter!("lotoai_orchestrator_mcp_repeats_total", "request" => request)
                .increment(1);
        }
        attempt()
    };
    let why = |failed: &Failed| failed.again.clone();
    let result = retry::while_passing(SERVICE, patience, why, counted).await;
    result.inspect_err(|failed| {
        if let Some(cause) = &failed.again {
            tracing::warn!(error = cause, request, "the tool server cannot be used");
        }
    })
}

/// What a tool says.
fn read(result: &CallToolResult) -> ToolResult {
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
    ToolResult {
        text: text.chars().take(MAX_RESULT_CHARS).collect(),
        is_error: result.is_error.unwrap_or(false),
    }
}

async fn list(running: &Running) -> Result<Vec<Tool>, Failed> {
    match timeout(LIST_TIMEOUT, running.peer().list_all_tools()).await {
        Ok(Ok(tools)) => Ok(tools),
        Ok(Err(error)) => Err(Failed::list(&error)),
        Err(_) => Err(Failed::slow()),
    }
}

fn refused() -> Failure {
    Failure::permanent(
        "mcp_server_unavailable",
        "mcp-server refused the orchestrator's token: check the Secret of the edge",
    )
}

/// The caller's groups as a header. A group whose name could be read as two or as another one, as with
/// blanks at its ends, which HTTP drops, or that no header can carry, is left out: that can only take
/// rights away.
fn groups_header(caller: &Caller) -> String {
    let usable = |group: &&String| {
        !group.is_empty()
            && group.trim() == *group
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

    fn header_of(groups: &[&str]) -> String {
        groups_header(&Caller {
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            ..Caller::default()
        })
    }

    #[test]
    fn a_group_cannot_pretend_to_be_two() {
        let groups = ["admins", "a,b", "", "grün", "sales team"];
        assert_eq!(header_of(&groups), "admins,sales team");
    }

    #[test]
    fn a_group_with_blanks_around_it_cannot_pretend_to_be_another_one() {
        for group in [
            " admins", "admins ", " admins ", " ", "\tadmins", "admins\n",
        ] {
            assert_eq!(header_of(&[group]), "", "{group:?}");
            assert_eq!(header_of(&["staff", group]), "staff", "{group:?}");
        }
        assert_eq!(
            header_of(&["staff", "admins"]),
            "staff,admins",
            "the control"
        );
    }
}
