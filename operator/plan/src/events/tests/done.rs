//! What a pass did.

use super::*;
use crate::rotation::{Change, Step};

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
            given_by: None,
        }],
        prepared: Some(NextAuthority {
            secret: "demo-ca".to_owned(),
            given_by: Some("company-ca".to_owned()),
            from: "2026-12-01T00:00:00Z".parse().unwrap(),
        }),
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
        "Secret demo-ca has another authority, given in Secret company-ca: from now on everybody \
         trusts it too, and it signs from 2026-12-01T00:00:00Z on",
        "Starts the edge: traefik",
        "Deleted what nothing asks for: 2 objects: Job/demo-old, Service/demo-x",
    ];
    assert_eq!(notes(true), expected);
    assert_eq!(notes(false).len(), 4, "a running platform has started");
}

#[test]
fn what_was_deleted_is_told_although_the_pass_failed() {
    let facts = Facts {
        pruned: vec![ObjectId::new("Job", "demo-old")],
        failure: Some(Failed {
            reason: "Prune",
            action: "Prune",
            message: "failed to delete Service/demo-x: 500".to_owned(),
        }),
        ..Facts::default()
    };
    let expected = [(Normal, "Pruned"), (Warning, "Prune")];
    assert_eq!(told(&facts.events(false)), expected);
}

#[test]
fn the_steps_of_a_rotation_are_told_each_once_for_all_secrets() {
    let change = |secret: &str, step| Change {
        secret: secret.to_owned(),
        step,
        request: "2026-11-26".to_owned(),
        key: "password",
        given: None,
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
