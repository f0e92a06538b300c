//! What is known of an erased person goes from the analytics store, and does not come back.

use std::time::Duration;

use lotoai_e2e::PublicClient;
use lotoai_plan::env::USAGE_DATABASE;
use reqwest::Method;

use crate::clickhouse;
use crate::inside::Inside;
use crate::support::{ready, run, wait_for};

/// Over the event, and the deletion in the background.
const WITHIN: Duration = Duration::from_secs(120);

/// Erases somebody who has left.
async fn erase(client: &PublicClient, subject: &str) {
    let path = format!("/api/users/{subject}/data?confirm=erase-everything");
    let request = client.request(Method::DELETE, &path).await.unwrap();
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200, "{:?}", response.text().await);
}

#[test]
fn usage_of_an_erased_person_goes_and_does_not_come_back() {
    run(|| async {
        let (platform, client) = ready().await;
        let Some(inside) = Inside::of(&platform, "clickhouse").await else {
            return;
        };
        let ask = async |statement: String| {
            let told = clickhouse::ask(&platform, &inside, "analytics-clickhouse", statement).await;
            assert_eq!(told.status, 200, "{}", told.text);
            told.text.trim().to_owned()
        };
        let run = std::process::id();
        let (leaver, stayer) = (format!("leaver-{run}"), format!("stayer-{run}"));
        let table = format!("{USAGE_DATABASE}.usage_events");
        let add = async |subject: &str, id: &str, ended_at: &str| {
            ask(format!(
                "INSERT INTO {table} VALUES ('{subject}-{id}', {ended_at}, '{subject}', 'lotoai', \
                 'extractive', 'lotoai', 'knowledge', 'ok', NULL, NULL, NULL, 1)"
            ))
            .await;
        };
        let left = async |subject: &str| {
            ask(format!(
                "SELECT arrayStringConcat(arraySort(groupArray(run_id)), ' ') FROM {table} \
                 WHERE subject = '{subject}'"
            ))
            .await
        };
        let gone = async |what: &str| {
            wait_for(what, WITHIN, async || match left(&leaver).await {
                rows if rows == format!("{leaver}-later") => Ok(()),
                rows => Err(format!("{rows:?} are there")),
            })
            .await;
        };
        let earlier = "now() - INTERVAL 1 HOUR";
        add(&leaver, "first", earlier).await;
        add(&leaver, "later", "now() + INTERVAL 1 HOUR").await;
        add(&stayer, "first", earlier).await;
        erase(&client, &leaver).await;
        gone("the rows of the person to go").await;
        // An event that waited somewhere. It is looked for such rows now and then, and whenever
        // anybody is erased.
        add(&leaver, "late", earlier).await;
        erase(&client, &format!("another-{run}")).await;
        gone("a row that came late to go").await;
        assert_eq!(left(&stayer).await, format!("{stayer}-first"), "control");
        // Nobody ever asked that.
        ask(format!(
            "ALTER TABLE {table} DELETE WHERE subject IN ('{leaver}', '{stayer}')"
        ))
        .await;
    });
}
