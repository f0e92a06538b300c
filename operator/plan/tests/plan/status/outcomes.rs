//! Passes that did not come to their end, or were not to.

use lotoai_api::{Component, LotoAIStatus};
use lotoai_plan::{Node, Observed, Outcome, ProbeOutcome};
use rstest::rstest;
use serde_json::json;

use super::{T1, T2, conditions};
use crate::cluster::Cluster;
use crate::common::{operator, resource};

/// The status after a pass with this outcome.
fn told(cluster: &Cluster, outcome: Outcome<'_>) -> LotoAIStatus {
    let lotoai = resource("minimal");
    cluster
        .judge_outcome(&lotoai, &ProbeOutcome::Pending, T1, outcome)
        .status
}

#[test]
fn faults_pause_failure_and_deletion_are_told() {
    let cluster = Cluster::up();
    let env = operator("minimal");
    let faults =
        lotoai_plan::validate(&resource("custom"), &Observed::default(), &env).unwrap_err();
    let invalid = told(&cluster, Outcome::Invalid(&faults));
    assert_eq!(
        conditions(&invalid),
        [
            ("Ready", "False", "SecretNotFound"),
            ("Stalled", "True", "SecretNotFound")
        ]
    );
    assert!(
        invalid.conditions[0]
            .message
            .contains("spec.edge.tls.secretName: Secret")
    );
    assert!(
        invalid.conditions[0]
            .message
            .contains("spec.agents.providers[openai]")
    );
    let platform = &cluster.platform;
    let paused = told(&cluster, Outcome::Paused { platform });
    assert_eq!(conditions(&paused), [("Ready", "Unknown", "Paused")]);
    assert_eq!(paused.components_ready.as_deref(), Some("14/14"));
    let failed = Outcome::Failed {
        platform: None,
        message: "failed to apply x",
    };
    let failed = told(&cluster, failed);
    assert_eq!(
        conditions(&failed)[0],
        ("Ready", "False", "ReconcileFailed")
    );
    let deleting = told(&cluster, Outcome::Deleting);
    assert_eq!(conditions(&deleting)[0], ("Ready", "False", "Deleting"));
}

#[test]
fn a_refused_object_hides_nothing_of_the_rest_and_is_waited_for() {
    let mut lotoai = resource("minimal");
    let mut cluster = Cluster::up();
    let refused = ("Reconciling", "True", "ReconcileFailed");
    // It never answered.
    let status = cluster.refused(&lotoai, &ProbeOutcome::Pending, T1);
    let never = ("Ready", "False", "ReconcileFailed");
    assert_eq!(conditions(&status), [never, refused]);
    assert_eq!(
        status.condition("Ready").unwrap().message,
        "failed to apply x"
    );

    lotoai.status = Some(cluster.status(&lotoai, &ProbeOutcome::Answered, T1));
    let status = cluster.refused(&lotoai, &ProbeOutcome::Answered, T2);
    let answers = ("Ready", "True", "Available");
    assert_eq!(conditions(&status), [answers, refused]);
    let failed = ProbeOutcome::Failed {
        message: "HTTP 502".to_owned(),
    };
    let status = cluster.refused(&lotoai, &failed, T2);
    let silent = ("Ready", "False", "ProbeFailed");
    assert_eq!(conditions(&status), [silent, refused]);

    cluster.set_ready(Node::Component(Component::Analytics), 0);
    let status = cluster.refused(&lotoai, &ProbeOutcome::Answered, T2);
    let degraded = ("Degraded", "True", "Progressing");
    assert_eq!(conditions(&status), [answers, refused, degraded]);
    // And it ends with the refusal.
    cluster.set_ready(Node::Component(Component::Analytics), 1);
    lotoai.status = Some(status);
    let status = cluster.status(&lotoai, &ProbeOutcome::Answered, T2);
    assert_eq!(conditions(&status), [answers]);
}

#[test]
fn a_platform_that_somebody_must_mend_is_stalled_whatever_was_refused() {
    let mut cluster = Cluster::up();
    cluster.set_ready(Node::Component(Component::Agents), 0);
    cluster.pod(
        Component::Agents,
        json!({ "containerStatuses": [{
            "name": "agents", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": "ImagePullBackOff", "message": "not found" } },
        }] }),
    );
    let status = cluster.refused(&resource("minimal"), &ProbeOutcome::Pending, T1);
    let usual = cluster.status(&resource("minimal"), &ProbeOutcome::Pending, T1);
    assert!(status.condition("Stalled").is_some());
    assert_eq!(conditions(&status), conditions(&usual));
}

/// Whoever keeps the operator from renewing certificates is told while there is time.
#[rstest]
#[case::fresh("2027-01-10T00:00:00Z", None)]
#[case::two_weeks_late("2026-12-01T00:00:00Z", Some("ends at 2026-12-01T00:00:00Z"))]
#[case::over("2026-11-20T00:00:00Z", Some("ended at 2026-11-20T00:00:00Z"))]
fn a_certificate_that_nobody_renews_is_in_the_message(
    #[case] end: &str,
    #[case] said: Option<&str>,
) {
    let mut cluster = Cluster::up();
    let secret = json!({ "metadata": { "annotations": { "lotoai.dev/not-after": end } } });
    let secret = serde_json::from_value(secret).unwrap();
    let secrets = &mut cluster.observed.secrets;
    secrets.insert("demo-gateway-tls".to_owned(), secret);
    let platform = &cluster.platform;
    let message = "failed to apply x";
    for outcome in [
        Outcome::Paused { platform },
        Outcome::Failed {
            platform: Some(platform),
            message,
        },
    ] {
        let status = told(&cluster, outcome);
        let message = &status.condition("Ready").unwrap().message;
        let found = message.contains("the certificate in Secret demo-gateway-tls");
        assert_eq!(found, said.is_some(), "{message}");
        assert!(message.contains(said.unwrap_or_default()), "{message}");
    }
}
