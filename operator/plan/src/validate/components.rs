//! Sizes, numbers and places: what the schema cannot say of them.

use std::collections::BTreeMap;

use lotoai_api::spec::{
    ComponentSettings, JOBS_REFUSAL, LotoAISpec, OWN_PREFIXES, embedded_refusal, refusal,
};
use lotoai_api::versions::PROVISION;
use lotoai_api::{Component, PlatformName, Replication};

use super::Invalid;
use super::qualified_name::is_qualified_name;
use crate::components::shared::resources::amount;
use crate::components::shared::workload::DATA;
use crate::observed::Observed;
use crate::scale::scale;

pub(super) fn check(spec: &LotoAISpec, faults: &mut Vec<Invalid>) {
    let pods = &spec.pods;
    keys("spec.pods.nodeSelector", &pods.node_selector, false, faults);
    keys("spec.pods.labels", &pods.labels, true, faults);
    keys("spec.pods.annotations", &pods.annotations, true, faults);
    check_embedded(spec, faults);
    for (name, settings) in &spec.components {
        let field = format!("spec.components[{name}]");
        match name.parse::<Component>() {
            Ok(component) => check_count(component, settings, &field, faults),
            Err(_) if name == PROVISION => {
                if settings.replicas.is_some() || settings.autoscaling.is_some() {
                    faults.push(Invalid::spec(&field, JOBS_REFUSAL));
                }
            }
            Err(_) => faults.push(Invalid::spec(
                &field,
                "no component has this name; remove it",
            )),
        }
        check_resources(settings, &field, faults);
        for (what, map, reserved) in [
            ("nodeSelector", &settings.node_selector, false),
            ("podLabels", &settings.pod_labels, true),
            ("podAnnotations", &settings.pod_annotations, true),
        ] {
            keys(&format!("{field}.{what}"), map, reserved, faults);
        }
    }
}

fn check_count(
    component: Component,
    settings: &ComponentSettings,
    field: &str,
    faults: &mut Vec<Invalid>,
) {
    let replication = component.replication();
    let allowed = settings.replicas.is_none_or(|n| replication.allows(n));
    if let Replication::Only { counts, reason } = replication
        && (!allowed || settings.autoscaling.is_some())
    {
        faults.push(Invalid::spec(field, refusal(component, counts, reason)));
    }
}

/// A volume that one process opens has one pod.
fn check_embedded(spec: &LotoAISpec, faults: &mut Vec<Invalid>) {
    let Some(settings) = spec.components.get(Component::RagServer.name()) else {
        return;
    };
    let one = settings.replicas.is_none_or(|replicas| replicas == 1);
    if spec.rag.vector_store.is_embedded() && !(one && settings.autoscaling.is_none()) {
        let field = format!("spec.components[{}]", Component::RagServer);
        faults.push(Invalid::spec(field, embedded_refusal()));
    }
}

fn check_resources(settings: &ComponentSettings, field: &str, faults: &mut Vec<Invalid>) {
    let given = &settings.resources;
    let pairs = [
        ("cpu", &given.requests.cpu, &given.limits.cpu),
        ("memory", &given.requests.memory, &given.limits.memory),
    ];
    for (what, request, limit) in pairs {
        let (Some(request), Some(limit)) = (request, limit) else {
            continue;
        };
        if amount(request) > amount(limit) {
            let message = format!("{request} is more than the limit {limit}; lower it");
            faults.push(Invalid::spec(
                format!("{field}.resources.requests.{what}"),
                message,
            ));
        }
    }
}

/// A schema cannot bound the keys of a map, and the API server refuses a pod with a bad one.
fn keys(field: &str, map: &BTreeMap<String, String>, reserved: bool, faults: &mut Vec<Invalid>) {
    for key in map.keys() {
        let message = if !is_qualified_name(key) {
            "is no name of a label: letters, digits, '-', '_' and '.', at most 63 of them, after \
             an optional DNS name and '/'; correct it"
        } else if reserved && OWN_PREFIXES.iter().any(|prefix| key.starts_with(prefix)) {
            "is the operator's own; choose another prefix"
        } else {
            continue;
        };
        faults.push(Invalid::spec(field, format!("{key:?} {message}")));
    }
}

/// The data of a cluster of servers know how many they are: the number is that of the volumes.
pub(super) fn check_members(
    spec: &LotoAISpec,
    name: &PlatformName,
    observed: &Observed,
    faults: &mut Vec<Invalid>,
) {
    for component in Component::ALL {
        if !component.members_are_fixed() {
            continue;
        }
        let wanted = scale(spec, component).least();
        let Some(there) = members_there(name, component, observed) else {
            continue;
        };
        if there != wanted {
            let message = format!(
                "{component} runs on {there} volumes and cannot change to {wanted}; set it to \
                 {there}, or make a new platform and move the data"
            );
            let field = format!("spec.components[{component}].replicas");
            faults.push(Invalid::spec(field, message));
        }
    }
}

/// How many servers have data. The Service of a StatefulSet says whether it was made for one or for
/// several, and can never change, unlike the number, which anybody may have altered. Without a
/// StatefulSet it is as many as there are volumes.
fn members_there(name: &PlatformName, component: Component, observed: &Observed) -> Option<i32> {
    let object = format!("{name}-{component}");
    if let (Some(set), Replication::Only { counts, .. }) =
        (observed.stateful_sets.get(&object), component.replication())
    {
        let is_single = set.spec.as_ref()?.service_name.as_ref() == Some(&object);
        let count = if is_single {
            counts.first()
        } else {
            counts.last()
        };
        return count.copied();
    }
    let claim = format!("{DATA}-{object}-");
    let claims = observed.claims.keys().filter(|found| {
        let number = found.strip_prefix(&claim);
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    });
    i32::try_from(claims.count())
        .ok()
        .filter(|count| *count > 0)
}
