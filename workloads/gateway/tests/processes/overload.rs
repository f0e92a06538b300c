//! Far more comes than is taken on: what is too much is refused at once, who only looks is answered, and
//! a flood needs no more memory than those before it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use lotoai_gateway::domain::chat_request::MAX_BODY_BYTES;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, Reply};
use crate::ground::{Ground, wait_for};
use crate::postgres;
use crate::replica::{Replica, is_ready};
use crate::script::{content, heard};

/// What a replica takes on, one of eight kept for requests without a body.
const PLACES: usize = 32;
/// Of one flood: questions with the longest body, of which most find no place; and those who hold a
/// place or a connection meanwhile.
const ASKERS: usize = 120;
const HALF_BODIES: usize = 8;
const SLOW_READERS: usize = 4;
const HALF_HEADS: usize = 60;
/// Between two questions, whatever becomes of them.
const PACE: Duration = Duration::from_millis(4);
/// From the first piece of an answer to the second, in milliseconds: all places are taken for longer
/// than it takes to ask all questions.
const HOLD: u64 = 1200;
/// What a flood needs is known after so many: the allocator keeps what it once had, and not every flood
/// needs all of it at the same moment.
const FIRST_FLOODS: usize = 3;
const FURTHER_FLOODS: usize = 3;
/// What the further floods may need beyond the first ones, in KiB. It would be more if each kept the
/// bodies of the questions that it let in, and much more if it kept those that were refused.
const GROWTH: u64 = 24 * 1024;
/// Half of those who are refused hear of it within this.
const EARLY: Duration = Duration::from_secs(1);
/// Everybody else, on a machine that does much else.
const SOON: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Of the system's buffer of who reads slowly, so that it does not take much before it is full.
const SMALL_BUFFER: u32 = 4096;

/// Memory of a process that is not swapped out, in KiB.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.unwrap().trim().parse().unwrap()
}

/// The most memory that a process has until it is told to stop, in KiB.
fn watch_memory(process: u32, stop: CancellationToken) -> JoinHandle<u64> {
    tokio::spawn(async move {
        let mut most = 0;
        while !stop.is_cancelled() {
            most = resident(process).max(most);
            tokio::time::sleep(LOOK_EVERY).await;
        }
        most
    })
}

/// Somebody looks at what is theirs, and the kubelet at readiness, until they are told to stop. How
/// often, and what did not come as it should.
fn look(
    person: Client,
    admin: SocketAddr,
    stop: CancellationToken,
) -> JoinHandle<(usize, Vec<String>)> {
    tokio::spawn(async move {
        let (mut looks, mut odd) = (0, Vec::new());
        while !stop.is_cancelled() {
            let began = Instant::now();
            let (reply, is_ready) = tokio::join!(person.get("/api/me"), is_ready(admin));
            let took = began.elapsed();
            let is_answered = reply.as_ref().is_ok_and(|reply| reply.status == 200);
            if !is_answered || !is_ready || took > SOON {
                odd.push(format!("ready {is_ready} after {took:?}: {reply:?}"));
            }
            looks += 1;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        (looks, odd)
    })
}

/// What a flood is made of.
struct Flood {
    client: Client,
    /// A question with the longest body there may be, whose answer takes its time.
    question: Arc<str>,
    /// The same without its end.
    half: Arc<str>,
    /// A question whose answer is a stream without end.
    endless: Arc<str>,
}

impl Flood {
    fn new(client: Client) -> Self {
        let path = "/v1/chat/completions";
        let script = content(&vec![(0, "so".to_owned()), (HOLD, "slow".to_owned())]);
        let body = |padding: usize| {
            let messages = json!([
                { "role": "user", "content": "x".repeat(padding) },
                { "role": "user", "content": script },
            ]);
            let question = json!({ "model": "scripted", "store": false, "messages": messages });
            question.to_string()
        };
        let longest = body(MAX_BODY_BYTES - body(0).len());
        assert_eq!(longest.len(), MAX_BODY_BYTES);
        let question = client.request("POST", path, &longest);
        let endless = json!({
            "model": "flood", "stream": true, "store": false,
            "messages": [{ "role": "user", "content": "?" }],
        });
        Self {
            half: Arc::from(&question[..question.len() - 1]),
            question: question.into(),
            endless: client.request("POST", path, &endless.to_string()).into(),
            client,
        }
    }

    /// Sends something that no answer is read of, and keeps the connection.
    async fn begin(&self, request: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(SMALL_BUFFER).unwrap();
        let mut stream = socket.connect(self.client.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn begin_all(&self, request: &str, count: usize) -> Vec<TcpStream> {
        join_all((0..count).map(|_| self.begin(request))).await
    }

    /// Asks question after question without waiting for an answer; what each got, and after how long.
    async fn ask(&self) -> Vec<(Reply, Duration)> {
        let mut ticks = tokio::time::interval(PACE);
        let mut asked = Vec::new();
        for _ in 0..ASKERS {
            ticks.tick().await;
            let (client, question) = (self.client.clone(), Arc::clone(&self.question));
            asked.push(tokio::spawn(async move {
                let began = Instant::now();
                let reply = client.deliver(&question).await;
                (reply.expect("nobody is cut"), began.elapsed())
            }));
        }
        let asked = join_all(asked).await.into_iter();
        asked.map(|reply| reply.unwrap()).collect()
    }

    /// One flood on a replica, and the most memory that it had until all of it was over, in KiB.
    async fn over(&self, ground: &Ground, replica: &Replica) -> u64 {
        let stop = CancellationToken::new();
        let memory = watch_memory(replica.id(), stop.clone());
        let person = ground.client(replica.address, "bo");
        let person = look(person, replica.admin, stop.clone());

        let mut held = self.begin_all(&self.endless, SLOW_READERS).await;
        wait_for("the slow readers are in", LIMIT, async || {
            ground.seen.count() >= SLOW_READERS
        })
        .await;
        held.extend(self.begin_all(&self.half, HALF_BODIES).await);
        let half_head = "GET /api/me HTTP/1.1\r\nhost: x\r\n";
        held.extend(self.begin_all(half_head, HALF_HEADS).await);
        check(&self.ask().await);
        drop(held);
        let plain = json!({
            "model": "writer", "store": false, "messages": [{ "role": "user", "content": "?" }],
        });
        wait_for("their places are free", LIMIT, async || {
            self.client.ask(&plain).await.unwrap().status == 200
        })
        .await;
        stop.cancel();
        let (looks, odd) = person.await.unwrap();
        assert_eq!(odd, Vec::<String>::new(), "of {looks}");
        assert!(looks > 5, "nobody looked");
        // The fake keeps every question.
        ground.seen.requests.lock().unwrap().clear();
        memory.await.unwrap()
    }
}

/// Some questions are answered, and all others refused early with the word when to come again.
fn check(replies: &[(Reply, Duration)]) {
    let (answered, refused): (Vec<_>, Vec<_>) =
        replies.iter().partition(|(reply, _)| reply.status == 200);
    for (reply, _) in &answered {
        assert_eq!(heard(reply).text, "soslow");
    }
    assert!(!answered.is_empty(), "nobody is served");
    assert!(
        refused.len() > ASKERS / 2,
        "{} were too many",
        refused.len()
    );
    for (reply, took) in &refused {
        assert_eq!((reply.status, reply.code().as_str()), (429, "overloaded"));
        assert_eq!(reply.header("retry-after"), "1", "{reply:?}");
        assert!(*took < SOON, "refused after {took:?}");
    }
    let mut times: Vec<Duration> = refused.iter().map(|(_, took)| *took).collect();
    times.sort();
    let median = times[times.len() / 2];
    assert!(
        median < EARLY,
        "half of them waited for {median:?} and longer"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_are_refused_early_and_take_no_more_memory_than_the_first() {
    let Some(database) = postgres::start() else {
        return;
    };
    let ground = Ground::new(&database).await;
    // Scripted answers go on by themselves.
    ground.seen.go.cancel();
    let places = PLACES.to_string();
    let settings = [("REQUESTS_MAX_CONCURRENT", places.as_str())];
    let replica = ground.replica(&settings).await;
    let flood = Flood::new(ground.client(replica.address, "ana"));
    let idle = resident(replica.id());
    let mut most = Vec::new();
    for _ in 0..FIRST_FLOODS + FURTHER_FLOODS {
        most.push(flood.over(&ground, &replica).await);
    }
    println!("idle {idle} KiB, in floods {most:?} KiB");
    let (first, further) = most.split_at(FIRST_FLOODS);
    let bound = first.iter().max().unwrap() + GROWTH;
    assert!(further.iter().all(|most| *most <= bound), "{most:?} KiB");
}

/// The control: what is kept of requests is seen, and is more than may be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_held_are_seen_in_memory() {
    const HELD: usize = 64;
    let Some(database) = postgres::start() else {
        return;
    };
    let ground = Ground::new(&database).await;
    let replica = ground.replica(&[]).await;
    let flood = Flood::new(ground.client(replica.address, "ana"));
    let idle = resident(replica.id());
    let held = flood.begin_all(&flood.half, HELD).await;
    wait_for("bodies that are held are seen", LIMIT, async || {
        resident(replica.id()) > idle + 2 * GROWTH
    })
    .await;
    drop(held);
}
