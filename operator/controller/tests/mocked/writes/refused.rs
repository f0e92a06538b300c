//! Objects that are refused: what waits for them, what does not, and what is said.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use lotoai_operator::object::{Desired, Existing};
use rstest::rstest;
use serde_json::Value;

use super::{accepting, desired, first};
use crate::server::{Call, Log, refusal, serve};

/// A first pass over `objects` that does not succeed: what was asked, and what is said.
async fn refused(
    answer: impl Fn(&Call) -> (u16, Value) + Send + 'static,
    objects: &[Desired],
) -> (Log, String) {
    let (client, log) = serve(answer);
    let error = first(&client, &Existing::default(), objects)
        .await
        .unwrap_err();
    (log, lotoai_operator::error::chain(&error))
}

/// Everything is accepted but writes of this object.
fn accepting_but(
    name: &'static str,
    code: u16,
    reason: &'static str,
) -> impl Fn(&Call) -> (u16, Value) {
    move |call| match call.method == "PATCH" && call.path.ends_with(name) {
        true => refusal(code, reason),
        false => accepting(call),
    }
}

/// Every write is denied.
fn denying(call: &Call) -> (u16, Value) {
    match call.method == "PATCH" {
        true => refusal(403, "denied"),
        false => accepting(call),
    }
}

fn a_config_for_one_of_two() -> [Desired; 3] {
    [
        desired::<ConfigMap>("demo-config-a", false),
        desired::<Deployment>("demo-a", false),
        desired::<Deployment>("demo-b", false),
    ]
}

#[rstest]
#[case::by_a_quota_or_a_policy(403, "exceeded quota")]
#[case::by_a_rule_of_its_kind(422, "Invalid value")]
#[case::by_a_webhook_of_its_own_code(400, "admission webhook denied the request")]
#[case::by_a_webhook_that_is_away(500, "failed calling webhook")]
#[tokio::test]
async fn a_refused_object_holds_up_what_depends_on_it_and_nothing_else(
    #[case] code: u16,
    #[case] reason: &'static str,
) {
    let answer = accepting_but("/demo-config-a", code, reason);
    let (log, text) = refused(answer, &a_config_for_one_of_two()).await;
    let written = log.summary(&["PATCH"]);
    assert_eq!(written, ["PATCH demo-config-a", "PATCH demo-b"]);
    let expected = format!(
        "failed to apply ConfigMap/demo-config-a: {reason}; for this waits: Deployment/demo-a"
    );
    assert_eq!(text, expected);
}

#[rstest]
#[case::that_is_slow("context deadline exceeded", 2)]
#[case::whose_node_is_gone("dial tcp 10.96.0.7:443: i/o timeout", 2)]
#[case::that_is_away("dial tcp 10.96.0.7:443: connect: connection refused", 4)]
#[tokio::test]
async fn a_webhook_without_an_answer_does_not_take_its_time_of_every_object(
    #[case] end: &str,
    #[case] asked: usize,
) {
    let address = "https://policy.example.svc:443/validate?timeout=10s";
    let message =
        format!("failed calling webhook \"policy\": failed to call webhook: Post {address}: {end}");
    let answer = move |call: &Call| match call.method.as_str() {
        "PATCH" => refusal(500, &message),
        _ => accepting(call),
    };
    let objects =
        ["demo-a", "demo-b", "demo-c", "demo-d"].map(|it| desired::<ConfigMap>(it, false));
    let (log, text) = refused(answer, &objects).await;
    assert_eq!(log.summary(&["PATCH"]).len(), asked);
    let waits = text.contains("; for this waits: ConfigMap/demo-c, ConfigMap/demo-d");
    assert_eq!(waits, asked == 2, "{text}");
}

#[tokio::test]
async fn every_refused_object_is_named() {
    let objects = [
        desired::<ConfigMap>("demo-a", false),
        desired::<ConfigMap>("demo-b", false),
    ];
    let (log, text) = refused(denying, &objects).await;
    assert_eq!(log.summary(&["PATCH"]).len(), 2);
    let expected =
        "failed to apply ConfigMap/demo-a: denied; failed to apply ConfigMap/demo-b: denied";
    assert_eq!(text, expected);
}

#[tokio::test]
async fn a_message_names_the_first_of_many_refused_objects() {
    let objects: Vec<Desired> = (0..8)
        .map(|number| desired::<ConfigMap>(&format!("demo-{number}"), false))
        .collect();
    let (_, text) = refused(denying, &objects).await;
    assert!(
        text.ends_with("ConfigMap/demo-4: denied and 3 more"),
        "{text}"
    );
}

#[rstest]
#[case::an_unknown_token(401, "Unauthorized")]
#[case::a_newer_object(409, "Conflict")]
#[case::a_server_with_a_fault(500, "InternalError")]
#[tokio::test]
async fn what_would_meet_every_write_stops_at_the_first(
    #[case] code: u16,
    #[case] reason: &'static str,
) {
    let answer = accepting_but("/demo-config-a", code, reason);
    let (log, text) = refused(answer, &a_config_for_one_of_two()).await;
    assert_eq!(log.summary(&["PATCH"]), ["PATCH demo-config-a"]);
    assert!(
        text.contains("ConfigMap/demo-config-a") && text.contains(reason),
        "{text}"
    );
}
