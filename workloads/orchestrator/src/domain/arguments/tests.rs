//! Questions and the arguments that they hold.

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::domain::language::detect;

fn read(schema: &Value, question: &str) -> Extraction {
    let today = jiff::civil::date(2026, 11, 22);
    extract(
        schema.as_object().unwrap(),
        question,
        detect(question),
        today,
    )
}

fn working_days() -> Value {
    json!({
        "type": "object",
        "properties": {
            "end_date": {"type": "string", "description": "Last day, YYYY-MM-DD"},
            "start_date": {"type": "string", "description": "First day, YYYY-MM-DD"},
        },
        "required": ["start_date", "end_date"],
    })
}

#[rstest]
#[case("How many working days are there between 2026-11-02 and 2026-11-20?")]
#[case("¿Cuántos días laborables hay entre 2026-11-02 y 2026-11-20?")]
#[case("¿Cuántos días hábiles hay del 2 al 20 de noviembre de 2026?")]
#[case("Working days until 2026-11-20 from 2026-11-02")]
fn both_ends_of_a_span(#[case] question: &str) {
    let extraction = read(&working_days(), question);
    assert!(extraction.fits());
    assert_eq!(
        Value::Object(extraction.arguments),
        json!({"start_date": "2026-11-02", "end_date": "2026-11-20"})
    );
}

#[test]
fn a_missing_end_is_named_with_its_description() {
    let extraction = read(&working_days(), "How many working days since 2026-11-02?");
    assert!(!extraction.fits());
    assert_eq!(
        extraction.missing,
        [Missing {
            name: "end_date".into(),
            description: "Last day, YYYY-MM-DD".into()
        }]
    );
}

#[test]
fn no_required_argument_is_complete_but_proves_nothing() {
    let extraction = read(&json!({"type": "object"}), "How many requests today?");
    assert!(extraction.missing.is_empty() && !extraction.fits());
}

#[test]
fn numbers_go_to_the_argument_that_names_their_unit() {
    let schema = json!({
        "properties": {
            "rate_percent": {"type": "number"},
            "years": {"type": "integer"},
            "amount": {"type": "number"},
        },
        "required": ["amount", "rate_percent", "years"],
    });
    let extraction = read(
        &schema,
        "What is 1500 at 2.5% over 10 years since 2026-01-01?",
    );
    assert_eq!(
        Value::Object(extraction.arguments),
        json!({"amount": 1500.0, "rate_percent": 2.5, "years": 10})
    );
}

#[test]
fn enums_urls_quotes_and_expressions() {
    let schema = json!({
        "properties": {
            "unit": {"type": "string", "enum": ["per_day", "per_month"]},
            "page_url": {"type": "string"},
            "title": {"type": "string"},
        },
        "required": ["unit", "page_url", "title"],
    });
    let extraction = read(
        &schema,
        "Save https://example.org/a?b=c. as \"My page\" per month",
    );
    assert_eq!(
        Value::Object(extraction.arguments),
        json!({"unit": "per_month", "page_url": "https://example.org/a?b=c", "title": "My page"})
    );
    let schema =
        json!({"properties": {"expression": {"type": "string"}}, "required": ["expression"]});
    let extraction = read(&schema, "What is 12 * (3 + 4)?");
    assert_eq!(
        Value::Object(extraction.arguments),
        json!({"expression": "12 * (3 + 4)"})
    );
    assert_eq!(read(&schema, "between 2026-11-02 and now").missing.len(), 1);
}

#[test]
fn an_integer_takes_no_fraction_and_an_optional_number_no_stray_one() {
    let required = json!({"properties": {"n": {"type": "integer"}}, "required": ["n"]});
    assert_eq!(read(&required, "give me 2.5").missing.len(), 1);
    let optional = json!({"properties": {"limit": {"type": "integer"}}});
    assert!(read(&optional, "the 7 wonders").arguments.is_empty());
}
