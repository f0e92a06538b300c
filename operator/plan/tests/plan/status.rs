//! Status against made-up states of the cluster: when a platform is ready.

mod components;
mod outcomes;
mod troubles;

use lotoai_api::{Component, LotoAIStatus};
use lotoai_plan::{Node, ObjectId, ProbeOutcome};

use crate::cluster::Cluster;
use crate::common::resource;

pub(crate) const T1: &str = "2026-11-22T10:00:00Z";

const T2: &str = "2026-11-22T10:05:00Z";

fn conditions(status: &LotoAIStatus) -> Vec<(&str, &str, &str)> {
    let all = status.conditions.iter();
    all.map(|c| (c.type_.as_str(), c.status.as_str(), c.reason.as_str()))
        .collect()
}

#[test]
fn what_was_just_sent_has_yet_to_be_rolled_out() {
    let mut cluster = Cluster::up();
    let mut lotoai = resource("minimal");
    lotoai.status = Some(cluster.status(&lotoai, &ProbeOutcome::Answered, T1));
    let agents = "demo-agents".to_owned();
    let mut metadata = cluster.observed.deployments[&agents].metadata.clone();
    metadata.generation = Some(2);
    let id = ObjectId {
        kind: "Deployment".to_owned(),
        name: agents,
    };
    cluster.observed.sent(&id, metadata);
    let status = cluster.status(&lotoai, &ProbeOutcome::Answered, T2);
    assert_eq!(
        conditions(&status),
        [
            ("Ready", "True", "Available"),
            ("Reconciling", "True", "Progressing")
        ]
    );
}

#[test]
fn ready_needs_every_component_and_an_answer() {
    let lotoai = resource("minimal");
    let cluster = Cluster::up();
    let status = cluster.status(&lotoai, &ProbeOutcome::Pending, T1);
    assert_eq!(
        conditions(&status),
        [
            ("Ready", "False", "ProbePending"),
            ("Reconciling", "True", "ProbePending")
        ]
    );
    let failed = ProbeOutcome::Failed {
        message: "HTTP 502".to_owned(),
    };
    let status = cluster.status(&lotoai, &failed, T1);
    assert_eq!(conditions(&status)[0], ("Ready", "False", "ProbeFailed"));
    assert!(status.conditions[0].message.contains("HTTP 502"));
    let status = cluster.status(&lotoai, &ProbeOutcome::Answered, T1);
    assert_eq!(conditions(&status), [("Ready", "True", "Available")]);
    assert_eq!(status.components_ready.as_deref(), Some("14/14"));
    assert_eq!(status.url.as_deref(), Some("https://lotoai.example.com"));
    assert_eq!(status.first_user_secret.as_deref(), Some("demo-first-user"));
    assert!(
        status
            .components
            .iter()
            .all(|component| component.message.is_empty())
    );
}

#[test]
fn a_platform_that_answered_is_ready_until_the_next_question_fails() {
    let mut cluster = Cluster::up();
    let mut lotoai = resource("minimal");
    lotoai.status = Some(cluster.status(&lotoai, &ProbeOutcome::Answered, T1));
    // The operator has just started.
    let status = cluster.status(&lotoai, &ProbeOutcome::Pending, T2);
    assert_eq!(status.condition("Ready").unwrap().status, "True");
    let failed = ProbeOutcome::Failed {
        message: "HTTP 502".to_owned(),
    };
    let status = cluster.status(&lotoai, &failed, T2);
    assert_eq!(status.condition("Ready").unwrap().status, "False");
    // An answer makes it ready again, though something that people do not need is still missing.
    lotoai.status = Some(status);
    cluster.set_ready(Node::Component(Component::Analytics), 0);
    let status = cluster.status(&lotoai, &ProbeOutcome::Answered, T2);
    assert_eq!(status.condition("Ready").unwrap().status, "True");
    // Where a component is down, or another spec was asked for, the last answer says nothing.
    lotoai.status = Some(status);
    let status = cluster.status(&lotoai, &ProbeOutcome::Pending, T2);
    assert_eq!(status.condition("Ready").unwrap().status, "False");
    cluster.set_ready(Node::Component(Component::Analytics), 1);
    let pending = cluster.status(&lotoai, &ProbeOutcome::Pending, T2);
    assert_eq!(pending.condition("Ready").unwrap().status, "True");
    lotoai.metadata.generation = lotoai
        .metadata
        .generation
        .map(|number| number + 1)
        .or(Some(7));
    let status = cluster.status(&lotoai, &ProbeOutcome::Pending, T2);
    assert_eq!(status.condition("Ready").unwrap().status, "False");
}

#[test]
fn the_first_time_an_answer_is_not_enough() {
    let mut lotoai = resource("minimal");
    let mut cluster = Cluster::up();
    cluster.set_ready(Node::Component(Component::Analytics), 0);
    // Neither in the first pass nor in later ones.
    for now in [T1, T2] {
        let judged = cluster.judge(&lotoai, &ProbeOutcome::Answered, now);
        let status = judged.status;
        assert_eq!(
            conditions(&status),
            [
                ("Ready", "False", "Progressing"),
                ("Reconciling", "True", "Progressing")
            ]
        );
        assert_eq!(status.components_ready.as_deref(), Some("13/14"));
        assert!(
            status.conditions[0]
                .message
                .starts_with("analytics: 0/1 pods ready")
        );
        assert_eq!(status.version, None, "it was never whole");
        assert_eq!(judged.upgrading_to, None);
        lotoai.status = Some(status);
    }
    cluster.ready(Node::Component(Component::Analytics));
    let status = cluster.status(&lotoai, &ProbeOutcome::Answered, T2);
    assert_eq!(conditions(&status), [("Ready", "True", "Available")]);
    assert_eq!(status.version.as_deref(), Some("9.9.9"));
}

#[test]
fn a_platform_that_answers_stays_ready_and_says_what_is_down() {
    let mut lotoai = resource("minimal");
    let mut cluster = Cluster::up();
    lotoai.status = Some(cluster.status(&lotoai, &ProbeOutcome::Answered, T1));
    cluster.set_ready(Node::Component(Component::Analytics), 0);
    let status = cluster.status(&lotoai, &ProbeOutcome::Answered, T2);
    assert_eq!(
        conditions(&status),
        [
            ("Ready", "True", "Available"),
            ("Reconciling", "True", "Progressing"),
            ("Degraded", "True", "Progressing"),
        ]
    );
    // Down for good: not ready, still degraded.
    lotoai.status = Some(status);
    let failed = ProbeOutcome::Failed {
        message: "timed out".to_owned(),
    };
    let status = cluster.status(&lotoai, &failed, T2);
    assert_eq!(status.condition("Ready").unwrap().status, "False");
    assert!(status.condition("Degraded").is_some());
    // And up again.
    lotoai.status = Some(status);
    cluster.ready(Node::Component(Component::Analytics));
    let status = cluster.status(&lotoai, &ProbeOutcome::Answered, T2);
    assert_eq!(conditions(&status), [("Ready", "True", "Available")]);
}

#[test]
fn nothing_new_gives_the_same_status() {
    let mut lotoai = resource("minimal");
    let cluster = Cluster::up();
    lotoai.status = Some(cluster.status(&lotoai, &ProbeOutcome::Answered, T1));
    let again = cluster.status(&lotoai, &ProbeOutcome::Answered, T2);
    assert_eq!(lotoai.status, Some(again));
}
