//! Rules of who may sign in.

use rstest::rstest;
use serde_json::{Value, json};

use crate::rules::{resource, with};

fn issuer(issuer: &str) -> Value {
    json!({ "external": {
        "issuerURL": issuer, "clientID": "app", "clientSecretName": "sign-in" } })
}

#[rstest]
#[case("https://accounts.google.com")]
#[case("https://tenant.eu.auth0.com/")]
#[case("https://login.microsoftonline.com/0f8fad5b-d9cb-469f-a165-70867728950e/v2.0")]
#[case("https://keycloak.corp:8443/realms/staff")]
fn accepts_issuers_elsewhere(#[case] url: &str) {
    let outcome = resource("demo", with(json!({ "identity": issuer(url) }))).validate_cel();
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[rstest]
#[case("http://login.example.com")]
#[case("https://ana:secret@login.example.com")]
#[case("https://Login.example.com")]
#[case("https://login.example.com?tenant=a")]
#[case("https://login.example.com/a b")]
fn refuses_what_is_no_issuer(#[case] url: &str) {
    let errors = resource("demo", with(json!({ "identity": issuer(url) })))
        .validate_cel()
        .unwrap_err()
        .to_string();
    assert!(errors.contains("issuerURL must be https://"), "{errors}");
}

#[test]
fn people_are_known_in_one_place() {
    let mut both = issuer("https://login.example.com");
    both["firstUser"] = json!({});
    let errors = resource("demo", with(json!({ "identity": both })))
        .validate_cel()
        .unwrap_err()
        .to_string();
    assert!(errors.contains("remove one of them"), "{errors}");
}

#[rstest]
#[case(json!({}), issuer("https://a.example.com"), Some("whether identity is external is fixed"))]
#[case(issuer("https://a.example.com"), json!({}), Some("whether identity is external is fixed"))]
#[case(
    issuer("https://a.example.com"),
    issuer("https://b.example.com"),
    Some("issuerURL is fixed")
)]
#[case(
    issuer("https://a.example.com"),
    json!({ "external": { "issuerURL": "https://a.example.com", "clientID": "other",
                          "clientSecretName": "other", "adminGroup": "staff" } }),
    None
)]
#[case(json!({}), json!({ "firstUser": { "username": "ana" } }), None)]
fn whose_people_they_are_is_fixed(
    #[case] old: Value,
    #[case] new: Value,
    #[case] message: Option<&str>,
) {
    let spec = |identity: &Value| with(json!({ "identity": identity }));
    let outcome = resource("demo", spec(&new))
        .validate_cel_update(&resource("demo", spec(&old)))
        .map_err(|errors| errors.to_string());
    match (outcome, message) {
        (Ok(()), None) => {}
        (Err(errors), Some(message)) => assert!(errors.contains(message), "{errors}"),
        (outcome, _) => panic!("{outcome:?}"),
    }
}
