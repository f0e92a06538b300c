//! What a platform has when its resource names nothing: roles that run on the built-in model, and
//! two tools.

use lotoai_api::LOCAL_PROVIDER;
use lotoai_api::PlatformName;
use lotoai_api::names::{RoleName, ToolName};
use lotoai_api::spec::{
    Approval, HttpMethod, HttpTool, LotoAISpec, ModelRef, Role, ScriptTool, Tool,
};
use serde_json::{Map, Value, json};

/// The built-in chat model of model-server.
pub const CHAT_MODEL: &str = "smollm2-135m-instruct";
/// The built-in tool that reads usage; it is called with the token of its edge.
pub const PLATFORM_USAGE: &str = "platform_usage";

/// Counts Monday to Friday from ARG_START_DATE to ARG_END_DATE, both included. Noon in UTC keeps
/// daylight saving away from the count.
const WORKING_DAYS: &str = r#"set -eu
start=$(date -u -d "$ARG_START_DATE 12:00" +%s) || { echo "start_date is no date" >&2; exit 2; }
end=$(date -u -d "$ARG_END_DATE 12:00" +%s) || { echo "end_date is no date" >&2; exit 2; }
if [ "$end" -lt "$start" ]; then
  echo "end_date lies before start_date" >&2
  exit 2
fi
days=$(( (end - start) / 86400 + 1 ))
weekday=$(date -u -d "$ARG_START_DATE 12:00" +%u)
count=$(( days / 7 * 5 ))
rest=$(( days % 7 ))
while [ "$rest" -gt 0 ]; do
  if [ "$weekday" -le 5 ]; then count=$(( count + 1 )); fi
  weekday=$(( weekday % 7 + 1 ))
  rest=$(( rest - 1 ))
done
echo "$count"
"#;

/// Fills in roles and tools where the spec has none.
pub fn fill_in(spec: &mut LotoAISpec, platform: &PlatformName) {
    if spec.agents.roles.is_empty() {
        spec.agents.roles = roles();
    }
    if spec.mcp.tools.is_empty() {
        spec.mcp.tools = tools(platform);
    }
}

fn roles() -> Vec<Role> {
    vec![
        role(
            "assistant",
            "General questions and conversation",
            "You are a helpful assistant. Answer shortly and say so when you do not know.",
        ),
        role(
            "writer",
            "Writing, rewriting, summarising and translating texts",
            "You write clear and correct texts. Give the text that was asked for and nothing else.",
        ),
    ]
}

#[expect(clippy::expect_used, reason = "literals, checked by a test")]
fn role(name: &str, description: &str, prompt: &str) -> Role {
    let provider: RoleName = LOCAL_PROVIDER.parse().expect("a provider name");
    Role {
        name: name.parse().expect("a role name"),
        description: description.to_owned(),
        prompt: prompt.to_owned(),
        models: vec![ModelRef {
            provider,
            model: CHAT_MODEL.to_owned(),
        }],
        groups: Vec::new(),
    }
}

fn tools(platform: &PlatformName) -> Vec<Tool> {
    vec![platform_usage(platform), working_days()]
}

#[expect(clippy::expect_used, reason = "a literal, checked by a test")]
fn tool_name(name: &str) -> ToolName {
    name.parse().expect("a tool name")
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn platform_usage(platform: &PlatformName) -> Tool {
    Tool {
        name: tool_name(PLATFORM_USAGE),
        description: "Says how much this platform was used today: requests, tokens and errors. \
                      Use it when somebody asks about usage, load or cost of the platform."
            .to_owned(),
        input_schema: object(json!({ "type": "object", "additionalProperties": false })),
        http: Some(HttpTool {
            method: HttpMethod::Get,
            url: format!("https://{platform}-analytics:8080/v1/usage/summary"),
            headers: Default::default(),
            timeout_seconds: 10,
        }),
        script: None,
        groups: Vec::new(),
        approval: Approval::Never,
    }
}

fn working_days() -> Tool {
    let date = json!({ "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" });
    Tool {
        name: tool_name("working_days"),
        description: "Counts the working days, Monday to Friday, from start_date to end_date, \
                      both included. Dates are written YYYY-MM-DD. Use it when somebody asks how \
                      many working days, business days or weekdays lie between two dates."
            .to_owned(),
        input_schema: object(json!({
            "type": "object",
            "required": ["start_date", "end_date"],
            "properties": { "start_date": date, "end_date": date },
            "additionalProperties": false,
        })),
        http: None,
        script: Some(ScriptTool {
            source: WORKING_DAYS.to_owned(),
            timeout_seconds: 5,
        }),
        groups: Vec::new(),
        // It only counts.
        approval: Approval::Never,
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rstest::rstest;

    use super::*;

    #[test]
    fn built_in_names_are_names() {
        assert_eq!(roles().len(), 2);
        assert_eq!(tools(&"demo".parse().unwrap()).len(), 2);
    }

    #[rstest]
    // 2 November 2026 is a Monday.
    #[case("2026-11-02", "2026-11-02", Some("1"))]
    #[case("2026-11-02", "2026-11-06", Some("5"))]
    #[case("2026-11-02", "2026-11-08", Some("5"))]
    #[case("2026-11-07", "2026-11-08", Some("0"))]
    #[case("2026-11-06", "2026-11-09", Some("2"))]
    #[case("2026-01-01", "2026-12-31", Some("261"))]
    #[case("2024-02-28", "2024-03-01", Some("3"))]
    // Both clock changes of Europe lie between.
    #[case("2026-03-27", "2026-10-26", Some("152"))]
    #[case("2026-11-06", "2026-11-02", None)]
    #[case("tomorrow?", "2026-11-02", None)]
    fn working_days_are_counted(
        #[case] start: &str,
        #[case] end: &str,
        #[case] expected: Option<&str>,
    ) {
        let output = Command::new("sh")
            .args(["-c", WORKING_DAYS])
            .env("ARG_START_DATE", start)
            .env("ARG_END_DATE", end)
            .env("TZ", "Europe/Madrid")
            .output()
            .unwrap();
        let count = output
            .status
            .success()
            .then(|| String::from_utf8(output.stdout).unwrap());
        assert_eq!(count.as_deref().map(str::trim), expected);
    }
}
