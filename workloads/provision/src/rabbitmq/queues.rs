//! Queues: declared, bound, and watched until they run.
//!
//! A quorum queue whose broker is killed within about a second of its declaration can stay without
//! a leader for ever: it takes no message and gives none, yet declaring it again succeeds. Only the
//! statistics tell, which a leader alone sends, every five seconds.

use std::time::Duration;

use ::http::Method;
use lotoai_contracts::events::{DEAD_LETTER_EXCHANGE, EXCHANGE, QUEUES, Queue};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Api;
use crate::http::{HttpError, NotRunningSnafu};

/// A queue has this long to run: several rounds of statistics on a busy machine.
pub(super) const START: Duration = Duration::from_secs(40);
/// Pause between two questions. It is shorter than any restart of the broker, so that a restart
/// shows as a question without an answer.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a message may come back before it moves to the dead-letter queue.
const DELIVERY_LIMIT: u32 = 5;

/// A queue as it has to be.
struct Wanted {
    name: String,
    arguments: Value,
    /// Exchanges with routing keys.
    bindings: Vec<(&'static str, &'static str)>,
}

/// What the broker knows of a queue.
#[derive(Deserialize)]
struct Seen {
    state: Option<String>,
}

impl Seen {
    /// `flow` is a queue that slows its publishers down.
    fn runs(&self) -> bool {
        matches!(self.state.as_deref(), Some("running" | "flow"))
    }

    /// No other state may cost a queue its messages.
    fn leaderless(&self) -> bool {
        matches!(self.state.as_deref(), None | Some("down"))
    }
}

/// Declares and binds all queues and waits until they run. A queue that was there before and has
/// no leader is made again, because nothing else brings it back. One that was made just now is
/// left to the next attempt, which finds it there.
pub(super) async fn put(api: &Api<'_>) -> Result<(), HttpError> {
    let mut queues = Vec::new();
    for queue in QUEUES {
        // The dead-letter queue comes first, so that no message can die into nothing.
        for wanted in [dead_letters(queue), work(queue)] {
            let created = api.put_queue(&wanted).await?;
            queues.push((wanted, created));
        }
    }
    let deadline = Instant::now() + api.start;
    let mut again = Vec::new();
    for (wanted, created) in &queues {
        let seen = api.watch(&wanted.name, deadline).await?;
        if seen.runs() {
            continue;
        }
        if *created || !seen.leaderless() {
            return Err(api.not_running(&wanted.name, seen));
        }
        let name = wanted.name.as_str();
        tracing::warn!(
            queue = name,
            "makes a queue without a leader again; messages in it are lost"
        );
        api.delete(name).await?;
        api.put_queue(wanted).await?;
        again.push(name);
    }
    let deadline = Instant::now() + api.start;
    for name in again {
        let seen = api.watch(name, deadline).await?;
        if !seen.runs() {
            return Err(api.not_running(name, seen));
        }
    }
    Ok(())
}

fn dead_letters(queue: &Queue) -> Wanted {
    Wanted {
        name: format!("{}.dead", queue.name),
        arguments: json!({ "x-queue-type": "quorum" }),
        bindings: vec![(DEAD_LETTER_EXCHANGE, queue.name)],
    }
}

fn work(queue: &Queue) -> Wanted {
    Wanted {
        name: queue.name.to_owned(),
        arguments: json!({
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-dead-letter-exchange": DEAD_LETTER_EXCHANGE,
            "x-dead-letter-routing-key": queue.name,
            // A message leaves this queue only when the dead-letter queue has confirmed it; the
            // broker wants `reject-publish` with it, which acts on length limits, and there are none.
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }),
        bindings: queue.bindings.iter().map(|key| (EXCHANGE, *key)).collect(),
    }
}

impl Api<'_> {
    /// Declares and binds a queue; true when it was not there.
    async fn put_queue(&self, wanted: &Wanted) -> Result<bool, HttpError> {
        let created = self.declare(&wanted.name, wanted.arguments.clone()).await?;
        for (exchange, key) in &wanted.bindings {
            self.bind(exchange, &wanted.name, key).await?;
        }
        Ok(created)
    }

    pub(super) async fn declare(&self, name: &str, arguments: Value) -> Result<bool, HttpError> {
        let what = format!("create queue {name:?}");
        let body = json!({ "durable": true, "auto_delete": false, "arguments": arguments });
        self.put(&what, &["queues", self.vhost, name], body).await
    }

    async fn bind(&self, exchange: &str, queue: &str, key: &str) -> Result<(), HttpError> {
        let what = format!("bind {key:?} to queue {queue:?}");
        let path = ["bindings", self.vhost, "e", exchange, "q", queue];
        let body = json!({ "routing_key": key });
        self.call(&what, Method::POST, &path, Some(body))
            .await?
            .success()?;
        tracing::info!("{what}: done");
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<(), HttpError> {
        let what = format!("delete queue {name:?}, which has no leader");
        self.call(&what, Method::DELETE, &["queues", self.vhost, name], None)
            .await?
            .success()?;
        tracing::info!("{what}: done");
        Ok(())
    }

    /// What is known of a queue when it runs, or at the deadline. A question without an answer is
    /// an error at once: a queue of a broker that restarts meanwhile has not had its time.
    async fn watch(&self, name: &str, deadline: Instant) -> Result<Seen, HttpError> {
        let what = format!("see whether queue {name:?} runs");
        loop {
            let seen: Seen = self
                .call(&what, Method::GET, &["queues", self.vhost, name], None)
                .await?
                .json()?;
            if seen.runs() || Instant::now() >= deadline {
                return Ok(seen);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn not_running(&self, name: &str, seen: Seen) -> HttpError {
        NotRunningSnafu {
            what: format!("queue {name:?}"),
            state: seen.state.unwrap_or_else(|| "unknown".to_owned()),
            seconds: self.start.as_secs(),
        }
        .build()
    }
}

#[cfg(test)]
mod tests;
