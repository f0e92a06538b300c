//! The server over real HTTP: who is let in, what each caller sees, what a call gives.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod client;
mod server;

use client::{TOKEN, message};
use rstest::rstest;
use serde_json::{Value, json};
use server::{Server, appears};

const TOOLS: &str = r#"
tools:
  - name: shout
    description: Says a word loudly
    inputSchema: {type: object, required: [word], properties: {word: {type: string, maxLength: 20}}}
    script: {source: 'printf %s! $ARG_WORD'}
  - name: wait
    description: Waits for a file
    groups: [patient]
    inputSchema: {type: object, required: [dir], properties: {dir: {type: string}}}
    script: {source: ': > "$ARG_DIR/begun"; while [ ! -e "$ARG_DIR/go" ]; do sleep 0.02; done; printf done'}
  - name: payroll
    description: Pays people
    groups: [finance]
    script: {source: 'echo paid'}
  - name: ping
    description: Pings a host
    groups: [network]
    inputSchema: {type: object, properties: {target_host: {enum: [a, b]}}}
    script: {source: 'printf "%s" "$ARG_TARGET_HOST"'}
  - name: lookup
    description: Looks up a host
    groups: [network]
    inputSchema: {type: object, properties: {target_host: {enum: [a, b]}}}
    http: {url: 'http://127.0.0.1:9/{target_host}'}
  - name: restart
    description: Starts a machine again
    approval: OnWrite
    groups: [operators]
    script: {source: 'echo restarted'}
"#;

fn names(answer: &Value) -> Vec<&str> {
    let tools = answer["result"]["tools"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"));
    tools
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect()
}

#[tokio::test]
async fn a_caller_sees_the_tools_of_its_groups() {
    let server = Server::start(TOOLS).await;
    assert_eq!(
        names(&server.call("tools/list", json!({}), "staff").await),
        ["shout"]
    );
    assert_eq!(
        names(&server.call("tools/list", json!({}), "staff,finance").await),
        ["shout", "payroll"]
    );
}

#[tokio::test]
async fn a_group_with_blanks_around_it_is_another_one() {
    let server = Server::start(TOOLS).await;
    for groups in [
        "staff, finance",
        "staff,finance ,staff",
        "staff, finance ,staff",
    ] {
        let list = server.call("tools/list", json!({}), groups).await;
        assert_eq!(names(&list), ["shout"], "{groups:?}");
        let payroll = json!({"name": "payroll", "arguments": {}});
        let answer = server.call("tools/call", payroll, groups).await;
        assert_eq!(answer["error"]["code"], -32602, "{groups:?}: {answer}");
    }
}

#[tokio::test]
async fn a_call_runs_the_tool() {
    let server = Server::start(TOOLS).await;
    let answer = server
        .call(
            "tools/call",
            json!({"name": "shout", "arguments": {"word": "hey"}}),
            "",
        )
        .await;
    assert_eq!(answer["result"]["content"][0]["text"], "hey!", "{answer}");
    assert_eq!(answer["result"]["isError"], false);
}

#[tokio::test]
async fn a_stop_lets_calls_finish_and_answers_who_still_comes() {
    let server = Server::start(TOOLS).await;
    let directory = tempfile::tempdir().unwrap();
    let arguments = json!({"name": "wait", "arguments": {"dir": directory.path()}});
    let begun = server.call("tools/call", arguments, "patient");
    let meanwhile = async {
        appears(&directory.path().join("begun")).await;
        server.service.shutdown.cancel();
        // Over connections of their own, as of somebody who has not heard yet.
        let tools = server.call("tools/list", json!({}), "staff").await;
        assert_eq!(names(&tools), ["shout"]);
        let shout = json!({"name": "shout", "arguments": {"word": "hey"}});
        let late = server.call("tools/call", shout, "").await;
        assert_eq!(late["result"]["content"][0]["text"], "hey!", "{late}");
        std::fs::write(directory.path().join("go"), "").unwrap();
    };
    let (begun, ()) = tokio::join!(begun, meanwhile);
    assert_eq!(begun["result"]["content"][0]["text"], "done", "{begun}");
}

#[rstest]
#[case("payroll", json!({}), "staff", "no tool")]
#[case("nothing", json!({}), "finance", "no tool")]
#[case("shout", json!({}), "", "word")]
#[case("shout", json!({"word": 7}), "", "/word")]
#[case("shout", json!({"word": "x".repeat(21)}), "", "/word")]
#[case("ping", json!({"target_host": "c"}), "network", "/target_host")]
#[case("ping", json!({"target_host": "a", "target~host": "c"}), "network", r#"no argument "target~host"; there are: "target_host""#)]
#[case("lookup", json!({"target_host": "a", "role": "admin"}), "network", r#"no argument "role"; there are: "target_host""#)]
#[tokio::test]
async fn a_wrong_call_is_refused(
    #[case] name: &str,
    #[case] arguments: Value,
    #[case] groups: &str,
    #[case] says: &str,
) {
    let server = Server::start(TOOLS).await;
    let answer = server
        .call(
            "tools/call",
            json!({"name": name, "arguments": arguments}),
            groups,
        )
        .await;
    let message = answer["error"]["message"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"));
    assert!(message.contains(says), "{message}");
}

#[tokio::test]
async fn the_hidden_tool_works_for_its_group() {
    let server = Server::start(TOOLS).await;
    let answer = server
        .call(
            "tools/call",
            json!({"name": "payroll", "arguments": {}}),
            "finance",
        )
        .await;
    assert_eq!(answer["result"]["content"][0]["text"], "paid", "{answer}");
}

#[tokio::test]
async fn a_script_sees_the_argument_that_was_checked() {
    let server = Server::start(TOOLS).await;
    let ping = json!({"name": "ping", "arguments": {"target_host": "a"}});
    let answer = server.call("tools/call", ping, "network").await;
    assert_eq!(answer["result"]["content"][0]["text"], "a", "{answer}");
}

fn meta<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let tools = answer["result"]["tools"].as_array().unwrap();
    let tool = tools.iter().find(|tool| tool["name"] == name);
    &tool.unwrap_or_else(|| panic!("{answer}"))["_meta"]
}

#[tokio::test]
async fn the_list_says_what_needs_consent_and_what_that_is_for() {
    let server = Server::start(TOOLS).await;
    let list = server.call("tools/list", json!({}), "operators").await;
    assert_eq!(meta(&list, "restart")["lotoai.dev/approval"], "required");
    assert_eq!(meta(&list, "shout")["lotoai.dev/approval"], Value::Null);
    for name in ["restart", "shout"] {
        let digest = meta(&list, name)["lotoai.dev/declaration"].as_str();
        assert_eq!(digest.map(str::len), Some(64), "{list}");
    }
}

#[tokio::test]
async fn the_list_says_which_tools_are_scripts() {
    let server = Server::start(TOOLS).await;
    let list = server.call("tools/list", json!({}), "network").await;
    assert_eq!(meta(&list, "ping")["lotoai.dev/script"], true);
    assert_eq!(meta(&list, "lookup")["lotoai.dev/script"], Value::Null);
}

#[tokio::test]
async fn without_the_consent_to_this_very_declaration_nothing_runs() {
    let server = Server::start(TOOLS).await;
    let list = server.call("tools/list", json!({}), "operators").await;
    let declaration = meta(&list, "restart")["lotoai.dev/declaration"].clone();
    let call = async |consent: Value| {
        let params = json!({"name": "restart", "arguments": {}});
        let mut message = message("tools/call", params);
        for (key, value) in consent.as_object().unwrap() {
            message["params"]["_meta"][key] = value.clone();
        }
        let request = server.request(&message);
        let request = request.header("x-lotoai-groups", "operators");
        client::answer(request).await
    };
    for consent in [
        json!({}),
        json!({"lotoai.dev/declaration": declaration}),
        json!({"lotoai.dev/approval": "", "lotoai.dev/declaration": declaration}),
        json!({"lotoai.dev/approval": "a1"}),
        json!({"lotoai.dev/approval": "a1", "lotoai.dev/declaration": "0".repeat(64)}),
    ] {
        let answer = call(consent.clone()).await;
        assert_eq!(answer["error"]["code"], -32600, "{consent}: {answer}");
    }
    let consent = json!({"lotoai.dev/approval": "a1", "lotoai.dev/declaration": declaration});
    let answer = call(consent).await;
    assert_eq!(
        answer["result"]["content"][0]["text"], "restarted",
        "{answer}"
    );
}

#[tokio::test]
async fn only_known_callers_and_hosts_are_let_in() {
    let server = Server::start(TOOLS).await;
    let list = message("tools/list", json!({}));
    let status = |request: reqwest::RequestBuilder| async {
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(
        status(server.request(&list)).await,
        200,
        "the positive control"
    );
    let anonymous = reqwest::Client::new().post(&server.url).json(&list);
    assert_eq!(status(anonymous).await, 401);
    let wrong = reqwest::Client::new()
        .post(&server.url)
        .bearer_auth("x".repeat(30))
        .json(&list);
    assert_eq!(status(wrong).await, 401);
    assert_eq!(
        status(server.request(&list).header("host", "evil.example")).await,
        403
    );
    assert_eq!(
        status(
            server
                .request(&list)
                .header("origin", "https://evil.example")
        )
        .await,
        403
    );
}

#[tokio::test]
async fn broken_messages_do_not_stop_the_server() {
    let server = Server::start(TOOLS).await;
    for body in ["", "{", "[]", "{\"jsonrpc\":\"2.0\"}", "\u{0}"] {
        let request = reqwest::Client::new()
            .post(&server.url)
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .header("mcp-protocol-version", "2026-07-28")
            .bearer_auth(TOKEN)
            .body(body);
        let status = request.send().await.unwrap().status();
        assert!(status.is_client_error(), "{body:?}: {status}");
    }
    assert_eq!(
        names(&server.call("tools/list", json!({}), "").await),
        ["shout"]
    );
}
