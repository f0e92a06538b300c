//! New generations of the resource and new versions.

use super::*;

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
fn the_first_version_that_a_platform_reaches_is_no_upgrade() {
    let mut teller = Teller::after(&[("Ready", "False", "Progressing", "")]);
    teller.before.as_mut().unwrap().version = None;
    let events = teller.pass(&[READY], &changing(&["demo-gateway"]));
    assert_eq!(told(&events), [(Normal, "Available")]);
}
