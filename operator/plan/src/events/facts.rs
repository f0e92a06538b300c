//! What a pass did.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lotoai_api::{Component, Store, reasons};

use super::{Event, NAMES, Tone};
use crate::components::workload_kind;
use crate::gate::complete_job;
use crate::graph::Node;
use crate::observed::Observed;
use crate::platform::Platform;
use crate::resources::{ObjectId, Prepared, ResourceSet};
use crate::rollout::Rollout;
use crate::rotation::{Change, Step};

/// What a pass did, for the story.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Objects that it made or changed.
    pub changed: Vec<ObjectId>,
    /// Objects that it deleted because nothing asks for them any more.
    pub pruned: Vec<ObjectId>,
    /// Names of Secrets with credentials that it made.
    pub made: Vec<String>,
    /// Steps in the rotation of credentials that it took.
    pub rotated: Vec<Change>,
    /// Certificates that it made anew.
    pub renewed: Vec<Renewed>,
    /// The authority that it handed out, to sign later.
    pub prepared: Option<NextAuthority>,
    /// Stages of which it made the last part.
    pub started: Vec<Started>,
    /// Names of complete Jobs by store; nothing when the pass did not come so far.
    pub provisioned: Option<BTreeMap<Store, String>>,
    /// Why it failed, unless trying again at once is all that is needed.
    pub failure: Option<Failed>,
}

/// A certificate that was made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewed {
    /// Name of its Secret.
    pub secret: String,
    /// The end of its life.
    pub until: Timestamp,
    /// The Secret that gave it, if somebody did.
    pub given_by: Option<String>,
}

/// An authority that everybody is handed before it signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextAuthority {
    /// Name of the Secret that holds it.
    pub secret: String,
    /// The Secret that gave it, if somebody did.
    pub given_by: Option<String>,
    /// When it begins to sign.
    pub from: Timestamp,
}

/// A stage whose parts are all there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Name for people, for example `stores`.
    pub stage: &'static str,
    /// Names of its components.
    pub components: Vec<&'static str>,
}

/// Why a pass failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Name of the error.
    pub reason: &'static str,
    /// What the operator tried.
    pub action: &'static str,
    /// The whole chain of causes.
    pub message: String,
}

fn given(by: Option<&str>) -> String {
    by.map_or_else(String::new, |by| format!(", given in Secret {by}"))
}

impl Facts {
    /// What can be told without the status. Parts start only while the platform comes up: later
    /// it is one object that somebody deleted.
    #[must_use]
    pub fn events(&self, coming_up: bool) -> Vec<Event> {
        let mut events = Vec::new();
        if !self.made.is_empty() {
            let note = format!("Made credentials in {}", listed("Secrets", &self.made));
            events.push(Event::normal(reasons::CREDENTIALS_MADE, "Create", note));
        }
        events.extend(self.renewed.iter().map(|renewed| {
            let Renewed { secret, until, .. } = renewed;
            let given = given(renewed.given_by.as_deref());
            let note = format!("Secret {secret} has a new certificate{given}, good until {until}");
            Event::normal(reasons::CERTIFICATE_RENEWED, "Renew", note)
                .about(Some(ObjectId::new("Secret", secret)))
        }));
        events.extend(self.prepared.as_ref().map(|next| {
            let NextAuthority { secret, from, .. } = next;
            let given = given(next.given_by.as_deref());
            let note = format!(
                "Secret {secret} has another authority{given}: from now on everybody trusts it \
                 too, and it signs from {from} on"
            );
            Event::normal(reasons::AUTHORITY_PREPARED, "Renew", note)
                .about(Some(ObjectId::new("Secret", secret)))
        }));
        events.extend(rotations(&self.rotated));
        if coming_up {
            events.extend(self.started.iter().map(|Started { stage, components }| {
                let note = format!("Starts the {stage}: {}", components.join(", "));
                Event::normal(reasons::STARTED, "Start", note)
            }));
        }
        if !self.pruned.is_empty() {
            let note = format!("Deleted what nothing asks for: {}", names(&self.pruned));
            events.push(Event::normal(reasons::PRUNED, "Prune", note));
        }
        events.extend(self.failure.as_ref().map(|failed| {
            Event::new(
                Tone::Warning,
                failed.reason,
                failed.action,
                failed.message.clone(),
            )
        }));
        events
    }
}

/// One event for each step.
fn rotations(changes: &[Change]) -> Vec<Event> {
    [Step::Introduce, Step::Promote, Step::Retire]
        .into_iter()
        .filter_map(|step| {
            let secrets: Vec<String> = changes
                .iter()
                .filter(|change| change.step == step)
                .map(|change| change.secret.clone())
                .collect();
            if secrets.is_empty() {
                return None;
            }
            let secrets = listed("Secrets", &secrets);
            let (reason, note) = match step {
                Step::Introduce => (
                    reasons::ROTATING,
                    format!("Made new credentials beside those in use: {secrets}"),
                ),
                Step::Promote => (
                    reasons::ROTATING,
                    format!("Brings the new credentials into use: {secrets}"),
                ),
                Step::Retire => (
                    reasons::ROTATED,
                    format!(
                        "Nobody uses the old credentials any more, they become void: {secrets}"
                    ),
                ),
            };
            Some(Event::normal(reason, "Rotate", note))
        })
        .collect()
}

/// `Kind/name` of some objects.
pub(super) fn names(objects: &[ObjectId]) -> String {
    let names: Vec<String> = objects
        .iter()
        .map(|object| format!("{}/{}", object.kind, object.name))
        .collect();
    listed("objects", &names)
}

fn listed(what: &str, names: &[String]) -> String {
    match names {
        [one] => one.clone(),
        few if few.len() <= NAMES => format!("{} {what}: {}", few.len(), few.join(", ")),
        many => format!(
            "{} {what}: {} and {} more",
            many.len(),
            many[..NAMES].join(", "),
            many.len() - NAMES
        ),
    }
}

/// The stage in which a component starts, by the part that it plays.
fn stage(component: Component) -> &'static str {
    match Node::Component(component).role() {
        "data" | "messaging" => "stores",
        "identity" => "identity provider",
        "service" => "services",
        role => role,
    }
}

/// A part of the platform, and the object that runs it or asks another operator for it.
struct Part {
    component: Component,
    object: ObjectId,
    existed: bool,
}

impl Part {
    /// Nothing for a component that is off, or a server that somebody else runs: the platform
    /// starts neither.
    fn of(component: Component, platform: &Platform, observed: &Observed) -> Option<Self> {
        let (object, existed) = if let Some(delegated) = platform.topology.delegated(component) {
            let object = ObjectId::new(delegated.operator.kind(), &delegated.object);
            (object, delegated.exists(observed))
        } else if platform.topology.has(Node::Component(component)) {
            let kind = workload_kind(platform, component).kind();
            let object = ObjectId::new(kind, &platform.component_name(component));
            let existed = Rollout::of(platform, observed, component).is_some();
            (object, existed)
        } else {
            return None;
        };
        Some(Self {
            component,
            object,
            existed,
        })
    }
}

/// The stages of which a pass that changed these objects made the last part.
#[must_use]
pub fn started(platform: &Platform, observed: &Observed, changed: &[ObjectId]) -> Vec<Started> {
    let mut stages: Vec<(&'static str, Vec<Part>)> = Vec::new();
    for component in Component::ALL {
        let Some(part) = Part::of(component, platform, observed) else {
            continue;
        };
        let stage = stage(component);
        match stages.iter_mut().find(|(name, _)| *name == stage) {
            Some((_, parts)) => parts.push(part),
            None => stages.push((stage, vec![part])),
        }
    }
    stages
        .into_iter()
        .filter(|(_, parts)| {
            let is_there = |part: &Part| part.existed || changed.contains(&part.object);
            parts.iter().all(is_there) && !parts.iter().all(|part| part.existed)
        })
        .map(|(stage, parts)| Started {
            stage,
            components: parts.iter().map(|part| part.component.name()).collect(),
        })
        .collect()
}

/// Names of complete Jobs by store.
#[must_use]
pub fn provisioned(
    prepared: &ResourceSet<Prepared>,
    observed: &Observed,
) -> BTreeMap<Store, String> {
    Store::ALL
        .into_iter()
        .filter_map(|store| {
            let name = complete_job(prepared, observed, Node::Provision(store))?;
            Some((store, name.to_owned()))
        })
        .collect()
}
