//! What the fixtures show: every way in which a part of a platform can be run, at least once.

use std::collections::BTreeSet;

use lotoai_api::Store;
use lotoai_plan::{Node, Platform};

use crate::common::{FIXTURES, platform};

/// How a platform's parts are run.
fn modes(platform: &Platform) -> BTreeSet<String> {
    let topology = &platform.topology;
    let mut modes = BTreeSet::new();
    // No Job prepares Qdrant, so it is not among all.
    for store in Store::ALL.into_iter().chain([Store::Qdrant]) {
        let component = store.component();
        let mode = match topology.external(store) {
            Some(external) if external.delegated.is_some() => "delegated",
            Some(external) if external.accounts => "external",
            Some(_) => "external without accounts",
            None if !topology.has(Node::Component(component)) => "embedded",
            None if platform.members(component).is_empty() => "managed",
            None => "managed cluster",
        };
        modes.insert(format!("{component} {mode}"));
    }
    let edge = &platform.spec.edge;
    let way = match (&edge.ingress, &edge.gateway_api) {
        (Some(_), _) => "ingress",
        (_, Some(_)) => "gateway",
        (None, None) => "managed",
    };
    modes.insert(format!("traefik {way}"));
    let tls = match (&edge.tls.secret_name, &edge.tls.cert_manager) {
        (Some(_), _) => "given",
        (_, Some(_)) => "cert-manager",
        (None, None) => "own",
    };
    modes.insert(format!("certificate {tls}"));
    modes
}

#[test]
fn every_mode_of_every_dependency_is_in_a_fixture() {
    assert!(FIXTURES.len() >= 12);
    let shown: BTreeSet<String> = FIXTURES
        .into_iter()
        .flat_map(|fixture| modes(&platform(fixture)))
        .collect();
    let wanted = [
        "certificate cert-manager",
        "certificate given",
        "certificate own",
        "clickhouse external",
        "clickhouse managed",
        "clickhouse managed cluster",
        "keycloak external without accounts",
        "keycloak managed",
        "minio external without accounts",
        "minio managed",
        "minio managed cluster",
        "postgres delegated",
        "postgres external",
        "postgres managed",
        "qdrant embedded",
        "qdrant external without accounts",
        "qdrant managed",
        "qdrant managed cluster",
        "rabbitmq external",
        "rabbitmq managed",
        "rabbitmq managed cluster",
        "traefik gateway",
        "traefik ingress",
        "traefik managed",
    ];
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    assert_eq!(shown, wanted);
}
