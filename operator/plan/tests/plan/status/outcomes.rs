//! Passes that did not come to their end, or were not to.

use lotoai_api::{Component, LotoAI, LotoAIStatus};
use lotoai_plan::{Node, Observed, Outcome, ProbeOutcome};
use rstest::rstest;
use serde_json::json;

use super::{T1, T2, conditions};
use crate::cluster::Cluster;
use crate::common::{operator, provided, resource};

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

/// A platform that is ready, and its resource.
fn serving() -> (Cluster, LotoAI) {
    let cluster = Cluster::up();
    let mut lotoai = resource("minimal");
    lotoai.status = Some(cluster.status(&lotoai, &ProbeOutcome::Answered, T1));
    (cluster, lotoai)
}

fn silent() -> ProbeOutcome {
    ProbeOutcome::Failed {
        message: "HTTP 502".to_owned(),
    }
}

/// The status after a pass that failed, after it had seen the platform or before.
fn failed(cluster: &Cluster, lotoai: &LotoAI, probe: &ProbeOutcome, saw_it: bool) -> LotoAIStatus {
    let outcome = Outcome::Failed {
        platform: saw_it.then_some(&cluster.platform),
        message: "failed to apply x",
    };
    cluster.judge_outcome(lotoai, probe, T2, outcome).status
}

#[rstest]
#[case::while_it_answers(ProbeOutcome::Answered, false, ("Ready", "True", "Available"))]
#[case::while_it_does_not(silent(), true, ("Ready", "False", "ReconcileFailed"))]
#[case::after_a_start(ProbeOutcome::Pending, true, ("Ready", "True", "Available"))]
#[case::after_a_start_before_it_saw_anything(
    ProbeOutcome::Pending,
    false,
    ("Ready", "Unknown", "ReconcileFailed")
)]
fn a_pass_that_fails_takes_nothing_from_a_platform_that_serves(
    #[case] probe: ProbeOutcome,
    #[case] saw_it: bool,
    #[case] ready: (&str, &str, &str),
) {
    let (cluster, mut lotoai) = serving();
    let at_work = ("Reconciling", "True", "ReconcileFailed");
    // However often it fails.
    for _ in 0..2 {
        let status = failed(&cluster, &lotoai, &probe, saw_it);
        assert_eq!(conditions(&status), [ready, at_work]);
        lotoai.status = Some(status);
    }
    // And it goes on as before once a pass succeeds.
    let answers = ready.1 != "False";
    let status = cluster.status(&lotoai, &ProbeOutcome::Pending, T2);
    let is = status.condition("Ready").unwrap().status == "True";
    assert_eq!(is, answers);
}

#[test]
fn a_failing_pass_after_a_start_says_what_it_sees_of_a_platform_that_is_down_or_changed() {
    let (mut cluster, mut lotoai) = serving();
    let pending = &ProbeOutcome::Pending;
    let lost = ("Ready", "False", "ReconcileFailed");
    cluster.set_ready(Node::Component(Component::Gateway), 0);
    assert_eq!(
        conditions(&failed(&cluster, &lotoai, pending, true))[0],
        lost
    );
    cluster.ready(Node::Component(Component::Gateway));
    lotoai.metadata.generation = Some(2);
    assert_eq!(
        conditions(&failed(&cluster, &lotoai, pending, true))[0],
        lost
    );
    // What nobody has ever seen ready is not unknown.
    lotoai.status = None;
    assert_eq!(
        conditions(&failed(&cluster, &lotoai, pending, false))[0],
        lost
    );
    let paused = Outcome::Paused {
        platform: &cluster.platform,
    };
    lotoai.status = Some(told(&cluster, paused));
    assert_eq!(
        conditions(&failed(&cluster, &lotoai, pending, false))[0],
        lost
    );
}

#[test]
fn a_platform_that_serves_stays_ready_when_it_is_asked_for_what_cannot_be_done() {
    let (cluster, mut lotoai) = serving();
    lotoai.spec.url = "http://elsewhere.example.com".to_owned();
    lotoai.metadata.generation = Some(2);
    let faults = lotoai_plan::validate(&lotoai, &provided(), &operator("minimal")).unwrap_err();
    let invalid = |lotoai: &LotoAI, probe: &ProbeOutcome| {
        let outcome = Outcome::Invalid(&faults);
        cluster.judge_outcome(lotoai, probe, T2, outcome).status
    };
    let stalled = ("Stalled", "True", "InvalidSpec");

    let status = invalid(&lotoai, &ProbeOutcome::Answered);
    let answers = ("Ready", "True", "Available");
    assert_eq!(conditions(&status), [answers, stalled]);
    let message = &status.condition("Ready").unwrap().message;
    let where_it_runs = "Questions are answered at https://lotoai.example.com; ";
    assert!(message.starts_with(where_it_runs), "{message}");
    assert!(message.contains("not carried out: spec.url: "), "{message}");
    assert_eq!(status.version.as_deref(), Some("9.9.9"));

    let lost = ("Ready", "False", "InvalidSpec");
    let status = invalid(&lotoai, &silent());
    assert_eq!(conditions(&status), [lost, stalled]);

    // An operator that has just started cannot ask, and says so as long as it cannot.
    let unknown = ("Ready", "Unknown", "InvalidSpec");
    let mut later = lotoai.clone();
    for _ in 0..2 {
        let status = invalid(&later, &ProbeOutcome::Pending);
        assert_eq!(conditions(&status), [unknown, stalled]);
        later.status = Some(status);
    }

    // One that was never ready is not, whoever answers.
    lotoai.status = None;
    let status = invalid(&lotoai, &ProbeOutcome::Answered);
    assert_eq!(conditions(&status), [lost, stalled]);
}

/// A question that was lost while the operator is in trouble takes `Ready` until the next answer only.
#[rstest]
#[case::invalid(true, "InvalidSpec")]
#[case::failing(false, "ReconcileFailed")]
fn an_answer_makes_a_platform_ready_again_while_the_trouble_lasts(
    #[case] is_invalid: bool,
    #[case] reason: &str,
) {
    let (cluster, mut lotoai) = serving();
    let mut asked_for = lotoai.clone();
    asked_for.spec.url = "http://elsewhere.example.com".to_owned();
    let faults = lotoai_plan::validate(&asked_for, &provided(), &operator("minimal")).unwrap_err();
    let outcome = if is_invalid {
        Outcome::Invalid(&faults)
    } else {
        Outcome::Failed {
            platform: None,
            message: "failed to apply x",
        }
    };
    let answers = ("Ready", "True", "Available");
    let lost = ("Ready", "False", reason);
    for (probe, ready) in [
        (ProbeOutcome::Answered, answers),
        (silent(), lost),
        (ProbeOutcome::Answered, answers),
    ] {
        let status = cluster.judge_outcome(&lotoai, &probe, T2, outcome).status;
        assert_eq!(conditions(&status)[0], ready);
        lotoai.status = Some(status);
    }
}

#[test]
fn an_address_that_nobody_has_asked_is_not_ready_though_its_generation_was_seen() {
    let (cluster, mut lotoai) = serving();
    lotoai.metadata.generation = Some(2);
    // The first pass over it failed before it knew the address.
    let seen = failed(&cluster, &lotoai, &ProbeOutcome::Answered, false);
    assert_eq!(seen.observed_generation, Some(2));
    assert_eq!(conditions(&seen)[0], ("Ready", "True", "Available"));
    let pending = &ProbeOutcome::Pending;
    let never = [
        (
            "https://before.example.com",
            ("Ready", "False", "ProbePending"),
            "ReconcileFailed",
        ),
        (
            "https://lotoai.example.com",
            ("Ready", "True", "Available"),
            "Available",
        ),
    ];
    for (url, ready, reason) in never {
        lotoai.status = Some(LotoAIStatus {
            url: Some(url.to_owned()),
            ..seen.clone()
        });
        let status = cluster.status(&lotoai, pending, T2);
        assert_eq!(conditions(&status)[0], ready, "{url}");
        let status = failed(&cluster, &lotoai, pending, true);
        assert_eq!(conditions(&status)[0], (ready.0, ready.1, reason), "{url}");
    }
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
    let status = cluster.refused(&lotoai, &silent(), T2);
    let unanswered = ("Ready", "False", "ProbeFailed");
    assert_eq!(conditions(&status), [unanswered, refused]);

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
