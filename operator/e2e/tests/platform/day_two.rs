//! Day two: a platform is suspended and resumed, a budget ends.

use std::time::Duration;

use serde_json::json;

use crate::lifecycle::{check, remember};
use crate::support::{
    pods, ready, ready_with_corpus, resource, run, set_spec, wait_for, wait_ready,
};

/// How long a change of the whole platform may take.
const LIMIT: Duration = Duration::from_secs(300);

#[test]
fn a_suspended_platform_runs_nothing_and_keeps_its_data() {
    run(|| async {
        let (platform, client) = ready_with_corpus().await;
        let kept = remember(&client).await;
        set_spec(&platform, &json!({ "suspend": true })).await;
        wait_for("the platform to be suspended", LIMIT, async || {
            let left = pods(&platform).await.len();
            let resource = resource(&platform).await?;
            let conditions = resource["status"]["conditions"].as_array().unwrap();
            let ready = conditions.iter().find(|one| one["type"] == "Ready");
            match ready {
                Some(ready) if left == 0 && ready["reason"] == "Suspended" => Ok(()),
                _ => Err(format!("{left} pods, {ready:?}")),
            }
        })
        .await;
        client.ask("probe", "Anybody?").await.unwrap_err();
        set_spec(&platform, &json!({ "suspend": false })).await;
        wait_ready(&platform, LIMIT).await;
        check(&platform, &kept).await;
    });
}

#[test]
fn a_spent_budget_refuses_and_says_when_it_is_whole_again() {
    run(|| async {
        let (platform, client) = ready().await;
        // Others' questions count in it as well, so it begins spent.
        let budget = json!({ "name": "tight", "scope": "User", "per": "Day", "requests": 1 });
        set_spec(&platform, &json!({ "gateway": { "budgets": [budget] } })).await;
        wait_for("a refusal", LIMIT, async || {
            match client.ask("assistant", "Say hello.").await {
                Ok(answer) => Err(format!("an answer: {}", answer.text)),
                Err(error) => {
                    let told = error.to_string();
                    let right = told.contains("429") && told.contains("tight");
                    right.then_some(()).ok_or(told)
                }
            }
        })
        .await;
        let budgets = client.get("/api/budgets").await.unwrap();
        assert!(budgets.to_string().contains("tight"), "{budgets}");
        set_spec(&platform, &json!({ "gateway": null })).await;
        wait_for("an answer", LIMIT, async || {
            let answer = client.ask("assistant", "Say hello.").await;
            answer.map(drop).map_err(|error| error.to_string())
        })
        .await;
        wait_ready(&platform, LIMIT).await;
    });
}
