//! Namespaces that are watched, one of which cannot be.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use lotoai_operator::context::Context;
use lotoai_operator::probe::Probes;
use lotoai_operator::run::{run, wait_for_type};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower_test::mock;

use crate::demo::env;
use crate::server::{refusal, response};
use crate::turns::Unasked;

/// What comes at all comes within this time; the clock stands still while anybody has something to do.
const DEADLINE: Duration = Duration::from_secs(60);

/// An API server on which some namespaces may not be read.
#[derive(Clone, Default)]
struct Cluster {
    dead: Arc<Mutex<BTreeSet<String>>>,
    /// Namespaces of which LotoAI resources are watched.
    watched: Arc<Mutex<BTreeSet<String>>>,
    /// How often a namespace was asked for in vain.
    refused: Arc<Mutex<usize>>,
}

impl Cluster {
    fn with_dead(names: &[&str]) -> Self {
        let cluster = Self::default();
        let names = names.iter().map(|name| (*name).to_owned());
        cluster.dead.lock().unwrap().extend(names);
        cluster
    }

    fn client(&self) -> Client {
        let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
        let cluster = self.clone();
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Some((request, reply)) = handle.next_request().await {
                match cluster.answer(request.uri()) {
                    Some((status, body)) => reply.send_response(response(status, &body)),
                    // A watch of which nothing comes.
                    None => open.push(reply),
                }
            }
        });
        Client::new(service, "default")
    }

    fn answer(&self, uri: &http::Uri) -> Option<(u16, Value)> {
        let (_, rest) = uri.path().split_once("/namespaces/").unwrap();
        let namespace = rest.split('/').next().unwrap();
        if self.dead.lock().unwrap().contains(namespace) {
            *self.refused.lock().unwrap() += 1;
            return Some(refusal(403, &format!("no rights in {namespace}")));
        }
        if uri.query().unwrap_or_default().contains("watch=") {
            if uri.path().ends_with("/lotoais") {
                self.watched.lock().unwrap().insert(namespace.to_owned());
            }
            return None;
        }
        let list = json!({
            "kind": "List", "apiVersion": "v1", "metadata": { "resourceVersion": "1" }, "items": [],
        });
        Some((200, list))
    }

    fn watched(&self) -> Vec<String> {
        self.watched.lock().unwrap().iter().cloned().collect()
    }

    fn refused(&self) -> usize {
        *self.refused.lock().unwrap()
    }
}

/// What the whole process logs: of a subscriber of one thread, what others log at the same moment can take
/// lines away. So each test has namespaces of its own.
static LOG: LazyLock<Written> = LazyLock::new(|| {
    let log = Written::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || written.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    log
});

/// What is logged.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    /// Lines of a namespace with these words.
    fn lines(&self, namespace: &str, words: &str) -> usize {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let namespace = format!("namespace=\"{namespace}\"");
        let lines = text.lines().filter(|line| line.contains(words));
        lines.filter(|line| line.contains(&namespace)).count()
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let came = timeout(DEADLINE, waiting).await;
    came.unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"));
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn one_namespace_that_answers_is_enough_to_be_ready() {
    let cluster = Cluster::with_dead(&["dead"]);
    let (client, shutdown) = (cluster.client(), CancellationToken::new());
    for all in [names(&["dead", "alive"]), names(&["alive", "dead"])] {
        let ready = timeout(DEADLINE, wait_for_type(&client, &all, &shutdown)).await;
        assert_eq!(ready, Ok(true));
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_without_a_namespace_that_answers_waits_and_says_so_once() {
    let log = &*LOG;
    let cluster = Cluster::with_dead(&["silent", "gone"]);
    let (client, shutdown) = (cluster.client(), CancellationToken::new());
    let all = names(&["silent", "gone"]);
    let waiting = wait_for_type(&client, &all, &shutdown);
    let end = async {
        until("it goes on asking", || cluster.refused() > 9).await;
        assert_eq!(log.lines("silent", "no rights in silent"), 1);
        assert_eq!(log.lines("gone", "no rights in gone"), 1);
        shutdown.cancel();
    };
    let (ready, ()) = tokio::join!(waiting, end);
    assert!(!ready);
    // It is there now.
    cluster.dead.lock().unwrap().remove("gone");
    let shutdown = CancellationToken::new();
    let ready = wait_for_type(&client, &all, &shutdown);
    assert_eq!(timeout(DEADLINE, ready).await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn a_dead_namespace_keeps_none_from_being_watched_and_is_watched_when_it_lives() {
    let log = &*LOG;
    let cluster = Cluster::with_dead(&["late"]);
    let probes = Probes::new(Unasked);
    let context = Arc::new(Context::new(cluster.client(), env(), probes, None));
    let (all, shutdown) = (names(&["alive", "late", "well"]), CancellationToken::new());
    let test = async {
        until("the others are watched", || {
            cluster.watched() == ["alive", "well"]
        })
        .await;
        until("it goes on asking", || cluster.refused() > 3).await;
        assert_eq!(cluster.watched(), ["alive", "well"]);
        assert_eq!(log.lines("late", "no rights in late"), 1);
        cluster.dead.lock().unwrap().clear();
        until("it is watched", || {
            cluster.watched() == ["alive", "late", "well"]
        })
        .await;
        assert_eq!(log.lines("late", "this namespace is watched now"), 1);
        shutdown.cancel();
    };
    let operator = timeout(10 * DEADLINE, run(context, &all, &shutdown));
    let (ended, ()) = tokio::join!(Box::pin(operator), test);
    assert_eq!(ended, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn an_operator_ends_while_it_waits_for_a_namespace() {
    let cluster = Cluster::with_dead(&["dead"]);
    let probes = Probes::new(Unasked);
    let context = Arc::new(Context::new(cluster.client(), env(), probes, None));
    let (all, shutdown) = (names(&["dead"]), CancellationToken::new());
    let end = async {
        until("it waits", || cluster.refused() > 0).await;
        shutdown.cancel();
    };
    let operator = timeout(10 * DEADLINE, run(context, &all, &shutdown));
    let (ended, ()) = tokio::join!(Box::pin(operator), end);
    assert_eq!(ended, Ok(()));
}
