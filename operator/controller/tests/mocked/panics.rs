//! Faults of the operator itself: a pass that panics.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use kube::Client;
use kube::client::Body;
use lotoai_operator::context::{CONCURRENCY, Context};
use lotoai_operator::error::ErrorClass;
use lotoai_operator::metrics::RECONCILIATIONS;
use lotoai_operator::probe::Probes;
use lotoai_operator::reconcile::reconcile;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use tokio::time::timeout;

use crate::demo::env;
use crate::reads::empty_list;
use crate::server::{Call, Log, response};
use crate::turns::{Unasked, platform_in};

/// A pass that panics is over at once.
const DEADLINE: Duration = Duration::from_secs(10);

/// A client that panics in the hands of whoever asks this, over a cluster without objects.
fn panicking(at: fn(&Call) -> bool) -> (Client, Log) {
    let log = Log::default();
    let calls = log.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let calls = calls.clone();
        async move {
            let call = Call::of(request).await;
            assert!(!at(&call), "a fault of the operator");
            let (status, mut body) = match call.method.as_str() {
                "GET" => empty_list(),
                _ => (200, call.body.clone()),
            };
            if call.path.ends_with("/status") {
                body["spec"] = json!({ "url": "https://lotoai.localhost" });
            }
            calls.note(call);
            Ok::<_, Infallible>(response(status, &body))
        }
    });
    (Client::new(service, "default"), log)
}

fn context(client: Client) -> Arc<Context> {
    Arc::new(Context::new(client, env(), Probes::new(Unasked), None))
}

#[tokio::test]
async fn a_pass_that_panics_is_an_error_that_status_event_and_metric_tell() {
    let recorder = PrometheusBuilder::new().build_recorder();
    // Passes run on the thread of this test.
    let _recording = metrics::set_default_local_recorder(&recorder);
    let (client, log) = panicking(|call| call.method == "GET" && call.path.ends_with("/secrets"));
    let context = context(client);
    let platform = Arc::new(platform_in("default"));
    let error = reconcile(platform, context).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Bug);
    assert_eq!(error.reason(), "Panicked");
    let told = error.to_string();
    assert!(told.contains("its log says where"), "{told}");
    assert!(!told.contains("a fault of the operator"), "{told}");

    let calls = log.calls();
    let status = calls.iter().find(|call| call.path.ends_with("/status"));
    let conditions = &status.expect("a status").body["status"]["conditions"];
    let ready = conditions.as_array().into_iter().flatten();
    let ready = ready.filter(|condition| condition["type"] == "Ready");
    let ready: Vec<_> = ready.collect();
    assert_eq!(ready.len(), 1, "{conditions}");
    assert_eq!(ready[0]["status"], "False");
    assert_eq!(ready[0]["reason"], "ReconcileFailed");
    let message = ready[0]["message"].as_str().unwrap_or_default();
    assert!(message.contains(&told), "{message}");
    let mut events = calls.iter().filter(|call| call.method == "POST");
    assert!(events.any(|call| call.path.ends_with("/events") && call.body["reason"] == "Panicked"));
    let of = r#"platform_namespace="default",platform="demo""#;
    let line = format!(r#"{RECONCILIATIONS}{{{of},outcome="panicked"}} 1"#);
    let text = recorder.handle().render();
    assert!(text.contains(&line), "{line} is not in\n{text}");
}

#[tokio::test]
async fn nothing_that_panics_ends_the_operator_or_takes_a_turn_for_ever() {
    let (client, log) = panicking(|_| true);
    let context = context(client);
    for _ in 0..=CONCURRENCY {
        let platform = Arc::new(platform_in("default"));
        let pass = timeout(DEADLINE, reconcile(platform, Arc::clone(&context)));
        let error = pass.await.expect("a turn is free").unwrap_err();
        assert_eq!(error.reason(), "Panicked");
    }
    assert!(log.calls().is_empty());
}
