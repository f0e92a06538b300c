use super::*;

#[test]
fn start_order_puts_everything_after_what_it_needs() {
    let topology = Topology::new("demo", std::collections::BTreeMap::new(), true, true);
    let order = topology.start_order();
    for (index, node) in order.iter().enumerate() {
        for need in topology.needs(*node) {
            let position = order.iter().position(|other| *other == need).unwrap();
            assert!(
                position < index,
                "{node:?} starts before {need:?}: the graph has a cycle"
            );
        }
    }
    assert_eq!(order.len(), Node::pods().count());
}

#[test]
fn every_edge_ends_at_a_port_that_is_served() {
    for edge in EDGES.iter().filter(|edge| edge.from != Node::Scraper) {
        let between_peers = edge.from == Node::Component(edge.to);
        let all = if between_peers {
            peer_ports(edge.to)
        } else {
            ports(edge.to)
        };
        let served = all.iter().any(|port| port.number == edge.port);
        assert!(served, "{edge:?}");
    }
}

#[test]
fn every_port_between_peers_has_its_edge() {
    for component in Component::ALL {
        for port in peer_ports(component) {
            let found = EDGES.iter().any(|edge| {
                edge.from == Node::Component(component)
                    && edge.to == component
                    && edge.port == port.number
            });
            assert!(found, "{component} {port:?}");
        }
    }
}

#[test]
fn no_edge_is_listed_twice() {
    for (index, edge) in EDGES.iter().enumerate() {
        let twin = EDGES[index + 1..].iter().find(|other| {
            other.from == edge.from && other.to == edge.to && other.port == edge.port
        });
        assert_eq!(twin, None);
    }
}

#[test]
fn gateway_waits_for_stores_and_their_accounts() {
    let topology = Topology::new("demo", std::collections::BTreeMap::new(), true, false);
    let needs = topology.needs(Node::Component(Component::Gateway));
    for store in [Store::Postgres, Store::Rabbitmq, Store::S3, Store::Keycloak] {
        assert!(needs.contains(&Node::Provision(store)));
        assert!(needs.contains(&Node::Component(store.component())));
    }
    assert!(needs.contains(&Node::Component(Component::Orchestrator)));
}

#[test]
fn keycloak_tells_the_gateway_and_does_not_wait_for_it() {
    let (keycloak, gateway) = (
        Node::Component(Component::Keycloak),
        Node::Component(Component::Gateway),
    );
    let topology = Topology::new("demo", std::collections::BTreeMap::new(), true, false);
    let edge = topology.session_notices().unwrap();
    assert_eq!((edge.from, Node::Component(edge.to)), (keycloak, gateway));
    assert!(!topology.needs(keycloak).contains(&gateway));
    assert!(topology.needs(gateway).contains(&keycloak));
    // Everybody else waits for those that he calls.
    let others: Vec<_> = EDGES
        .iter()
        .filter(|edge| !edge.waits && edge.from != Node::Component(edge.to))
        .filter(|edge| edge.from != Node::Scraper)
        .collect();
    assert_eq!(others, [edge]);
}

#[test]
fn only_our_own_services_take_tokens() {
    for edge in EDGES {
        if edge.credential == CredentialKind::Token {
            assert!(is_ours(edge.to), "{edge:?}");
        }
    }
}

#[test]
fn the_diagram_shows_every_edge() {
    let lines = EDGES.len() + exporters().count() + 1;
    assert_eq!(mermaid().lines().count(), lines);
}

#[test]
fn the_metrics_of_every_workload_of_ours_can_be_asked_for() {
    let scrapes = EDGES.iter().filter(|edge| edge.from == Node::Scraper);
    let mut asked: Vec<_> = scrapes.map(|edge| (edge.to, edge.port)).collect();
    let ours = Component::ALL.into_iter().filter(|it| is_ours(*it));
    let mut served: Vec<_> = ours.map(|it| (it, ADMIN_PORT)).collect();
    served.push((Component::Traefik, TRAEFIK_ADMIN_PORT));
    asked.sort();
    served.sort();
    assert_eq!(asked, served);
}

#[test]
fn nobody_asks_for_metrics_unless_somebody_is_named() {
    let scrapes = |topology: &Topology| topology.edges_from(Node::Scraper).count();
    let topology = |managed_edge| {
        Topology::new(
            "demo",
            std::collections::BTreeMap::new(),
            managed_edge,
            true,
        )
    };
    assert_eq!(scrapes(&topology(true)), 0);
    let with_traefik = scrapes(&topology(true).scraped());
    assert!(with_traefik > 0);
    // What is not here is asked for nothing.
    assert_eq!(scrapes(&topology(false).scraped()), with_traefik - 1);
    let first = topology(true).start_order();
    assert_eq!(topology(true).scraped().start_order(), first);
}
