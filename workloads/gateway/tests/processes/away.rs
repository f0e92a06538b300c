//! The database or the broker is away: whoever asks is told so soon, and what was acknowledged stays.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, Reply};
use crate::ground::{Ground, wait_for};
use crate::postgres;
use crate::relay::{Far, Relay, Trigger};
use crate::replica::{Replica, is_ready};
use crate::script::heard;

/// A statement, and what is beside it.
const SOON: Duration = Duration::from_secs(5);
/// What coming back may take: the longest wait between two attempts, and what this machine needs.
const BACK: Duration = Duration::from_secs(30);
const WRITERS: usize = 3;
/// Between two questions of one of them.
const PACE: Duration = Duration::from_millis(50);

fn question(number: usize, is_streamed: bool, is_stored: bool) -> Value {
    json!({
        "model": "lotoai", "stream": is_streamed, "store": is_stored,
        "messages": [{ "role": "user", "content": format!("question {number}") }],
    })
}

async fn soon(reply: impl Future<Output = Result<Reply, String>>) -> Reply {
    let began = Instant::now();
    let reply = reply.await.unwrap();
    assert!(began.elapsed() < SOON, "{:?}: {reply:?}", began.elapsed());
    reply
}

fn is_away(reply: &Reply) -> bool {
    (reply.status, reply.code().as_str()) == (503, "storage_unavailable")
}

/// What came of the questions of people who write on whatever happens.
#[derive(Default)]
struct Written {
    /// Conversations of questions that were answered, and the questions.
    acknowledged: Vec<(String, String)>,
    /// Replies that are neither an answer nor the refusal that is due.
    odd: Vec<String>,
}

impl Written {
    fn note(&mut self, asked: &Value, reply: Result<Reply, String>) {
        match reply {
            Ok(reply) if reply.status == 200 => {
                let text = asked["messages"][0]["content"].as_str().unwrap();
                let conversation = heard(&reply).conversation.unwrap();
                let acknowledged = (conversation, text.to_owned());
                self.acknowledged.push(acknowledged);
            }
            Ok(reply) if is_away(&reply) => {}
            other => self.odd.push(format!("{other:?}")),
        }
    }
}

/// Asks until it is told to stop.
fn write(client: Client, stop: CancellationToken, written: Arc<Mutex<Written>>) -> JoinHandle<()> {
    tokio::spawn(async move {
        for number in 0.. {
            if stop.is_cancelled() {
                return;
            }
            let asked = question(number, false, true);
            let reply = client.ask(&asked).await;
            written.lock().unwrap().note(&asked, reply);
            // A refusal may come at once, and this is not to be a flood.
            tokio::time::sleep(PACE).await;
        }
    })
}

/// Everything that needs the database is refused, and the rest is not.
async fn everything_is_away(ana: &Client, replica: &Replica) {
    let (whole, streamed) = (question(0, false, true), question(0, true, true));
    let asks = [&whole, &streamed].map(|question| ana.ask(question));
    let paths = [
        "/api/conversations",
        "/api/documents",
        "/api/usage",
        "/api/keys",
    ];
    let gets = paths.map(|path| ana.get(path));
    let (asked, got) = tokio::join!(
        join_all(asks.into_iter().map(soon)),
        join_all(gets.into_iter().map(soon))
    );
    for reply in asked.into_iter().chain(got) {
        assert!(is_away(&reply), "{reply:?}");
        assert_eq!(reply.header("retry-after"), "2", "{reply:?}");
    }
    // The control: what needs no database is answered, and the replica stays in its Service.
    let reply = ana.ask(&question(0, false, false)).await.unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
    let reply = soon(ana.get("/api/me")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(is_ready(replica.admin).await);
}

async fn comes_back(ana: &Client) {
    wait_for("it comes back", BACK, async || {
        let reply = ana.get("/api/conversations").await.unwrap();
        assert!(reply.status == 200 || is_away(&reply), "{reply:?}");
        reply.status == 200
    })
    .await;
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Hangs,
    Dies,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_or_dies_is_a_503_soon_and_loses_nothing() {
    let Some(mut database) = postgres::start_alone() else {
        return;
    };
    let ground = Ground::new(&database).await;
    let replica = ground.replica(&[]).await;
    let ana = ground.client(replica.address, "ana");
    for fault in [Fault::Hangs, Fault::Dies] {
        let (stop, written) = (CancellationToken::new(), Arc::<Mutex<Written>>::default());
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| write(ana.clone(), stop.clone(), Arc::clone(&written)))
            .collect();
        let count = || written.lock().unwrap().acknowledged.len();
        wait_for("they write", BACK, async || count() > 10).await;
        let server = database.server();
        match fault {
            Fault::Hangs => server.freeze(),
            Fault::Dies => server.kill(),
        }
        everything_is_away(&ana, &replica).await;
        match fault {
            Fault::Hangs => server.thaw(),
            Fault::Dies => server.restart().await,
        }
        comes_back(&ana).await;
        let before = count();
        wait_for("they write again", BACK, async || count() > before + 10).await;
        stop.cancel();
        for writer in writers {
            writer.await.unwrap();
        }
        let written = std::mem::take(&mut *written.lock().unwrap());
        assert_eq!(written.odd, Vec::<String>::new(), "{fault:?}");
        for (conversation, text) in &written.acknowledged {
            let messages = ana.messages(conversation).await;
            let [asked, answer] = &*messages else {
                panic!("{fault:?}: {text:?} has left {messages:?}");
            };
            assert_eq!(asked["content"], *text, "{fault:?}");
            assert_eq!(answer["outcome"], "ok", "{fault:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_holds_up_nobody_and_loses_no_event() {
    let Some(database) = postgres::start() else {
        return;
    };
    let mut ground = Ground::new(&database).await;
    let broker = Far::of(&ground.rabbitmq);
    let relay = Relay::start(broker, Arc::<Trigger>::default()).await;
    ground.rabbitmq = format!("amqp://{}/lotoai", relay.address);
    let replica = ground.replica(&[]).await;
    let ana = ground.client(replica.address, "ana");
    let waiting = async || ground.number("select count(*) from outbox").await;
    let ask = async |number: usize| {
        let reply = soon(ana.ask(&question(number, false, true))).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    };
    // The control: with a broker no event waits for long.
    ask(0).await;
    wait_for("the event is relayed", BACK, async || waiting().await == 0).await;

    relay.cut();
    for number in 1..=5 {
        ask(number).await;
    }
    assert_eq!(waiting().await, 5);
    assert!(is_ready(replica.admin).await);

    relay.mend();
    wait_for("the events are relayed", BACK, async || {
        waiting().await == 0
    })
    .await;
    assert_eq!(ground.published.lock().unwrap().len(), 6);
}
