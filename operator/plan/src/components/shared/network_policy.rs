//! NetworkPolicies: nothing in, nothing out, but for the edges of the graph.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use lotoai_api::Component;

use super::elsewhere::{self, Elsewhere};
use crate::components::traefik;
use crate::graph::{self, Node};
use crate::labels;
use crate::platform::Platform;

/// Namespaces of the clusters' DNS, and the port of its pods there: what a Service makes of a port
/// happens before a policy looks. OpenShift has a place and a port of its own.
const DNS: [(&str, u16); 2] = [("kube-system", 53), ("openshift-dns", 5353)];
/// Label that every namespace has, with its name.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";
/// Where NodeLocal DNSCache listens on every node that has it.
const NODE_LOCAL_DNS: &str = "169.254.20.10/32";

/// Policy of the whole platform: denies both ways, but lets every pod ask for names.
#[must_use]
pub fn default_deny(platform: &Platform) -> NetworkPolicy {
    let node_local = NetworkPolicyPeer {
        ip_block: Some(IPBlock {
            cidr: NODE_LOCAL_DNS.to_owned(),
            except: None,
        }),
        ..NetworkPolicyPeer::default()
    };
    let rule = |peer, number| NetworkPolicyEgressRule {
        to: Some(vec![peer]),
        ports: Some(vec![port("UDP", number), port("TCP", number)]),
    };
    let pods = DNS.map(|(namespace, number)| {
        let peer = namespaces([(NAMESPACE_NAME.to_owned(), namespace.to_owned())]);
        rule(peer, number)
    });
    let dns = pods.into_iter().chain([rule(node_local, 53)]).collect();
    NetworkPolicy {
        metadata: platform.platform_metadata(platform.object_name("default-deny")),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(labels::platform(platform)),
                ..LabelSelector::default()
            }),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: None,
            egress: Some(dns),
        }),
    }
}

/// Policy of one node: its edges, and what its configuration lets it reach outside.
#[must_use]
pub fn build(platform: &Platform, node: Node) -> NetworkPolicy {
    let mut ingress: Vec<_> = match node {
        Node::Component(component) => platform
            .topology
            .edges_to(component)
            // The operator comes from outside of the namespace, where everybody is let in.
            .filter(|edge| edge.from != Node::Operator)
            .map(|edge| NetworkPolicyIngressRule {
                from: peers(platform, edge.from),
                ports: Some(vec![port("TCP", edge.port)]),
            })
            .collect(),
        Node::Provision(_) | Node::Anyone | Node::Operator | Node::Scraper => Vec::new(),
    };
    if node == Node::Component(Component::Traefik) && traefik::is_guarded(platform) {
        ingress.push(NetworkPolicyIngressRule {
            from: Some(vec![namespaces([(
                NAMESPACE_NAME.to_owned(),
                platform.operator_namespace.clone(),
            )])]),
            ports: Some(vec![port("TCP", traefik::PROBE_PORT)]),
        });
    }
    let topology = &platform.topology;
    let mut egress: Vec<_> = topology
        .edges_from(node)
        .filter(|edge| topology.has(Node::Component(edge.to)))
        .map(|edge| NetworkPolicyEgressRule {
            to: peers(platform, Node::Component(edge.to)),
            ports: Some(vec![port("TCP", edge.port)]),
        })
        .collect();
    let mut outside = BTreeSet::new();
    for (edge, _, external) in topology.outside_from(node) {
        if let Some(delegated) = &external.delegated {
            egress.push(NetworkPolicyEgressRule {
                to: Some(vec![pods(delegated.pods.clone())]),
                ports: Some(vec![port("TCP", edge.port)]),
            });
            continue;
        }
        match elsewhere::of(external.address(edge)) {
            Some(Elsewhere::Cluster(peer)) => egress.push(NetworkPolicyEgressRule {
                to: Some(vec![peer]),
                ports: None,
            }),
            Some(Elsewhere::Address(peer, number)) => egress.push(NetworkPolicyEgressRule {
                to: Some(vec![peer]),
                ports: Some(vec![port("TCP", number)]),
            }),
            Some(Elsewhere::Anywhere(number)) => outside.extend([number]),
            None => {}
        }
    }
    // A policy cannot name hosts, so most of these are ports of any address. The collector is held to its
    // namespace as well where its address says which; its pods listen on the port of the address.
    for edge in graph::outside(platform) {
        if edge.from != node {
            continue;
        }
        match edge.place.as_ref().and_then(elsewhere::of) {
            Some(Elsewhere::Cluster(peer) | Elsewhere::Address(peer, _)) => {
                egress.push(NetworkPolicyEgressRule {
                    to: Some(vec![peer]),
                    ports: Some(vec![port("TCP", edge.port)]),
                });
            }
            Some(Elsewhere::Anywhere(_)) | None => outside.extend([edge.port]),
        }
    }
    if !outside.is_empty() {
        egress.push(NetworkPolicyEgressRule {
            to: None,
            ports: Some(
                outside
                    .into_iter()
                    .map(|number| port("TCP", number))
                    .collect(),
            ),
        });
    }
    NetworkPolicy {
        metadata: platform.metadata(platform.node_name(node), node),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(labels::selector(platform, node)),
                ..LabelSelector::default()
            }),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: (!ingress.is_empty()).then_some(ingress),
            egress: (!egress.is_empty()).then_some(egress),
        }),
    }
}

/// Who is meant; nobody in particular is everybody.
fn peers(platform: &Platform, node: Node) -> Option<Vec<NetworkPolicyPeer>> {
    match node {
        Node::Anyone | Node::Operator => None,
        Node::Scraper => scraper(platform).map(|peer| vec![peer]),
        // Whoever stands in its place, in a namespace that only the resource knows.
        Node::Component(Component::Traefik) if !platform.topology.has(node) => {
            Some(vec![namespaces(platform.spec.edge.from_namespaces.clone())])
        }
        Node::Provision(_) | Node::Component(_) => {
            Some(vec![pods(labels::selector(platform, node))])
        }
    }
}

/// Whoever asks for metrics, by the labels that the resource names.
fn scraper(platform: &Platform) -> Option<NetworkPolicyPeer> {
    let from = &platform.spec.observability.metrics.as_ref()?.external;
    let named = pods(from.from_pods.clone());
    Some(NetworkPolicyPeer {
        pod_selector: named.pod_selector.filter(|_| !from.from_pods.is_empty()),
        ..namespaces(from.from_namespaces.clone())
    })
}

/// The pods of the platform's namespace with these labels.
fn pods(labels: BTreeMap<String, String>) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        pod_selector: Some(LabelSelector {
            match_labels: Some(labels),
            ..LabelSelector::default()
        }),
        ..NetworkPolicyPeer::default()
    }
}

/// All pods of the namespaces with these labels.
fn namespaces(labels: impl IntoIterator<Item = (String, String)>) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector {
            match_labels: Some(labels.into_iter().collect()),
            ..LabelSelector::default()
        }),
        ..NetworkPolicyPeer::default()
    }
}

fn port(protocol: &str, number: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.to_owned()),
        port: Some(IntOrString::Int(i32::from(number))),
        end_port: None,
    }
}
