//! What is taken from a person at Keycloak while an answer is open in a browser: a group, the stay.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use lotoai_e2e::PublicClient;

use super::driver::Driver;
use super::{Page, Scene, WITHIN, over, signed_out, test_id, told, with_people};
use crate::database::Database;
use crate::keycloak::{Keycloak, Lent};
use crate::support::{run, wait_every, wait_for};

/// Seconds that an access token lives meanwhile. One with an open answer is renewed 20 s before its
/// end, so soon after the answer began.
const TOKEN_LIFE: u32 = 23;
/// How long an open answer may go on after Keycloak said that it had ended the stay.
const ENDED_WITHIN: Duration = Duration::from_secs(2);
/// From one look to the next while that is measured.
const LOOK: Duration = Duration::from_millis(20);
/// Others who ask first. The local model writes one answer at a time: whoever comes after them has an
/// answer that stays open.
const LINE: usize = 5;
const QUESTION: &str = "Write a very long story about a lighthouse keeper and the sea.";

#[test]
fn what_keycloak_takes_from_a_person_ends_their_open_answers_and_no_others() {
    run(|| {
        with_people(&["ana", "eve"], async |scene, lent| {
            Box::pin(taken(scene, lent)).await;
        })
    });
}

async fn taken(scene: &Scene, lent: &Lent) {
    let Scene {
        client,
        keycloak,
        database,
        ..
    } = scene;
    keycloak.set_token_life(Some(TOKEN_LIFE)).await;
    let driver = Driver::start();
    let ana = Page(driver.client("ana").await);
    let eve = Page(driver.client("eve").await);
    ana.enter(client.url(), &lent.people[0]).await;
    eve.enter(client.url(), &lent.people[1]).await;
    let work = async {
        open(&eve).await;
        open(&ana).await;
        lose_group(&ana, keycloak, lent).await;
        goes_on(&eve).await;
        open(&ana).await;
        lose_stay(&ana, client, keycloak, lent).await;
        goes_on(&eve).await;
    };
    behind_others(client, Box::pin(work)).await;
    assert_cut(database, lent).await;
    written(&eve).await;
    assert_eq!(told(client, &eve.session().await).await.0, 200);
    ana.0.close().await.unwrap();
    eve.0.close().await.unwrap();
}

/// Does the work while others wait for the local model, and lets them go.
async fn behind_others(client: &PublicClient, work: impl Future<Output = ()>) {
    let is_writing = &AtomicBool::new(false);
    let others = (0..LINE).map(|_| {
        client.ask_streaming("assistant", QUESTION, move |_: &str| {
            is_writing.store(true, Ordering::Relaxed);
        })
    });
    let work = async {
        wait_every(LOOK, "the first of the others", 4 * WITHIN, async || {
            let is_writing = is_writing.load(Ordering::Relaxed);
            is_writing
                .then_some(())
                .ok_or_else(|| "nothing is written".to_owned())
        })
        .await;
        work.await;
    };
    tokio::select! {
        () = work => {}
        ended = join_all(others) => panic!("the others are done: {ended:?}"),
    }
}

/// Asks in a new conversation, and waits until the answer has begun.
async fn open(page: &Page) {
    page.click(&test_id("new-conversation")).await;
    let model = test_id("model");
    page.find(&format!("{model} option[value=\"assistant\"]"))
        .await;
    page.choose(&model, "assistant").await;
    page.fill(&test_id("question"), QUESTION).await;
    page.click(&test_id("send")).await;
    page.find(&test_id("decision")).await;
    goes_on(page).await;
}

async fn goes_on(page: &Page) {
    let state = page.attribute(&test_id("answer"), "data-state").await;
    assert_eq!(state.as_deref(), Ok("writing"));
}

/// Ana is taken out of her group: the answer ends and says why, also later; she stays signed in.
async fn lose_group(ana: &Page, keycloak: &Keycloak, lent: &Lent) {
    let answer = test_id("answer");
    let done = keycloak.leave(&lent.people[0], &lent.group).await;
    let limit = Duration::from_secs(u64::from(TOKEN_LIFE)) + ENDED_WITHIN;
    wait_every(LOOK, "the answer to end", limit, async || {
        match ana.attribute(&answer, "data-state").await?.as_str() {
            "failed" => Ok(()),
            state => Err(state.to_owned()),
        }
    })
    .await;
    println!("a lost group ended an answer after {}", since(done));
    assert_says_why(ana).await;
    wait_for("the answer as it is stored", WITHIN, async || {
        ana.0.refresh().await.map_err(|error| error.to_string())?;
        ana.find(&test_id("question")).await;
        let failed = format!("{answer}[data-state=\"failed\"]");
        let wait = ana.0.wait().at_most(ENDED_WITHIN);
        let found = wait.for_element(fantoccini::Locator::Css(&failed)).await;
        found.map(drop).map_err(|error| error.to_string())
    })
    .await;
    assert_says_why(ana).await;
    assert!(ana.has(&test_id("me")).await, "she is signed in");
}

async fn assert_says_why(page: &Page) {
    let text = page.text(".turn.assistant [role=\"alert\"]").await;
    assert!(text.starts_with("Your rights changed"), "{text}");
}

/// An administrator signs Ana out: her session is over, and the answer with it.
async fn lose_stay(ana: &Page, client: &PublicClient, keycloak: &Keycloak, lent: &Lent) {
    let session = ana.session().await;
    assert_eq!(told(client, &session).await.0, 200, "the control");
    goes_on(ana).await;
    let done = keycloak.sign_out(&lent.people[0]).await;
    let left = ENDED_WITHIN.saturating_sub(done.elapsed());
    let word = signed_out("over");
    wait_every(LOOK, "the page to say that it is over", left, async || {
        let is_over = ana.has(&word).await;
        is_over
            .then_some(())
            .ok_or_else(|| "she is signed in".to_owned())
    })
    .await;
    let of_page = since(done);
    assert_eq!(told(client, &session).await, over());
    println!(
        "a stay that Keycloak ended: the page knew after {of_page}, the cookie was dead after {}",
        since(done)
    );
    assert!(done.elapsed() <= ENDED_WITHIN, "{}", since(done));
    assert!(!ana.has(&test_id("me")).await);
    let text = ana.text(&word).await;
    assert!(text.starts_with("Your session has ended"), "{text}");
}

/// Ana's answers were cut off for these two reasons.
async fn assert_cut(database: &Database, lent: &Lent) {
    let statement = format!(
        "select outcome from messages join conversations on conversations.id = conversation_id \
         where owner = '{}' and outcome <> 'ok' order by outcome",
        lent.people[0].id
    );
    wait_for(
        "both answers to be stored",
        WITHIN,
        async || match database.run(&statement).as_str() {
            "rights_changed\nsigned_out" => Ok(()),
            other => Err(other.to_owned()),
        },
    )
    .await;
}

/// Waits until something of the answer is there.
async fn written(page: &Page) {
    let answer = test_id("answer");
    wait_for("Eve's answer", 2 * WITHIN, async || {
        let text = page.text(&answer).await;
        if text.trim().is_empty() {
            page.attribute(&answer, "data-state").await.and_then(Err)
        } else {
            Ok(())
        }
    })
    .await;
}

fn since(begun: Instant) -> String {
    format!("{} ms", begun.elapsed().as_millis())
}
