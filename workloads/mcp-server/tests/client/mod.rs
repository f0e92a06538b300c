//! A client of the server, as the orchestrator is one.

use serde_json::{Value, json};

/// The token of the orchestrator.
pub(crate) const TOKEN: &str = "orchestrator-token-0123456789";

/// A message with what the protocol wants in each. One of the protocol of before has no `_meta`.
pub(crate) fn message(method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

/// The request that carries a message, in the protocol that it is of.
pub(crate) fn request(url: &str, body: &Value) -> reqwest::RequestBuilder {
    let method = body["method"].as_str().unwrap_or_default().to_owned();
    let version = &body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"];
    let mut request = reqwest::Client::new()
        .post(url)
        .header("accept", "application/json, text/event-stream")
        .header(
            "mcp-protocol-version",
            version.as_str().unwrap_or("2025-11-25"),
        )
        .header("mcp-method", method)
        .bearer_auth(TOKEN)
        .json(body);
    if let Some(name) = body["params"]["name"].as_str() {
        request = request.header("mcp-name", name);
    }
    request
}

/// What the server answers.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Value {
    let text = request.send().await.unwrap().text().await.unwrap();
    let json = text.lines().find_map(|line| line.strip_prefix("data: "));
    serde_json::from_str(json.unwrap_or(&text)).unwrap_or_else(|error| panic!("{error}: {text}"))
}
