//! Gateway, orchestrator and mcp-server as processes, of which the first two are killed at any moment
//! while people consent to calls of a tool: what was acknowledged is there, no call is made twice, and
//! what nobody decided still waits.

mod stage;

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use self::stage::{NOTED, Stage, TOOL, Victim};
use crate::client::{Client, Reply};
use crate::ground::wait_for;
use crate::postgres;
use crate::relay::{Kill, kills};
use crate::script::{chance, heard, is_soak};

/// Kills of each of the two in a sample, and in full.
const SAMPLE: u64 = 4;
const KILLS: u64 = 24;
const PEOPLE: usize = 3;
/// What each of them does, one after the other; everybody begins with another one.
const DOES: [Does; 4] = [Does::Approve, Does::Leave, Does::Deny, Does::Approve];
/// What coming back may take on a machine that does much else.
const BACK: Duration = Duration::from_secs(30);

/// What a person does with a call that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Approve,
    Deny,
    Leave,
}

/// A call of the tool that somebody asked for, and what they were told of it.
#[derive(Debug)]
struct Call {
    subject: String,
    /// What the tool is to write down, and for no other call.
    note: String,
    /// The approval and its conversation. Nothing where the question was not answered.
    asked: Option<(String, String)>,
    /// What was decided, whether or not that was acknowledged.
    sent: Option<Does>,
    /// What was answered to that. Nothing where it was not acknowledged.
    answer: Option<String>,
}

impl Call {
    fn is_cut(&self) -> bool {
        self.asked.is_none() || (self.sent.is_some() && self.answer.is_none())
    }

    /// Asks for the call. Nothing where that is cut off or refused.
    async fn ask(&mut self, client: &Client) -> Option<()> {
        let content = format!("Use {TOOL} to write \"{}\"", self.note);
        let question = json!({
            "model": "lotoai", "store": true,
            "messages": [{ "role": "user", "content": content }],
        });
        let reply = acknowledged(client.ask(&question).await)?;
        let id = reply.json()["lotoai"]["approvals"][0]["id"].clone();
        let id = id
            .as_str()
            .unwrap_or_else(|| panic!("no one is asked: {reply:?}"));
        let conversation = heard(&reply).conversation;
        self.asked = Some((id.to_owned(), conversation.unwrap()));
        Some(())
    }

    /// Decides it. Nothing where that is cut off or refused.
    async fn decide(&mut self, client: &Client, does: Does) -> Option<()> {
        self.sent = Some(does);
        let reply = acknowledged(self.send(client).await)?;
        self.answer = Some(heard(&reply).text);
        Some(())
    }

    /// Sends what was decided.
    async fn send(&self, client: &Client) -> Result<Reply, String> {
        let (id, _) = self.asked.as_ref().unwrap();
        let decision = match self.sent {
            Some(Does::Approve) => "approve",
            Some(Does::Deny) => "deny",
            other => panic!("{other:?} is nothing to send"),
        };
        let body = json!({ "decision": decision }).to_string();
        client
            .send("POST", &format!("/api/approvals/{id}"), &body)
            .await
    }
}

fn acknowledged(reply: Result<Reply, String>) -> Option<Reply> {
    reply.ok().filter(|reply| reply.status == 200)
}

/// A person asks and decides until something is not acknowledged.
async fn talk(client: Client, subject: String, load: usize, person: usize) -> Vec<Call> {
    let mut calls = Vec::new();
    let does = DOES.into_iter().cycle().skip(person).take(DOES.len());
    for (index, does) in does.enumerate() {
        let mut call = Call {
            subject: subject.clone(),
            note: format!("note {load}-{person}-{index}"),
            asked: None,
            sent: None,
            answer: None,
        };
        let asked = call.ask(&client).await;
        if asked.is_some() && does != Does::Leave {
            call.decide(&client, does).await;
        }
        let is_cut = call.is_cut();
        calls.push(call);
        if is_cut {
            break;
        }
    }
    calls
}

impl Stage {
    /// Several people at a time.
    async fn load(&self, number: usize) -> Vec<Call> {
        let people = (0..PEOPLE).map(|person| {
            let subject = format!("person-{person}");
            talk(self.client(&subject), subject, number, person)
        });
        let people: Vec<Vec<Call>> = join_all(people).await;
        people.into_iter().flatten().collect()
    }

    /// Where the approval of a call stands, as its person is told.
    async fn state(&self, call: &Call) -> String {
        let (client, (id, _)) = (self.client(&call.subject), call.asked.as_ref().unwrap());
        let (path, mut state) = (format!("/api/approvals/{id}"), String::new());
        wait_for("an approval is shown", BACK, async || {
            let reply = acknowledged(client.get(&path).await);
            reply.is_some_and(|reply| {
                state = reply.json()["state"].as_str().unwrap().to_owned();
                true
            })
        })
        .await;
        state
    }

    /// Holds what a person was told against what there is.
    async fn check(&self, call: &Call) {
        if call.asked.is_none() {
            assert_eq!(self.noted(&call.note), 0, "{call:?}");
            return;
        }
        let state = self.state(call).await;
        let noted = self.noted(&call.note);
        let decided = match call.sent {
            Some(Does::Approve) => "approved",
            Some(Does::Deny) => "denied",
            _ => "pending",
        };
        let is_told = call.sent.is_none() || call.answer.is_some();
        let is_right = state == decided || (!is_told && state == "pending");
        assert!(is_right, "{call:?} is {state}");
        let most = usize::from(call.sent == Some(Does::Approve));
        assert!(noted <= most, "{call:?} was made {noted} times");
        let says_so = call.answer.as_ref().is_some_and(|it| it.contains(NOTED));
        assert!(!says_so || noted == 1, "{call:?} was not made");
    }

    /// Sends what was not acknowledged again until it is: the same decision goes on where it was.
    async fn see_through(&self, call: &mut Call) {
        let client = self.client(&call.subject);
        let conversation = call.asked.as_ref().unwrap().1.clone();
        let mut answer = None;
        wait_for("a decision is acknowledged", BACK, async || {
            answer = match call.send(&client).await {
                Ok(reply) if reply.status == 200 => Some(heard(&reply).text),
                // The answer may have been stored before it could be given.
                Ok(reply) if reply.status == 409 => {
                    let messages = client.messages(&conversation).await;
                    let good = messages.iter().skip(2).find(|it| it["outcome"] == "ok");
                    good.map(|it| it["content"].as_str().unwrap().to_owned())
                }
                _ => None,
            };
            answer.is_some()
        })
        .await;
        call.answer = answer;
        self.check(call).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_consent_is_lost_and_no_call_made_twice_whoever_is_killed() {
    let Some(database) = postgres::start() else {
        return;
    };
    let Some(runs) = postgres::start_empty() else {
        return;
    };
    let mut chance = chance("consent");
    let mut stage = Stage::new(&database, &runs).await;

    // The control: with nobody killed all is acknowledged, and what was approved is done.
    for victim in [Victim::Gateway, Victim::Orchestrator] {
        stage.arm(victim, Kill::NEVER);
    }
    let mut calls = stage.load(0).await;
    let moments = [Victim::Gateway, Victim::Orchestrator].map(|it| (it, stage.disarm(it)));
    assert_eq!(calls.len(), PEOPLE * DOES.len());
    for call in &calls {
        assert!(!call.is_cut(), "{call:?}");
        stage.check(call).await;
        let is_approved = call.sent == Some(Does::Approve);
        assert_eq!(
            stage.noted(&call.note),
            usize::from(is_approved),
            "{call:?}"
        );
    }

    let count = if is_soak() { KILLS } else { SAMPLE };
    let mut load = 0;
    for (victim, moments) in moments {
        let mut cut = 0;
        for kill in kills(&mut chance, moments, count) {
            load += 1;
            stage.arm(victim, kill);
            let mut fresh = stage.load(load).await;
            stage.disarm(victim);
            stage.replace(victim).await;
            for call in &mut fresh {
                stage.check(call).await;
                if call.is_cut() {
                    cut += 1;
                }
                if call.sent.is_some() && call.answer.is_none() {
                    stage.see_through(call).await;
                }
            }
            calls.extend(fresh);
        }
        println!("{victim:?}: {cut} were cut off by {count} kills");
        assert!(cut > 0, "nobody was cut off by any of the kills");
    }

    // Also after all the kills that came later, and what still waits can be decided.
    for call in &mut calls {
        stage.check(call).await;
        if call.asked.is_some() && call.sent.is_none() {
            let client = stage.client(&call.subject);
            call.decide(&client, Does::Approve).await;
            let says_so = call.answer.as_ref().is_some_and(|it| it.contains(NOTED));
            assert!(says_so, "{call:?}");
            stage.check(call).await;
        }
    }
    let decided = calls.iter().filter(|call| call.sent.is_some()).count();
    let records = stage
        .number("select count(*) from approval_decisions")
        .await;
    assert_eq!(records, decided, "decisions on record");
    let unused = "select count(*) from approvals where state = 'approved' and called_at is null";
    assert_eq!(
        stage.number(unused).await,
        0,
        "calls that are approved and not made"
    );
}
