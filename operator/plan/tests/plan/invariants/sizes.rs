//! Images, requests, limits and probes.

use lotoai_api::{Component, versions};
use lotoai_plan::Node;
use lotoai_plan::components::shared::resources::amount;
use rstest::rstest;

use super::{container, template, templates};
use crate::common::{FIXTURES, credentials, objects, operator, provided, resource};

#[test]
fn every_container_has_an_exact_image_resources_and_probes() {
    for fixture in FIXTURES {
        let (_, set) = objects(fixture);
        for (name, template) in templates(&set) {
            let container = container(template);
            let image = container.image.as_deref().unwrap();
            assert!(
                !["", "latest"].contains(&versions::tag(image)),
                "{name}: {image}"
            );
            let resources = container.resources.as_ref().unwrap();
            let requests = resources.requests.as_ref().unwrap();
            let limits = resources.limits.as_ref().unwrap();
            for key in ["cpu", "memory"] {
                assert!(amount(&requests[key].0) > 0, "{name}");
                assert!(amount(&requests[key].0) <= amount(&limits[key].0), "{name}");
            }
            if !name.starts_with("demo-provision") {
                assert!(container.startup_probe.is_some(), "{name}");
                assert!(container.liveness_probe.is_some(), "{name}");
                assert!(container.readiness_probe.is_some(), "{name}");
            }
        }
    }
}

#[test]
fn the_smallest_platform_fits_a_small_node() {
    let (_, set) = objects("minimal");
    let sum = |key: &str| -> u128 {
        templates(&set)
            .iter()
            .map(|(_, template)| {
                let resources = container(template).resources.as_ref().unwrap();
                amount(&resources.requests.as_ref().unwrap()[key].0)
            })
            .sum()
    };
    assert!(sum("cpu") <= 1000, "{}m", sum("cpu"));
    assert!(sum("memory") <= amount("4Gi"), "{}", sum("memory") / 1000);
}

#[rstest]
// A limit below the profile's request takes the request with it, and the other way round.
#[case("limits", "64Mi", "64Mi", "64Mi")]
#[case("requests", "3Gi", "3Gi", "3Gi")]
#[case("limits", "2Gi", "128Mi", "2Gi")]
fn one_given_value_moves_the_other_only_where_it_must(
    #[case] side: &str,
    #[case] memory: &str,
    #[case] request: &str,
    #[case] limit: &str,
) {
    let mut lotoai = resource("minimal");
    let given = serde_json::json!({ "resources": { side: { "memory": memory } } });
    let given = serde_json::from_value(given).unwrap();
    lotoai
        .spec
        .components
        .insert("rag-server".to_owned(), given);
    let platform = lotoai_plan::validate(&lotoai, &provided(), &operator("minimal")).unwrap();
    let set = lotoai_plan::build(&platform, &credentials(&platform));
    let template = template(&platform, &set, Node::Component(Component::RagServer));
    let resources = container(template).resources.as_ref().unwrap();
    assert_eq!(resources.requests.as_ref().unwrap()["memory"].0, request);
    assert_eq!(resources.limits.as_ref().unwrap()["memory"].0, limit);
}

#[test]
fn what_is_said_of_provision_holds_for_all_jobs_and_nothing_else() {
    let mut lotoai = resource("minimal");
    let given = serde_json::json!({
        "resources": { "requests": { "cpu": "7m" }, "limits": { "memory": "771Mi" } },
        "nodeSelector": { "pool": "jobs" },
        "tolerations": [{ "key": "jobs", "operator": "Exists" }],
        "podLabels": { "team": "jobs" },
        "podAnnotations": { "note": "jobs" },
    });
    let given = serde_json::from_value(given).unwrap();
    lotoai.spec.components.insert("provision".to_owned(), given);
    lotoai.validate_cel().unwrap();
    let platform = lotoai_plan::validate(&lotoai, &provided(), &operator("minimal")).unwrap();
    let set = lotoai_plan::build(&platform, &credentials(&platform));
    let mut jobs = 0;
    for (name, template) in templates(&set) {
        let is_job = name.starts_with("demo-provision");
        jobs += usize::from(is_job);
        let resources = container(template).resources.as_ref().unwrap();
        let limit = &resources.limits.as_ref().unwrap()["memory"].0;
        assert_eq!(limit == "771Mi", is_job, "{name}");
        let request = &resources.requests.as_ref().unwrap()["cpu"].0;
        assert_eq!(request == "7m", is_job, "{name}");
        let metadata = template.metadata.as_ref().unwrap();
        let spec = template.spec.as_ref().unwrap();
        let labelled = metadata.labels.as_ref().unwrap().contains_key("team");
        let annotations = metadata.annotations.as_ref();
        let noted = annotations.is_some_and(|annotations| annotations.contains_key("note"));
        let (placed, tolerant) = (spec.node_selector.is_some(), spec.tolerations.is_some());
        assert_eq!([labelled, noted, placed, tolerant], [is_job; 4], "{name}");
    }
    assert_eq!(jobs, lotoai_api::Store::ALL.len());
}
