//! What gateways of the cluster say of our routes and policies.

use lotoai_api::reasons;
use lotoai_plan::ProbeOutcome;
use lotoai_plan::kinds::{BackendTLSPolicy, HTTPRoute};
use rstest::rstest;
use serde_json::{Value, json};

use super::{NOW, ready};
use crate::cluster::Cluster;

/// What a Gateway says of a route, or of a policy by the name of `about`.
fn word(about: &str, gateway: Value, type_: &str, status: &str) -> Value {
    json!({
        about: gateway, "controllerName": "example.com/x",
        "conditions": [{
            "type": type_, "status": status, "reason": "Because", "message": "its own words",
            "lastTransitionTime": NOW,
        }],
    })
}

fn route(words: Value) -> HTTPRoute {
    let route = json!({ "metadata": { "name": "demo-edge" }, "status": { "parents": words } });
    serde_json::from_value(route).unwrap()
}

fn public() -> Value {
    json!({
        "group": "gateway.networking.k8s.io", "kind": "Gateway",
        "name": "public", "namespace": "infra", "sectionName": "https",
    })
}

fn internal() -> Value {
    json!({ "name": "internal" })
}

fn of_route(gateway: Value, type_: &str, status: &str) -> Value {
    word("parentRef", gateway, type_, status)
}

/// As every Gateway takes it that it is meant for.
fn taken() -> HTTPRoute {
    let words = [public(), internal()].map(|gateway| of_route(gateway, "Accepted", "True"));
    route(json!(words))
}

#[rstest]
#[case::by_nobody(vec![], "no Gateway has looked at HTTPRoute demo-edge yet")]
#[case::which_one_refuses(
    vec![of_route(public(), "Accepted", "False")],
    "Gateway public does not take HTTPRoute demo-edge: its own words"
)]
#[case::which_the_other_one_has_not_seen(
    vec![of_route(public(), "Accepted", "True")],
    "Gateway internal has not taken HTTPRoute demo-edge yet"
)]
#[case::of_which_one_is_not_sure(
    vec![of_route(internal(), "Accepted", "True"), of_route(public(), "Accepted", "Unknown")],
    "Gateway public has not taken HTTPRoute demo-edge yet"
)]
#[case::at_another_listener(
    vec![
        of_route(internal(), "Accepted", "True"),
        of_route(
            json!({ "name": "public", "namespace": "infra", "sectionName": "plain" }),
            "Accepted",
            "True"
        ),
    ],
    "Gateway public has not taken HTTPRoute demo-edge yet"
)]
#[case::of_which_one_finds_no_server(
    vec![
        of_route(public(), "Accepted", "True"),
        of_route(internal(), "Accepted", "True"),
        of_route(internal(), "ResolvedRefs", "False"),
    ],
    "Gateway internal does not take HTTPRoute demo-edge: its own words"
)]
#[case::which_one_refuses_that_is_not_asked_any_more(
    vec![
        of_route(json!({ "name": "former" }), "Accepted", "False"),
        of_route(public(), "Accepted", "True"),
    ],
    "Gateway internal has not taken HTTPRoute demo-edge yet"
)]
fn a_route_that_is_not_taken_is_told(#[case] words: Vec<Value>, #[case] told: &str) {
    let mut cluster = Cluster::up_of("gateway-api");
    let routes = &mut cluster.observed.routes;
    routes.insert("demo-edge".to_owned(), route(json!(words)));
    let (reason, message) = ready(&cluster, "gateway-api", &ProbeOutcome::Pending);
    assert_eq!(reason, reasons::ROUTE_NOT_ACCEPTED);
    assert!(message.contains(told), "{message}");
    let next = "; see  kubectl -n ai describe httproute demo-edge";
    assert!(message.contains(next), "{message}");
    // An answer shows that one of them is enough.
    let (reason, _) = ready(&cluster, "gateway-api", &ProbeOutcome::Answered);
    assert_eq!(reason, reasons::AVAILABLE);
}

#[test]
fn a_route_is_taken_when_every_gateway_says_so() {
    let mut cluster = Cluster::up_of("gateway-api");
    // One that is no parent any more may have said anything.
    let mut words = [public(), internal()]
        .map(|gateway| of_route(gateway, "Accepted", "True"))
        .to_vec();
    words.push(of_route(json!({ "name": "former" }), "Accepted", "False"));
    let routes = &mut cluster.observed.routes;
    routes.insert("demo-edge".to_owned(), route(json!(words)));
    let (reason, message) = ready(&cluster, "gateway-api", &ProbeOutcome::Pending);
    assert_eq!(reason, reasons::PROBE_PENDING, "{message}");
    // The namespace of the platform is the one that is meant where none is named.
    let at_home = json!({ "name": "internal", "namespace": "ai" });
    let words = [public(), at_home].map(|gateway| of_route(gateway, "Accepted", "True"));
    let routes = &mut cluster.observed.routes;
    routes.insert("demo-edge".to_owned(), route(json!(words)));
    let (reason, message) = ready(&cluster, "gateway-api", &ProbeOutcome::Pending);
    assert_eq!(reason, reasons::PROBE_PENDING, "{message}");
}

#[rstest]
#[case::which_nobody_speaks_of(public(), None, false)]
#[case::which_is_accepted(public(), Some(("Accepted", "True")), false)]
#[case::which_is_refused(public(), Some(("Accepted", "False")), true)]
#[case::which_is_refused_for_every_listener(
    json!({ "name": "public", "namespace": "infra" }),
    Some(("Accepted", "False")),
    true
)]
#[case::which_another_one_refuses(
    json!({ "name": "public", "namespace": "elsewhere" }),
    Some(("Accepted", "False")),
    false
)]
#[case::whose_authority_is_not_found(public(), Some(("ResolvedRefs", "False")), true)]
fn a_policy_that_a_gateway_refuses_is_told(
    #[case] gateway: Value,
    #[case] said: Option<(&str, &str)>,
    #[case] is_told: bool,
) {
    let mut cluster = Cluster::up_of("gateway-api");
    let observed = &mut cluster.observed;
    observed.routes.insert("demo-edge".to_owned(), taken());
    let mut policy = json!({ "metadata": { "name": "demo-gateway" } });
    if let Some((type_, status)) = said {
        let word = word("ancestorRef", gateway, type_, status);
        policy["status"] = json!({ "ancestors": [word] });
    }
    let policy: BackendTLSPolicy = serde_json::from_value(policy).unwrap();
    let policies = &mut observed.backend_tls_policies;
    policies.insert("demo-gateway".to_owned(), policy);
    let (reason, message) = ready(&cluster, "gateway-api", &ProbeOutcome::Pending);
    if is_told {
        assert_eq!(reason, reasons::ROUTE_NOT_ACCEPTED);
        let told = "Gateway public does not take BackendTLSPolicy demo-gateway: its own words; see  \
                    kubectl -n ai describe backendtlspolicy demo-gateway";
        assert!(message.contains(told), "{message}");
    } else {
        assert_eq!(reason, reasons::PROBE_PENDING, "{message}");
    }
}
