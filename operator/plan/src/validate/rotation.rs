//! Requests to make credentials anew.

use lotoai_api::spec::LotoAISpec;

use super::Invalid;
use crate::graph::Topology;
use crate::rotation::{ALL, edges, name};

/// Refuses what names no credential of the platform that can be made anew.
pub(super) fn check(spec: &LotoAISpec, topology: &Topology, faults: &mut Vec<Invalid>) {
    let names: Vec<String> = edges(topology).map(name).collect();
    for key in spec.credentials.rotate.keys() {
        if key != ALL && !names.contains(key) {
            let message = format!(
                "no credential of this name can be made anew; write {ALL} or one of {}",
                names.join(", ")
            );
            let field = format!("spec.credentials.rotate[{key}]");
            faults.push(Invalid::spec(field, message));
        }
    }
}
