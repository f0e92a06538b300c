//! Day two: credentials are made anew, a platform is suspended and resumed, a budget ends.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use lotoai_e2e::Platform;
use serde_json::{Value, json};

use crate::lifecycle::{check, remember};
use crate::support::{
    NAME, NAMESPACE, answered_during, condition, pods, ready, ready_with_corpus, run, set_spec,
    wait_for, wait_ready,
};

/// How long a change of the whole platform may take.
const LIMIT: Duration = Duration::from_secs(300);

async fn resource(platform: &Platform) -> Value {
    let object = platform.resources().get(NAME).await.unwrap();
    serde_json::to_value(object).unwrap()
}

/// An account that takes turns with another, a client's secret that its user knows twice, and an
/// administrator's password.
const MADE_ANEW: [&str; 3] = ["gateway-postgres", "gateway-keycloak", "postgres-admin"];

#[test]
fn credentials_made_anew_fail_no_question() {
    run(|| async {
        let (platform, client) = ready().await;
        let secrets: Api<Secret> = Api::namespaced(platform.kube.clone(), NAMESPACE);
        let read = async |name: &str| secrets.get(&format!("{NAME}-{name}")).await.unwrap();
        let mut before = BTreeMap::new();
        let mut requests = BTreeMap::new();
        for name in MADE_ANEW {
            let secret = read(name).await;
            // Never the text of an earlier run.
            requests.insert(name, secret.metadata.resource_version.unwrap());
            before.insert(name, secret.data.unwrap());
        }
        set_spec(&platform, &json!({ "credentials": { "rotate": requests } })).await;

        let watching = async {
            // The gateway restarts three times.
            wait_for("the credentials to be made anew", 2 * LIMIT, async || {
                let resource = resource(&platform).await;
                let all = resource["status"]["credentials"].as_array().unwrap();
                for (name, request) in &requests {
                    let secret = format!("{NAME}-{name}");
                    let found = all.iter().find(|one| one["secret"] == *secret).unwrap();
                    if found["rotation"] != **request || !found["message"].is_null() {
                        return Err(found.to_string());
                    }
                }
                match condition(&resource, "Ready").as_str() {
                    "True" => Ok(()),
                    other => Err(format!("Ready={other}")),
                }
            })
            .await;
        };
        let asked = answered_during(&client, watching).await;
        println!("{asked} questions answered while credentials were made anew");
        for name in MADE_ANEW {
            let after = read(name).await.data.unwrap();
            assert_ne!(after["password"], before[name]["password"], "{name}");
            assert_eq!(after.keys().collect::<Vec<_>>(), ["password", "username"]);
            let turns = name == "gateway-postgres";
            assert_eq!(
                after["username"] != before[name]["username"],
                turns,
                "{name}"
            );
        }
    });
}

#[test]
fn a_suspended_platform_runs_nothing_and_keeps_its_data() {
    run(|| async {
        let (platform, client) = ready_with_corpus().await;
        let kept = remember(&client).await;
        set_spec(&platform, &json!({ "suspend": true })).await;
        wait_for("the platform to be suspended", LIMIT, async || {
            let left = pods(&platform).await.len();
            let resource = resource(&platform).await;
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
