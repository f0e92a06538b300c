//! Edits of resources at a fixed pace, however long each takes, and when their children follow.

use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use lotoai_api::LotoAI;
use lotoai_plan::labels;
use serde_json::json;
use snafu::{ResultExt, whatever};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::Result;
use crate::cluster::{name, namespace};
use crate::figures::Latency;
use crate::template::roles;

/// How many.
const EDITS: usize = 200;
/// From one to the next: slow enough for a program that applies a hundred children in every pass.
const PACE: Duration = Duration::from_millis(500);
/// How long after the last edit a child may follow.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the prompt of an edit begins with; four digits follow.
const PROMPT: &str = "edit-";

/// Edits resources and waits for their children. The time of an edit counts from the moment it was
/// due, so that a stall is not passed over.
pub(crate) async fn edit(client: &Client, resources: usize) -> Result<Latency> {
    let selector = format!(
        "{}={},{}=agents",
        labels::MANAGED_BY,
        labels::MANAGED_BY_VALUE,
        labels::NAME
    );
    let config = watcher::Config::default().labels(&selector);
    let maps: Api<ConfigMap> = Api::all(client.clone());
    let mut events = pin!(watcher(maps, config).default_backoff());
    loop {
        match events.next().await {
            Some(Ok(Event::InitDone)) => break,
            Some(_) => {}
            None => whatever!("the watch of the children ended"),
        }
    }
    let begin = Instant::now() + PACE;
    let (sent, seen) = tokio::join!(send(client, resources, begin), receive(events, begin));
    sent?;
    Ok(Latency::new(seen, EDITS))
}

/// When an edit is due.
fn due(begin: Instant, edit: usize) -> Instant {
    begin + PACE * u32::try_from(edit).unwrap_or(u32::MAX)
}

/// Milliseconds until the child of each edit followed.
async fn receive(
    mut events: Pin<&mut impl Stream<Item = watcher::Result<Event<ConfigMap>>>>,
    begin: Instant,
) -> Vec<f64> {
    let mut seen = HashMap::new();
    while seen.len() < EDITS {
        let Ok(event) = timeout_at(due(begin, EDITS) + PATIENCE, events.next()).await else {
            break;
        };
        if let Some(Ok(Event::Apply(map))) = event
            && let Some(edit) = edit_of(&map)
        {
            let latency = due(begin, edit).elapsed();
            seen.entry(edit)
                .or_insert_with(|| latency.as_secs_f64() * 1000.0);
        }
    }
    seen.into_values().collect()
}

async fn send(client: &Client, resources: usize, begin: Instant) -> Result<()> {
    let mut requests = JoinSet::new();
    for edit in 0..EDITS {
        let index = edit * resources / EDITS;
        let api: Api<LotoAI> = Api::namespaced(client.clone(), &namespace(index));
        sleep_until(due(begin, edit)).await;
        requests.spawn(async move {
            let prompt = format!("{PROMPT}{edit:04}");
            let patch = Patch::Merge(json!({ "spec": { "agents": roles(&prompt) } }));
            api.patch(&name(index), &PatchParams::default(), &patch)
                .await
        });
    }
    while let Some(request) = requests.join_next().await {
        request
            .whatever_context("failed to edit")?
            .whatever_context("failed to edit a resource")?;
    }
    Ok(())
}

/// Which edit a child shows.
fn edit_of(map: &ConfigMap) -> Option<usize> {
    let mut texts = map.data.iter().flat_map(|data| data.values());
    texts.find_map(|text| {
        let (_, rest) = text.split_once(PROMPT)?;
        rest.get(..4)?.parse().ok()
    })
}
