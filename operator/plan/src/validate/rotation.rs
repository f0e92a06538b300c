//! Requests to make credentials anew.

use lotoai_api::Component;
use lotoai_api::spec::LotoAISpec;

use super::Invalid;
use crate::graph::{CredentialKind, Node, Topology};
use crate::rotation::{ALL, Subject, subjects};

/// Refuses what names no credential of the platform that can be made anew.
pub(super) fn check(spec: &LotoAISpec, topology: &Topology, faults: &mut Vec<Invalid>) {
    let names: Vec<String> = subjects(topology).map(|subject| subject.name()).collect();
    for key in spec.credentials.rotate.keys() {
        if key == ALL || names.contains(key) {
            continue;
        }
        let all = format!("write {ALL} or one of {}", names.join(", "));
        let message = match fixed(topology, key) {
            Some(Fixed::Yours) => format!(
                "this one is not made anew while it is used: it is in a Secret of yours; change \
                 that, and pods follow; {all}"
            ),
            Some(Fixed::AtStart) => format!(
                "this one is not made anew while it is used: it is what the servers themselves \
                 start with; set spec.suspend, delete the Secret of that name and take \
                 spec.suspend back, and all of them start with a new one; {all}"
            ),
            None => format!("no credential of this name can be made anew; {all}"),
        };
        let field = format!("spec.credentials.rotate[{key}]");
        faults.push(Invalid::spec(field, message));
    }
}

/// Why a credential that there is cannot change while it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fixed {
    /// It is in a Secret that the resource names already.
    Yours,
    /// The servers of a store start with it, all of them with the same.
    AtStart,
}

/// Why the credential of this name cannot change; nothing when it can, or when there is none.
pub(super) fn fixed(topology: &Topology, key: &str) -> Option<Fixed> {
    let mut edges = topology.edges().iter();
    let is_given = edges.any(|edge| {
        matches!(edge.credential, CredentialKind::Given(_)) && Subject::Edge(edge).name() == key
    });
    if is_given {
        return Some(Fixed::Yours);
    }
    let at_start = [
        ("clickhouse-replication", Component::Clickhouse),
        ("rabbitmq-cookie", Component::Rabbitmq),
    ];
    let mut at_start = at_start.into_iter();
    at_start
        .any(|(name, component)| name == key && topology.has(Node::Component(component)))
        .then_some(Fixed::AtStart)
}
