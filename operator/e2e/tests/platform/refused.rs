//! A platform whose stores do not know it: what is wrong is told within a minute, by every provision
//! Job, and nothing is made anywhere.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use lotoai_e2e::Platform;
use lotoai_plan::labels;
use serde_json::{Value, json};

use crate::beside::{self, STORES};
use crate::dump::caught;
use crate::support::{NAMESPACE, ready, run, wait_for};

const REFUSED: &str = "refused";
/// Secret with an account that no store has.
const ACCOUNT: &str = "refused-account";
const PASSWORD: &str = "a-wrong-password-of-nobody";
/// Every attempt ended in silence after two minutes, once.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn stores_that_refuse_the_account_are_told_within_a_minute() {
    run(|| async {
        let (platform, _) = ready().await;
        remove(&platform).await;
        let work = Box::pin(is_refused(&platform));
        let outcome = caught(&platform.kube, &[NAMESPACE], work).await;
        remove(&platform).await;
        if let Err(failure) = outcome {
            resume_unwind(failure);
        }
    });
}

async fn is_refused(platform: &Platform) {
    let account = json!({
        "metadata": { "name": ACCOUNT },
        "stringData": { "username": "nobody", "password": PASSWORD },
    });
    let account = serde_json::from_value(account).unwrap();
    let parameters = PostParams::default();
    secrets(platform)
        .create(&parameters, &account)
        .await
        .unwrap();
    beside::make(platform, REFUSED, &STORES, &spec()).await;

    let stalled = wait_for("the refusal to be told", LIMIT, async || {
        let object = platform.resources().get(REFUSED).await;
        let object = object.map_err(|error| error.to_string())?;
        let object = serde_json::to_value(&object).map_err(|error| error.to_string())?;
        let conditions = object["status"]["conditions"].as_array().cloned();
        let mut conditions = conditions.unwrap_or_default().into_iter();
        let stalled = conditions.find(|condition| condition["type"] == "Stalled");
        stalled.ok_or_else(|| object["status"].to_string())
    })
    .await;
    assert_eq!(stalled["reason"], "AuthFailed", "{stalled}");
    let message = stalled["message"].as_str().unwrap();
    for part in [
        " of 7 failed: failed to ",
        &format!("correct Secret {ACCOUNT}, which has the account at "),
        &format!("see  kubectl -n {NAMESPACE} logs {REFUSED}-provision-"),
    ] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }

    // The condition names one of them.
    wait_for("every store to refuse", LIMIT, async || {
        let said = last_words(platform).await?;
        let refused = said
            .iter()
            .filter(|(_, words)| words.contains("AuthFailed"));
        let stores: BTreeSet<_> = refused.map(|(job, _)| job.as_str()).collect();
        if stores.len() == STORES.len() {
            Ok(())
        } else {
            Err(format!("{said:?}"))
        }
    })
    .await;
    let said = last_words(platform).await.unwrap();
    let object = platform.resources().get(REFUSED).await.unwrap();
    for text in [format!("{said:?}"), object.data["status"].to_string()] {
        assert!(!text.contains(PASSWORD), "{text}");
    }
}

/// On the first one's stores, as nobody.
fn spec() -> Value {
    let mut spec = beside::on_the_first_ones_stores(REFUSED);
    for (store, field) in [
        ("/data/postgres", "adminSecretName"),
        ("/data/clickhouse", "adminSecretName"),
        ("/data/objectStorage", "credentialsSecretName"),
        ("/messaging/rabbitmq", "adminSecretName"),
    ] {
        let external = spec.pointer_mut(&format!("{store}/external")).unwrap();
        external[field] = json!(ACCOUNT);
    }
    spec
}

/// What the cluster keeps of the log of each attempt, with the name of what it provisions.
async fn last_words(platform: &Platform) -> Result<Vec<(String, String)>, String> {
    let pods: Api<Pod> = Api::namespaced(platform.kube.clone(), NAMESPACE);
    let ours = ListParams::default().labels(&format!("{}={REFUSED}", labels::INSTANCE));
    let pods = pods.list(&ours).await.map_err(|error| error.to_string())?;
    let statuses = pods.into_iter().filter_map(|pod| pod.status);
    let containers = statuses.flat_map(|status| status.container_statuses.unwrap_or_default());
    let ended = containers.filter_map(|container| {
        let message = container.state?.terminated?.message?;
        Some((container.name, message))
    });
    Ok(ended.collect())
}

fn secrets(platform: &Platform) -> Api<Secret> {
    Api::namespaced(platform.kube.clone(), NAMESPACE)
}

async fn remove(platform: &Platform) {
    beside::remove(platform, REFUSED).await;
    match secrets(platform)
        .delete(ACCOUNT, &DeleteParams::default())
        .await
    {
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        other => drop(other.unwrap()),
    }
}
