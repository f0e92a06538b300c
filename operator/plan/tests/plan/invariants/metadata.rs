//! Names, owners, labels and order of objects.

use std::collections::BTreeSet;

use lotoai_api::spec::DeletionPolicy;
use lotoai_plan::{Node, labels, owned_kinds, required_secrets};
use serde_json::{Value, json};

use super::{template, templates};
use crate::common::{FIXTURES, credentials, objects, operator, provided, resource};

#[test]
fn every_object_has_owner_namespace_labels_and_a_short_name() {
    for fixture in FIXTURES {
        let (platform, set) = objects(fixture);
        let mut seen = BTreeSet::new();
        for object in set.objects() {
            let id = object.id();
            let metadata = &object.body["metadata"];
            let outlives = platform.spec.deletion_policy == DeletionPolicy::Retain;
            if outlives && metadata["labels"][labels::DATA] == "true" {
                assert!(metadata["ownerReferences"].is_null(), "{id:?}");
            } else {
                let owner = &metadata["ownerReferences"][0];
                assert_eq!(owner["uid"], platform.uid.as_str(), "{id:?}");
                assert_eq!(owner["controller"], true, "{id:?}");
            }
            assert_eq!(metadata["namespace"], "ai", "{id:?}");
            for (key, value) in labels::platform(&platform) {
                assert_eq!(metadata["labels"][&key], value.as_str(), "{id:?}");
            }
            assert!(
                id.name.len() <= 63 && id.name.starts_with("demo-"),
                "{id:?}"
            );
            assert!(seen.insert(id.clone()), "{id:?} twice");
            assert_eq!(object.body["kind"], id.kind.as_str());
            assert!(object.body["apiVersion"].is_string());
        }
    }
}

#[test]
fn argo_cd_leaves_alone_what_has_no_owner() {
    let is_told = |metadata: &Value| {
        let said = |(key, value): (&str, &str)| metadata["annotations"][key] == value;
        labels::KEPT_BY_ARGO_CD.into_iter().all(said)
    };
    let mut told = BTreeSet::new();
    for fixture in FIXTURES {
        let (platform, set) = objects(fixture);
        let secrets = required_secrets(&platform);
        let secrets = secrets.iter().map(|spec| json!(spec.metadata));
        let others = set.objects().into_iter();
        let others = others.map(|object| object.body["metadata"].clone());
        for metadata in secrets.chain(others) {
            let has_owner = metadata["ownerReferences"].is_array();
            assert_eq!(is_told(&metadata), !has_owner, "{fixture}: {metadata}");
            if !has_owner {
                told.insert(metadata["name"].as_str().unwrap().to_owned());
            }
        }
    }
    for name in ["demo-ca", "demo-first-user", "demo-postgres"] {
        assert!(told.contains(name), "{name} is not among {told:?}");
    }
}

#[test]
fn selectors_are_within_template_labels() {
    for fixture in FIXTURES {
        let (_, set) = objects(fixture);
        let sets = set.stateful_sets.iter().map(|o| o.spec.as_ref().unwrap());
        let deployments = set.deployments.iter().map(|o| o.spec.as_ref().unwrap());
        let pairs = sets
            .map(|spec| (&spec.selector, &spec.template))
            .chain(deployments.map(|spec| (&spec.selector, &spec.template)));
        for (selector, template) in pairs {
            let labels = template.metadata.as_ref().unwrap().labels.as_ref().unwrap();
            for (key, value) in selector.match_labels.as_ref().unwrap() {
                assert_eq!(labels.get(key), Some(value));
                assert_ne!(key, labels::VERSION);
            }
        }
    }
}

/// Provision Jobs have pods with labels of the platform as well.
#[test]
fn a_service_leads_to_the_pods_of_its_workload_and_to_no_others() {
    for fixture in FIXTURES {
        let (platform, set) = objects(fixture);
        for service in &set.services {
            let id = service.metadata.name.as_deref().unwrap();
            let selector = service.spec.as_ref().unwrap().selector.as_ref().unwrap();
            let selected: Vec<String> = templates(&set)
                .into_iter()
                .filter(|(_, template)| {
                    let labels = template.metadata.as_ref().unwrap().labels.as_ref().unwrap();
                    let mut pairs = selector.iter();
                    pairs.all(|(key, value)| labels.get(key) == Some(value))
                })
                .map(|(name, _)| name)
                .collect();
            let component = &service.metadata.labels.as_ref().unwrap()[labels::NAME];
            let own = format!("{}-{component}", platform.name.as_str());
            assert_eq!(selected, [own], "{fixture}: Service {id}");
            // Another platform of the namespace has pods with the same names of components.
            let of = selector.get(labels::INSTANCE).map(String::as_str);
            assert_eq!(of, Some(platform.name.as_str()), "{fixture}: Service {id}");
        }
    }
}

#[test]
fn the_longest_name_gives_objects_that_fit() {
    let mut lotoai = resource("minimal");
    lotoai.metadata.name = Some("a23456789012345678901234567890".to_owned());
    let operator = operator("minimal");
    let platform = lotoai_plan::validate(&lotoai, &provided(), &operator).unwrap();
    let set = lotoai_plan::build(&platform, &credentials(&platform));
    for object in set.objects() {
        // Label values end at 63, and a StatefulSet's revision adds 11 characters to its name.
        let limit = if object.resource.kind == "StatefulSet" {
            52
        } else {
            63
        };
        assert!(object.name.len() <= limit, "{}", object.name);
    }
}

#[test]
fn sets_are_applied_in_the_order_of_kinds() {
    let (_, set) = objects("high-availability");
    let mut kinds: Vec<String> = set.objects().into_iter().map(|o| o.resource.kind).collect();
    kinds.dedup();
    let order: Vec<String> = owned_kinds()
        .into_iter()
        .map(|kind| kind.resource.kind)
        .filter(|kind| kinds.contains(kind))
        .collect();
    assert_eq!(kinds, order);
    assert_eq!(order.last().unwrap(), "Job");
}

#[test]
fn every_component_is_run_by_exactly_one_object() {
    for fixture in FIXTURES {
        let (platform, set) = objects(fixture);
        assert_eq!(templates(&set).len(), platform.topology.nodes().count());
        for component in platform.topology.components() {
            let _ = template(&platform, &set, Node::Component(component));
        }
    }
}
