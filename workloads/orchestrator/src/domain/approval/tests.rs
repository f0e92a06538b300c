//! Tools, calls, and what a consent is worth for them.

use std::sync::Arc;

use rmcp::model::MetaObject;
use rstest::rstest;

use super::*;

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn tool(meta: Value) -> Tool {
    let schema = json!({
        "type": "object",
        "required": ["days"],
        "properties": {
            "days": {"type": "integer", "maximum": 30},
            "note": {"type": "string"},
            "rate": {"type": "number"},
        },
    });
    Tool::new("holiday", "Books a holiday.", Arc::new(object(schema)))
        .with_meta(MetaObject(object(meta)))
}

fn guarded() -> Tool {
    tool(json!({APPROVAL: "required", DECLARATION: "d1"}))
}

fn asked(arguments: Value) -> Asked {
    match judge(&guarded(), object(arguments)) {
        Verdict::Ask(asked) => asked,
        other => panic!("{other:?}"),
    }
}

#[rstest]
#[case(json!({}), false)]
#[case(json!({DECLARATION: "d1"}), false)]
#[case(json!({APPROVAL: "required"}), true)]
#[case::of_a_newer_server(json!({APPROVAL: "two-persons"}), true)]
#[case(json!({APPROVAL: false}), true)]
fn the_server_says_what_needs_consent(#[case] meta: Value, #[case] asks: bool) {
    let verdict = judge(&tool(meta), object(json!({"days": 3})));
    assert_eq!(matches!(verdict, Verdict::Ask(_)), asks, "{verdict:?}");
    assert_eq!(matches!(verdict, Verdict::Clear(_)), !asks, "{verdict:?}");
}

#[test]
fn a_tool_without_a_word_on_it_needs_none() {
    let plain = Tool::new("t", "d", Arc::new(Map::new()));
    let Verdict::Clear(call) = judge(&plain, Map::new()) else {
        panic!("it asks")
    };
    assert_eq!((call.tool(), call.meta()), ("t", None));
}

#[test]
fn nobody_is_asked_for_a_call_that_the_tool_would_refuse() {
    let verdict = judge(&guarded(), object(json!({"days": 31})));
    let Verdict::Faulty(faults) = verdict else {
        panic!("{verdict:?}")
    };
    assert!(faults[0].contains("/days"), "{faults:?}");
    let long = judge(
        &guarded(),
        object(json!({"days": 1, "note": "x".repeat(70_000)})),
    );
    assert!(matches!(long, Verdict::Faulty(_)));
}

#[test]
fn the_digest_is_of_tool_and_arguments_in_any_order() {
    let one = asked(json!({"days": 3, "note": "sea"}));
    let same = asked(json!({"note": "sea", "days": 3}));
    assert_eq!(one, same);
    assert_eq!(one.arguments_json, r#"{"days":3,"note":"sea"}"#);
    assert_ne!(one.digest, asked(json!({"days": 4, "note": "sea"})).digest);
    assert_ne!(one.digest, call_digest("other", &one.arguments_json));
}

#[test]
fn what_was_consented_to_is_called() {
    let asked = asked(json!({"days": 3}));
    let chosen = choose(&asked, "").unwrap();
    assert_eq!(chosen.changed, Vec::<String>::new());
    let call = clear(&guarded(), "a1", &asked.declaration, &chosen).unwrap();
    assert_eq!(call.arguments(), &object(json!({"days": 3})));
    let meta = json!({APPROVAL: "a1", DECLARATION: "d1"});
    assert_eq!(call.meta(), Some(object(meta)));
}

#[test]
fn edited_arguments_are_what_is_approved_and_what_changed_is_named() {
    let asked = asked(json!({"days": 3, "note": "sea"}));
    let chosen = choose(&asked, r#"{ "days": 5 }"#).unwrap();
    assert_eq!(chosen.changed, ["days", "note"]);
    assert_ne!(chosen.digest, asked.digest);
    let call = clear(&guarded(), "a1", &asked.declaration, &chosen).unwrap();
    assert_eq!(call.arguments(), &object(json!({"days": 5})));
    let same = choose(&asked, r#"{"note": "sea", "days": 3}"#).unwrap();
    assert_eq!((same.changed, same.digest), (Vec::new(), asked.digest));
}

#[rstest]
#[case("[]")]
#[case("{")]
#[case("null")]
#[case(r#""days""#)]
fn edited_arguments_are_an_object(#[case] edited: &str) {
    let fault = choose(&asked(json!({"days": 3})), edited).unwrap_err();
    assert!(fault.contains("no JSON object"), "{fault}");
}

#[rstest]
#[case(r#"{"days": 31}"#)]
#[case(r#"{"days": "3"}"#)]
#[case("{}")]
fn edited_arguments_are_checked_by_the_schema(#[case] edited: &str) {
    let asked = asked(json!({"days": 3}));
    let chosen = choose(&asked, edited).unwrap();
    let refused = clear(&guarded(), "a1", &asked.declaration, &chosen).unwrap_err();
    assert!(matches!(refused, Refused::Arguments(_)), "{refused:?}");
}

#[rstest]
#[case::invented(json!({}), json!({}), "room", Some(r#"no argument "room"; there are: "days", "note", "rate""#))]
#[case::of_a_script(json!({}), json!({SCRIPT: true}), "DAYS", Some(r#"no argument "DAYS""#))]
#[case::taken(json!({"additionalProperties": true}), json!({SCRIPT: true}), "DAYS", Some("would be ARG_DAYS"))]
#[case::open(json!({"additionalProperties": true}), json!({SCRIPT: true}), "room", None)]
#[case::no_script(json!({"additionalProperties": true}), json!({}), "DAYS", None)]
fn edited_arguments_have_names_that_the_tool_takes(
    #[case] more: Value,
    #[case] stated: Value,
    #[case] name: &str,
    #[case] says: Option<&str>,
) {
    let mut meta = json!({APPROVAL: "required", DECLARATION: "d1"});
    meta.as_object_mut().unwrap().extend(object(stated));
    let mut tool = tool(meta);
    let mut schema = Map::clone(&tool.input_schema);
    schema.extend(object(more));
    tool.input_schema = Arc::new(schema);
    let Verdict::Ask(asked) = judge(&tool, object(json!({"days": 3}))) else {
        panic!("the control: it is asked for what the tool takes")
    };
    let mut edited = object(json!({"days": 3}));
    edited.insert(name.to_owned(), 31.into());
    let chosen = choose(&asked, &Value::Object(edited.clone()).to_string()).unwrap();
    let cleared = clear(&tool, "a1", &asked.declaration, &chosen);
    let verdict = judge(&tool, edited);
    match (says, cleared, verdict) {
        (Some(says), Err(Refused::Arguments(edited)), Verdict::Faulty(asked)) => {
            assert_eq!(edited, asked);
            assert!(edited[0].contains(says), "{edited:?}");
        }
        (None, Ok(_), Verdict::Ask(_)) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn another_declaration_or_another_digest_is_no_consent() {
    let asked = asked(json!({"days": 3}));
    let chosen = choose(&asked, "").unwrap();
    let elsewhere = tool(json!({APPROVAL: "required", DECLARATION: "d2"}));
    let mut retold = guarded();
    retold.description = Some("Cancels a holiday.".into());
    for other in [elsewhere, retold, tool(json!({DECLARATION: "d1"}))] {
        let refused = clear(&other, "a1", &asked.declaration, &chosen);
        assert_eq!(refused, Err(Refused::Declaration), "{other:?}");
    }
    let swapped = Chosen {
        arguments_json: r#"{"days":30}"#.to_owned(),
        ..chosen
    };
    let refused = clear(&guarded(), "a1", &asked.declaration, &swapped);
    assert_eq!(refused, Err(Refused::Digest));
}

#[test]
fn numbers_survive_the_way_through_the_store() {
    // Read back by a quick parser, this one may become its neighbour: the text counts.
    let arguments = r#"{"days":3,"rate":0.12345678901234568}"#;
    let asked = asked(serde_json::from_str(arguments).unwrap());
    let chosen = Chosen {
        arguments_json: asked.arguments_json.clone(),
        digest: asked.digest.clone(),
        changed: Vec::new(),
    };
    assert!(clear(&guarded(), "a1", &asked.declaration, &chosen).is_ok());
}
