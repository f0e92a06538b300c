//! Rules of budgets, prices and sessions.

use rstest::rstest;
use serde_json::{Value, json};

use crate::rules::{resource, with};

fn check(gateway: Value) -> Result<(), String> {
    let resource = resource("demo", with(json!({ "gateway": gateway })));
    resource.validate_cel().map_err(|errors| errors.to_string())
}

fn budget(scope: &str, more: Value) -> Value {
    let mut budget = json!({ "name": "a", "scope": scope, "per": "Month" });
    if let (Some(budget), Value::Object(more)) = (budget.as_object_mut(), more) {
        budget.extend(more);
    }
    budget
}

fn prices() -> Value {
    json!({ "version": "1", "currency": "EUR", "models": [
        { "provider": "local", "model": "m", "inputPerMillion": "0", "outputPerMillion": "0.5" },
    ] })
}

#[rstest]
#[case(json!({}))]
#[case(json!({ "prices": prices() }))]
#[case(json!({ "budgets": [budget("Platform", json!({ "requests": 1 }))] }))]
#[case(json!({ "budgets": [budget("Group", json!({ "tokens": 1, "names": ["hr"] }))] }))]
#[case(json!({ "budgets": [budget("APIKey", json!({ "money": "1.5" }))], "prices": prices() }))]
#[case(json!({ "sessions": {} }))]
#[case(json!({ "sessions": { "idleSeconds": 900, "maxSeconds": 900 } }))]
fn accepts(#[case] gateway: Value) {
    assert_eq!(check(gateway), Ok(()));
}

#[rstest]
#[case(
    json!({ "budgets": [budget("User", json!({}))] }),
    "at least one of requests, tokens and money"
)]
#[case(
    json!({ "budgets": [budget("Platform", json!({ "requests": 1, "names": ["ana"] }))] }),
    "remove its names"
)]
#[case(
    json!({ "budgets": [budget("User", json!({ "money": "1" }))] }),
    "needs gateway.prices"
)]
#[case(
    json!({ "sessions": { "maxSeconds": 1800 } }),
    "idleSeconds may not be more than maxSeconds"
)]
fn refuses(#[case] gateway: Value, #[case] message: &str) {
    let errors = check(gateway).unwrap_err();
    assert!(errors.contains(message), "{errors}");
}
