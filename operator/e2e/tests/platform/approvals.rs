//! A tool that waits for its person, while the orchestrator goes away between question and decision.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use futures::FutureExt as _;
use lotoai_e2e::{Platform, PublicClient};
use reqwest::Method;
use serde_json::{Value, json};

use crate::heal::{replace_pod, wait_settled};
use crate::support::{ready, run, set_spec, wait_for};

/// How long a change of the platform may take until it is felt.
const LIMIT: Duration = Duration::from_secs(300);
/// What the tool is to be called with.
const TEXT: &str = "kept by consent";

#[test]
fn a_tool_that_wants_consent_is_called_once_somebody_consents() {
    run(|| async {
        let (platform, client) = ready().await;
        let tool = Guarded {
            name: "note_down",
            source: "printf 'noted: %s' \"$ARG_TEXT\"",
        };
        let asked = async |approval: Value| {
            Box::pin(consented_to(&platform, &client, &approval)).await;
        };
        tool.lend(&platform, &client, TEXT, asked).await;
    });
}

async fn consented_to(platform: &Platform, client: &PublicClient, approval: &Value) {
    assert_eq!(approval["arguments"], json!({ "text": TEXT }));
    let path = format!("/api/approvals/{}", approval["id"].as_str().unwrap());

    replace_pod(platform, "orchestrator").await;
    wait_settled(platform, "orchestrator").await;
    let pending = wait_for("the approval", LIMIT, async || {
        client.get(&path).await.map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(pending["state"], "pending", "{pending}");

    let approve = json!({ "decision": "approve", "reason": "end to end" });
    let (status, answer) = decide(client, &path, &approve).await;
    assert_eq!(status, 200, "{answer}");
    let text = answer["choices"][0]["message"]["content"].as_str();
    let text = text.unwrap_or_default();
    assert!(text.contains("noted: kept by consent"), "{answer}");
    let again = decide(client, &path, &json!({ "decision": "deny" })).await;
    assert_eq!(again.0, 409, "{}", again.1);
    let decided = client.get(&path).await.unwrap();
    assert_eq!(decided["state"], "approved", "{decided}");
}

/// A tool with one text as its argument, every call of which wants consent.
pub(crate) struct Guarded {
    /// Its name, with `_`, so that a question that holds it is for the tool.
    pub(crate) name: &'static str,
    /// Its script.
    pub(crate) source: &'static str,
}

impl Guarded {
    /// A question that asks for a call with this text.
    pub(crate) fn question(&self, text: &str) -> String {
        format!("Use {} to write \"{text}\"", self.name)
    }

    /// Makes it the platform's only tool for the time of `work`, which begins when somebody who asks
    /// for a call with this text is asked for consent, and gets what they are asked. The tools of
    /// before come back whatever happens in it.
    pub(crate) async fn lend(
        &self,
        platform: &Platform,
        client: &PublicClient,
        text: &str,
        work: impl AsyncFnOnce(Value),
    ) {
        let tool = json!({
            "name": self.name,
            "description": "Notes a sentence down.",
            "inputSchema": {
                "type": "object",
                "required": ["text"],
                "properties": { "text": { "type": "string", "maxLength": 100 } },
            },
            "script": { "source": self.source },
            "approval": "Always",
        });
        set_spec(platform, &json!({ "mcp": { "tools": [tool] } })).await;
        let outcome = AssertUnwindSafe(async {
            let approval = wait_for("the tool to ask for consent", LIMIT, async || {
                let answer = client.ask("lotoai", &self.question(text)).await;
                let answer = answer.map_err(|error| error.to_string())?;
                let approval = answer.lotoai["approvals"][0].clone();
                let says = format!("{}: {}", answer.lotoai, answer.text);
                let is_asked =
                    approval["tool"] == self.name && answer.lotoai["tool_calls"] == json!([]);
                is_asked.then_some(approval).ok_or(says)
            })
            .await;
            work(approval).await;
        })
        .catch_unwind()
        .await;
        set_spec(platform, &json!({ "mcp": null })).await;
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
    }
}

/// Decides an approval: status and body.
async fn decide(client: &PublicClient, path: &str, decision: &Value) -> (u16, Value) {
    let request = client.request(Method::POST, path).await.unwrap();
    let response = request.json(decision).send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}
