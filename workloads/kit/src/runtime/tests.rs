use std::convert::Infallible;

use snafu::Snafu;

use super::*;

#[derive(Debug, Snafu)]
#[snafu(display("failed to start: the disk is full"))]
struct Full {
    source: std::io::Error,
}

fn common(drain_seconds: u64) -> CommonArgs {
    CommonArgs {
        listen: None,
        admin_listen: "127.0.0.1:0".parse().unwrap(),
        log: "info".to_owned(),
        platform: "test".to_owned(),
        drain_seconds,
        otel_exporter_otlp_endpoint: None,
        tls: crate::tls::TlsArgs::default(),
    }
}

async fn stop<E: StdError + Send + Sync + 'static>(
    service: &Service,
    failures: mpsc::UnboundedReceiver<Failure>,
    workload: impl Future<Output = Result<(), E>> + Send + 'static,
    drain_seconds: u64,
) -> Result<(), RunError> {
    let workload = tokio::spawn(workload);
    let common = common(drain_seconds);
    stop_in_order("test", &common, service, failures, workload, Duration::ZERO).await
}

#[test]
fn a_cause_is_told_once() {
    let error = Full {
        source: std::io::Error::other("the disk is full"),
    };
    assert_eq!(chain(&error), "failed to start: the disk is full");
    let error = Full {
        source: std::io::Error::other("quota of 10 GiB"),
    };
    assert_eq!(
        chain(&error),
        "failed to start: the disk is full: quota of 10 GiB"
    );
}

#[tokio::test]
async fn the_last_line_has_the_words_of_the_workload_and_its_word_for_the_operator() {
    let (service, failures) = Service::new("test");
    let refused = Told::new(Some("AuthFailed"), "failed to sign in");
    let workload = std::future::ready(Err(refused));
    let error = stop(&service, failures, workload, 1).await.unwrap_err();
    assert_eq!(chain(&error), "test failed: failed to sign in");
    assert_eq!(chain(error.cause()), "failed to sign in");
    assert_eq!(error.reason(), Some("AuthFailed"));

    let (service, failures) = Service::new("test");
    let other = std::future::ready(Err(std::io::Error::other("no")));
    let error = stop(&service, failures, other, 1).await.unwrap_err();
    assert_eq!(
        (chain(error.cause()).as_str(), error.reason()),
        ("no", None)
    );
}

#[tokio::test]
async fn a_workload_that_ends_well_ends_the_process_well() {
    let (service, failures) = Service::new("test");
    let done = std::future::ready(Ok::<_, Infallible>(()));
    stop(&service, failures, done, 1).await.unwrap();
    assert!(service.shutdown.is_cancelled());
    assert!(service.readiness.reasons().contains_key("process"));
}

#[tokio::test]
async fn a_failed_task_stops_the_workload_and_is_the_reason() {
    let (service, failures) = Service::new("test");
    let shutdown = service.shutdown.clone();
    service.spawn("outbox", async {
        Err::<(), _>(std::io::Error::other("the table is gone"))
    });
    let workload = async move {
        shutdown.cancelled().await;
        Ok::<_, Infallible>(())
    };
    let error = stop(&service, failures, workload, 5).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "task \"outbox\" failed: the table is gone"
    );
}

#[tokio::test]
async fn a_panicking_task_stops_the_workload_too() {
    let (service, failures) = Service::new("test");
    service.spawn("outbox", async {
        if std::hint::black_box(true) {
            panic!("text that may quote a document");
        }
        Ok::<_, Infallible>(())
    });
    let shutdown = service.shutdown.clone();
    let workload = async move {
        shutdown.cancelled().await;
        Ok::<_, Infallible>(())
    };
    let error = stop(&service, failures, workload, 5)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("task \"outbox\" failed: it panicked"),
        "{error}"
    );
    assert!(!error.contains("document"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ignores_the_stop_is_dropped_after_the_drain() {
    let (service, failures) = Service::new("test");
    service.spawn("stubborn", std::future::pending::<Result<(), Infallible>>());
    let done = std::future::ready(Ok::<_, Infallible>(()));
    let started = Instant::now();
    let error = stop(&service, failures, done, 7).await.unwrap_err();
    assert!(matches!(error, RunError::Drain { seconds: 7 }), "{error}");
    assert_eq!(started.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn the_stop_waits_for_work_that_is_being_finished() {
    let (service, failures) = Service::new("test");
    let shutdown = service.shutdown.clone();
    let (sender, mut receiver) = tokio::sync::oneshot::channel();
    service.spawn("finishing", async move {
        shutdown.cancelled().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        sender.send(()).unwrap();
        Ok::<_, Infallible>(())
    });
    let done = std::future::ready(Ok::<_, Infallible>(()));
    stop(&service, failures, done, 7).await.unwrap();
    receiver.try_recv().unwrap();
}

#[tokio::test(start_paused = true)]
async fn when_a_stop_is_asked_for_readiness_turns_first() {
    let (service, failures) = Service::new("test");
    service.readiness.register("http").ready();
    let shutdown = service.shutdown.clone();
    let workload = tokio::spawn(async move {
        shutdown.cancelled().await;
        Ok::<_, Infallible>(())
    });
    let (ask, asked) = tokio::sync::oneshot::channel();
    let asked = async { asked.await.unwrap() };
    let watching = async {
        assert!(service.readiness.is_ready());
        let asked = Instant::now();
        ask.send(UNROUTE).unwrap();
        while service.readiness.is_ready() {
            tokio::task::yield_now().await;
        }
        assert_eq!(asked.elapsed(), Duration::ZERO);
        // Who was told nothing of it yet is served as before.
        assert!(!service.shutdown.is_cancelled());
        service.shutdown.cancelled().await;
        assert_eq!(asked.elapsed(), UNROUTE);
    };
    let common = common(25);
    let stopping = stop_when(asked, "test", &common, &service, failures, workload);
    let (stopped, ()) = tokio::join!(stopping, watching);
    stopped.unwrap();
}
