//! Calls of a tool that a person consents to, refuses and leaves alone on the page, in both languages:
//! what is shown stays over a reload, and the tool is called as often as was consented to.

use std::time::Duration;

use fantoccini::Locator;
use serde_json::Value;

use super::driver::Driver;
use super::{Page, Scene, WITHIN, test_id, with_people};
use crate::approvals::Guarded;
use crate::keycloak::Person;
use crate::support::{run, wait_for};

/// Says how often it was called. The shell alone does it, so that it needs nothing else of the image.
const TOOL: Guarded = Guarded {
    name: "read_out",
    source: r#"printf '%s\n' "$ARG_TEXT" >>/tmp/said
n=0
while read -r line; do n=$((n + 1)); done </tmp/said
printf 'call number %s' "$n""#,
};
/// How long the platform may take to an answer.
const ANSWERED: Duration = Duration::from_secs(60);

#[test]
fn a_person_consents_and_refuses_in_the_browser_in_both_languages() {
    run(|| {
        with_people(&["nora"], async |scene, lent| {
            let work = async |_: Value| {
                Box::pin(decided(scene, &lent.people[0])).await;
            };
            let (platform, client) = (&scene.platform, &scene.client);
            TOOL.lend(platform, client, "is it there?", work).await;
        })
    });
}

async fn decided(scene: &Scene, nora: &Person) {
    let driver = Driver::start();
    let page = Page(driver.client("nora").await);
    page.enter(scene.client.url(), nora).await;
    approved(&page).await;
    denied(&page).await;
    left_and_approved_in_spanish(&page).await;
    page.0.close().await.unwrap();
}

/// The card in this state.
fn card(state: &str) -> String {
    format!(
        "{}[data-tool=\"{}\"][data-state=\"{state}\"]",
        test_id("approval"),
        TOOL.name
    )
}

/// Something on the card that waits.
fn waiting(id: &str) -> String {
    format!("{} {}", card("pending"), test_id(id))
}

async fn ask(page: &Page, question: &str) {
    page.fill(&test_id("question"), question).await;
    page.click(&test_id("send")).await;
    page.find(&card("pending")).await;
}

/// Decides once the page lets one: not while an answer is being written.
async fn press(page: &Page, button: &str) {
    page.click(&format!("{}:enabled", waiting(button))).await;
}

/// Waits until the last answer is whole and says this.
async fn answered(page: &Page, says: &str) {
    let last = format!("article.turn.assistant:last-of-type {}", test_id("answer"));
    let done = format!("{last}[data-state=\"done\"]");
    wait_for(says, ANSWERED, async || {
        if !page.has(&done).await {
            return page.attribute(&last, "data-state").await.and_then(Err);
        }
        let text = page.text(&done).await;
        if text.contains(says) {
            Ok(())
        } else {
            Err(text)
        }
    })
    .await;
}

/// Reads the page again and waits for so many cards in this state.
async fn reload(page: &Page, state: &str, count: usize) {
    page.0.refresh().await.unwrap();
    let css = card(state);
    wait_for(&css, WITHIN, async || {
        let found = page.0.find_all(Locator::Css(&css)).await;
        let found = found.map_err(|error| error.to_string())?.len();
        if found == count {
            Ok(())
        } else {
            Err(format!("{found} cards"))
        }
    })
    .await;
}

/// Checks that the card in this state says all of this.
async fn says(page: &Page, state: &str, words: &[&str]) {
    let text = page.text(&card(state)).await;
    for told in words {
        assert!(text.contains(told), "{told:?} is not in {text:?}");
    }
}

async fn approved(page: &Page) {
    ask(page, &TOOL.question("good morning")).await;
    let asked = [
        "Consent to call read_out",
        "This call waits for your decision.",
        r#""text": "good morning""#,
        "Approve",
        "Deny",
    ];
    says(page, "pending", &asked).await;
    page.picture("consent.png").await;
    press(page, "approve").await;
    answered(page, "call number 1").await;
    let decided = ["You approved this call.", r#""text": "good morning""#];
    says(page, "approved", &decided).await;
    reload(page, "approved", 1).await;
    says(page, "approved", &decided).await;
    for button in ["approve", "deny"] {
        assert!(!page.has(&test_id(button)).await, "{button} is there");
    }
}

async fn denied(page: &Page) {
    ask(page, &TOOL.question("good night")).await;
    page.fill(&waiting("approval-reason"), "not yet").await;
    press(page, "deny").await;
    answered(page, "You refused: the tool read_out was not called.").await;
    let decided = ["You denied this call.", "Reason: not yet"];
    says(page, "denied", &decided).await;
    reload(page, "denied", 1).await;
    says(page, "denied", &decided).await;
}

/// What is left alone still waits after a reload, and says so in the language of the page. The number
/// in the answer shows that neither the refusal nor a reload has called the tool.
async fn left_and_approved_in_spanish(page: &Page) {
    ask(page, "Usa read_out para escribir \"buenas tardes\"").await;
    reload(page, "pending", 1).await;
    page.choose(&test_id("language"), "es").await;
    page.find("html[lang=\"es\"]").await;
    let asked = [
        "Consentimiento para llamar a read_out",
        "Esta llamada espera tu decisión.",
        r#""text": "buenas tardes""#,
        "Motivo (opcional)",
        "Aprobar",
        "Denegar",
    ];
    says(page, "pending", &asked).await;
    let listed = page.text(&test_id("waiting")).await;
    assert!(listed.contains("Esperan tu consentimiento: 1"), "{listed}");
    page.picture("consent-es.png").await;
    press(page, "approve").await;
    answered(page, "call number 2").await;
    reload(page, "approved", 2).await;
    says(page, "approved", &["Aprobaste esta llamada."]).await;
    says(
        page,
        "denied",
        &["Denegaste esta llamada.", "Motivo: not yet"],
    )
    .await;
}
