//! The story over several passes: what a turn of conditions is told as.

mod done;
mod generations;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use rstest::rstest;

use super::*;

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
            due: None,
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
#[case::asked_for_what_cannot_be_done_while_it_serves(
    &[READY],
    &[
        ("Ready", "True", "Available", "Questions are answered; …: spec.url: …"),
        ("Stalled", "True", "InvalidSpec", "spec.url: …"),
    ],
    &[(Warning, "InvalidSpec")]
)]
#[case::nobody_knows_since_the_start(
    &[READY], &[("Ready", "Unknown", "ReconcileFailed", "failed to list …")],
    &[(Warning, "ReconcileFailed")]
)]
#[case::somebody_knows_again(
    &[("Ready", "Unknown", "ReconcileFailed", "failed to list …")], &[READY],
    &[(Normal, "Available")]
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
