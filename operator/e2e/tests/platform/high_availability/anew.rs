//! Credentials that the servers of a cluster begin with are made anew while it is used: nothing fails.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kube::api::{Patch, PatchParams};
use lotoai_e2e::{Platform, PublicClient, corpus};
use serde_json::json;
use tokio::time::MissedTickBehavior;

use super::{DRAIN_LIMIT, HA, PACE};
use crate::support::{repeated_during, wait_for};

/// How long it may take. Two servers of Keycloak start one after the other.
const LIMIT: Duration = Duration::from_secs(900);
/// From one sign-in of everybody to the next.
const SIGN_IN_PACE: Duration = Duration::from_millis(500);

/// Both servers of Keycloak restart, one after the other, while people sign in. All of them are one
/// person, who signs in once at a time: Keycloak refuses whoever tries twice at the same moment.
pub(super) async fn signs_everybody_in(platform: &Platform, clients: &[PublicClient]) {
    let mut pace = tokio::time::interval(SIGN_IN_PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failures = Vec::new();
    let times = repeated_during(made_anew(platform, "keycloak-postgres"), async || {
        pace.tick().await;
        for client in clients {
            let signed_in = client.token_of("lotoai-cli").await;
            failures.extend(signed_in.err().map(|error| error.to_string()));
        }
    })
    .await;
    println!("{} sign-ins {times} times", clients.len());
    assert!(failures.is_empty(), "{failures:?}");
}

/// All servers of MinIO stop, and start with another administrator, while documents are taken in.
pub(super) async fn takes_every_upload(platform: &Platform, client: &PublicClient) {
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut taken, mut failures, mut longest) = (Vec::new(), Vec::new(), Duration::ZERO);
    let run = std::process::id();
    let times = repeated_during(made_anew(platform, "minio-admin"), async || {
        pace.tick().await;
        let number = taken.len();
        let text = format!("# Tray {number}\n\nTray {number} of {run} holds cup {number}.\n");
        let name = format!("tray-{run}-{number}.md");
        let begun = Instant::now();
        match client.upload(&name, text.into_bytes()).await {
            Ok(document) => taken.push(document["id"].as_str().unwrap().to_owned()),
            Err(error) => failures.push(error.to_string()),
        }
        longest = longest.max(begun.elapsed());
    })
    .await;
    let seconds = longest.as_secs_f64();
    println!("{times} documents taken in, after {seconds:.0} s at most");
    assert!(failures.is_empty(), "{failures:?}");
    corpus::wait_indexed(client, &taken, DRAIN_LIMIT, &mut |_, _| {})
        .await
        .unwrap();
}

/// Asks for another credential and waits until nobody uses the one of before.
async fn made_anew(platform: &Platform, name: &str) {
    // Never the text of an earlier run: the platform is made by this process.
    let request = std::process::id().to_string();
    let rotate = BTreeMap::from([(name, &request)]);
    let patch = Patch::Merge(json!({ "spec": { "credentials": { "rotate": rotate } } }));
    let resources = platform.resources();
    let patched = resources.patch(HA, &PatchParams::default(), &patch).await;
    patched.unwrap();
    let secret = format!("{HA}-{name}");
    wait_for(&format!("{name} to be made anew"), LIMIT, async || {
        let object = resources.get(HA).await.map_err(|e| e.to_string())?;
        let object = serde_json::to_value(&object).map_err(|e| e.to_string())?;
        let mut all = object["status"]["credentials"]
            .as_array()
            .into_iter()
            .flatten();
        let found = all.find(|one| one["secret"] == secret);
        let found = found.ok_or_else(|| format!("no {secret}"))?;
        if found["rotation"] == request && found["message"].is_null() {
            Ok(())
        } else {
            Err(found.to_string())
        }
    })
    .await;
}
