//! A platform that another version of the operator takes over.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use lotoai_api::{Component, versions};
use lotoai_plan::{Node, ObjectId, labels};
use rstest::rstest;

use super::world::{World, admit};

const NEXT: &str = "9.10.0";

const REWRITTEN: &str = "mirror.corp/";

fn image(template: &PodTemplateSpec) -> String {
    template.spec.as_ref().unwrap().containers[0]
        .image
        .clone()
        .unwrap()
}

/// Image in the template of every workload object, by name.
fn images(world: &World) -> BTreeMap<String, String> {
    let sets = world.observed.stateful_sets.iter();
    let sets = sets.map(|(name, o)| (name.clone(), image(&o.spec.as_ref().unwrap().template)));
    let deployments = world.observed.deployments.iter();
    sets.chain(
        deployments.map(|(name, o)| (name.clone(), image(&o.spec.as_ref().unwrap().template))),
    )
    .collect()
}

/// A platform whose next version brings another image of every component.
fn renewed(fixture: &str) -> World {
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
fn in_order(world: &World) {
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

/// Annotations and template of every workload object.
fn objects(world: &mut World) -> impl Iterator<Item = (&mut ObjectMeta, &mut PodTemplateSpec)> {
    let sets = world.observed.stateful_sets.values_mut();
    let sets = sets.map(|o| (&mut o.metadata, &mut o.spec.as_mut().unwrap().template));
    let deployments = world.observed.deployments.values_mut();
    let deployments =
        deployments.map(|o| (&mut o.metadata, &mut o.spec.as_mut().unwrap().template));
    sets.chain(deployments)
}

/// A platform that an operator of before has applied, which wrote no images beside the templates.
fn of_before(mut world: World) -> World {
    for (metadata, _) in objects(&mut world) {
        metadata.annotations.as_mut().unwrap().remove(labels::IMAGE);
    }
    world
}

/// Whether the gateway is held back although all that it needs serves: it would get another image.
/// What it needs is asked to start over, so that what has its image is told from what waits for it.
fn is_behind(mut world: World) -> bool {
    for set in world.observed.stateful_sets.values_mut() {
        set.status.as_mut().unwrap().updated_replicas = Some(0);
    }
    for deployment in world.observed.deployments.values_mut() {
        deployment.status.as_mut().unwrap().updated_replicas = Some(0);
    }
    let (_, _, gates) = world.plan();
    let gateway = ObjectId::new("Deployment", "demo-gateway");
    gates.held(&gateway).is_some()
}

/// The gateway of a running platform, with what its object says that was planned and what its
/// template has.
fn gateway(said: Option<&str>, written: Option<&str>) -> World {
    let mut world = World::up("minimal");
    let gateway = world.observed.deployments.get_mut("demo-gateway").unwrap();
    let annotations = gateway.metadata.annotations.as_mut().unwrap();
    match said {
        Some("planned") => {}
        Some(other) => {
            annotations.insert(labels::IMAGE.to_owned(), other.to_owned());
        }
        None => {
            annotations.remove(labels::IMAGE);
        }
    }
    if let Some(written) = written {
        let pod = gateway.spec.as_mut().unwrap().template.spec.as_mut();
        pod.unwrap().containers[0].image = Some(written.to_owned());
    }
    world
}

#[rstest]
#[case::of_before_with_another_image(None, Some("gateway:1"), true)]
#[case::of_before_with_its_image(None, None, false)]
#[case::applied_and_rewritten(Some("planned"), Some("mirror.corp/gateway@sha256:0123"), false)]
#[case::applied_as_it_is(Some("planned"), None, false)]
#[case::applied_with_another_image(Some("gateway:1"), Some("gateway:1"), true)]
#[case::applied_with_another_image_and_rewritten(
    Some("gateway:1"),
    Some("mirror.corp/gateway@sha256:0123"),
    true
)]
fn an_object_is_behind_by_what_was_planned_for_it(
    #[case] said: Option<&str>,
    #[case] written: Option<&str>,
    #[case] behind: bool,
) {
    assert_eq!(is_behind(gateway(said, written)), behind);
}

/// Kyverno's `verifyImages` writes digests, and others lead to a mirror.
#[test]
fn a_platform_starts_and_is_renewed_under_a_policy_that_rewrites_images() {
    for fixture in ["minimal", "high-availability", "external"] {
        let mut world = World::up(fixture);
        world.observed.deployments.clear();
        world.observed.stateful_sets.clear();
        world.observed.jobs.clear();
        world.observed.pods.clear();
        world.rewrites = true;
        world.settle();
        let rewritten = |world: &World| {
            images(world)
                .values()
                .all(|image| image.starts_with(REWRITTEN))
        };
        assert!(rewritten(&world), "{fixture}");
        assert_done(&mut world, "9.9.9");

        let mut world = World {
            rewrites: true,
            ..renewed(fixture)
        };
        let mut passes = 0;
        while world.operator(usize::MAX) > 0 {
            world.kubelet();
            world.report();
            passes += 1;
        }
        assert!((3..10).contains(&passes), "{fixture}: {passes} passes");
        assert!(rewritten(&world), "{fixture}");
        assert_done(&mut world, NEXT);
    }
}

/// Some policies look at pods only.
#[test]
fn what_a_policy_makes_of_the_images_of_pods_is_no_other_version() {
    let mut world = World::up("minimal");
    for pod in world.observed.pods.values_mut() {
        let image = &mut pod.spec.as_mut().unwrap().containers[0].image;
        *image = Some("mirror.corp/something:1".to_owned());
    }
    assert_done(&mut world, "9.9.9");
    // The control: while it rolls out, such a pod may be one of before.
    let gateway = world.observed.deployments.get_mut("demo-gateway").unwrap();
    gateway.status.as_mut().unwrap().updated_replicas = Some(0);
    let status = world.report();
    let gateway = status.components.iter().find(|c| c.name == "gateway");
    assert_eq!(gateway.unwrap().version, "1");
}

/// Nothing is left to do, and nothing shows what a policy made of an image.
fn assert_done(world: &mut World, version: &str) {
    let status = world.report();
    assert_eq!(status.version.as_deref(), Some(version));
    assert_eq!(status.condition("Ready").unwrap().status, "True");
    assert_eq!(status.condition("Reconciling"), None);
    let platform = world.platform();
    for shown in &status.components {
        let component = Component::ALL.into_iter().find(|c| c.name() == shown.name);
        let planned = platform.image(Node::Component(component.unwrap()));
        assert_eq!(shown.message, "", "{}", shown.name);
        // Those that are elsewhere show none.
        if !shown.version.is_empty() {
            assert_eq!(shown.version, versions::tag(planned), "{}", shown.name);
        }
    }
}

/// The operator of before took rewritten images for those of another version and waited for ever.
#[test]
fn a_platform_that_waited_under_such_a_policy_goes_on() {
    let mut world = of_before(World::up("minimal"));
    for (_, template) in objects(&mut world) {
        admit(true, template);
    }
    world.rewrites = true;
    world.kubelet();
    let (_, _, gates) = world.plan();
    let gateway = ObjectId::new("Deployment", "demo-gateway");
    assert!(gates.held(&gateway).is_some());
    world.settle();
    assert_done(&mut world, "9.9.9");
}

#[test]
fn an_operator_that_begins_to_write_images_down_restarts_nothing() {
    let mut world = of_before(World::up("high-availability"));
    let specs = |world: &World| {
        let sets = world.observed.stateful_sets.values();
        let sets: Vec<_> = sets.map(|o| o.spec.clone()).collect();
        let deployments = world.observed.deployments.values();
        let deployments: Vec<_> = deployments.map(|o| o.spec.clone()).collect();
        (sets, deployments)
    };
    let before = specs(&world);
    let (_, set, gates) = world.plan();
    let mut all = set.objects().into_iter();
    assert!(all.all(|object| gates.held(&object.id()).is_none()));
    // All of them in one pass, as nothing waits for anything.
    assert_eq!(world.operator(usize::MAX), objects(&mut world).count());
    assert_eq!(world.operator(usize::MAX), 0);
    assert_eq!(specs(&world), before);
    for (metadata, template) in objects(&mut world) {
        let said = metadata.annotations.as_ref().unwrap()[labels::IMAGE].clone();
        assert_eq!(said, image(template));
        let annotations = template.metadata.as_ref().unwrap().annotations.as_ref();
        assert!(annotations.is_none_or(|all| !all.contains_key(labels::IMAGE)));
    }
}

#[test]
fn the_next_version_after_one_that_wrote_no_images_down_keeps_the_order() {
    let mut world = of_before(renewed("high-availability"));
    let mut passes = 0;
    while world.operator(usize::MAX) > 0 {
        in_order(&world);
        world.kubelet();
        in_order(&world);
        passes += 1;
    }
    assert!((3..10).contains(&passes), "{passes} passes");
    assert_eq!(world.report().version.as_deref(), Some(NEXT));
}
