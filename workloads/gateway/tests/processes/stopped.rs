//! A stop with many streams open, while others come. That a stream which is cut is seen to be is shown
//! by `killed`, where they are.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use rand::Rng as _;
use rand::rngs::StdRng;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::balancer::Balancer;
use crate::client::{Client, Reply};
use crate::ground::{Ground, wait_for};
use crate::orchestrator::Script;
use crate::postgres;
use crate::script::{Heard, Way, chance, content, heard, is_soak, question, said, script};

const STREAMS: usize = 200;
/// What the operator gives, of which the last 5 s are for the farewell; and what a sample needs.
const DRAIN: Duration = Duration::from_secs(35);
const SHORT_DRAIN: Duration = Duration::from_secs(12);
const FAREWELL: Duration = Duration::from_secs(5);
/// What this machine may be late by.
const SLACK: Duration = Duration::from_millis(1500);
/// Longest silence within a scripted answer, in milliseconds.
const PAUSE: u64 = 1000;
/// Between two who come.
const PACE: Duration = Duration::from_millis(25);

/// What a stream is to say.
struct Plan {
    script: Script,
    /// Whether it is over before a stop runs out of time.
    is_short: bool,
    way: Way,
    is_stored: bool,
}

fn plan(chance: &mut StdRng, index: usize, drain: Duration) -> Plan {
    let is_short = index.is_multiple_of(2);
    let length = if is_short {
        let most = drain - FAREWELL - SLACK;
        Duration::from_millis(chance.random_range(500..=u64::try_from(most.as_millis()).unwrap()))
    } else {
        2 * drain
    };
    // Of each way as many short ones as long ones.
    let way = Way::STREAMS[index / 2 % Way::STREAMS.len()];
    Plan {
        script: script(chance, length, PAUSE),
        is_short,
        way,
        is_stored: way == Way::Resumable || chance.random(),
    }
}

/// Holds what came of a stream against what was sent.
fn check(plan: &Plan, reply: &Reply, drain: Duration) {
    assert_eq!(reply.status, 200, "{reply:?}");
    let text = heard(reply).text;
    let begins: &[&str] = match plan.way {
        Way::ResponseStream => &["event: ", ": "],
        Way::Resumable => &["id: ", "data: ", ": "],
        _ => &["data: ", ": "],
    };
    for event in reply.body.split_terminator("\n\n") {
        let is_whole = begins.iter().any(|begin| event.starts_with(begin));
        assert!(is_whole, "{event:?} of {reply:?}");
    }
    assert!(plan.way.is_over(&reply.body), "{reply:?}");
    assert_eq!(plan.way.is_whole(reply), plan.is_short, "{reply:?}");
    let is_told = reply.body.contains("\"code\":\"shutting_down\"");
    assert_eq!(is_told, !plan.is_short, "{reply:?}");
    let whole = said(&plan.script, Duration::MAX);
    if plan.is_short {
        assert_eq!(text, whole);
    } else {
        // To the last byte what was sent until then, and nothing else.
        let due = said(&plan.script, drain - FAREWELL - SLACK);
        assert!(text.starts_with(&due), "{text:?} lacks some of {due:?}");
        assert!(whole.starts_with(&text), "{text:?} is not of {whole:?}");
    }
}

/// People who come one after the other, each on a connection of its own, until they are told to stay
/// away.
fn come(client: Client, away: CancellationToken) -> JoinHandle<Vec<Result<Reply, String>>> {
    let plain = Arc::new(json!({
        "model": "lotoai", "store": false, "messages": [{ "role": "user", "content": "?" }],
    }));
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(PACE);
        let mut asked = Vec::new();
        while !away.is_cancelled() {
            ticks.tick().await;
            let (client, plain) = (client.clone(), Arc::clone(&plain));
            let asks = asked.len().is_multiple_of(2);
            asked.push(tokio::spawn(async move {
                if asks {
                    client.ask(&plain).await
                } else {
                    client.get("/api/me").await
                }
            }));
        }
        let came = join_all(asked).await.into_iter();
        came.map(|reply| reply.unwrap()).collect()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_cuts_none_of_200_streams_and_refuses_nobody() {
    let Some(database) = postgres::start() else {
        return;
    };
    let mut chance = chance("a stop");
    let drain = if is_soak() { DRAIN } else { SHORT_DRAIN };
    let plans: Vec<Plan> = (0..STREAMS)
        .map(|index| plan(&mut chance, index, drain))
        .collect();
    let ground = Ground::new(&database).await;
    let seconds = drain.as_secs().to_string();
    let settings = [("DRAIN_SECONDS", seconds.as_str())];

    // All streams are open on the one that is going to stop; then there is another.
    let mut stopped = ground.replica(&settings).await;
    let balancer = Balancer::start().await;
    balancer.add(&stopped).await;
    let ana = ground.client(balancer.address, "ana");
    let streams: Vec<_> = plans
        .iter()
        .map(|plan| {
            let (ana, way) = (ana.clone(), plan.way);
            let question = question(&plan.script, way, plan.is_stored);
            tokio::spawn(async move { ana.put(way, &question, None).await })
        })
        .collect();
    let limit = Duration::from_secs(30);
    wait_for("all streams are open", limit, async || {
        ground.seen.count() == STREAMS
    })
    .await;
    assert_eq!(balancer.taken(&stopped), STREAMS);
    let stays = ground.replica(&settings).await;
    balancer.add(&stays).await;
    let away = CancellationToken::new();
    let newcomers = come(ana.clone(), away.clone());
    wait_for("people come to both", limit, async || {
        balancer.taken(&stopped) > STREAMS + 5 && balancer.taken(&stays) > 5
    })
    .await;

    ground.seen.go.cancel();
    stopped.terminate();
    let status = stopped.ended(drain + FAREWELL).await;
    assert!(status.success(), "{status:?}: not all of it ended in time");
    let before = balancer.taken(&stays);
    wait_for("people still come", limit, async || {
        balancer.taken(&stays) > before + 20
    })
    .await;
    away.cancel();

    let newcomers = newcomers.await.unwrap();
    for reply in &newcomers {
        let reply = reply.as_ref().unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    assert_eq!(balancer.refused(), Vec::<String>::new());
    assert!(newcomers.len() > 100, "{}", newcomers.len());

    let reader = ground.client(stays.address, "ana");
    for (plan, stream) in plans.iter().zip(streams) {
        let reply = stream.await.unwrap().expect("no stream is cut");
        check(plan, &reply, drain);
        let Heard {
            text, conversation, ..
        } = heard(&reply);
        assert_eq!(conversation.is_some(), plan.is_stored);
        let Some(conversation) = conversation else {
            continue;
        };
        // What was told is what is kept.
        let messages = reader.messages(&conversation).await;
        assert_eq!(messages[0]["content"], content(&plan.script));
        assert_eq!(messages[1]["content"], text);
        let outcome = if plan.is_short { "ok" } else { "shutting_down" };
        assert_eq!(messages[1]["outcome"], outcome);
    }
}
