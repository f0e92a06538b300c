//! A tool server with one tool.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{StatusCode, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListToolsResult,
        MetaObject, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

/// More than any request of a test.
const MAX_REQUEST_BYTES: usize = 1024 * 1024;

/// What of a tool differs from test to test.
#[derive(Clone, Debug, Default)]
pub(super) struct FakeTool {
    /// Beside it in the list.
    pub(super) meta: Map<String, Value>,
    /// The group that may use it; `None` = everybody.
    pub(super) group: Option<&'static str>,
    /// The answer to a call is lost on its way.
    pub(super) breaks: bool,
    /// The server, one of before, knows no session any more whenever a tool is called.
    pub(super) forgets: bool,
    /// A call takes until its caller leaves.
    pub(super) hangs: bool,
    /// Tells that a call has begun, and that its caller has left.
    pub(super) news: watch::Sender<Vec<&'static str>>,
    /// `_meta` of every call, without what the protocol itself puts there, and its arguments.
    pub(super) calls: Vec<(Value, Value)>,
}

#[derive(Clone)]
struct FakeTools(Arc<Mutex<FakeTool>>);

impl FakeTools {
    fn allows(&self, context: &RequestContext<RoleServer>) -> bool {
        let parts = context.extensions.get::<Parts>().unwrap();
        let groups = parts.headers.get("x-lotoai-groups");
        let groups = groups.map_or("", |groups| groups.to_str().unwrap());
        let group = self.0.lock().unwrap().group;
        group.is_none_or(|group| groups.split(',').any(|it| it == group))
    }
}

impl ServerHandler for FakeTools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }
    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        if !self.allows(&context) {
            return Ok(ListToolsResult::with_all_items(Vec::new()));
        }
        let schema = json!({
            "type": "object",
            "properties": {
                "start_date": {"type": "string", "description": "First day, YYYY-MM-DD"},
                "end_date": {"type": "string", "description": "Last day, YYYY-MM-DD"},
            },
            "required": ["start_date", "end_date"],
        });
        let tool = Tool::new(
            "working_days",
            "Counts how many working days are between two dates.",
            Arc::new(schema.as_object().unwrap().clone()),
        );
        let tool = tool.with_meta(MetaObject(self.0.lock().unwrap().meta.clone()));
        Ok(ListToolsResult::with_all_items(vec![tool]))
    }
    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let said = context.meta.iter();
        let said = said.filter(|(key, _)| key.starts_with("lotoai.dev/"));
        let said = said
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let call = (Value::Object(said), arguments.clone());
        let (hangs, news) = {
            let mut tool = self.0.lock().unwrap();
            tool.calls.push(call);
            (tool.hangs, tool.news.clone())
        };
        if hangs {
            news.send_modify(|news| news.push("begun"));
            context.ct.cancelled().await;
            news.send_modify(|news| news.push("left"));
        }
        if arguments["end_date"] == "2026-11-20" {
            return Ok(CallToolResult::success(vec![ContentBlock::text("15")]).into());
        }
        Ok(CallToolResult::error(vec![ContentBlock::text("end_date is too far away")]).into())
    }
}

/// Takes the answer to a call away, as a proxy does whose server has gone, if the tool is to break.
async fn broken(
    State(tool): State<Arc<Mutex<FakeTool>>>,
    request: Request,
    next: Next,
) -> Response {
    let calls = || tool.lock().unwrap().calls.len();
    let before = calls();
    let response = next.run(request).await;
    let breaks = tool.lock().unwrap().breaks;
    if breaks && calls() > before {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    response
}

/// Refuses the protocol that has no sessions.
async fn of_before(request: Request, next: Next) -> Response {
    match request.headers().get("mcp-method") {
        Some(method) if method == "server/discover" => StatusCode::BAD_REQUEST.into_response(),
        _ => next.run(request).await,
    }
}

/// Lets no call in, by the word that its session is not known.
async fn forgetful(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, MAX_REQUEST_BYTES).await.unwrap();
    if String::from_utf8_lossy(&body).contains("tools/call") {
        return StatusCode::NOT_FOUND.into_response();
    }
    next.run(Request::from_parts(head, Body::from(body))).await
}

/// The server, at `/mcp`.
pub(super) fn app(tool: &Arc<Mutex<FakeTool>>) -> Router {
    if tool.lock().unwrap().forgets {
        return app_of_before(tool, &Arc::default()).layer(middleware::from_fn(forgetful));
    }
    let mut config = StreamableHttpServerConfig::default();
    config.legacy_session_mode = false;
    config.json_response = true;
    serving(tool, Arc::default(), config)
}

/// A server that knows the protocol of before only, and these sessions.
pub(super) fn app_of_before(
    tool: &Arc<Mutex<FakeTool>>,
    sessions: &Arc<LocalSessionManager>,
) -> Router {
    let mut config = StreamableHttpServerConfig::default();
    config.legacy_session_mode = true;
    serving(tool, Arc::clone(sessions), config).layer(middleware::from_fn(of_before))
}

fn serving(
    tool: &Arc<Mutex<FakeTool>>,
    sessions: Arc<LocalSessionManager>,
    config: StreamableHttpServerConfig,
) -> Router {
    let served = Arc::clone(tool);
    let tools =
        StreamableHttpService::new(move || Ok(FakeTools(Arc::clone(&served))), sessions, config);
    let breaking = middleware::from_fn_with_state(Arc::clone(tool), broken);
    Router::new().route_service("/mcp", tools).layer(breaking)
}
