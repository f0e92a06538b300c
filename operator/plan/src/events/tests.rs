use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use rstest::rstest;

use super::*;
use crate::rotation::{Change, Step};

/// Type, status, reason and message.
type Line<'a> = (&'a str, &'a str, &'a str, &'a str);

const SILENCE: [(Tone, &str); 0] = [];
const READY: Line<'static> = ("Ready", "True", "Available", "Questions are answered");
const ANALYTICS: &str = "analytics: Pod demo-analytics-0: ImagePullBackOff; see  kubectl …";
const GATEWAY: &str = "gateway: Pod demo-gateway-0: ImagePullBackOff; see  kubectl …";

fn status(conditions: &[Line<'_>], generation: i64, version: &str) -> LotoAIStatus {
    let conditions = conditions
        .iter()
        .map(|(type_, status, reason, message)| Condition {
            type_: (*type_).to_owned(),
            status: (*status).to_owned(),
            reason: (*reason).to_owned(),
            message: (*message).to_owned(),
            observed_generation: Some(generation),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        });
    LotoAIStatus {
        conditions: conditions.collect(),
        observed_generation: Some(generation),
        version: Some(version.to_owned()),
        ..LotoAIStatus::default()
    }
}

/// A platform whose passes a test gives one by one.
#[derive(Default)]
struct Teller {
    story: Story,
    before: Option<LotoAIStatus>,
    upgrading_to: Option<String>,
    seconds: i64,
}

impl Teller {
    /// A process that starts with this status written already.
    fn after(conditions: &[Line<'_>]) -> Self {
        Self {
            before: Some(status(conditions, 1, "1.0.0")),
            ..Self::default()
        }
    }

    fn pass(&mut self, conditions: &[Line<'_>], facts: &Facts) -> Vec<Event> {
        self.turn(status(conditions, 1, "1.0.0"), facts)
    }

    fn turn(&mut self, status: LotoAIStatus, facts: &Facts) -> Vec<Event> {
        let after = Judgement {
            status,
            about: BTreeMap::from([("Stalled", ObjectId::new("Pod", "demo-analytics-0"))]),
            upgrading_to: self.upgrading_to.clone(),
        };
        let turn = Turn {
            before: self.before.as_ref(),
            after: &after,
            facts,
        };
        let now = Timestamp::from_second(self.seconds).unwrap();
        let events = self.story.tell(&turn, now);
        self.before = Some(after.status);
        events
    }
}

fn told(events: &[Event]) -> Vec<(Tone, &str)> {
    events
        .iter()
        .map(|event| (event.tone, event.reason.as_str()))
        .collect()
}

fn changing(names: &[&str]) -> Facts {
    Facts {
        changed: names
            .iter()
            .map(|name| ObjectId::new("Deployment", name))
            .collect(),
        ..Facts::default()
    }
}

use Tone::{Normal, Warning};

#[rstest]
#[case::nothing_new(&[READY], &[READY], &[])]
#[case::became_ready(
    &[("Ready", "False", "Progressing", "")], &[READY], &[(Normal, "Available")]
)]
#[case::was_lost(
    &[READY], &[("Ready", "False", "ProbeFailed", "timed out")], &[(Warning, "ProbeFailed")]
)]
#[case::was_lost_to_a_part_that_is_not_ready(
    &[READY], &[("Ready", "False", "Progressing", "gateway: 0/1 pods ready")],
    &[(Warning, "NotReady")]
)]
#[case::lost_and_degraded_by_one_cause(
    &[READY],
    &[
        ("Ready", "False", "Progressing", "gateway: 0/1 pods ready"),
        ("Degraded", "True", "Progressing", "gateway: 0/1 pods ready"),
    ],
    &[(Warning, "NotReady")]
)]
#[case::lost_stalled_and_degraded_by_one_cause(
    &[READY],
    &[
        ("Ready", "False", "ImagePullFailed", ANALYTICS),
        ("Stalled", "True", "ImagePullFailed", ANALYTICS),
        ("Degraded", "True", "ImagePullFailed", ANALYTICS),
    ],
    &[(Warning, "ImagePullFailed")]
)]
#[case::lost_and_stalled_by_two_causes(
    &[READY],
    &[
        ("Ready", "False", "PodCrashLooping", "gateway: …"),
        ("Stalled", "True", "ImagePullFailed", ANALYTICS),
    ],
    &[(Warning, "ImagePullFailed"), (Warning, "PodCrashLooping")]
)]
#[case::degraded_while_ready(
    &[READY], &[READY, ("Degraded", "True", "Progressing", "analytics: 0/1 pods ready")],
    &[(Warning, "Degraded")]
)]
#[case::stalled_before_it_was_ever_ready(
    &[("Ready", "False", "Progressing", "")],
    &[
        ("Ready", "False", "ImagePullFailed", ANALYTICS),
        ("Stalled", "True", "ImagePullFailed", ANALYTICS),
    ],
    &[(Warning, "ImagePullFailed")]
)]
#[case::goes_on_stalling_in_other_words(
    &[("Stalled", "True", "ImagePullFailed", ANALYTICS)],
    &[("Stalled", "True", "ImagePullFailed", "analytics: Pod demo-analytics-0: ErrImagePull")],
    &[]
)]
#[case::stalls_for_another_reason(
    &[("Stalled", "True", "ImagePullFailed", ANALYTICS)],
    &[("Stalled", "True", "PodCrashLooping", "analytics: Pod demo-analytics-0: …")],
    &[(Warning, "PodCrashLooping")]
)]
#[case::stalls_at_another_part_for_the_same_reason(
    &[("Stalled", "True", "ImagePullFailed", ANALYTICS)],
    &[("Stalled", "True", "ImagePullFailed", GATEWAY)],
    &[(Warning, "ImagePullFailed")]
)]
#[case::another_field_is_wrong(
    &[("Stalled", "True", "InvalidSpec", "spec.url: …")],
    &[("Stalled", "True", "InvalidSpec", "spec.rag.chunk: …")],
    &[(Warning, "InvalidSpec")]
)]
#[case::paused_while_ready(
    &[READY], &[("Ready", "Unknown", "Paused", "")], &[(Normal, "Paused")]
)]
#[case::paused_before(
    &[("Ready", "False", "Progressing", "")], &[("Ready", "Unknown", "Paused", "")],
    &[(Normal, "Paused")]
)]
#[case::goes_on(
    &[("Ready", "Unknown", "Paused", "")], &[("Ready", "False", "ProbePending", "")],
    &[(Normal, "Resumed")]
)]
#[case::suspended_while_ready(
    &[READY],
    &[("Ready", "False", "Suspending", "gateway: …"), ("Reconciling", "True", "Suspending", "…")],
    &[(Normal, "Suspending")]
)]
#[case::suspended_at_last(
    &[("Ready", "False", "Suspending", "gateway: …")], &[("Ready", "False", "Suspended", "")],
    &[(Normal, "Suspended")]
)]
#[case::started_again(
    &[("Ready", "False", "Suspended", "")],
    &[("Ready", "False", "Progressing", "…"), ("Reconciling", "True", "Progressing", "…")],
    &[(Normal, "Resumed")]
)]
#[case::deleted_while_ready(
    &[READY], &[("Ready", "False", "Deleting", "")], &[(Normal, "Deleting")]
)]
#[case::deleted_while_paused(
    &[("Ready", "Unknown", "Paused", "")], &[("Ready", "False", "Deleting", "")],
    &[(Normal, "Deleting")]
)]
#[case::an_operator_that_has_just_started_asks_first(
    &[READY], &[("Ready", "False", "ProbePending", "")], &[(Normal, "ProbePending")]
)]
#[case::a_stall_ended(
    &[READY, ("Stalled", "True", "ImagePullFailed", ANALYTICS)], &[READY],
    &[(Normal, "Recovered")]
)]
#[case::degradation_ended(
    &[READY, ("Degraded", "True", "Progressing", "analytics: 0/1 pods ready")], &[READY],
    &[(Normal, "Recovered")]
)]
#[case::back_from_worse(
    &[
        ("Ready", "False", "ImagePullFailed", GATEWAY),
        ("Stalled", "True", "ImagePullFailed", GATEWAY),
    ],
    &[READY], &[(Normal, "Available")]
)]
fn events_come_on_transitions_only(
    #[case] before: &[Line<'_>],
    #[case] after: &[Line<'_>],
    #[case] expected: &[(Tone, &str)],
) {
    let mut teller = Teller::after(before);
    assert_eq!(told(&teller.pass(after, &Facts::default())), expected);
    // And never one per pass.
    assert_eq!(told(&teller.pass(after, &Facts::default())), SILENCE);
}

#[test]
fn a_pass_that_was_given_an_older_status_tells_nothing_twice() {
    let mut teller = Teller::after(&[("Ready", "False", "Progressing", "")]);
    let older = teller.before.clone();
    let events = teller.turn(status(&[READY], 2, "1.0.0"), &changing(&["demo-gateway"]));
    assert_eq!(
        told(&events),
        [(Normal, "Progressing"), (Normal, "Available")]
    );
    teller.before = older;
    let events = teller.turn(status(&[READY], 2, "1.0.0"), &changing(&["demo-agents"]));
    assert_eq!(told(&events), SILENCE);
}

#[test]
fn a_recovery_over_several_passes_says_what_recovered() {
    let mut teller = Teller::after(&[READY]);
    let stalled = [READY, ("Stalled", "True", "ImagePullFailed", ANALYTICS)];
    let events = teller.pass(&stalled, &Facts::default());
    assert_eq!(
        events[0].about,
        Some(ObjectId::new("Pod", "demo-analytics-0"))
    );
    assert_eq!(events[0].action, "Observe");
    let rolling = [
        READY,
        ("Reconciling", "True", "Progressing", "analytics: rolls out"),
    ];
    assert_eq!(told(&teller.pass(&rolling, &Facts::default())), SILENCE);
    let events = teller.pass(&[READY], &Facts::default());
    assert_eq!(told(&events), [(Normal, "Recovered")]);
    assert_eq!(
        events[0].note,
        "Every part is ready again, after analytics: Pod demo-analytics-0: ImagePullBackOff"
    );
}

#[test]
fn a_new_generation_is_told_when_it_changes_objects_and_when_it_is_rolled_out() {
    let mut teller = Teller::after(&[READY]);
    let second = |conditions: &[Line<'_>]| status(conditions, 2, "1.0.0");
    let rolling = [
        READY,
        ("Reconciling", "True", "Progressing", "gateway: rolls out"),
    ];
    // What was just changed shows its effect in the next pass only.
    let events = teller.turn(second(&[READY]), &changing(&["demo-gateway"]));
    assert_eq!(told(&events), [(Normal, "Progressing")]);
    assert_eq!(
        events[0].note,
        "Generation 2 of the resource changes Deployment/demo-gateway"
    );
    assert_eq!(
        told(&teller.turn(second(&rolling), &Facts::default())),
        SILENCE
    );
    // Further objects of the same generation are no news.
    let further = teller.turn(second(&rolling), &changing(&["demo-agents"]));
    assert_eq!(told(&further), SILENCE);
    let ended = teller.turn(second(&[READY]), &Facts::default());
    assert_eq!(told(&ended), [(Normal, "RolledOut")]);

    let third = status(&[READY], 3, "1.0.0");
    assert_eq!(
        told(&teller.turn(third.clone(), &Facts::default())),
        SILENCE
    );
    // A child that somebody altered is restored without a word.
    assert_eq!(
        told(&teller.turn(third, &changing(&["demo-gateway"]))),
        SILENCE
    );
}

#[test]
fn a_generation_whose_first_pass_failed_is_told_by_the_pass_that_changes_something() {
    let mut teller = Teller::after(&[READY]);
    let failing = [
        READY,
        ("Reconciling", "True", "ReconcileFailed", "no answer"),
    ];
    let failed = Facts {
        failure: Some(Failed {
            reason: "Dereference",
            action: "Observe",
            message: "no answer".to_owned(),
        }),
        ..Facts::default()
    };
    let events = teller.turn(status(&failing, 2, "1.0.0"), &failed);
    assert_eq!(told(&events), [(Warning, "Dereference")]);
    let events = teller.turn(status(&[READY], 2, "1.0.0"), &changing(&["demo-gateway"]));
    assert_eq!(told(&events), [(Normal, "Progressing")]);
    let events = teller.turn(status(&[READY], 2, "1.0.0"), &Facts::default());
    assert_eq!(told(&events), [(Normal, "Recovered")]);
}

#[test]
fn a_failure_that_takes_ready_is_told_once() {
    let mut teller = Teller::after(&[READY]);
    let failed = Facts {
        failure: Some(Failed {
            reason: "Apply",
            action: "Apply",
            message: "quota".to_owned(),
        }),
        ..Facts::default()
    };
    let lost = [("Ready", "False", "ReconcileFailed", "quota")];
    assert_eq!(told(&teller.pass(&lost, &failed)), [(Warning, "Apply")]);
    // Without a failure of its own to tell, the condition does.
    let mut teller = Teller::after(&[READY]);
    let events = teller.pass(&lost, &Facts::default());
    assert_eq!(told(&events), [(Warning, "ReconcileFailed")]);
}

#[test]
fn an_upgrade_is_told_from_its_first_change_to_its_end() {
    let mut teller = Teller::after(&[READY]);
    let new = |conditions: &[Line<'_>]| status(conditions, 1, "1.1.0");
    let pending = ("Ready", "False", "ProbePending", "");
    let events = teller.turn(new(&[pending]), &changing(&["demo-gateway"]));
    assert_eq!(
        told(&events),
        [(Normal, "Upgrading"), (Normal, "ProbePending")]
    );
    assert_eq!(
        events[0].note,
        "From version 1.0.0 to 1.1.0: changes Deployment/demo-gateway"
    );
    let rolling = [
        READY,
        ("Reconciling", "True", "Progressing", "gateway: rolls out"),
    ];
    let events = teller.turn(new(&rolling), &Facts::default());
    assert_eq!(told(&events), [(Normal, "Available")]);
    let events = teller.turn(new(&[READY]), &Facts::default());
    assert_eq!(told(&events), [(Normal, "Upgraded")]);

    // One that changes nothing is not worth a word.
    let mut teller = Teller::after(&[READY]);
    assert_eq!(
        told(&teller.turn(new(&[READY]), &Facts::default())),
        SILENCE
    );
}

#[test]
fn an_upgrade_from_component_to_component_is_told_once() {
    let mut teller = Teller::after(&[READY]);
    teller.upgrading_to = Some("1.1.0".to_owned());
    let rolling = [
        READY,
        ("Reconciling", "True", "Progressing", "gateway: upgrading"),
    ];
    let events = teller.pass(&rolling, &changing(&["demo-postgres"]));
    assert_eq!(told(&events), [(Normal, "Upgrading")]);
    for name in ["demo-keycloak", "demo-gateway"] {
        assert_eq!(told(&teller.pass(&rolling, &changing(&[name]))), SILENCE);
    }
    teller.upgrading_to = None;
    let events = teller.turn(status(&[READY], 1, "1.1.0"), &Facts::default());
    assert_eq!(told(&events), [(Normal, "Upgraded")]);
    assert_eq!(events[0].note, "Runs version 1.1.0 (before: 1.0.0)");
}

#[test]
fn questions_that_were_never_answered_are_told_when_they_go_on_failing() {
    let mut teller = Teller::after(&[("Ready", "False", "Progressing", "")]);
    let failing = |message| [("Ready", "False", "ProbeFailed", message)];
    assert_eq!(
        told(&teller.pass(&failing("502"), &Facts::default())),
        SILENCE
    );
    teller.seconds = 12;
    assert_eq!(
        told(&teller.pass(&failing("503"), &Facts::default())),
        SILENCE
    );
    teller.seconds = 24;
    let events = teller.pass(&failing("503"), &Facts::default());
    assert_eq!(told(&events), [(Warning, "ProbeFailed")]);
    assert_eq!((events[0].action, &*events[0].note), ("Probe", "503"));
    teller.seconds = 36;
    assert_eq!(
        told(&teller.pass(&failing("504"), &Facts::default())),
        SILENCE
    );
}

#[test]
fn a_store_is_told_once_for_each_of_its_jobs() {
    let complete = |job: &str| Facts {
        provisioned: Some(BTreeMap::from([(Store::Postgres, job.to_owned())])),
        ..Facts::default()
    };
    // A process that has just started does not know when that was.
    let mut teller = Teller::after(&[READY]);
    assert_eq!(told(&teller.pass(&[READY], &complete("a"))), SILENCE);
    let events = teller.pass(&[READY], &complete("b"));
    assert_eq!(told(&events), [(Normal, "Provisioned")]);
    assert_eq!(events[0].about, Some(ObjectId::new("Job", "b")));
    assert_eq!(told(&teller.pass(&[READY], &complete("b"))), SILENCE);
}

#[test]
fn what_a_pass_did_is_told_by_name_and_long_lists_are_cut() {
    let facts = Facts {
        made: (0..11).map(|n| format!("demo-{n}")).collect(),
        renewed: vec![Renewed {
            secret: "demo-tls".to_owned(),
            until: "2027-01-01T00:00:00Z".parse().unwrap(),
        }],
        started: vec![Started {
            stage: "edge",
            components: vec!["traefik"],
        }],
        pruned: vec![
            ObjectId::new("Job", "demo-old"),
            ObjectId::new("Service", "demo-x"),
        ],
        ..Facts::default()
    };
    let notes = |coming_up| {
        let events = facts.events(coming_up).into_iter();
        events.map(|event| event.note).collect::<Vec<_>>()
    };
    let expected = [
        "Made credentials in 11 Secrets: demo-0, demo-1, demo-2, demo-3, demo-4, demo-5, demo-6, \
         demo-7 and 3 more",
        "Secret demo-tls has a new certificate, good until 2027-01-01T00:00:00Z",
        "Starts the edge: traefik",
        "Deleted what nothing asks for: 2 objects: Job/demo-old, Service/demo-x",
    ];
    assert_eq!(notes(true), expected);
    assert_eq!(notes(false).len(), 3, "a running platform has started");
}

#[test]
fn the_steps_of_a_rotation_are_told_each_once_for_all_secrets() {
    let change = |secret: &str, step| Change {
        secret: secret.to_owned(),
        step,
        request: "2026-11-26".to_owned(),
        key: "password",
        username: None,
        until: None,
    };
    let facts = Facts {
        rotated: vec![
            change("demo-a", Step::Introduce),
            change("demo-b", Step::Introduce),
            change("demo-c", Step::Retire),
        ],
        ..Facts::default()
    };
    let events = facts.events(false);
    assert_eq!(told(&events), [(Normal, "Rotating"), (Normal, "Rotated")]);
    assert_eq!(
        events[0].note,
        "Made new credentials beside those in use: 2 Secrets: demo-a, demo-b"
    );
}

/// From `kubectl apply` to `Ready`, as the stages come.
#[test]
fn an_installation_gives_a_dozen_events() {
    let mut teller = Teller {
        // As the schema's default leaves it.
        before: Some(LotoAIStatus {
            observed_generation: None,
            version: None,
            ..status(&[("Ready", "Unknown", "Pending", "")], 1, "")
        }),
        ..Teller::default()
    };
    let stage = |stage, jobs: &[Store]| Facts {
        started: vec![Started {
            stage,
            components: vec!["a", "b"],
        }],
        provisioned: Some(
            jobs.iter()
                .map(|job| (*job, job.name().to_owned()))
                .collect(),
        ),
        ..changing(&["demo-a"])
    };
    let waiting = [
        ("Ready", "False", "Progressing", "…"),
        ("Reconciling", "True", "Progressing", "…"),
    ];
    let first = Facts {
        made: vec!["demo-a".to_owned()],
        ..stage("stores", &[])
    };
    let mut all = teller.pass(&waiting, &first);
    for facts in [
        stage("identity provider", &Store::ALL[..3]),
        stage("services", &Store::ALL),
        stage("edge", &Store::ALL),
        Facts::default(),
    ] {
        all.extend(teller.pass(&waiting, &facts));
    }
    all.extend(teller.pass(&[READY], &Facts::default()));
    all.extend(teller.pass(&[READY], &Facts::default()));
    let reasons: Vec<_> = all.iter().map(|event| event.reason.as_str()).collect();
    let expected = [
        "Progressing",
        "CredentialsMade",
        "Started",
        "Started",
        "Provisioned",
        "Provisioned",
        "Provisioned",
        "Started",
        "Provisioned",
        "Provisioned",
        "Started",
        "Available",
    ];
    assert_eq!(reasons, expected);
    assert!(all.iter().all(|event| event.tone == Normal));
}
