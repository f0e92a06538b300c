//! Requests to make credentials anew.

use lotoai_api::spec::LotoAISpec;
use lotoai_api::{Component, Store};

use super::Invalid;
use crate::graph::{CredentialKind, Node, Topology};
use crate::rotation::{ALL, subjects};

/// Refuses what names no credential of the platform that can be made anew.
pub(super) fn check(spec: &LotoAISpec, topology: &Topology, faults: &mut Vec<Invalid>) {
    let names: Vec<String> = subjects(topology).map(|subject| subject.name()).collect();
    for key in spec.credentials.rotate.keys() {
        if key == ALL || names.contains(key) {
            continue;
        }
        let all = format!("write {ALL} or one of {}", names.join(", "));
        let message = match instead(topology, key) {
            Some(instead) => format!("this one is not made anew while it is used: {instead}; {all}"),
            None => format!("no credential of this name can be made anew; {all}"),
        };
        let field = format!("spec.credentials.rotate[{key}]");
        faults.push(Invalid::spec(field, message));
    }
}

/// Why a credential that there is cannot be made anew while it is used, and how it is replaced.
fn instead(topology: &Topology, key: &str) -> Option<&'static str> {
    let suspended = "it is what the servers themselves start with; set spec.suspend, delete the Secret of \
                     that name and take spec.suspend back, and all of them start with a new one";
    let edges = topology.edges().iter();
    let given = edges
        .filter(|edge| matches!(edge.credential, CredentialKind::Given(_)))
        .any(|edge| format!("{}-{}", edge.from.name(), edge.to) == key);
    let managed = |store| topology.external(store).is_none();
    match key {
        _ if given => Some("it is in a Secret of yours; change that, and pods follow"),
        "minio-admin" if managed(Store::S3) => Some(suspended),
        "clickhouse-admin" if managed(Store::Clickhouse) => Some(suspended),
        "rabbitmq-cookie" if managed(Store::Rabbitmq) => Some(suspended),
        "clickhouse-replication" if managed(Store::Clickhouse) => Some(suspended),
        "rag-server-qdrant" if topology.has(Node::Component(Component::Qdrant)) => Some(suspended),
        _ => None,
    }
}
