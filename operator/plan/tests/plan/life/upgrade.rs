//! A platform that another version of the operator takes over.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodTemplateSpec;
use lotoai_api::Component;
use lotoai_plan::{Node, ObjectId};

use super::world::World;

pub(super) const NEXT: &str = "9.10.0";

pub(super) fn image(template: &PodTemplateSpec) -> String {
    template.spec.as_ref().unwrap().containers[0]
        .image
        .clone()
        .unwrap()
}

/// Image in the template of every workload object, by name.
pub(super) fn images(world: &World) -> BTreeMap<String, String> {
    let sets = world.observed.stateful_sets.iter();
    let sets = sets.map(|(name, o)| (name.clone(), image(&o.spec.as_ref().unwrap().template)));
    let deployments = world.observed.deployments.iter();
    sets.chain(
        deployments.map(|(name, o)| (name.clone(), image(&o.spec.as_ref().unwrap().template))),
    )
    .collect()
}

/// A platform whose next version brings another image of every component.
pub(super) fn renewed(fixture: &str) -> World {
    let mut world = World::up(fixture);
    world.env.version = NEXT.to_owned();
    let platform = world.platform();
    for component in platform.topology.components() {
        let name = component.name();
        let image = format!("registry.example.com/{name}:{NEXT}");
        world
            .lotoai
            .spec
            .images
            .overrides
            .insert(name.to_owned(), image);
    }
    world
}

/// Whoever has its new image needs nobody who has the old one.
pub(super) fn in_order(world: &World) {
    let (platform, images) = (world.platform(), images(world));
    let is_new = |node: Node| {
        let image = images.get(&platform.node_name(node));
        image.is_none_or(|image| image == platform.image(node))
    };
    for component in platform.topology.components() {
        let node = Node::Component(component);
        if !is_new(node) {
            continue;
        }
        for need in platform.topology.needs(node) {
            if let Node::Provision(_) = need {
                let (_, set, _) = world.plan();
                let job = set.job_name(&need.name()).unwrap();
                assert!(world.observed.jobs.contains_key(job), "{component}: {job}");
            }
            assert!(is_new(need), "{component} is new, {} is not", need.name());
        }
    }
}

#[test]
fn components_take_their_new_image_from_the_stores_to_the_edge() {
    for fixture in [
        "minimal",
        "high-availability",
        "external",
        "ingress",
        "delegated-postgres",
    ] {
        let mut world = renewed(fixture);
        let mut passes = 0;
        while world.operator(usize::MAX) > 0 {
            in_order(&world);
            let status = world.report();
            assert_eq!(status.version.as_deref(), Some("9.9.9"), "{fixture}");
            world.kubelet();
            passes += 1;
        }
        assert!((3..10).contains(&passes), "{fixture}: {passes} passes");
        let status = world.report();
        assert_eq!(status.version.as_deref(), Some(NEXT), "{fixture}");
        assert!(status.components.iter().all(|c| c.message.is_empty()));
    }
}

/// The gateway sends what an analytics of before may not be able to read, and would put aside.
#[test]
fn the_gateway_is_renewed_when_analytics_runs_its_new_version() {
    for fixture in ["minimal", "high-availability", "external"] {
        let mut world = renewed(fixture);
        let name = |node| world.platform().node_name(Node::Component(node));
        let [gateway, analytics] = [Component::Gateway, Component::Analytics].map(name);
        let is_new = |world: &World, name: &str| images(world)[name].ends_with(NEXT);
        let mut runs_new = is_new(&world, &analytics);
        assert!(!runs_new, "{fixture}");
        while world.operator(usize::MAX) > 0 {
            assert!(runs_new || !is_new(&world, &gateway), "{fixture}");
            world.kubelet();
            runs_new = is_new(&world, &analytics);
        }
        assert!(is_new(&world, &gateway), "{fixture}");
    }
}

#[test]
fn an_operator_that_is_killed_at_any_write_keeps_the_order() {
    for most in 1..5 {
        let mut world = renewed("high-availability");
        while world.operator(most) > 0 {
            in_order(&world);
            world.kubelet();
            in_order(&world);
        }
        assert_eq!(world.report().version.as_deref(), Some(NEXT));
    }
}

#[test]
fn every_pod_of_a_component_counts_before_the_next_begins() {
    let mut world = renewed("high-availability");
    world.operator(usize::MAX);
    world.kubelet();
    let minio = world.observed.stateful_sets.get_mut("demo-minio").unwrap();
    minio.status.as_mut().unwrap().updated_replicas = Some(3);
    while world.operator(usize::MAX) > 0 {
        world.kubelet();
        let minio = world.observed.stateful_sets.get_mut("demo-minio").unwrap();
        minio.status.as_mut().unwrap().updated_replicas = Some(3);
    }
    let images = images(&world);
    assert!(images["demo-minio"].ends_with(NEXT));
    assert!(!images["demo-gateway"].ends_with(NEXT));
    assert!(images["demo-keycloak"].ends_with(NEXT));
}

#[test]
fn the_status_tells_what_runs_and_what_is_waited_for() {
    let mut world = renewed("minimal");
    world.operator(usize::MAX);
    let status = world.report();
    let of = |name: &str| status.components.iter().find(|c| c.name == name).unwrap();
    assert_eq!(of("gateway").version, "9.9.9");
    let message = &of("gateway").message;
    assert!(
        message.starts_with("upgrading from 9.9.9 to 9.10.0: waits for ")
            && message.contains("provision-postgres"),
        "{message}"
    );
    assert_eq!(of("postgres").version, "18.6");
    assert_eq!(
        of("postgres").message,
        "upgrading from 18.6 to 9.10.0: rolls out"
    );
    assert_eq!(status.condition("Ready").unwrap().status, "True");
    assert_eq!(
        status.condition("Reconciling").unwrap().reason,
        "Progressing"
    );
    assert_eq!(status.condition("Stalled"), None);
}

#[test]
fn what_waits_keeps_its_configuration_too() {
    let mut world = renewed("minimal");
    let (_, _, gates) = world.plan();
    let held = |kind: &str, name: &str| {
        let id = ObjectId {
            kind: kind.to_owned(),
            name: name.to_owned(),
        };
        gates.held(&id).is_some()
    };
    assert!(held("ConfigMap", "demo-agents") && held("Deployment", "demo-agents"));
    assert!(!held("ConfigMap", "demo-postgres") && !held("StatefulSet", "demo-postgres"));
    assert!(!held("Service", "demo-agents") && !held("NetworkPolicy", "demo-agents"));
    world.settle();
    let (_, set, gates) = world.plan();
    assert!(
        set.objects()
            .iter()
            .all(|object| gates.held(&object.id()).is_none())
    );
}

#[test]
fn a_stuck_upgrade_names_the_component_and_the_way_back_and_stops_there() {
    let mut world = renewed("minimal");
    world
        .broken
        .insert(format!("registry.example.com/orchestrator:{NEXT}"));
    while world.operator(usize::MAX) > 0 {
        world.kubelet();
        world.report();
    }
    let status = world.report();
    assert_eq!(status.version.as_deref(), Some("9.9.9"));
    let stalled = status.condition("Stalled").unwrap();
    assert_eq!(stalled.reason, "ImagePullFailed");
    assert_eq!(
        stalled.message,
        "orchestrator: upgrading from 9.9.9 to 9.10.0: Pod demo-orchestrator-0: ImagePullBackOff: \
         not found; see  kubectl -n ai describe pod demo-orchestrator-0; or change  \
         spec.images.overrides.orchestrator"
    );
    assert!(!images(&world)["demo-gateway"].ends_with(NEXT));
    // Back to what ran.
    let old = "ghcr.io/lotoai/orchestrator:9.9.9".to_owned();
    world
        .lotoai
        .spec
        .images
        .overrides
        .insert("orchestrator".to_owned(), old);
    world.settle();
    let status = world.report();
    assert_eq!(status.condition("Stalled"), None);
    assert!(images(&world)["demo-gateway"].ends_with(NEXT));
}

#[test]
fn the_way_back_is_the_image_that_still_runs() {
    let mut world = World::up("minimal");
    let old = world.observed.pods["demo-orchestrator-0"].clone();
    let image = "registry.example.com/orchestrator:1.2.3".to_owned();
    world.broken.insert(image.clone());
    let overrides = &mut world.lotoai.spec.images.overrides;
    overrides.insert("orchestrator".to_owned(), image);
    world.operator(usize::MAX);
    world.kubelet();
    world
        .observed
        .pods
        .insert("demo-orchestrator-old".to_owned(), old);
    let status = world.report();
    let message = &status.condition("Stalled").unwrap().message;
    assert!(
        message.starts_with("orchestrator: upgrading from 9.9.9 to 1.2.3: Pod "),
        "{message}"
    );
    let back =
        "or go back with  spec.images.overrides.orchestrator: ghcr.io/lotoai/orchestrator:9.9.9";
    assert!(message.ends_with(back), "{message}");
}

#[test]
fn a_store_whose_image_is_broken_stops_everything_behind_it_and_comes_back() {
    let mut world = renewed("minimal");
    let broken = format!("registry.example.com/postgres:{NEXT}");
    world.broken.insert(broken);
    while world.operator(usize::MAX) > 0 {
        world.kubelet();
        world.report();
    }
    let stalled = world.report().condition("Stalled").unwrap().clone();
    assert_eq!(stalled.reason, "ImagePullFailed");
    assert!(
        stalled
            .message
            .starts_with("postgres: upgrading from 18.6 to 9.10.0: Pod demo-postgres-0")
    );
    for waits in ["keycloak", "gateway", "orchestrator", "traefik"] {
        assert!(
            !images(&world)[&format!("demo-{waits}")].ends_with(NEXT),
            "{waits}"
        );
    }
    let overrides = &mut world.lotoai.spec.images.overrides;
    overrides.insert(
        "postgres".to_owned(),
        "docker.io/library/postgres:18.6".to_owned(),
    );
    world.settle();
    let status = world.report();
    assert_eq!(status.condition("Stalled"), None);
    assert!(images(&world)["demo-traefik"].ends_with(NEXT));
}

#[test]
fn one_changed_image_waits_for_nobody_who_is_well() {
    let mut world = World::up("minimal");
    let image = "registry.example.com/gateway:1.2.3".to_owned();
    world
        .lotoai
        .spec
        .images
        .overrides
        .insert(Component::Gateway.name().to_owned(), image);
    world.operator(usize::MAX);
    assert_eq!(world.written, ["demo-gateway"]);
}

#[test]
fn another_setting_is_taken_at_once() {
    let mut world = World::up("minimal");
    let postgres = world
        .observed
        .stateful_sets
        .get_mut("demo-postgres")
        .unwrap();
    postgres.status.as_mut().unwrap().ready_replicas = Some(0);
    world.lotoai.spec.observability.otlp_endpoint = Some("http://collector:4317".to_owned());
    world.operator(usize::MAX);
    assert!(
        world.written.contains(&"demo-gateway".to_owned()),
        "{:?}",
        world.written
    );
}
