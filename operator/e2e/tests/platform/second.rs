//! A second platform beside the first, on the first one's stores: several resources in a namespace,
//! external PostgreSQL, RabbitMQ, ClickHouse and S3 that are real, and a chart of somebody's that
//! holds a platform.

use std::time::Duration;

use lotoai_e2e::Platform;
use serde_json::{Value, json};

use crate::beside::{self, STORES};
use crate::helm::{self, Chart};
use crate::support::{NAME, condition, ready, run};

const SECOND: &str = "second";
/// It starts a second Keycloak on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(360);
/// The operator has said what it misses long before.
const NEVER_LIMIT: Duration = Duration::from_secs(15);
/// A Secret that nobody makes.
const MISSING: &str = "second-no-such-key";

#[test]
fn a_second_platform_runs_on_stores_that_are_there_already() {
    run(|| async {
        let (platform, client) = ready().await;
        remove(&platform).await;
        waiting_for_what_is_not_there_fails(&platform).await;
        remove(&platform).await;

        beside::invite(&platform, SECOND, &STORES).await;
        let spec = beside::on_the_first_ones_stores(SECOND);
        let chart = Chart::new(SECOND, &beside::object(SECOND, &spec));
        chart.install(READY_LIMIT).await.unwrap();
        // Helm says so when the platform is Ready, and not before.
        let object = resource(&platform).await;
        assert_eq!(condition(&object, "Ready"), "True", "{object}");
        let components = object["status"]["components"].as_array().unwrap();
        let mut external: Vec<&str> = components
            .iter()
            .filter(|component| component["mode"] == "External")
            .filter_map(|component| component["name"].as_str())
            .collect();
        external.sort_unstable();
        assert_eq!(external, STORES);
        assert_eq!(object["status"]["componentsReady"], "10/10");
        // The first one went on as if nothing had happened.
        let first = platform.resources().get(NAME).await.unwrap();
        let first = serde_json::to_value(&first).unwrap();
        assert_eq!(condition(&first, "Ready"), "True");
        client.ask("lotoai", "Who are you?").await.unwrap();

        remove(&platform).await;
    });
}

async fn remove(platform: &Platform) {
    helm::uninstall(SECOND).await;
    beside::remove(platform, SECOND).await;
}

async fn resource(platform: &Platform) -> Value {
    let object = platform.resources().get(SECOND).await.unwrap();
    serde_json::to_value(&object).unwrap()
}

/// The same chart of a platform that lacks a Secret: Helm waits until its time is over.
async fn waiting_for_what_is_not_there_fails(platform: &Platform) {
    let mut spec = beside::on_the_first_ones_stores(SECOND);
    let provider =
        json!({ "name": "none", "kind": "OpenAI", "apiKeySecretRef": { "name": MISSING } });
    spec["agents"] = json!({ "providers": [provider] });
    let chart = Chart::new(SECOND, &beside::object(SECOND, &spec));
    chart.install(NEVER_LIMIT).await.unwrap_err();
    let object = resource(platform).await;
    assert_ne!(condition(&object, "Ready"), "True", "{object}");
    let status = object["status"].to_string();
    assert!(status.contains(MISSING), "{status}");
}
