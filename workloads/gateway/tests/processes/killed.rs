//! A process that is killed at any moment, and the next one in its place: what was acknowledged is
//! there, and what was reserved is settled.

mod beside;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use rand::Rng as _;
use rand::rngs::StdRng;

use self::beside::{Sent, Sides, Vectors};
use crate::broker::CONFIRM;
use crate::client::{Client, Reply};
use crate::ground::{Ground, behind, wait_for};
use crate::orchestrator::Script;
use crate::postgres;
use crate::relay::{Far, Kill, Relay, Trigger, kills};
use crate::script::{Heard, Way, chance, content, heard, is_soak, question, said, script};

/// Kills of a sample, and in full.
const SAMPLE: u64 = 4;
const KILLS: u64 = 24;
/// Kills by the first confirm of the broker: before it comes through, and as soon as it has.
const BY_CONFIRM: [Kill; 2] = [
    Kill {
        at: 1,
        arrives: false,
    },
    Kill {
        at: 1,
        arrives: true,
    },
];
const PEOPLE: usize = 4;
/// Of each of them, one after the other.
const QUESTIONS: usize = 4;
/// Whose the files are.
const SENDER: &str = "person-files";
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
  models:
    - {provider: local, model: extractive, inputPerMillion: "2", outputPerMillion: "4"}
    - {provider: local, model: all-minilm-l6-v2, inputPerMillion: "1", outputPerMillion: "1"}
roles: [{name: scripted, models: [{provider: local, model: extractive}]}]
budgets:
  - {name: user, scope: User, per: Month, requests: 1000000, tokens: 1000000000}
  - {name: money, scope: Platform, per: Month, money: "1000000"}
"#;
/// What the fake orchestrator says that an answer took; vectors take more here.
const TOKENS: i64 = 12 + 5;

/// A question of the load.
struct Asked {
    subject: String,
    way: Way,
    /// Some are asked so that they take effect once.
    key: Option<String>,
    script: Script,
}

impl Asked {
    async fn put(&self, client: &Client) -> Result<Reply, String> {
        let question = question(&self.script, self.way, true);
        client.put(self.way, &question, self.key.as_deref()).await
    }
}

/// What somebody was told to the end.
struct Acknowledged {
    asked: Asked,
    heard: Heard,
    body: String,
}

impl Acknowledged {
    fn new(asked: Asked, reply: Reply) -> Self {
        let heard = heard(&reply);
        assert_eq!(heard.text, said(&asked.script, Duration::MAX));
        Self {
            asked,
            heard,
            body: reply.body,
        }
    }
}

/// What came of questions.
#[derive(Default)]
struct Told {
    asked: usize,
    cut: Vec<Asked>,
    acknowledged: Vec<Acknowledged>,
    /// What is asked beside questions.
    vectors: Vectors,
    sent: Vec<Sent>,
}

impl Told {
    fn add(&mut self, more: Self) {
        self.asked += more.asked;
        self.vectors.asked += more.vectors.asked;
        self.vectors.acknowledged += more.vectors.acknowledged;
        self.sent.extend(more.sent);
        self.cut.extend(more.cut);
        self.acknowledged.extend(more.acknowledged);
    }
}

/// A person asks until one question is not answered.
async fn talk(client: Client, questions: Vec<Asked>) -> Told {
    let mut told = Told::default();
    for asked in questions {
        told.asked += 1;
        let reply = asked.put(&client).await;
        let Some(reply) = reply.ok().filter(|reply| asked.way.is_whole(reply)) else {
            told.cut.push(asked);
            break;
        };
        told.acknowledged.push(Acknowledged::new(asked, reply));
    }
    told
}

/// Several people at a time, who ask in all ways; one more asks for vectors, and one sends a file.
async fn load(ground: &Ground, address: SocketAddr, chance: &mut StdRng) -> Told {
    let people = (0..PEOPLE).map(|number| {
        let subject = format!("person-{number}");
        let questions = (0..QUESTIONS).map(|index| {
            let length = Duration::from_millis(chance.random_range(20..=200));
            let has_key: bool = chance.random();
            Asked {
                subject: subject.clone(),
                way: Way::ALL[(number + index) % Way::ALL.len()],
                key: has_key.then(|| format!("{:032x}", chance.random::<u128>())),
                script: script(chance, length, 40),
            }
        });
        let questions = questions.collect();
        talk(ground.client(address, &subject), questions)
    });
    let people: Vec<_> = people.collect();
    let vectors = beside::embed(ground.client(address, "person-vectors"));
    let sent = beside::send(ground.client(address, SENDER));
    let (people, vectors, sent) = tokio::join!(join_all(people), vectors, sent);
    let mut all = Told {
        vectors,
        sent: sent.into_iter().collect(),
        ..Told::default()
    };
    for told in people {
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
    let sides = Sides::start().await;
    let more = sides.settings();
    let mut settings = vec![
        ("BUDGETS_FILE", budgets.as_str()),
        ("ANSWER_MAX_SECONDS", longest.as_str()),
    ];
    settings.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
    let trigger = Arc::new(Trigger::default());
    let (_beside, postgres) = behind(&ground.pool, &trigger).await;
    ground.postgres = postgres;
    let above = Relay::start(Far::of(&ground.orchestrator), Arc::clone(&trigger)).await;
    ground.orchestrator = format!("http://{}", above.address);
    // Before the broker there are two: one of them for the moment between an event and its confirm.
    let confirms = Arc::new(Trigger::only(&CONFIRM));
    let last = Relay::start(Far::of(&ground.rabbitmq), Arc::clone(&confirms)).await;
    let far = Far::Port(last.address);
    let before = Relay::start(far, Arc::clone(&trigger)).await;
    ground.rabbitmq = format!("amqp://{}/lotoai", before.address);

    // The control: with nobody killed all is acknowledged.
    let replica = ground.replica(&settings).await;
    trigger.arm(replica.id(), Kill::NEVER);
    let mut told = load(&ground, replica.address, &mut chance).await;
    let moments = trigger.disarm();
    let (whole, cut) = (told.acknowledged.len(), told.cut.len());
    assert_eq!((whole, cut), (PEOPLE * QUESTIONS, 0));
    let Vectors {
        asked,
        acknowledged,
    } = told.vectors;
    assert_eq!((asked, acknowledged), (beside::CALLS, beside::CALLS));
    let sent: Vec<usize> = told.sent.iter().map(|sent| sent.acknowledged).collect();
    assert_eq!(sent, [beside::WHOLE]);
    drop(replica);

    let count = if is_soak() { KILLS } else { SAMPLE };
    let anywhere = kills(&mut chance, moments, count).into_iter();
    let anywhere = anywhere.map(|kill| (&trigger, kill));
    for (trigger, kill) in anywhere.chain(BY_CONFIRM.map(|kill| (&confirms, kill))) {
        let mut replica = ground.replica(&settings).await;
        trigger.arm(replica.id(), kill);
        told.add(load(&ground, replica.address, &mut chance).await);
        trigger.disarm();
        // A load may have come to its end with less.
        replica.kill();
        replica.ended(Duration::from_secs(10)).await;
    }
    assert!(
        !told.cut.is_empty(),
        "no answer was cut by any of the kills"
    );

    let heir = ground.replica(&settings).await;
    for one in &told.acknowledged {
        is_kept(&ground.client(heir.address, &one.asked.subject), one).await;
    }
    for sent in &told.sent {
        beside::is_kept(&ground.client(heir.address, SENDER), sent).await;
    }
    for asked in std::mem::take(&mut told.cut) {
        let client = ground.client(heir.address, &asked.subject);
        told.acknowledged.extend(ask_again(&client, asked).await);
    }
    books_agree(&ground, &told).await;
    events_came(&ground, &told);
}

/// What was told is what is found, in all ways in which one may look for it.
async fn is_kept(client: &Client, one: &Acknowledged) {
    let Acknowledged { asked, heard, body } = one;
    let text = said(&asked.script, Duration::MAX);
    let messages = client
        .messages(heard.conversation.as_deref().unwrap())
        .await;
    assert_eq!(messages[0]["content"], content(&asked.script));
    assert_eq!(messages[1]["content"], text);
    assert_eq!(messages[1]["outcome"], "ok");
    if asked.key.is_some() {
        let again = asked.put(client).await.unwrap();
        let is_replayed = again.header("idempotency-replayed") == "true";
        assert!(
            is_replayed && again.body == *body,
            "{again:?} is not {body:?}"
        );
    }
    if asked.way == Way::Resumable {
        let path = format!("/v1/chat/completions/{}/stream", heard.run);
        let again = client.get(&path).await.unwrap();
        assert!(asked.way.is_whole(&again), "{again:?}");
        assert_eq!(crate::script::heard(&again).text, text);
    }
}

/// A question that was cut is asked again under its key: it has its one answer, or nobody knows it.
/// The books show that it is not charged twice.
async fn ask_again(client: &Client, asked: Asked) -> Option<Acknowledged> {
    asked.key.as_ref()?;
    let reply = asked.put(client).await.unwrap();
    if reply.status == 409 {
        let code = reply.code();
        let unknown = ["idempotency_in_progress", "idempotency_outcome_unknown"];
        assert!(unknown.contains(&code.as_str()), "{reply:?}");
        return None;
    }
    assert!(asked.way.is_whole(&reply), "{reply:?}");
    Some(Acknowledged::new(asked, reply))
}

/// The usage of every answer is with the broker, where its reader takes what comes again for the same.
fn events_came(ground: &Ground, told: &Told) {
    let published = ground.published.lock().unwrap();
    for one in &told.acknowledged {
        let (run, way) = (&one.heard.run, one.asked.way);
        assert!(published.contains_key(run), "{run} ({way:?}) was not told");
    }
    assert!(
        published.values().any(|times| *times > 1),
        "no confirm that was lost made its event come again"
    );
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
    let asked = (told.asked + told.vectors.asked) as i64;
    let acknowledged = (told.acknowledged.len() + told.vectors.acknowledged) as i64;
    assert!(
        (acknowledged..=asked).contains(&exact) && requests <= asked,
        "{asked} asked, {acknowledged} acknowledged, {requests} charged, {estimated} of them by estimate"
    );
    assert!(tokens >= exact * TOKENS, "{tokens} for {exact}");
}
