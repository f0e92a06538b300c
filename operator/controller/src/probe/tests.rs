use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use futures::future::BoxFuture;
use lotoai_plan::ProbeQuestion;

use super::*;

/// Fails until the given number of questions were asked, then answers.
struct Warming {
    asked: Arc<AtomicUsize>,
    failures: usize,
}

impl Ask for Warming {
    fn ask<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, Result<(), Error>> {
        let count = self.asked.fetch_add(1, Ordering::SeqCst);
        let outcome = if count < self.failures {
            Err(Error::NoCitation)
        } else {
            Ok(())
        };
        Box::pin(async move { outcome })
    }
}

/// Answers, then panics while it makes or asks the second and the third question, then answers.
struct Faulty {
    asked: AtomicUsize,
}

impl Ask for Faulty {
    fn ask<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, Result<(), Error>> {
        let count = self.asked.fetch_add(1, Ordering::SeqCst);
        assert_ne!(count, 1, "hunter2");
        Box::pin(async move {
            assert_ne!(count, 2, "hunter2");
            Ok(())
        })
    }
}

/// Probes whose platform fails so often before it answers, and how often it was asked.
fn warming(failures: usize) -> (Probes, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let probes = Probes::new(Warming {
        asked: Arc::clone(&asked),
        failures,
    });
    (probes, asked)
}

fn target(edge_host: &str) -> Target {
    Target {
        question: ProbeQuestion {
            url: "https://lotoai.example".to_owned(),
            edge_host: edge_host.to_owned(),
            edge_port: 443,
            token_path: Some("/token"),
            path: "/ask",
            model: "probe",
            credential_secret: "demo-operator-traefik".to_owned(),
            tls_secret: "demo-tls".to_owned(),
            self_signed: true,
        },
        roots: String::new(),
        proof: Proof::Client {
            token_path: "/token",
            id: "lotoai-probe".to_owned(),
            secret: "secret".to_owned(),
            standby: None,
        },
    }
}

fn key() -> Key {
    Key {
        namespace: "default".to_owned(),
        name: "demo".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn wakes_on_change_and_slows_down_once_it_is_answered() {
    let (probes, asked) = warming(3);
    let mut changes = Box::pin(probes.changes());
    assert_eq!(
        probes.keep(&key(), target("192.0.2.1")),
        ProbeOutcome::Pending
    );

    let started = Instant::now();
    assert_eq!(
        changes.next().await,
        Some(key()),
        "the platform in question"
    );
    let failed = probes.keep(&key(), target("192.0.2.1"));
    assert!(
        matches!(&failed, ProbeOutcome::Failed { message: cause } if cause.contains("cites no passage")),
        "{failed:?}"
    );
    changes.next().await.unwrap();
    assert_eq!(
        probes.keep(&key(), target("192.0.2.1")),
        ProbeOutcome::Answered
    );
    assert_eq!(started.elapsed(), EAGER * 3, "three failures are 2 s apart");
    assert_eq!(asked.load(Ordering::SeqCst), 4);

    tokio::time::sleep(STEADY * 4 + Duration::from_secs(1)).await;
    assert_eq!(asked.load(Ordering::SeqCst), 8, "one question every 30 s");
}

#[tokio::test(start_paused = true)]
async fn a_question_that_panics_has_failed_and_others_follow() {
    let probes = Probes::new(Faulty {
        asked: AtomicUsize::new(0),
    });
    let mut changes = Box::pin(probes.changes());
    probes.keep(&key(), target("192.0.2.1"));
    let started = Instant::now();
    changes.next().await.unwrap();
    assert_eq!(probes.last(&key()), ProbeOutcome::Answered);
    changes.next().await.unwrap();
    assert_eq!(started.elapsed(), STEADY);
    let ProbeOutcome::Failed { message } = probes.last(&key()) else {
        panic!("the last answer stands");
    };
    assert_eq!(message, PANICKED);
    changes.next().await.unwrap();
    assert_eq!(probes.last(&key()), ProbeOutcome::Answered);
    assert_eq!(
        started.elapsed(),
        STEADY + EAGER * 2,
        "both were asked again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stopped_probe_asks_no_more_and_forgets_its_outcome() {
    let (probes, asked) = warming(0);
    let mut changes = Box::pin(probes.changes());
    probes.keep(&key(), target("192.0.2.1"));
    changes.next().await.unwrap();
    probes.stop(&key());
    tokio::time::sleep(STEADY * 10).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(
        probes.keep(&key(), target("192.0.2.1")),
        ProbeOutcome::Pending
    );
    probes.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_no_pass_wants_ends_by_itself() {
    let (probes, asked) = warming(0);
    probes.keep(&key(), target("192.0.2.1"));
    tokio::time::sleep(FORGET * 2).await;
    let before = asked.load(Ordering::SeqCst);
    tokio::time::sleep(STEADY * 10).await;
    assert_eq!(asked.load(Ordering::SeqCst), before);
}

#[tokio::test(start_paused = true)]
async fn passes_that_do_not_know_where_to_ask_keep_a_probe_going() {
    let (probes, asked) = warming(0);
    let mut changes = Box::pin(probes.changes());
    probes.keep(&key(), target("192.0.2.1"));
    changes.next().await.unwrap();
    for _ in 0..4 {
        tokio::time::sleep(FORGET / 2).await;
        assert_eq!(probes.last(&key()), ProbeOutcome::Answered);
    }
    let before = asked.load(Ordering::SeqCst);
    tokio::time::sleep(STEADY * 2).await;
    assert!(asked.load(Ordering::SeqCst) > before, "nobody asks");
}

#[tokio::test(start_paused = true)]
async fn what_a_probe_said_that_has_ended_is_worth_nothing() {
    let (probes, _) = warming(0);
    let mut changes = Box::pin(probes.changes());
    probes.keep(&key(), target("192.0.2.1"));
    changes.next().await.unwrap();
    tokio::time::sleep(FORGET * 2).await;
    assert_eq!(probes.last(&key()), ProbeOutcome::Pending);
    // Nor does it come back without anybody to ask.
    assert_eq!(probes.last(&key()), ProbeOutcome::Pending);
}

#[tokio::test(start_paused = true)]
async fn a_changed_target_starts_afresh() {
    let (probes, _) = warming(0);
    let mut changes = Box::pin(probes.changes());
    probes.keep(&key(), target("192.0.2.1"));
    changes.next().await.unwrap();
    assert_eq!(
        probes.keep(&key(), target("192.0.2.2")),
        ProbeOutcome::Pending
    );
}

#[tokio::test(start_paused = true)]
async fn another_secret_asks_at_once_and_keeps_the_outcome_until_it_is_answered() {
    let (probes, asked) = warming(0);
    let mut changes = Box::pin(probes.changes());
    probes.keep(&key(), target("192.0.2.1"));
    changes.next().await.unwrap();
    let mut anew = target("192.0.2.1");
    anew.proof = Proof::Client {
        token_path: "/token",
        id: "lotoai-probe".to_owned(),
        secret: "another".to_owned(),
        standby: Some("secret".to_owned()),
    };
    assert_eq!(probes.keep(&key(), anew), ProbeOutcome::Answered);
    tokio::time::sleep(EAGER).await;
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[test]
fn a_target_never_prints_its_secret() {
    let mut target = target("192.0.2.1");
    if let Proof::Client { standby, .. } = &mut target.proof {
        *standby = Some("standby".to_owned());
    }
    let printed = format!("{target:?}");
    assert!(!printed.contains("\"secret\"") && !printed.contains("standby"));
}
