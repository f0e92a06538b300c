//! Policies of the cluster that rewrite images, and objects that do not say yet which was planned for
//! them.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use lotoai_api::{Component, versions};
use lotoai_plan::{Node, ObjectId, labels};
use rstest::rstest;

use super::upgrade::{NEXT, image, images, in_order, renewed};
use super::world::{World, admit};

const REWRITTEN: &str = "mirror.corp/";

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
