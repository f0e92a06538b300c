//! A process that is killed at any moment, and the next one in its place: what was acknowledged is
//! there, and what was reserved is settled.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use rand::Rng as _;
use rand::rngs::StdRng;

use crate::client::{Client, Reply};
use crate::ground::{Ground, behind, wait_for};
use crate::orchestrator::Script;
use crate::postgres;
use crate::relay::{Far, Kill, Relay, Trigger, kills};
use crate::script::{chance, content, heard, is_soak, question, said, script};

/// Kills of a sample, and in full.
const SAMPLE: u64 = 5;
const KILLS: u64 = 24;
const PEOPLE: usize = 4;
/// Of each of them, one after the other, streamed and whole in turn.
const QUESTIONS: usize = 4;
/// Longest answer, in seconds: what is reserved for one is charged a minute after it at the latest.
const LONGEST: u64 = 5;
const LEASE: Duration = Duration::from_secs(LONGEST + 60);
/// The ledger looks for what others left every 5 s, and lets more join it for 1 s
/// (`src/budget/ledger.rs`); the rest is for this machine.
const RECONCILED: Duration = Duration::from_secs(20);

/// Nothing is ever used up.
const BUDGETS: &str = r#"
prices:
  version: "2026-11"
  currency: EUR
  models: [{provider: local, model: extractive, inputPerMillion: "2", outputPerMillion: "4"}]
roles: [{name: scripted, models: [{provider: local, model: extractive}]}]
budgets:
  - {name: user, scope: User, per: Month, requests: 1000000, tokens: 1000000000}
  - {name: money, scope: Platform, per: Month, money: "1000000"}
"#;
/// What the fake orchestrator says that an answer took.
const TOKENS: i64 = 12 + 5;

/// What somebody was told to the end.
struct Acknowledged {
    subject: String,
    conversation: String,
    script: Script,
}

/// What came of questions.
#[derive(Default)]
struct Told {
    asked: usize,
    cut: usize,
    acknowledged: Vec<Acknowledged>,
}

impl Told {
    fn add(&mut self, more: Self) {
        self.asked += more.asked;
        self.cut += more.cut;
        self.acknowledged.extend(more.acknowledged);
    }
}

fn is_whole(reply: &Reply, is_streamed: bool) -> bool {
    let has_end = || {
        let is_finished = reply.body.contains("\"finish_reason\":\"stop\"");
        is_finished && reply.body.ends_with("data: [DONE]\n\n")
    };
    reply.status == 200 && (!is_streamed || has_end())
}

/// A person asks until one question is not answered.
async fn talk(client: Client, subject: String, scripts: Vec<Script>) -> Told {
    let mut told = Told::default();
    for (index, script) in scripts.into_iter().enumerate() {
        let is_streamed = index.is_multiple_of(2);
        told.asked += 1;
        let reply = client.ask(&question(&script, is_streamed, true)).await;
        let Some(reply) = reply.ok().filter(|reply| is_whole(reply, is_streamed)) else {
            told.cut += 1;
            break;
        };
        let (text, conversation) = heard(&reply);
        assert_eq!(text, said(&script, Duration::MAX));
        told.acknowledged.push(Acknowledged {
            subject: subject.clone(),
            conversation: conversation.unwrap(),
            script,
        });
    }
    told
}

/// Several people at a time.
async fn load(ground: &Ground, address: SocketAddr, chance: &mut StdRng) -> Told {
    let people = (0..PEOPLE).map(|number| {
        let subject = format!("person-{number}");
        let scripts = (0..QUESTIONS).map(|_| {
            let length = Duration::from_millis(chance.random_range(20..=200));
            script(chance, length, 40)
        });
        let scripts = scripts.collect();
        talk(ground.client(address, &subject), subject, scripts)
    });
    let people: Vec<_> = people.collect();
    let mut all = Told::default();
    for told in join_all(people).await {
        all.add(told);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_point_it_loses_no_message_and_no_money() {
    let Some(database) = postgres::start() else {
        return;
    };
    let mut chance = chance("kills");
    let mut ground = Ground::new(&database).await;
    ground.seen.go.cancel();
    let budgets = ground.file("budgets.yaml", BUDGETS);
    let longest = LONGEST.to_string();
    let settings = [
        ("BUDGETS_FILE", budgets.as_str()),
        ("ANSWER_MAX_SECONDS", longest.as_str()),
    ];
    let trigger = Arc::new(Trigger::default());
    let (_beside, postgres) = behind(&ground.pool, &trigger).await;
    ground.postgres = postgres;
    let above = Relay::start(Far::of(&ground.orchestrator), Arc::clone(&trigger)).await;
    ground.orchestrator = format!("http://{}", above.address);

    // The control: with nobody killed all is acknowledged.
    let replica = ground.replica(&settings).await;
    trigger.arm(replica.id(), Kill::NEVER);
    let mut told = load(&ground, replica.address, &mut chance).await;
    let moments = trigger.disarm();
    assert_eq!((told.acknowledged.len(), told.cut), (PEOPLE * QUESTIONS, 0));
    drop(replica);

    let count = if is_soak() { KILLS } else { SAMPLE };
    for kill in kills(&mut chance, moments, count) {
        let mut replica = ground.replica(&settings).await;
        trigger.arm(replica.id(), kill);
        told.add(load(&ground, replica.address, &mut chance).await);
        trigger.disarm();
        // A load may have come to its end with less.
        replica.kill();
        replica.ended(Duration::from_secs(10)).await;
    }
    assert!(told.cut > 0, "no answer was cut by any of the kills");

    let heir = ground.replica(&settings).await;
    for one in &told.acknowledged {
        let client = ground.client(heir.address, &one.subject);
        let messages = client.messages(&one.conversation).await;
        assert_eq!(messages[0]["content"], content(&one.script));
        assert_eq!(messages[1]["content"], said(&one.script, Duration::MAX));
        assert_eq!(messages[1]["outcome"], "ok");
    }
    books_agree(&ground, &told).await;
}

/// Whatever was reserved is charged once: as it came to where that is known, else as it was reserved.
async fn books_agree(ground: &Ground, told: &Told) {
    let unsettled = "select count(*) from spendings where not settled";
    let left = ground.number(unsettled).await;
    assert!(left > 0, "no kill left a reservation behind");
    let mut limit = RECONCILED;
    if is_soak() {
        limit += LEASE;
    } else {
        // As if the minute were over.
        let over = "update spendings set lease_until = now() where not settled";
        sqlx::query(over).execute(&ground.pool).await.unwrap();
    }
    wait_for("every reservation is settled", limit, async || {
        ground.number("select count(*) from spendings").await == 0
    })
    .await;
    wait_for("every event is with the broker", limit, async || {
        ground.number("select count(*) from outbox").await == 0
    })
    .await;
    let [requests, estimated, tokens, micros] = ground
        .numbers(
            "select sum(requests)::bigint, sum(estimated)::bigint,
                    sum(input_tokens + output_tokens)::bigint, sum(micros)::bigint
             from usage_days",
        )
        .await;
    let counted: [i64; 4] = ground
        .numbers(
            "select sum(requests) filter (where budget = 'user')::bigint,
                    sum(tokens) filter (where budget = 'user')::bigint,
                    sum(requests) filter (where budget = 'money')::bigint,
                    sum(micros) filter (where budget = 'money')::bigint
             from budget_windows",
        )
        .await;
    assert_eq!(counted, [requests, tokens, requests, micros]);
    assert!(estimated >= left, "{estimated} of {left} were charged");
    let exact = requests - estimated;
    let (asked, acknowledged) = (told.asked as i64, told.acknowledged.len() as i64);
    assert!(
        (acknowledged..=asked).contains(&exact) && requests <= asked,
        "{asked} asked, {acknowledged} acknowledged, {requests} charged, {estimated} of them by estimate"
    );
    assert!(tokens >= exact * TOKENS, "{tokens} for {exact}");
}
