//! Pods and their networks, what the graph says of connections between them, and trying it.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use lotoai_api::{Component, Store};
use lotoai_e2e::Platform;
use lotoai_plan::Node;
use lotoai_plan::graph::{EDGES, is_ours, peer_ports, ports};

use crate::cluster::{ADMIN_PORT, operator_pods};
use crate::inside::Inside;
use crate::support::{component, pods_of};

/// A pod, and its network.
pub(super) struct Place {
    /// For people.
    pub(super) name: String,
    /// Its platform, and what it is there; none of a stranger.
    pub(super) of: Option<(String, Node)>,
    /// Whether its policy lets it leave to every pod of the namespace: a store of its is in there that
    /// belongs to another platform, and policies do not know which pods a Service leads to.
    pub(super) roams: bool,
    pub(super) inside: Inside,
}

impl Place {
    pub(super) fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.inside.address, port)
    }

    pub(super) fn is(&self, node: Node) -> bool {
        self.of.as_ref().is_some_and(|(_, own)| *own == node)
    }
}

/// The pods of the platform of this name.
pub(super) async fn places_of(platform: &Platform, name: &str) -> Vec<Place> {
    let pods = pods_of(platform, name).await.into_iter();
    let staying = pods.filter(|pod| pod.metadata.deletion_timestamp.is_none());
    let nodes: Vec<(Node, Pod)> = staying
        .filter_map(|pod| {
            let label = component(&pod);
            let node = Node::pods().find(|node| node.name() == label);
            Some((node?, pod))
        })
        .collect();
    let here: BTreeSet<Node> = nodes.iter().map(|(node, _)| *node).collect();
    let roams = |node: Node| {
        EDGES.iter().any(|edge| {
            // Vectors are embedded where there is no Qdrant.
            let store = edge.credential.store().filter(|it| *it != Store::Qdrant);
            let is_elsewhere = store.is_some() && !here.contains(&Node::Component(edge.to));
            edge.from == node && is_elsewhere
        })
    };
    let places = nodes.iter().map(|(node, pod)| Place {
        name: pod.metadata.name.clone().unwrap_or_default(),
        of: Some((name.to_owned(), *node)),
        roams: roams(*node),
        inside: Inside::of_pod(pod),
    });
    places.collect()
}

/// Pods that no policy holds back: the operator and the cluster's DNS.
pub(super) async fn strangers(platform: &Platform) -> Vec<Place> {
    let system: Api<Pod> = Api::namespaced(platform.kube.clone(), "kube-system");
    let dns = ListParams::default().labels("k8s-app=kube-dns");
    let dns = system.list(&dns).await.unwrap().items;
    let operator = operator_pods(platform).await.unwrap();
    let named = operator.iter().map(|pod| ("operator", pod));
    let named = named.chain(dns.iter().map(|pod| ("dns", pod)));
    named
        .map(|(name, pod)| Place {
            name: name.to_owned(),
            of: None,
            roams: false,
            inside: Inside::of_pod(pod),
        })
        .collect()
}

/// Pods with the ports that they listen on: for other pods, for the kubelet, and for their like where
/// there are several.
pub(super) fn listening(places: &[Place]) -> Vec<(&Place, Vec<u16>)> {
    let mut all = Vec::new();
    for place in places {
        let Some((_, node @ Node::Component(component))) = place.of else {
            continue;
        };
        let mut numbers: BTreeSet<u16> = ports(component).iter().map(|port| port.number).collect();
        if is_ours(component) {
            numbers.insert(ADMIN_PORT);
        }
        match component {
            Component::Keycloak => numbers.extend([9000]),
            Component::Traefik => numbers.extend([9100]),
            _ => {}
        }
        if places.iter().filter(|other| other.is(node)).count() > 1 {
            numbers.extend(peer_ports(component).iter().map(|port| port.number));
        }
        all.push((place, numbers.into_iter().collect()));
    }
    all
}

/// Whether a connection is let through. Of other platforms the ports of what is `opened` are as well.
fn is_let(caller: &Place, target: &Place, port: u16, opened: &[Component]) -> bool {
    // Its own namespace is behind no policy: what is not refused there is served.
    if caller.inside.address == target.inside.address {
        return true;
    }
    let Some((platform, Node::Component(callee))) = &target.of else {
        return false;
    };
    // Whom nobody names does not ask for metrics.
    let is_edge = |from: Node| {
        EDGES
            .iter()
            .any(|edge| edge.from == from && edge.to == *callee && edge.port == port)
    };
    let is_open = is_edge(Node::Anyone);
    match &caller.of {
        None => is_open,
        // A component leaves only along its own edges, also to what is open to everybody.
        Some((own, node)) if own == platform => is_edge(*node) || (caller.roams && is_open),
        Some(_) => {
            let is_served = ports(*callee).iter().any(|it| it.number == port);
            caller.roams && (is_open || (opened.contains(callee) && is_served))
        }
    }
}

/// Every caller connects to the ports of every target that it is let to, and to no other.
pub(super) async fn assert_wired(
    callers: &[&Place],
    targets: &[(&Place, Vec<u16>)],
    opened: &[Component],
) {
    let wrong = wrong(callers, targets, opened).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is not as it should be.
pub(super) async fn wrong(
    callers: &[&Place],
    targets: &[(&Place, Vec<u16>)],
    opened: &[Component],
) -> Vec<String> {
    let attempts = |caller: &Place| {
        let each = targets.iter().flat_map(|(target, ports)| {
            ports.iter().map(move |port| Attempt {
                to: target.name.clone(),
                address: target.at(*port),
                is_let: is_let(caller, target, *port, opened),
            })
        });
        each.collect::<Vec<_>>()
    };
    let all: Vec<_> = callers
        .iter()
        .map(|&caller| (caller, attempts(caller)))
        .collect();
    let each = all.iter().flat_map(|(_, attempts)| attempts);
    let lets = each.clone().filter(|attempt| attempt.is_let).count();
    println!(
        "{} attempts, {lets} of them to be let through",
        each.count()
    );
    try_all(all).await
}

/// A connection to try.
pub(super) struct Attempt {
    /// For people.
    pub(super) to: String,
    pub(super) address: SocketAddr,
    /// What should come of it.
    pub(super) is_let: bool,
}

/// What each caller's attempts come to that should not.
pub(super) async fn try_all(all: Vec<(&Place, Vec<Attempt>)>) -> Vec<String> {
    // Together: the kernel tells a caller of about one refusal in a second.
    let outcomes = all.iter().map(|(caller, attempts)| {
        let addresses = attempts.iter().map(|attempt| attempt.address);
        caller.inside.connects(addresses.collect())
    });
    let outcomes = join_all(outcomes).await;
    let mut wrong = Vec::new();
    for ((caller, attempts), connected) in all.iter().zip(outcomes) {
        for (attempt, connected) in attempts.iter().zip(connected) {
            if connected != attempt.is_let {
                let outcome = if connected { "connects" } else { "is refused" };
                let (from, to) = (&caller.name, &attempt.to);
                wrong.push(format!("{from} → {to} ({}) {outcome}", attempt.address));
            }
        }
    }
    wrong
}
