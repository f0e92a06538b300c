//! What waits for an object that the cluster refuses.

use std::collections::BTreeSet;

use lotoai_plan::{PlannedObject, Platform, depends, in_order, labels};

use crate::common::{FIXTURES, objects};

/// Kind and name, without the platform's, of all that waits for an object.
fn waiting(fixture: &str, kind: &str, name: &str) -> BTreeSet<String> {
    let (platform, set) = objects(fixture);
    let all = set.objects();
    let is_it = |object: &&PlannedObject| object.resource.kind == kind && object.name == name;
    let refused = all.iter().find(is_it).unwrap();
    all.iter()
        .filter(|object| depends(&platform, object, refused))
        .map(|object| {
            let name = object.name.trim_start_matches("demo-");
            // A Job's name ends with a digest of what its pod gets.
            let name = match object.resource.kind.as_str() {
                "Job" => name.rsplit_once('-').unwrap().0,
                _ => name,
            };
            format!("{}/{name}", object.resource.kind)
        })
        .collect()
}

fn listed(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn its_own_workload_and_those_that_need_it_wait() {
    let expected = [
        "Deployment/orchestrator",
        "Deployment/gateway",
        "Deployment/traefik",
    ];
    let mut expected = listed(&expected);
    assert_eq!(
        waiting("minimal", "Deployment", "demo-orchestrator"),
        expected
    );
    expected.insert("Deployment/agents".to_owned());
    assert_eq!(waiting("minimal", "ConfigMap", "demo-agents"), expected);
    assert_eq!(
        waiting("minimal", "ServiceAccount", "demo-agents"),
        expected
    );
    assert_eq!(waiting("minimal", "NetworkPolicy", "demo-agents"), expected);
}

#[test]
fn nobody_waits_for_the_last_one_but_itself() {
    let expected = listed(&["Deployment/rag-ingest"]);
    assert_eq!(
        waiting("minimal", "ServiceAccount", "demo-rag-ingest"),
        expected
    );
}

#[test]
fn a_store_holds_up_its_provision_job_and_not_the_other_stores() {
    let waiting = waiting("minimal", "Service", "demo-minio");
    for waits in [
        "StatefulSet/minio",
        "Job/provision-s3",
        "Deployment/rag-ingest",
    ] {
        assert!(waiting.contains(waits), "{waits}: {waiting:?}");
    }
    for goes_on in [
        "StatefulSet/postgres",
        "Job/provision-postgres",
        "StatefulSet/keycloak",
    ] {
        assert!(!waiting.contains(goes_on), "{goes_on}: {waiting:?}");
    }
}

#[test]
fn everything_that_runs_waits_for_what_stands_for_the_platform() {
    let (_, set) = objects("minimal");
    let runs = set.stateful_sets.len() + set.deployments.len() + set.jobs.len();
    for (kind, name) in [
        ("NetworkPolicy", "demo-default-deny"),
        ("ConfigMap", "demo-ca"),
    ] {
        assert_eq!(waiting("minimal", kind, name).len(), runs, "{name}");
    }
}

#[test]
fn nobody_waits_for_what_no_pod_needs() {
    let fixture = "high-availability";
    for kind in ["PodDisruptionBudget", "HorizontalPodAutoscaler"] {
        assert_eq!(
            waiting(fixture, kind, "demo-gateway"),
            listed(&[]),
            "{kind}"
        );
    }
    assert_eq!(waiting("ingress", "Ingress", "demo-edge"), listed(&[]));
    // An autoscaler follows its workload.
    let waiting = waiting(fixture, "ServiceAccount", "demo-gateway");
    assert!(
        waiting.contains("HorizontalPodAutoscaler/gateway"),
        "{waiting:?}"
    );
}

/// What is written before an object of another part that it waits for.
fn too_early(platform: &Platform, objects: &[PlannedObject]) -> Vec<String> {
    let part = |object: &PlannedObject| object.body["metadata"]["labels"][labels::NAME].clone();
    let mut found = Vec::new();
    for (place, early) in objects.iter().enumerate() {
        let mut later = objects[place + 1..].iter();
        if let Some(late) =
            later.find(|late| part(early) != part(late) && depends(platform, early, late))
        {
            found.push(format!("{} before {}", early.name, late.name));
        }
    }
    found
}

#[test]
fn what_waits_for_an_object_is_written_after_it() {
    for fixture in FIXTURES {
        let (platform, set) = objects(fixture);
        let by_kind = set.objects();
        assert_ne!(too_early(&platform, &by_kind), [""; 0], "{fixture}");
        let ordered = in_order(&platform, by_kind.clone());
        assert_eq!(too_early(&platform, &ordered), [""; 0], "{fixture}");
        let ids = |objects: &[PlannedObject]| objects.iter().map(PlannedObject::id).collect();
        let (before, after): (BTreeSet<_>, BTreeSet<_>) = (ids(&by_kind), ids(&ordered));
        assert_eq!(before, after, "{fixture}");
        assert_eq!(by_kind.len(), ordered.len(), "{fixture}");
    }
}
