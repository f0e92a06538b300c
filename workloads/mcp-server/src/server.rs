//! The MCP side: which tools a caller sees, and what a call does.

use std::sync::Arc;

use http::request::Parts;
use lotoai_contracts::tools::{APPROVAL, CONSENT_REQUIRED, DECLARATION, GROUPS_HEADER, SCRIPT};
use lotoai_policy::declared::{self, may_use};
use rmcp::ErrorData;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
    ListToolsResult, MetaObject, PaginatedRequestParams, RequestMetaObject, ServerCapabilities,
    ServerConfig, Tool as McpTool,
};
use rmcp::service::{RequestContext, RoleServer};

use crate::domain::declaration::Method;
use crate::domain::tool::{Action, Tool};
use crate::run::places::Scripts;
use crate::run::{self, ToolResult};

/// Serves the declared tools.
#[derive(Debug, Clone)]
pub struct Tools {
    tools: Arc<[Tool]>,
    http: reqwest::Client,
    scripts: Scripts,
}

impl Tools {
    /// A server of these tools.
    #[must_use]
    pub fn new(tools: Vec<Tool>, http: reqwest::Client, scripts: Scripts) -> Self {
        Self {
            tools: tools.into(),
            http,
            scripts,
        }
    }

    /// What a call gives; `None` when its caller has `left` and it was ended. A script is, because it
    /// keeps its place and its memory, and a call over HTTP that changes nothing. Another one goes on:
    /// it would be broken off where nobody knows what it has done.
    async fn run(
        &self,
        tool: &Tool,
        arguments: &serde_json::Map<String, serde_json::Value>,
        left: impl Future<Output = ()>,
    ) -> Option<ToolResult> {
        match &tool.action {
            Action::Script(script) => {
                run::unless_left(left, self.scripts.run(script, arguments)).await
            }
            Action::Http(http) => {
                // Read at the call: the kubelet gives a rotated token to the next pod, not to us,
                // but an empty variable must not be sent as a token.
                let token = http
                    .token_env
                    .as_ref()
                    .and_then(|name| std::env::var(name).ok());
                let token = token.as_deref().filter(|token| !token.is_empty());
                let call = run::http::call(&self.http, http, token, arguments);
                match http.method {
                    Method::Get => run::unless_left(left, call).await,
                    Method::Post | Method::Put | Method::Patch | Method::Delete => Some(call.await),
                }
            }
        }
    }
}

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        let mut info = ServerConfig::new(ServerCapabilities::builder().enable_tools().build());
        info.server_info = Implementation::new("lotoai-mcp-server", env!("CARGO_PKG_VERSION"));
        info
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let groups = groups(&context);
        let visible = self
            .tools
            .iter()
            .filter(|tool| may_use(&tool.groups, &groups));
        let tools = visible.map(|tool| {
            McpTool::new(
                tool.name.clone(),
                tool.description.clone(),
                Arc::clone(&tool.input_schema),
            )
            .with_meta(described(tool))
        });
        Ok(ListToolsResult::with_all_items(tools.collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let groups = groups(&context);
        // A tool that the caller may not use looks like one that does not exist.
        let tool = self
            .tools
            .iter()
            .find(|tool| tool.name == request.name && may_use(&tool.groups, &groups))
            .ok_or_else(|| {
                ErrorData::invalid_params(format!("there is no tool {:?}", request.name), None)
            })?;
        let arguments = request.arguments.unwrap_or_default();
        let faults = tool.faults(&arguments);
        if !faults.is_empty() {
            return Err(ErrorData::invalid_params(faults.join("; "), None));
        }
        let approval = consent(tool, &context.meta)
            .map_err(|cause| ErrorData::invalid_request(cause, None))?;
        let begun = std::time::Instant::now();
        // The library runs this in a task of its own, which nothing ends with the request: it only says
        // that the request has ended.
        let result = self.run(tool, &arguments, context.ct.cancelled()).await;
        let outcome = match &result {
            Some(result) if result.is_error => "error",
            Some(_) => "ok",
            None => "cancelled",
        };
        metrics::counter!("lotoai_mcp_server_calls_total", "tool" => tool.name.clone(), "outcome" => outcome)
            .increment(1);
        metrics::histogram!("lotoai_mcp_server_call_seconds", "tool" => tool.name.clone())
            .record(begun.elapsed().as_secs_f64());
        tracing::info!(tool = tool.name, outcome, approval, "tool called");
        Ok(match result {
            Some(result) if result.is_error => CallToolResult::error(content(result.text)),
            Some(result) => CallToolResult::success(content(result.text)),
            // Nobody hears it.
            None => CallToolResult::error(content("the caller went away")),
        }
        .into())
    }
}

fn content(text: impl Into<String>) -> Vec<ContentBlock> {
    vec![ContentBlock::text(text)]
}

/// What stands beside a tool in the list, for the service that calls it.
fn described(tool: &Tool) -> MetaObject {
    let mut meta = MetaObject::new();
    meta.insert(DECLARATION.to_owned(), tool.declaration.clone().into());
    if tool.needs_consent {
        meta.insert(APPROVAL.to_owned(), CONSENT_REQUIRED.into());
    }
    if tool.is_script() {
        meta.insert(SCRIPT.to_owned(), true.into());
    }
    meta
}

/// The approval that a call rests on; `None` where none is needed. The service that calls has
/// looked already; this holds where it is of a version that knows nothing of approvals, or where
/// the tool was declared anew between its look and the call.
///
/// # Errors
/// Nobody consented, or it was to another declaration of the tool.
fn consent<'a>(tool: &Tool, meta: &'a RequestMetaObject) -> Result<Option<&'a str>, String> {
    if !tool.needs_consent {
        return Ok(None);
    }
    let text = |key: &str| meta.get(key).and_then(|value| value.as_str());
    let (approval, consented_to) = (text(APPROVAL), text(DECLARATION));
    declared::consent(&tool.name, &tool.declaration, approval, consented_to).map(Some)
}

/// Only services with a token get this far, and they are trusted to say who asks. A group is what
/// stands between commas, blanks included: ` admins` is not `admins`.
fn groups(context: &RequestContext<RoleServer>) -> Vec<String> {
    let header = context
        .extensions
        .get::<Parts>()
        .and_then(|parts| parts.headers.get(GROUPS_HEADER))
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    header
        .split(',')
        .filter(|group| !group.is_empty())
        .map(str::to_owned)
        .collect()
}
