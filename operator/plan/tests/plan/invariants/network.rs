//! Who may talk to whom.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use lotoai_api::Component;
use lotoai_plan::components::shared::elsewhere::{self, Elsewhere};
use lotoai_plan::graph::{EDGES, is_ours};
use lotoai_plan::{Node, labels};
use rstest::rstest;

use super::{policy, template};
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
            let edges = platform.topology.edges_from(node).count();
            assert_eq!(within + anywhere, edges, "{node:?}");
            let outside = spec
                .egress
                .iter()
                .flatten()
                .filter(|rule| rule.to.is_none())
                .count();
            let expected = match (fixture, node) {
                // Only `custom` names providers, tools and a collector elsewhere.
                ("custom", node) => usize::from(node.is_ours()),
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
        if matches!(edge.from, Node::Operator | Node::Anyone) {
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
        assert!(ports.into_iter().flatten().all(|port| port.port != 9090));
    }
}

#[rstest]
#[case("http://demo-analytics:8080/v1/usage/summary", None)]
#[case("http://demo-analytics:8080/{path}?x={y}", None)]
#[case("http://demo-tools.example.com:8081/", Some(8081))]
#[case("http://demo-analytics.example.com/", Some(80))]
#[case("https://demo-tools/", Some(443))]
fn only_the_platforms_own_services_need_no_port_outside(
    #[case] url: &str,
    #[case] port: Option<i32>,
) {
    let mut lotoai = resource("minimal");
    let tool = serde_json::json!({ "name": "t", "description": "d", "http": { "url": url } });
    lotoai.spec.mcp.tools = vec![serde_json::from_value(tool).unwrap()];
    let platform = lotoai_plan::validate(&lotoai, &provided(), &operator("minimal")).unwrap();
    let set = lotoai_plan::build(&platform, &credentials(&platform));
    let egress = policy(&set, "demo-mcp-server").spec.as_ref().unwrap();
    let outside: Vec<_> = egress
        .egress
        .iter()
        .flatten()
        .filter(|rule| rule.to.is_none())
        .flat_map(|rule| rule.ports.iter().flatten())
        .map(|rule| rule.port.clone())
        .collect();
    let expected: Vec<_> = port
        .map(|port| Some(IntOrString::Int(port)))
        .into_iter()
        .collect();
    assert_eq!(outside, expected);
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
