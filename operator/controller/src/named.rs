//! Which Secrets resources name, so that a change of one wakes whoever reads it. Every Secret that is
//! listed or changes is looked up, thousands when the operator starts: searching all resources for
//! each would take longer than the rest of the start.
//!
//! No client needed.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use kube::core::DeserializeGuard;
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};
use lotoai_api::LotoAI;
use lotoai_plan::validate::referenced_secrets;

/// Namespace and name.
type Place = (String, String);

/// The Secrets that the watched resources name.
#[derive(Debug, Default)]
pub(crate) struct Named(Mutex<Index>);

#[derive(Debug, Default)]
struct Index {
    /// Names of Secrets by resource.
    secrets: HashMap<Place, BTreeSet<String>>,
    /// Names of resources by Secret.
    resources: HashMap<Place, BTreeSet<String>>,
}

impl Named {
    /// Takes note of what happened to a resource.
    pub(crate) fn learn(&self, event: &Event<DeserializeGuard<LotoAI>>) {
        let mut index = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            // What is gone meanwhile is told by nothing else. Who is listed has a pass in any case.
            Event::Init => *index = Index::default(),
            Event::InitApply(loto) | Event::Apply(loto) => index.set(place(loto), secrets_of(loto)),
            Event::Delete(loto) => index.set(place(loto), BTreeSet::new()),
            Event::InitDone => {}
        }
    }

    /// Names of the resources in a namespace that name this Secret.
    pub(crate) fn by(&self, namespace: &str, secret: &str) -> BTreeSet<String> {
        let index = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (namespace.to_owned(), secret.to_owned());
        index.resources.get(&place).cloned().unwrap_or_default()
    }
}

impl Index {
    fn set(&mut self, resource: Place, secrets: BTreeSet<String>) {
        let (namespace, name) = &resource;
        let before = self.secrets.remove(&resource).unwrap_or_default();
        for secret in before.difference(&secrets) {
            let place = (namespace.clone(), secret.clone());
            if let Some(resources) = self.resources.get_mut(&place) {
                resources.remove(name);
                if resources.is_empty() {
                    self.resources.remove(&place);
                }
            }
        }
        for secret in secrets.difference(&before) {
            let place = (namespace.clone(), secret.clone());
            let resources = self.resources.entry(place).or_default();
            resources.insert(name.clone());
        }
        if !secrets.is_empty() {
            self.secrets.insert(resource, secrets);
        }
    }
}

fn place<K: Resource>(object: &K) -> Place {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// Of one that cannot be read nothing is known.
fn secrets_of(loto: &DeserializeGuard<LotoAI>) -> BTreeSet<String> {
    let read = loto.0.as_ref();
    read.map(|loto| referenced_secrets(&loto.name_any(), &loto.spec))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resource(name: &str, secret: Option<&str>) -> DeserializeGuard<LotoAI> {
        let mut loto = json!({
            "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI",
            "metadata": { "name": name, "namespace": "ai" },
            "spec": { "url": "https://a.example" },
        });
        if let Some(secret) = secret {
            loto["spec"]["tls"] = json!({ "authoritySecretName": secret });
        }
        DeserializeGuard(Ok(serde_json::from_value(loto).unwrap()))
    }

    fn by(named: &Named, secret: &str) -> Vec<String> {
        named.by("ai", secret).into_iter().collect()
    }

    #[test]
    fn a_secret_is_found_by_all_that_name_it_and_no_longer() {
        let named = Named::default();
        named.learn(&Event::Init);
        for name in ["one", "two"] {
            named.learn(&Event::InitApply(resource(name, Some("ca"))));
        }
        named.learn(&Event::InitDone);
        assert_eq!(by(&named, "ca"), ["one", "two"]);
        assert!(named.by("elsewhere", "ca").is_empty());

        named.learn(&Event::Apply(resource("one", Some("other"))));
        assert_eq!(by(&named, "ca"), ["two"]);
        assert_eq!(by(&named, "other"), ["one"]);
        named.learn(&Event::Apply(resource("one", None)));
        named.learn(&Event::Delete(resource("two", Some("ca"))));
        assert!(by(&named, "other").is_empty() && by(&named, "ca").is_empty());
        assert!(named.0.lock().unwrap().resources.is_empty());
    }

    #[test]
    fn what_a_new_list_does_not_hold_is_gone() {
        let named = Named::default();
        named.learn(&Event::Apply(resource("one", Some("ca"))));
        named.learn(&Event::Init);
        named.learn(&Event::InitDone);
        assert!(by(&named, "ca").is_empty());
    }
}
