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
    egress.extend(outside(platform, node));
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

/// The ways of a node out of the platform. A policy cannot name hosts, so what is no Service of the
/// cluster is a port of any address; a store and the collector are held to an IP address as well.
fn outside(platform: &Platform, node: Node) -> Vec<NetworkPolicyEgressRule> {
    let (mut rules, mut anywhere) = (Vec::new(), BTreeSet::new());
    for (edge, _, external) in platform.topology.outside_from(node) {
        if let Some(delegated) = &external.delegated {
            rules.push(egress_to(pods(delegated.pods.clone()), Some(edge.port)));
            continue;
        }
        match elsewhere::of(external.address(edge)) {
            Some(Elsewhere::Cluster { peer, .. }) => rules.push(egress_to(peer, None)),
            Some(Elsewhere::Address(peer, number)) => rules.push(egress_to(peer, Some(number))),
            Some(Elsewhere::Anywhere(number)) => anywhere.extend([number]),
            None => {}
        }
    }
    for edge in graph::outside(platform) {
        if edge.from != node {
            continue;
        }
        let rule = match edge.address.as_ref().and_then(elsewhere::of) {
            Some(Elsewhere::Cluster { peer, is_certain }) => {
                if !edge.same_port && !is_certain {
                    anywhere.extend([edge.port]);
                }
                egress_to(peer, edge.same_port.then_some(edge.port))
            }
            Some(Elsewhere::Address(peer, number)) if edge.same_port => {
                egress_to(peer, Some(number))
            }
            Some(Elsewhere::Address(..) | Elsewhere::Anywhere(_)) | None => {
                anywhere.extend([edge.port]);
                continue;
            }
        };
        // Several providers may be in one namespace.
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    if !anywhere.is_empty() {
        let ports = anywhere.into_iter().map(|number| port("TCP", number));
        rules.push(NetworkPolicyEgressRule {
            to: None,
            ports: Some(ports.collect()),
        });
    }
    rules
}

/// Lets out to a peer: at one port, or at any.
fn egress_to(peer: NetworkPolicyPeer, number: Option<u16>) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule {
        to: Some(vec![peer]),
        ports: number.map(|number| vec![port("TCP", number)]),
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
