//! Servers of which two versions never run together.

use lotoai_api::Component;

use super::world::World;

const NEXT: &str = "quay.io/keycloak/keycloak:99.1.0";
const KEYCLOAK: &str = "demo-keycloak";

/// A platform that runs, with another image of Keycloak in its resource.
fn renewed(fixture: &str) -> World {
    let mut world = World::up(fixture);
    let overrides = &mut world.lotoai.spec.images.overrides;
    overrides.insert(Component::Keycloak.name().to_owned(), NEXT.to_owned());
    world
}

/// Whether Keycloak's object has the new image, and how many pods it asks for.
fn asked(world: &World) -> (bool, i32) {
    let set = &world.observed.stateful_sets[KEYCLOAK];
    let spec = set.spec.as_ref().unwrap();
    let pod = spec.template.spec.as_ref().unwrap();
    let image = pod.containers[0].image.as_deref();
    (image == Some(NEXT), spec.replicas.unwrap())
}

#[test]
fn all_servers_of_a_cluster_stop_before_the_first_new_one_starts() {
    let mut world = renewed("high-availability");
    assert_eq!(asked(&world), (false, 2));
    world.operator(usize::MAX);
    assert_eq!(asked(&world), (true, 0));

    // One of the old servers drains.
    let draining = world.observed.pods["demo-keycloak-1"].clone();
    world.kubelet();
    let pods = &mut world.observed.pods;
    pods.insert("demo-keycloak-1".to_owned(), draining);
    assert_eq!(world.operator(usize::MAX), 0, "{:?}", world.written);
    assert_eq!(asked(&world), (true, 0));
    let status = world.report();
    let mut shown = status.components.iter();
    let keycloak = shown.find(|c| c.name == "keycloak").unwrap();
    assert_eq!(keycloak.ready, "0/2");
    let message = &keycloak.message;
    assert!(
        message.ends_with(": stops all servers before the first new one starts"),
        "{message}"
    );

    world.observed.pods.remove("demo-keycloak-1");
    world.operator(usize::MAX);
    assert_eq!(asked(&world), (true, 2));
    world.settle();
    assert_eq!(asked(&world), (true, 2));
    assert!(
        world
            .report()
            .components
            .iter()
            .all(|c| c.message.is_empty())
    );
}

#[test]
fn a_new_image_that_cannot_be_pulled_gives_way_to_the_old_one() {
    let mut world = renewed("high-availability");
    world.broken.insert(NEXT.to_owned());
    world.settle();
    assert_eq!(asked(&world), (true, 2));
    let stalled = world.report().condition("Stalled").cloned();
    assert_eq!(stalled.unwrap().reason, "ImagePullFailed");
    world.lotoai.spec.images.overrides.clear();
    world.settle();
    assert_eq!(asked(&world), (false, 2));
    assert_eq!(world.report().condition("Stalled"), None);
}

/// Some clusters lead every pull to a mirror by writing it into the pods.
#[test]
fn a_pod_from_a_mirror_is_of_the_same_version() {
    let mut world = World::up("high-availability");
    for pod in world.observed.pods.values_mut() {
        let container = &mut pod.spec.as_mut().unwrap().containers[0];
        container.image = container
            .image
            .as_ref()
            .map(|image| format!("mirror.local/{image}"));
    }
    world.operator(usize::MAX);
    assert_eq!(asked(&world), (false, 2));
}

#[test]
fn one_server_is_simply_replaced() {
    let mut world = renewed("minimal");
    world.operator(usize::MAX);
    assert_eq!(asked(&world), (true, 1));
}

#[test]
fn any_other_change_goes_from_server_to_server() {
    let mut world = World::up("high-availability");
    world
        .lotoai
        .spec
        .pods
        .annotations
        .insert("team".to_owned(), "web".to_owned());
    world.operator(usize::MAX);
    for (name, servers) in [(KEYCLOAK, 2), ("demo-minio", 4)] {
        let written = &world.written;
        assert!(written.contains(&name.to_owned()), "{written:?}");
        let spec = world.observed.stateful_sets[name].spec.as_ref();
        assert_eq!(spec.unwrap().replicas, Some(servers), "{name}");
    }
}
