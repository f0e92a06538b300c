//! How long pods have to stop.

use lotoai_api::Component;
use lotoai_plan::Node;

use super::{container, template, templates};
use crate::common::{FIXTURES, objects};

/// What a process of ours does after the last answer: it sends its telemetry and closes.
const REST_SECONDS: i64 = 5;
/// Answers may take so long after a stop, and the gateway keeps the same time as the rest of its own
/// for its farewell to those that take longer.
const ANSWER_SECONDS: i64 = 30;

fn drain_seconds(template: &k8s_openapi::api::core::v1::PodTemplateSpec) -> Option<i64> {
    let mut env = container(template).env.iter().flatten();
    let drain = env.find(|variable| variable.name == "DRAIN_SECONDS")?;
    Some(drain.value.as_ref().unwrap().parse().unwrap())
}

#[test]
fn every_pod_has_the_time_that_its_process_takes() {
    for fixture in FIXTURES {
        let (platform, set) = objects(fixture);
        for (name, template) in templates(&set) {
            let pod = template.spec.as_ref().unwrap();
            let grace = pod.termination_grace_period_seconds.unwrap();
            match drain_seconds(template) {
                Some(drain) => assert!(drain + REST_SECONDS <= grace, "{name}"),
                None => assert!(grace >= 30, "{name}"),
            }
            // It would count in the grace.
            let lifecycle = container(template).lifecycle.as_ref();
            let pre_stop = lifecycle.and_then(|it| it.pre_stop.as_ref());
            let expected = name.ends_with("-postgres") && !name.contains("provision");
            assert_eq!(pre_stop.is_some(), expected, "{name}");
        }
        for component in [
            Component::Gateway,
            Component::Orchestrator,
            Component::Agents,
            Component::ModelServer,
        ] {
            let template = template(&platform, &set, Node::Component(component));
            let drain = drain_seconds(template).unwrap();
            assert_eq!(drain, ANSWER_SECONDS + REST_SECONDS, "{component:?}");
        }
    }
}
