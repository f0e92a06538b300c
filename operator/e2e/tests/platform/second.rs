//! A second platform beside the first, on the first one's stores: several resources in a namespace,
//! and external PostgreSQL, RabbitMQ, ClickHouse and S3 that are real.

use std::time::Duration;

use crate::beside::{self, STORES};
use crate::support::{NAME, condition, ready, run};

const SECOND: &str = "second";
/// It starts a second Keycloak on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(360);

#[test]
fn a_second_platform_runs_on_stores_that_are_there_already() {
    run(|| async {
        let (platform, client) = ready().await;
        beside::remove(&platform, SECOND).await;
        let spec = beside::on_the_first_ones_stores(SECOND);
        beside::make(&platform, SECOND, &STORES, &spec).await;

        let object = beside::wait_ready(&platform, SECOND, READY_LIMIT).await;
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

        beside::remove(&platform, SECOND).await;
    });
}
