//! What the metric of a platform says of it after a pass.

use std::sync::Arc;

use kube::core::DeserializeGuard;
use lotoai_api::LotoAI;
use lotoai_operator::context::Context;
use lotoai_operator::metrics::{self, READY};
use lotoai_operator::probe::{Key, Probes};
use lotoai_operator::reconcile::reconcile;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};

use crate::demo::env;
use crate::reads::empty_list;
use crate::server::serve;
use crate::turns::Unasked;

/// All tests of a process share what is said.
const NAMESPACE: &str = "said-to-be-ready";

fn resource(metadata: &Value, spec: &Value) -> Arc<DeserializeGuard<LotoAI>> {
    let mut loto = json!({
        "apiVersion": "lotoai.dev/v1alpha1", "kind": "LotoAI",
        "metadata": { "name": "demo", "namespace": NAMESPACE, "uid": "u", "generation": 1 },
        "spec": { "url": "https://lotoai.localhost" },
    });
    for (part, more) in [("metadata", metadata), ("spec", spec)] {
        let fields = more.as_object().unwrap().clone();
        loto[part].as_object_mut().unwrap().extend(fields);
    }
    Arc::new(serde_json::from_value(loto).unwrap())
}

fn said() -> Option<String> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let text = metrics::render(&recorder.handle());
    let of = format!(r#"{READY}{{platform_namespace="{NAMESPACE}",platform="demo"}} "#);
    let value = text.lines().find_map(|line| line.strip_prefix(&of));
    value.map(str::to_owned)
}

#[tokio::test]
async fn a_platform_that_is_to_be_ready_is_said_not_to_be_and_no_other() {
    let (client, _) = serve(|call| match call.method.as_str() {
        "GET" => empty_list(),
        _ => {
            let mut body = call.body.clone();
            body["spec"] = json!({ "url": "https://lotoai.localhost" });
            (200, body)
        }
    });
    let context = Arc::new(Context::new(client, env(), Probes::new(Unasked), None));
    let pass = async |metadata: Value, spec: Value| {
        // Whatever it comes to.
        let _ = reconcile(resource(&metadata, &spec), Arc::clone(&context)).await;
        said()
    };
    let not_ready = Some("0".to_owned());
    assert_eq!(said(), None, "nobody has looked");
    // There is no pod that could be asked.
    assert_eq!(pass(json!({}), json!({})).await, not_ready);
    for at_rest in [json!({ "paused": true }), json!({ "suspend": true })] {
        assert_eq!(pass(json!({}), at_rest.clone()).await, None, "{at_rest}");
        assert_eq!(pass(json!({}), json!({})).await, not_ready, "{at_rest}");
    }
    let unreadable = json!({ "edge": { "service": 7 } });
    assert_eq!(pass(json!({}), unreadable).await, not_ready);
    let going = json!({ "deletionTimestamp": "2026-11-22T10:00:00Z" });
    assert_eq!(pass(going, json!({})).await, None);
    assert_eq!(pass(json!({}), json!({})).await, not_ready);
    context.probes.stop(&Key {
        namespace: NAMESPACE.to_owned(),
        name: "demo".to_owned(),
    });
    assert_eq!(said(), None, "gone");
}

#[tokio::test]
async fn a_probe_that_is_interrupted_leaves_what_is_said() {
    let key = Key {
        namespace: "interrupted".to_owned(),
        name: "demo".to_owned(),
    };
    let is_said = || {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::render(&recorder.handle()).contains(r#"platform_namespace="interrupted""#)
    };
    metrics::ready(&key, false);
    let probes = Probes::new(Unasked);
    // A moment without a word would begin the alert's time anew.
    probes.interrupt(&key);
    assert!(is_said());
    probes.stop(&key);
    assert!(!is_said());
}
