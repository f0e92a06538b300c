//! Rules of credentials that are made anew or given.

use serde_json::{Value, json};

use crate::rules::{resource, with};

/// What the rules say of credentials.
fn refusal(credentials: &Value) -> Option<String> {
    let outcome = resource("demo", with(json!({ "credentials": credentials }))).validate_cel();
    outcome.err().map(|errors| errors.to_string())
}

#[test]
fn a_credential_is_made_anew_or_given() {
    let given = json!({ "gateway-postgres": { "name": "vault" } });
    for good in [
        json!({ "given": given }),
        json!({ "given": given, "rotate": { "all": "2026-11-26" } }),
        json!({ "given": given, "rotate": { "gateway-rabbitmq": "2026-11-26" } }),
    ] {
        assert_eq!(refusal(&good), None, "{good}");
    }
    let both = json!({ "given": given, "rotate": { "gateway-postgres": "2026-11-26" } });
    let refusal = refusal(&both).unwrap();
    assert!(
        refusal.contains("credentials.rotate may not name a credential of credentials.given"),
        "{refusal}"
    );
}
