//! A tool that waits for its person, while the orchestrator goes away between question and decision.

use std::time::Duration;

use lotoai_e2e::PublicClient;
use reqwest::Method;
use serde_json::{Value, json};

use crate::heal::{replace_pod, wait_settled};
use crate::support::{ready, run, set_spec, wait_for, wait_ready};

/// How long a change of the platform may take until it is felt.
const LIMIT: Duration = Duration::from_secs(300);
const QUESTION: &str = r#"Use note_down to write "kept by consent""#;

#[test]
fn a_tool_that_wants_consent_is_called_once_somebody_consents() {
    run(|| async {
        let (platform, client) = ready().await;
        let tool = json!({
            "name": "note_down",
            "description": "Notes a sentence down.",
            "inputSchema": {
                "type": "object",
                "required": ["text"],
                "properties": { "text": { "type": "string", "maxLength": 100 } },
            },
            "script": { "source": "printf 'noted: %s' \"$ARG_TEXT\"" },
            "approval": "Always",
        });
        set_spec(&platform, &json!({ "mcp": { "tools": [tool] } })).await;
        let approval = wait_for("the tool to ask for consent", LIMIT, async || {
            let answer = client.ask("lotoai", QUESTION).await;
            let answer = answer.map_err(|error| error.to_string())?;
            let approval = answer.lotoai["approvals"][0].clone();
            let says = format!("{}: {}", answer.lotoai, answer.text);
            let is_asked = approval.is_object() && answer.lotoai["tool_calls"] == json!([]);
            is_asked.then_some(approval).ok_or(says)
        })
        .await;
        assert_eq!(approval["arguments"], json!({ "text": "kept by consent" }));
        let path = format!("/api/approvals/{}", approval["id"].as_str().unwrap());

        replace_pod(&platform, "orchestrator").await;
        wait_settled(&platform, "orchestrator").await;
        let pending = wait_for("the approval", LIMIT, async || {
            client.get(&path).await.map_err(|error| error.to_string())
        })
        .await;
        assert_eq!(pending["state"], "pending", "{pending}");

        let approve = json!({ "decision": "approve", "reason": "end to end" });
        let (status, answer) = decide(&client, &path, &approve).await;
        assert_eq!(status, 200, "{answer}");
        let text = answer["choices"][0]["message"]["content"].as_str();
        let text = text.unwrap_or_default();
        assert!(text.contains("noted: kept by consent"), "{answer}");
        let again = decide(&client, &path, &json!({ "decision": "deny" })).await;
        assert_eq!(again.0, 409, "{}", again.1);
        let decided = client.get(&path).await.unwrap();
        assert_eq!(decided["state"], "approved", "{decided}");

        set_spec(&platform, &json!({ "mcp": null })).await;
        wait_ready(&platform, LIMIT).await;
    });
}

/// Decides an approval: status and body.
async fn decide(client: &PublicClient, path: &str, decision: &Value) -> (u16, Value) {
    let request = client.request(Method::POST, path).await.unwrap();
    let response = request.json(decision).send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}
