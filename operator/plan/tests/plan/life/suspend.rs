//! A platform that is stopped and started again.

use std::collections::{BTreeMap, BTreeSet};

use lotoai_api::LotoAIStatus;
use lotoai_plan::Node;

use super::world::World;
use crate::common::FIXTURES;

fn conditions(status: &LotoAIStatus) -> Vec<(&str, &str, &str)> {
    let all = status.conditions.iter();
    all.map(|c| (c.type_.as_str(), c.status.as_str(), c.reason.as_str()))
        .collect()
}

/// Whoever runs has all that it needs.
fn nobody_is_left_alone(world: &World) {
    let (platform, running) = (world.platform(), world.running());
    for node in platform.topology.nodes() {
        if !running.contains(&node.name()) {
            continue;
        }
        for need in platform.topology.needs(node) {
            let runs = running.contains(&need.name())
                || matches!(need, Node::Provision(_))
                || platform.topology.delegated_stores().next().is_some();
            assert!(runs, "{} runs without {}", node.name(), need.name());
        }
    }
}

#[test]
fn every_platform_stops_from_the_edge_to_the_stores_and_starts_the_other_way() {
    for fixture in FIXTURES {
        let mut world = World::up(fixture);
        let before = world.running();
        world.lotoai.spec.suspend = true;
        let mut steps = 0;
        while !world.running().is_empty() {
            assert!(world.operator(usize::MAX) > 0, "{fixture}: stuck");
            world.kubelet();
            nobody_is_left_alone(&world);
            steps += 1;
        }
        assert!((4..10).contains(&steps), "{fixture}: {steps} steps");
        world.settle();
        assert_eq!(
            conditions(&world.report()),
            [("Ready", "False", "Suspended")],
            "{fixture}"
        );
        world.lotoai.spec.suspend = false;
        while world.running() != before {
            assert!(world.operator(usize::MAX) > 0, "{fixture}: stuck");
            world.kubelet();
            nobody_is_left_alone(&world);
        }
        world.settle();
        assert_eq!(
            conditions(&world.report()),
            [("Ready", "True", "Available")],
            "{fixture}"
        );
    }
}

#[test]
fn an_operator_that_is_killed_at_any_write_goes_on_in_order() {
    for writes in 1..4 {
        let mut world = World::up("high-availability");
        let before = world.running();
        for suspend in [true, false] {
            world.lotoai.spec.suspend = suspend;
            while world.operator(writes) > 0 {
                world.kubelet();
                nobody_is_left_alone(&world);
            }
            let expected = if suspend {
                BTreeSet::new()
            } else {
                before.clone()
            };
            assert_eq!(world.running(), expected);
        }
    }
}

#[test]
fn a_pod_that_still_drains_keeps_what_it_needs() {
    let mut world = World::up("minimal");
    world.lotoai.spec.suspend = true;
    world.operator(usize::MAX);
    let draining: BTreeMap<_, _> = world.observed.pods.clone();
    world.kubelet();
    let gateway = draining["demo-traefik-0"].clone();
    world
        .observed
        .pods
        .insert("demo-traefik-0".to_owned(), gateway);
    let (_, _, gates) = world.plan();
    let held = |kind: &str, name: &str| {
        let id = lotoai_plan::ObjectId {
            kind: kind.to_owned(),
            name: name.to_owned(),
        };
        gates.held(&id).map(str::to_owned)
    };
    assert_eq!(
        held("Deployment", "demo-gateway").as_deref(),
        Some("stops after traefik")
    );
    let status = world.report();
    assert_eq!(
        conditions(&status),
        [
            ("Ready", "False", "Suspending"),
            ("Reconciling", "True", "Suspending")
        ]
    );
    assert_eq!(status.components_ready.as_deref(), Some("0/14"));
}

#[test]
fn everything_but_pods_stays_and_pods_come_back_as_they_were() {
    let mut world = World::up("high-availability");
    let (_, before, _) = world.plan();
    world.lotoai.spec.suspend = true;
    world.settle();
    let (_, after, _) = world.plan();
    let kinds = |set: &lotoai_plan::ResourceSet<lotoai_plan::Prepared>| {
        set.objects()
            .iter()
            .map(lotoai_plan::PlannedObject::id)
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(kinds(&before), kinds(&after));
    for (old, new) in before.stateful_sets.iter().zip(&after.stateful_sets) {
        let (old, new) = (old.spec.as_ref().unwrap(), new.spec.as_ref().unwrap());
        assert_eq!(new.replicas, Some(0));
        assert_eq!(old.template, new.template);
    }
    for (old, new) in before.deployments.iter().zip(&after.deployments) {
        let (old, new) = (old.spec.as_ref().unwrap(), new.spec.as_ref().unwrap());
        assert_eq!(new.replicas, Some(0));
        assert_eq!(old.template, new.template);
    }
}

#[test]
fn a_job_that_has_not_ended_is_taken_away_and_made_again() {
    let mut world = World::up("minimal");
    let (_, set, _) = world.plan();
    let name = set.job_name("provision-s3").unwrap().to_owned();
    world.observed.jobs.get_mut(&name).unwrap().status = None;
    world.lotoai.spec.suspend = true;
    world.settle();
    assert!(!world.observed.jobs.contains_key(&name));
    assert_eq!(world.observed.jobs.len(), 4);
    world.lotoai.spec.suspend = false;
    world.settle();
    assert!(world.observed.jobs.contains_key(&name));
}

#[test]
fn a_platform_that_begins_suspended_starts_nothing() {
    let mut world = World::up("minimal");
    world.observed = crate::common::provided();
    world.lotoai.status = None;
    world.lotoai.spec.suspend = true;
    world.settle();
    assert_eq!(world.written, Vec::<String>::new());
    assert_eq!(
        conditions(&world.report()),
        [("Ready", "False", "Suspended")]
    );
}

#[test]
fn an_unready_platform_stops_too() {
    let mut world = World::up("minimal");
    let image = world
        .platform()
        .image(Node::Component(lotoai_api::Component::Postgres))
        .to_owned();
    world.broken.insert(image);
    world.kubelet();
    assert!(
        !world
            .report()
            .condition("Ready")
            .unwrap()
            .message
            .is_empty()
    );
    world.lotoai.spec.suspend = true;
    world.settle();
    assert_eq!(
        conditions(&world.report()),
        [("Ready", "False", "Suspended")]
    );
}
