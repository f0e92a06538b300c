//! The health check for Argo CD, run through Lua, and the page that carries it.

use std::process::{Command, Stdio};

use rstest::rstest;
use serde_json::{Value, json};

use crate::helm::file;

const CHECK: &str = "charts/lotoai-operator/files/argocd-health.lua";

/// A value as Lua writes it.
fn lua(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(lua).collect();
            format!("{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let fields: Vec<String> = map
                .iter()
                .map(|(name, value)| format!("[{name:?}] = {}", lua(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        plain => plain.to_string(),
    }
}

/// What the check says of an object; `None`, with the reason printed, without Lua.
fn health(object: &Value) -> Option<String> {
    let program = format!(
        "obj = {}\nlocal health = (function()\n{}\nend)()\nprint(health.status .. \": \" .. health.message)",
        lua(object),
        file(CHECK)
    );
    let output = Command::new("lua5.4")
        .args(["-e", &program])
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        eprintln!("SKIPPED: lua5.4 is not installed (apt-get install lua5.4)");
        return None;
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn object(observed: u64, conditions: &[(&str, &str, &str)]) -> Value {
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(kind, status, reason)| {
            json!({ "type": kind, "status": status, "reason": reason, "message": format!("{kind} {reason}") })
        })
        .collect();
    json!({
        "metadata": { "generation": 2 },
        "status": { "observedGeneration": observed, "conditions": conditions },
    })
}

#[rstest]
#[case::ready(2, &[("Ready", "True", "Available")], "Healthy: Ready Available")]
#[case::starting(
    2,
    &[("Ready", "False", "Progressing"), ("Reconciling", "True", "Progressing")],
    "Progressing: Reconciling Progressing"
)]
#[case::rolls_while_it_serves(
    2,
    &[("Ready", "True", "Available"), ("Reconciling", "True", "Progressing")],
    "Progressing: Reconciling Progressing"
)]
#[case::a_person_must_act(
    2,
    &[("Ready", "False", "SecretNotFound"), ("Stalled", "True", "SecretNotFound")],
    "Degraded: Stalled SecretNotFound"
)]
#[case::it_serves_but_not_what_is_asked_for(
    2,
    &[("Ready", "True", "Available"), ("Stalled", "True", "InvalidSpec")],
    "Degraded: Stalled InvalidSpec"
)]
#[case::a_component_is_down(
    2,
    &[("Ready", "True", "Available"), ("Reconciling", "True", "Progressing"), ("Degraded", "True", "PodCrashLooping")],
    "Degraded: Degraded PodCrashLooping"
)]
#[case::paused(2, &[("Ready", "Unknown", "Paused")], "Suspended: Ready Paused")]
#[case::suspended(2, &[("Ready", "False", "Suspended")], "Suspended: Ready Suspended")]
#[case::still_stopping(
    2,
    &[("Ready", "False", "Suspending"), ("Reconciling", "True", "Suspending")],
    "Progressing: Reconciling Suspending"
)]
#[case::changed_since(1, &[("Ready", "True", "Available")], "Progressing: Waiting for the operator to see the change")]
#[case::not_ready_and_nothing_said(2, &[("Ready", "False", "ProbeFailed")], "Progressing: Ready ProbeFailed")]
fn conditions_become_health(
    #[case] observed: u64,
    #[case] conditions: &[(&str, &str, &str)],
    #[case] expected: &str,
) {
    let Some(health) = health(&object(observed, conditions)) else {
        return;
    };
    assert_eq!(health, expected);
}

#[test]
fn a_resource_that_nobody_has_seen_is_not_healthy() {
    let new = json!({ "metadata": { "generation": 1 } });
    let Some(health) = health(&new) else { return };
    assert_eq!(
        health,
        "Progressing: Waiting for the operator to see the change"
    );
}

#[test]
fn the_page_carries_the_check_as_it_is() {
    let page = file("docs/gitops.md");
    for line in file(CHECK).lines() {
        assert!(page.contains(line), "{line}");
    }
}

#[test]
fn the_samples_on_the_page_are_yaml() {
    let page = file("docs/gitops.md");
    let blocks: Vec<&str> = page
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(blocks.len() >= 4);
    for block in blocks {
        for document in serde_yaml_ng::Deserializer::from_str(block) {
            let object: Value = serde::Deserialize::deserialize(document).unwrap();
            assert!(
                object["apiVersion"].is_string() && object["kind"].is_string(),
                "{block}"
            );
        }
    }
}
