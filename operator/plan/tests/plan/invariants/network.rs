//! Who may talk to whom.

use std::collections::BTreeMap;

use lotoai_api::{Component, LotoAI};
use lotoai_plan::components::shared::elsewhere::{self, Elsewhere};
use lotoai_plan::graph::{ADMIN_PORT, EDGES, TRAEFIK_ADMIN_PORT, is_ours};
use lotoai_plan::{Node, Prepared, ResourceSet, labels};
use rstest::rstest;
use serde_json::{Value, json};

use super::{container, policy, template};
use crate::common::{FIXTURES, credentials, objects, operator, provided, resource};

#[test]
fn policies_deny_by_default_and_allow_exactly_the_edges() {
    for fixture in FIXTURES {
        let (platform, set) = objects(fixture);
        let deny = policy(&set, "demo-default-deny").spec.as_ref().unwrap();
        assert_eq!(deny.ingress, None);
        let both = Some(vec!["Ingress".to_owned(), "Egress".to_owned()]);
        assert_eq!(deny.policy_types, both);
        for node in platform.topology.nodes() {
            let spec = policy(&set, &platform.node_name(node))
                .spec
                .as_ref()
                .unwrap();
            let mut ingress = platform
                .topology
                .edges()
                .iter()
                .filter(|edge| Node::Component(edge.to) == node && edge.from != Node::Operator)
                .count();
            // The operator's own way past a list of allowed addresses.
            if fixture == "traefik-options" && node == Node::Component(Component::Traefik) {
                ingress += 1;
            }
            assert_eq!(
                spec.ingress.as_ref().map_or(0, Vec::len),
                ingress,
                "{node:?}"
            );
            let within = spec
                .egress
                .iter()
                .flatten()
                .filter(|rule| rule.to.is_some())
                .count();
            let anywhere = platform
                .topology
                .outside_from(node)
                .filter(|(edge, _, external)| {
                    let place = elsewhere::of(external.address(edge));
                    matches!(place, Some(Elsewhere::Anywhere(_)))
                })
                .count();
            // Only `custom` has a collector, in a namespace that its address names.
            let collector = usize::from(fixture == "custom" && node.is_ours());
            let edges = platform.topology.edges_from(node).count();
            assert_eq!(within + anywhere, edges + collector, "{node:?}");
            let outside = spec
                .egress
                .iter()
                .flatten()
                .filter(|rule| rule.to.is_none())
                .count();
            let expected = match (fixture, node) {
                // Only `custom` names providers and tools elsewhere.
                ("custom", Node::Component(Component::Agents | Component::McpServer)) => 1,
                _ => usize::from(anywhere > 0),
            };
            assert_eq!(outside, expected, "{node:?}");
            let selected = spec
                .pod_selector
                .as_ref()
                .unwrap()
                .match_labels
                .as_ref()
                .unwrap();
            let labels = template(&platform, &set, node).metadata.as_ref().unwrap();
            for (key, value) in selected {
                assert_eq!(labels.labels.as_ref().unwrap().get(key), Some(value));
            }
        }
    }
}

#[test]
fn edges_are_allowed_at_both_ends() {
    let (platform, set) = objects("qdrant");
    let has = |rules: &serde_json::Value, peer: &str, side: &str, port: u16| {
        rules.as_array().unwrap().iter().any(|rule| {
            rule["ports"][0]["port"] == port
                && rule[side][0]["podSelector"]["matchLabels"][labels::NAME] == peer
        })
    };
    for edge in EDGES {
        if matches!(edge.from, Node::Operator | Node::Anyone | Node::Scraper) {
            continue;
        }
        let policy_of = |node| {
            serde_json::to_value(policy(&set, &platform.node_name(node)).spec.as_ref()).unwrap()
        };
        let from = policy_of(edge.from);
        let to = policy_of(Node::Component(edge.to));
        assert!(
            has(&from["egress"], edge.to.name(), "to", edge.port),
            "{edge:?}"
        );
        assert!(
            has(&to["ingress"], &edge.from.name(), "from", edge.port),
            "{edge:?}"
        );
    }
}

#[test]
fn a_delegated_store_is_reached_at_its_own_pods_and_nowhere_else() {
    let (platform, set) = objects("delegated-postgres");
    let edges = platform.topology.edges_to(Component::Postgres);
    for edge in edges {
        let name = platform.node_name(edge.from);
        let spec = serde_json::to_value(policy(&set, &name).spec.as_ref()).unwrap();
        let rules = spec["egress"].as_array().unwrap();
        let wanted = serde_json::json!({
            "ports": [{ "port": 5432, "protocol": "TCP" }],
            "to": [{ "podSelector": { "matchLabels": { "cnpg.io/cluster": "demo-postgres" } } }],
        });
        let found = rules.iter().filter(|rule| **rule == wanted).count();
        assert_eq!(found, 1, "{name}: {rules:?}");
    }
}

/// Whoever is let in at a port, by node: as in the policy, and nothing for everybody.
fn let_in(fixture: &str, port: u16) -> BTreeMap<String, Value> {
    let (platform, set) = objects(fixture);
    let mut found = BTreeMap::new();
    for node in platform.topology.nodes() {
        let spec = policy(&set, &platform.node_name(node)).spec.as_ref();
        let spec = serde_json::to_value(spec).unwrap();
        let rules = spec["ingress"].as_array().into_iter().flatten();
        for rule in rules.filter(|rule| rule["ports"][0]["port"] == port) {
            let before = found.insert(node.name(), rule["from"].clone());
            assert_eq!(before, None, "{node:?}");
        }
    }
    found
}

#[test]
fn only_whom_the_resource_names_is_let_in_for_metrics() {
    let prometheus = json!([{
        "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "monitoring" } },
        "podSelector": { "matchLabels": { "app.kubernetes.io/name": "prometheus" } },
    }]);
    let ours = Component::ALL.into_iter().filter(|it| is_ours(*it));
    let ours: BTreeMap<String, Value> = ours
        .map(|it| (it.name().to_owned(), prometheus.clone()))
        .collect();
    assert_eq!(let_in("custom", ADMIN_PORT), ours);
    let traefik = BTreeMap::from([("traefik".to_owned(), prometheus)]);
    assert_eq!(let_in("custom", TRAEFIK_ADMIN_PORT), traefik);
    // Where nobody is named nobody is.
    for port in [ADMIN_PORT, TRAEFIK_ADMIN_PORT] {
        let let_in = let_in("minimal", port);
        assert!(let_in.is_empty(), "{let_in:?}");
    }
}

#[test]
fn all_pods_of_the_named_namespaces_are_let_in_where_none_are_told_apart() {
    let mut lotoai = resource("minimal");
    let named = json!({ "metrics": { "external": { "fromNamespaces": { "team": "sre" } } } });
    lotoai.spec.observability = serde_json::from_value(named).unwrap();
    let platform = lotoai_plan::validate(&lotoai, &provided(), &operator("minimal")).unwrap();
    let set = lotoai_plan::build(&platform, &credentials(&platform));
    let spec = serde_json::to_value(policy(&set, "demo-rag-ingest").spec.as_ref()).unwrap();
    let wanted = json!([{
        "from": [{ "namespaceSelector": { "matchLabels": { "team": "sre" } } }],
        "ports": [{ "port": ADMIN_PORT, "protocol": "TCP" }],
    }]);
    assert_eq!(spec["ingress"], wanted);
}

#[test]
fn metrics_are_found_by_the_name_of_their_port() {
    let (platform, set) = objects("custom");
    let mut looked_at = 0;
    for edge in platform.topology.edges_from(Node::Scraper) {
        let pod = container(template(&platform, &set, Node::Component(edge.to)));
        let mut ports = pod.ports.iter().flatten();
        let admin = ports.find(|port| port.name.as_deref() == Some("admin"));
        let admin = admin.map(|port| port.container_port);
        assert_eq!(admin, Some(i32::from(edge.port)), "{edge:?}");
        looked_at += 1;
    }
    assert!(looked_at > 0);
}

#[rstest]
#[case("http://otel:4317", Some(json!({ "podSelector": {} })), 4317)]
#[case(
    "http://otel.sre.svc:4317",
    Some(json!({ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "sre" } } })),
    4317
)]
#[case("http://10.0.0.7:4317", Some(json!({ "ipBlock": { "cidr": "10.0.0.7/32" } })), 4317)]
#[case("http://otel.example.com", None, 80)]
fn telemetry_is_let_out_to_the_collector(
    #[case] endpoint: &str,
    #[case] place: Option<Value>,
    #[case] port: u16,
) {
    let mut lotoai = resource("minimal");
    lotoai.spec.observability.otlp_endpoint = Some(endpoint.to_owned());
    let platform = lotoai_plan::validate(&lotoai, &provided(), &operator("minimal")).unwrap();
    let set = lotoai_plan::build(&platform, &credentials(&platform));
    let mut wanted = json!({ "ports": [{ "port": port, "protocol": "TCP" }] });
    if let Some(place) = place {
        wanted["to"] = json!([place]);
    }
    for node in platform.topology.nodes() {
        let spec = policy(&set, &platform.node_name(node)).spec.as_ref();
        let spec = serde_json::to_value(spec).unwrap();
        let rules = spec["egress"].as_array().into_iter().flatten();
        let found = rules.filter(|rule| **rule == wanted).count();
        assert_eq!(found, usize::from(node.is_ours()), "{node:?}");
    }
}

#[test]
fn admin_ports_are_not_exposed() {
    let (_, set) = objects("minimal");
    for component in Component::ALL.into_iter().filter(|c| is_ours(*c)) {
        let name = format!("demo-{component}");
        let service = set
            .services
            .iter()
            .find(|s| s.metadata.name.as_ref() == Some(&name));
        let ports = service
            .and_then(|s| s.spec.as_ref())
            .and_then(|spec| spec.ports.as_ref());
        assert!(
            ports
                .into_iter()
                .flatten()
                .all(|port| port.port != i32::from(ADMIN_PORT))
        );
    }
}

/// Where the pods of a node may go out of the platform, beside the edges.
fn outside_of(lotoai: &LotoAI, component: Component) -> Vec<Value> {
    let platform = lotoai_plan::validate(lotoai, &provided(), &operator("minimal")).unwrap();
    let rules = |set: &ResourceSet<Prepared>| {
        let policy = policy(set, &platform.component_name(component));
        let spec = serde_json::to_value(policy.spec.as_ref()).unwrap();
        spec["egress"].as_array().cloned().unwrap_or_default()
    };
    let before = rules(&objects("minimal").1);
    let mut found = rules(&lotoai_plan::build(&platform, &credentials(&platform)));
    found.retain(|rule| !before.contains(rule));
    found
}

/// What is let out to a port of any address, and to all pods of a namespace at any port.
fn at_port(port: u16) -> Value {
    json!({ "ports": [{ "port": port, "protocol": "TCP" }] })
}

fn in_namespace(name: &str) -> Value {
    let named = json!({ "matchLabels": { "kubernetes.io/metadata.name": name } });
    json!({ "to": [{ "namespaceSelector": named }] })
}

fn here() -> Value {
    json!({ "to": [{ "podSelector": {} }] })
}

/// A policy sees the port of the pod, which only the Service knows.
#[rstest]
#[case::own_service("http://demo-analytics:8080/v1/usage/summary", &[])]
#[case::own_service_with_parameters("http://demo-analytics:8080/{path}?x={y}", &[])]
#[case::service_here_or_a_host("https://demo-tools/", &[here(), at_port(443)])]
#[case::service("http://orders.shop.svc/api", &[in_namespace("shop")])]
#[case::whole_name("http://orders.shop.svc.cluster.local/api", &[in_namespace("shop")])]
#[case::elsewhere("http://demo-tools.example.com:8081/", &[at_port(8081)])]
#[case::not_ours("http://demo-analytics.example.com/", &[at_port(80)])]
#[case::not_the_clusters("http://svc.example.com/", &[at_port(80)])]
#[case::address("https://192.0.2.7/", &[at_port(443)])]
fn a_tool_behind_a_service_is_reached_at_any_port_and_others_at_their_own(
    #[case] url: &str,
    #[case] expected: &[Value],
) {
    let mut lotoai = resource("minimal");
    let tool = json!({ "name": "t", "description": "d", "http": { "url": url } });
    lotoai.spec.mcp.tools = vec![serde_json::from_value(tool).unwrap()];
    let rules = outside_of(&lotoai, Component::McpServer);
    assert_eq!(rules, expected);
    assert_eq!(outside_of(&lotoai, Component::Agents), [] as [Value; 0]);
}

#[rstest]
#[case::service(&["http://llm-predictor.models.svc/v1"], &[in_namespace("models")])]
#[case::one_namespace(
    &["http://a.models.svc/v1", "http://b.models.svc:8000/v1"],
    &[in_namespace("models")]
)]
#[case::two(
    &["http://a.models.svc/v1", "https://api.example.com/v1"],
    &[in_namespace("models"), at_port(443)]
)]
#[case::whole_name(&["http://a.models.svc.cluster.local./v1"], &[in_namespace("models")])]
#[case::other_cluster(
    &["http://a.models.svc.clusterset.local/v1"],
    &[in_namespace("models"), at_port(80)]
)]
#[case::service_here_or_a_host(&["http://vllm:8000/v1"], &[here(), at_port(8000)])]
#[case::elsewhere(&["https://api.example.com:8443/v1"], &[at_port(8443)])]
#[case::address(&["https://192.0.2.7/v1"], &[at_port(443)])]
fn a_provider_behind_a_service_is_reached_at_any_port_and_others_at_their_own(
    #[case] urls: &[&str],
    #[case] rules: &[Value],
) {
    let mut lotoai = resource("minimal");
    let providers = urls.iter().enumerate().map(|(number, url)| {
        let name = format!("p{number}");
        json!({ "name": name, "kind": "OpenAICompatible", "baseURL": url })
    });
    let providers = providers.map(|provider| serde_json::from_value(provider).unwrap());
    lotoai.spec.agents.providers = providers.collect();
    assert_eq!(outside_of(&lotoai, Component::Agents), rules);
    assert_eq!(outside_of(&lotoai, Component::McpServer), [] as [Value; 0]);
}

#[test]
fn the_wiring_in_the_documentation_is_current() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reference/wiring.md"
    );
    let page = std::fs::read_to_string(path).unwrap();
    let diagram = lotoai_plan::graph::mermaid();
    assert!(
        page.contains(&diagram),
        "put this into docs/reference/wiring.md:\n{diagram}"
    );
}
