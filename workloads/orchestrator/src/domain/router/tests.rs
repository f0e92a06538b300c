//! The router over questions whose similarities were recorded with all-MiniLM-L6-v2: the two
//! sample tools, two roles and five short documents (see the descriptions in `schema` below).

use rstest::rstest;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::*;
use crate::domain::{arguments, language, rules};

#[derive(Deserialize)]
struct Case {
    question: String,
    expected: String,
    tools: std::collections::BTreeMap<String, f32>,
    roles: std::collections::BTreeMap<String, f32>,
    knowledge: f32,
}

fn schema(tool: &str) -> Map<String, Value> {
    let schema = match tool {
        "working_days" => json!({
            "properties": {
                "start_date": {"type": "string", "description": "YYYY-MM-DD"},
                "end_date": {"type": "string", "description": "YYYY-MM-DD"},
            },
            "required": ["start_date", "end_date"],
        }),
        _ => json!({"type": "object"}),
    };
    schema.as_object().unwrap().clone()
}

fn signals(case: &Case, capable: bool) -> Signals {
    let question = case.question.as_str();
    let language = language::detect(question);
    let names: Vec<&str> = case.tools.keys().map(String::as_str).collect();
    let roles: Vec<&str> = case.roles.keys().map(String::as_str).collect();
    let today = jiff::civil::date(2026, 11, 22);
    let tools = case.tools.iter().map(|(name, similarity)| {
        let found = arguments::extract(&schema(name), question, language, today);
        ToolSignal {
            name: name.clone(),
            similarity: *similarity,
            arguments_fit: found.fits(),
            arguments_absent: found.arguments.is_empty() && !found.missing.is_empty(),
        }
    });
    Signals {
        form: rules::form(question),
        asked_role: rules::asked_role(question, &roles).map(|(role, _)| role.to_owned()),
        named_tool: rules::named_tool(question, &names).map(str::to_owned),
        calculator: None,
        tools: tools.collect(),
        roles: case
            .roles
            .iter()
            .map(|(name, similarity)| RoleSignal {
                name: name.clone(),
                similarity: *similarity,
                capable: capable && name == "assistant",
            })
            .collect(),
        knowledge: Some(case.knowledge),
    }
}

fn shown(route: &Route) -> String {
    match route {
        Route::Knowledge => "knowledge".to_owned(),
        Route::Agent(role) => format!("agent:{role}"),
        Route::Tool(tool) => format!("tool:{tool}"),
    }
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../router_cases.json")).unwrap()
}

#[test]
fn every_recorded_question_goes_where_it_belongs() {
    let cases = cases();
    assert!(cases.len() >= 40);
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let decision = decide(&signals(case, false));
            let got = shown(&decision.route);
            (got != case.expected).then(|| {
                format!(
                    "{:?}: {got}, not {} ({})",
                    case.question, case.expected, decision.reason
                )
            })
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_thresholds_have_room_on_both_sides() {
    for case in cases() {
        let signals = signals(&case, false);
        if signals.named_tool.is_some() || signals.asked_role.is_some() {
            continue;
        }
        for tool in &signals.tools {
            let score = tool_score(tool, signals.form);
            let wanted = case.expected == format!("tool:{}", tool.name);
            assert_eq!(
                score >= TOOL_MIN,
                wanted,
                "{}: {} {score}",
                case.question,
                tool.name
            );
            assert!(
                (score - TOOL_MIN).abs() > 0.02,
                "{}: {} {score}",
                case.question,
                tool.name
            );
        }
    }
}

#[test]
fn a_question_that_nothing_answers_goes_to_a_capable_role_if_there_is_one() {
    let cases = cases();
    let case = cases
        .iter()
        .find(|case| case.question.contains("Australia"))
        .unwrap();
    assert_eq!(decide(&signals(case, false)).route, Route::Knowledge);
    assert_eq!(
        decide(&signals(case, true)).route,
        Route::Agent("assistant".to_owned())
    );
}

fn empty(form: Form) -> Signals {
    Signals {
        form,
        asked_role: None,
        named_tool: None,
        calculator: None,
        tools: Vec::new(),
        roles: Vec::new(),
        knowledge: None,
    }
}

#[rstest]
#[case(Form::Greeting)]
#[case(Form::Creation)]
#[case(Form::Question)]
#[case(Form::Statement)]
fn with_nothing_at_all_the_documents_say_that_nothing_was_found(#[case] form: Form) {
    assert_eq!(decide(&empty(form)).route, Route::Knowledge);
}

#[test]
fn names_beat_scores() {
    let mut signals = empty(Form::Question);
    signals.knowledge = Some(0.9);
    signals.calculator = Some("sum".to_owned());
    assert_eq!(decide(&signals).route, Route::Tool("sum".to_owned()));
    signals.named_tool = Some("other".to_owned());
    assert_eq!(decide(&signals).route, Route::Tool("other".to_owned()));
    signals.asked_role = Some("writer".to_owned());
    let decision = decide(&signals);
    assert_eq!(decision.route, Route::Agent("writer".to_owned()));
    assert!((decision.confidence - 1.0).abs() < f32::EPSILON);
}

#[test]
fn the_same_signals_give_the_same_decision() {
    for case in cases() {
        let signals = signals(&case, false);
        assert_eq!(decide(&signals), decide(&signals));
    }
}
