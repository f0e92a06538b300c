//! Watches that begin again by themselves, each with pauses of its own, and what of them is news.
//!
//! Needs no client. The machinery around the passes pauses all its watches together after the error
//! of any of them, longer each time: some fifteen watches that are cut at once, as when the API
//! server restarts, would come back over several minutes.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::time::Duration;

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender};
use futures::{Stream, StreamExt, future, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{Event, Result};
use rand::Rng;
use tokio::time::{Instant, timeout_at};

use crate::error::chain;
use crate::hash::hash;

/// Pause after the first error.
const FIRST: Duration = Duration::from_millis(500);
/// Longest pause after repeated errors.
const LONGEST: Duration = Duration::from_secs(15);
/// After this time without an error the next one is the first.
const CALM: Duration = Duration::from_secs(30);
/// Lists that follow each other within this time are told together: watches that were cut at once
/// come back one by one.
const QUIET: Duration = Duration::from_secs(5);
/// The first of some lists is told after this time, whatever follows.
const TOGETHER: Duration = Duration::from_secs(15);

/// Pauses that double, ± a fifth, so that watches which were cut together do not come back together.
struct Pauses {
    next: Duration,
    last: Option<Instant>,
}

impl Default for Pauses {
    fn default() -> Self {
        Self {
            next: FIRST,
            last: None,
        }
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.last.is_some_and(|last| last.elapsed() > CALM) {
            self.next = FIRST;
        }
        self.last = Some(Instant::now());
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST);
        Some(pause.mul_f64(rand::rng().random_range(0.8..1.2)))
    }
}

impl Backoff for Pauses {
    /// Comes with every event, and means nothing: a watch that lists everything and is then refused
    /// again has to pause longer each time as well.
    fn reset(&mut self) {}
}

/// The events of a watch without its errors, which are logged.
pub fn steady<K>(
    watch: impl Stream<Item = Result<Event<K>>> + Send,
) -> impl Stream<Item = Result<Event<K>>> + Send
where
    K: Send,
{
    watch.backoff(Pauses::default()).filter_map(|event| {
        future::ready(match event {
            Ok(event) => Some(Ok(event)),
            Err(error) => {
                tracing::warn!(error = %chain(&error), "a watch failed and is restarted");
                None
            }
        })
    })
}

/// Says so to `again` whenever a watch has listed its objects anew: no event tells what was deleted
/// since the last one that came.
pub fn telling_relists<K>(
    watch: impl Stream<Item = Result<Event<K>>> + Send,
    again: UnboundedSender<()>,
) -> impl Stream<Item = Result<Event<K>>> + Send
where
    K: Send,
{
    let mut has_listed = false;
    watch.inspect(move |event| {
        if matches!(event, Ok(Event::InitDone)) {
            if has_listed {
                // Nobody listens once the controller has ended.
                let _gone = again.unbounded_send(());
            }
            has_listed = true;
        }
    })
}

/// One for each group of `relists` that come soon after each other: each of them is a pass over all
/// platforms.
pub fn gathered(relists: UnboundedReceiver<()>) -> impl Stream<Item = ()> + Send + 'static {
    stream::unfold(relists, |mut relists| async move {
        relists.next().await?;
        let end = Instant::now() + TOGETHER;
        let quiet = || end.min(Instant::now() + QUIET);
        while let Ok(Some(())) = timeout_at(quiet(), relists.next()).await {
            if Instant::now() >= end {
                break;
            }
        }
        Some(((), relists))
    })
}

/// The events of a watch but those after which an object differs in its status only.
pub fn without_status<K>(
    watch: impl Stream<Item = Result<Event<K>>> + Send,
) -> impl Stream<Item = Result<Event<K>>> + Send
where
    K: Resource + Send,
{
    let mut known = Known::default();
    watch.filter(move |event| {
        future::ready(match event {
            Ok(event) => known.is_news(event),
            Err(_) => true,
        })
    })
}

/// What objects were when they were seen last: fingerprints by hashed UID, because one operator may
/// watch a hundred thousand.
#[derive(Default)]
struct Known {
    prints: HashMap<u64, u64>,
    /// What the list that is under way has shown so far.
    listed: HashSet<u64>,
}

impl Known {
    fn is_news<K: Resource>(&mut self, event: &Event<K>) -> bool {
        match event {
            Event::Init => {
                self.listed.clear();
                true
            }
            Event::InitApply(object) => {
                self.listed.insert(hash(&object.meta().uid));
                self.learn(object.meta())
            }
            Event::InitDone => {
                let listed = mem::take(&mut self.listed);
                self.prints.retain(|uid, _| listed.contains(uid));
                true
            }
            Event::Apply(object) => self.learn(object.meta()),
            Event::Delete(object) => {
                self.prints.remove(&hash(&object.meta().uid));
                true
            }
        }
    }

    /// Whether an object is not what it was.
    fn learn(&mut self, meta: &ObjectMeta) -> bool {
        let print = fingerprint(meta);
        self.prints.insert(hash(&meta.uid), print) != Some(print)
    }
}

/// Digest of an object but for its status. The API server notes in the metadata who wrote which
/// fields when, apart for the status: not every kind counts generations.
#[must_use]
pub fn fingerprint(meta: &ObjectMeta) -> u64 {
    let mut meta = meta.clone();
    meta.resource_version = None;
    if let Some(writers) = &mut meta.managed_fields {
        writers.retain(|writer| writer.subresource.as_deref() != Some("status"));
    }
    // Metadata can always be written: their maps have text as keys.
    hash(&serde_json::to_string(&meta).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use futures::channel::mpsc;
    use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
    use serde_json::{Value, json};

    use super::*;

    type Seen = Event<HorizontalPodAutoscaler>;

    /// An autoscaler of this version, which its owner wrote at one second and its controller at another.
    fn autoscaler(uid: &str, version: u32, owner: u32, controller: u32) -> HorizontalPodAutoscaler {
        let wrote = |second: u32| format!("2026-11-22T10:00:{second:02}Z");
        with(json!({
            "name": uid, "uid": uid, "resourceVersion": version.to_string(),
            "managedFields": [
                { "manager": "lotoai-operator", "operation": "Apply", "time": wrote(owner) },
                {
                    "manager": "kube-controller-manager", "operation": "Update",
                    "subresource": "status", "time": wrote(controller),
                },
            ],
        }))
    }

    fn with(metadata: Value) -> HorizontalPodAutoscaler {
        serde_json::from_value(json!({ "metadata": metadata })).unwrap()
    }

    /// Which of some events are news, by their place.
    async fn news(events: Vec<Seen>) -> Vec<usize> {
        let mut known = Known::default();
        let all = events.iter().enumerate();
        let news = all.filter(|(_, event)| known.is_news(event));
        let news: Vec<usize> = news.map(|(place, _)| place).collect();
        let passed = without_status(stream::iter(events.into_iter().map(Ok)));
        assert_eq!(passed.count().await, news.len());
        news
    }

    #[tokio::test]
    async fn a_change_of_the_status_is_no_news_and_any_other_is() {
        let first = autoscaler("a", 1, 1, 1);
        let mut labelled = autoscaler("a", 5, 2, 3);
        labelled.metadata.labels = Some([("team".to_owned(), "web".to_owned())].into());
        let events = vec![
            Event::Apply(first),
            Event::Apply(autoscaler("a", 2, 1, 2)),
            Event::Apply(autoscaler("a", 3, 1, 3)),
            Event::Apply(autoscaler("a", 4, 2, 3)),
            Event::Apply(labelled.clone()),
            Event::Apply(autoscaler("b", 6, 2, 3)),
            Event::Delete(labelled.clone()),
            Event::Apply(labelled),
        ];
        assert_eq!(news(events).await, [0, 3, 4, 5, 6, 7]);
    }

    #[tokio::test]
    async fn a_list_shows_what_was_missed_and_what_is_gone_is_forgotten() {
        let (a, b) = (autoscaler("a", 1, 1, 1), autoscaler("b", 1, 1, 1));
        let events = vec![
            Event::Init,
            Event::InitApply(a.clone()),
            Event::InitApply(b.clone()),
            Event::InitDone,
            Event::Init,
            Event::InitApply(autoscaler("a", 2, 2, 1)),
            Event::InitDone,
            Event::Apply(b),
            Event::Init,
            Event::InitApply(autoscaler("a", 3, 2, 2)),
            Event::InitDone,
        ];
        assert_eq!(news(events).await, [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]);
    }

    #[tokio::test]
    async fn every_list_but_the_first_is_told() {
        let events: Vec<Seen> = vec![
            Event::Init,
            // It failed, and began anew.
            Event::Init,
            Event::InitDone,
            Event::Apply(autoscaler("a", 1, 1, 1)),
            Event::Init,
            Event::InitDone,
            Event::Init,
            Event::InitDone,
        ];
        let all = events.len();
        let (again, told) = mpsc::unbounded();
        let watch = telling_relists(stream::iter(events.into_iter().map(Ok)), again);
        assert_eq!(watch.count().await, all);
        assert_eq!(told.count().await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_end_and_begin_anew() {
        let mut pauses = Pauses::default();
        let all: Vec<_> = pauses.by_ref().take(20).collect();
        assert!(all[0] < Duration::from_secs(1));
        assert!(all[19] > Duration::from_secs(10) && all[19] < Duration::from_secs(20));
        // A list that is followed by another error is no end of them.
        pauses.reset();
        let more = pauses.next().unwrap();
        assert!(more > Duration::from_secs(10), "{more:?}");
        tokio::time::advance(CALM + FIRST).await;
        let first = pauses.next().unwrap();
        assert!(first < Duration::from_secs(1), "{first:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn lists_that_come_together_are_told_once() {
        let (again, relists) = mpsc::unbounded();
        let mut told = Box::pin(gathered(relists));
        for _ in 0..3 {
            again.unbounded_send(()).unwrap();
        }
        let begun = Instant::now();
        assert_eq!(told.next().await, Some(()));
        assert!(begun.elapsed() >= QUIET && begun.elapsed() < TOGETHER);
        // Nothing is left of them.
        let second = Duration::from_secs(1);
        let more = tokio::time::timeout(100 * second, told.next()).await;
        assert_eq!(more.ok(), None);
        // They never end.
        let begun = Instant::now();
        let lists = tokio::spawn(async move {
            while again.unbounded_send(()).is_ok() {
                tokio::time::sleep(second).await;
            }
        });
        assert_eq!(told.next().await, Some(()));
        assert!(begun.elapsed() >= TOGETHER && begun.elapsed() < TOGETHER + QUIET);
        drop(told);
        lists.await.unwrap();
    }
}
