//! Sizes, numbers and places: what the schema cannot say of them.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::StatefulSet;
use lotoai_api::spec::{
    ComponentSettings, JOBS_REFUSAL, LotoAISpec, OWN_PREFIXES, embedded_refusal, refusal,
};
use lotoai_api::versions::PROVISION;
use lotoai_api::{Component, PlatformName, Replication};

use super::qualified_name::is_qualified_name;
use super::{Invalid, external};
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

/// The data of a cluster of servers know how many they are.
pub(super) fn check_members(
    spec: &LotoAISpec,
    name: &PlatformName,
    observed: &Observed,
    faults: &mut Vec<Invalid>,
) {
    // Its own faults are told by whoever builds with it.
    let topology = external::topology(spec, name.as_str(), &mut Vec::new());
    for component in topology.components() {
        let Replication::Only { counts, .. } = component.replication() else {
            continue;
        };
        if !component.members_are_fixed() {
            continue;
        }
        let wanted = scale(spec, component).least();
        let object = format!("{name}-{component}");
        let refusal = match observed.stateful_sets.get(&object) {
            Some(set) => made_for(set, &object, counts)
                .filter(|there| *there != wanted)
                .map(|there| cannot_change(component, there, wanted)),
            None => Volumes::left(&object, observed)
                .and_then(|volumes| volumes.refusal(component, counts, wanted)),
        };
        if let Some(message) = refusal {
            let field = format!("spec.components[{component}].replicas");
            faults.push(Invalid::spec(field, message));
        }
    }
}

fn cannot_change(component: Component, there: i32, wanted: i32) -> String {
    format!(
        "{component} runs on {there} volumes and cannot change to {wanted}; set it to {there}, or \
         make a new platform and move the data"
    )
}

/// How many servers a StatefulSet was made for. Its Service says whether it was one or several, and can
/// never change, unlike the number, which anybody may have altered.
fn made_for(set: &StatefulSet, object: &String, counts: &[i32]) -> Option<i32> {
    let is_single = set.spec.as_ref()?.service_name.as_ref() == Some(object);
    let count = if is_single {
        counts.first()
    } else {
        counts.last()
    };
    count.copied()
}

/// The volumes of a component without a StatefulSet.
struct Volumes<'a> {
    object: &'a str,
    /// Their numbers; at least one.
    there: BTreeSet<i32>,
    highest: i32,
}

impl<'a> Volumes<'a> {
    fn left(object: &'a str, observed: &Observed) -> Option<Self> {
        let prefix = format!("{DATA}-{object}-");
        let numbers = observed.claims.keys().filter_map(|claim| {
            let number = claim.strip_prefix(&prefix)?;
            number.parse::<u16>().ok().map(i32::from)
        });
        let there: BTreeSet<i32> = numbers.collect();
        let highest = there.last().copied()?;
        Some(Self {
            object,
            there,
            highest,
        })
    }

    /// Why so many servers cannot take the volumes up. The highest number tells how many they were,
    /// unless the last ones are missing: of one volume that is left nobody knows whether it was alone.
    fn refusal(&self, component: Component, counts: &[i32], wanted: i32) -> Option<String> {
        let mut fitting = counts.iter().filter(|count| **count > self.highest);
        let were = *fitting.next().or(counts.last())?;
        if were == wanted {
            return (!self.make_whole(component, wanted)).then(|| {
                format!(
                    "the volumes of {component} that are left are not enough to make the others \
                     anew: {}; bring those back, or delete those that are left too and begin without \
                     data",
                    self.missing(wanted)
                )
            });
        }
        if were == 1 {
            return Some(format!(
                "{component} has the volume of its first server and is to have {wanted}: if that \
                 ran alone, set it to 1, or make a new platform and move the data; if it was one of \
                 {wanted}, do not, because alone it may come up empty: {}; bring those back, or \
                 delete this one too and begin without data",
                self.missing(wanted)
            ));
        }
        Some(cannot_change(component, were, wanted))
    }

    /// Whether the servers whose volumes are there make those of the others anew, and no empty ones take
    /// their place.
    fn make_whole(&self, component: Component, count: i32) -> bool {
        let here = (0..count)
            .filter(|number| self.there.contains(number))
            .count();
        let all = usize::try_from(count).unwrap_or_default();
        let enough = if component == Component::Minio {
            // Every object lies on all drives and can be read from half of them; an empty one is filled.
            here >= all - all / 2
        } else {
            // Empty servers join those that have data, but a majority of them may agree without those.
            here > all / 2
        };
        // Qdrant's first peer founds a cluster wherever its volume says nothing of one.
        enough && (component != Component::Qdrant || self.there.contains(&0))
    }

    /// What is missing of so many, for people.
    fn missing(&self, count: i32) -> String {
        let numbers = (0..count).filter(|number| !self.there.contains(number));
        let claims: Vec<String> = numbers
            .map(|number| format!("{DATA}-{}-{number}", self.object))
            .collect();
        let is = if claims.len() == 1 { "is" } else { "are" };
        format!("PersistentVolumeClaim {} {is} missing", claims.join(", "))
    }
}
