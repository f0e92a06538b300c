//! The web page in a real browser: sign in, upload, ask, read the citation, make and revoke a key,
//! see what was used, set a budget, change the language.

mod consent;
mod driver;
mod pages;
mod sessions;
mod taken;

use std::path::Path;
use std::time::Duration;

use fantoccini::Locator;
use lotoai_e2e::{Platform, PublicClient};
use serde_json::Value;

use crate::database::Database;
use crate::keycloak::{Keycloak, Lent, Person};
use crate::support::{ready, run, wait_for};
use driver::Driver;

/// How long the page may take for what needs no model and no indexing.
const WITHIN: Duration = Duration::from_secs(30);
/// The cookie of a session.
const SESSION: &str = "__Host-lotoai";

/// The platform, and what is behind its page.
struct Scene {
    platform: Platform,
    client: PublicClient,
    keycloak: Keycloak,
    database: Database,
}

/// Makes these people for the time of `work`. Nothing happens, with the reason printed, where Keycloak
/// and the database are out of reach.
async fn with_people(names: &[&str], work: impl AsyncFnOnce(&Scene, &Lent)) {
    let (platform, client) = ready().await;
    let Some(keycloak) = Keycloak::of(&platform).await else {
        return;
    };
    let Some(database) = Database::of(&platform).await else {
        return;
    };
    let scene = Scene {
        platform,
        client,
        keycloak,
        database,
    };
    let keycloak = &scene.keycloak;
    keycloak
        .lend(names, async |lent| work(&scene, lent).await)
        .await;
}

/// A page and what a person does on it.
struct Page(fantoccini::Client);

impl Page {
    async fn find(&self, css: &str) -> fantoccini::elements::Element {
        let wait = self.0.wait().at_most(WITHIN);
        match wait.for_element(Locator::Css(css)).await {
            Ok(element) => element,
            Err(error) => panic!("{css} is not on the page: {error}"),
        }
    }

    async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    async fn fill(&self, css: &str, text: &str) {
        // A field is there before it can be used, while its page is being laid out.
        wait_for(&format!("{css} can be filled in"), WITHIN, async || {
            let field = self.find(css).await;
            field.clear().await.map_err(|error| error.to_string())
        })
        .await;
        self.find(css).await.send_keys(text).await.unwrap();
    }

    /// Attribute of an element that is there now.
    async fn attribute(&self, css: &str, name: &str) -> Result<String, String> {
        let element = self.0.find(Locator::Css(css)).await;
        let value = element
            .map_err(|error| error.to_string())?
            .attr(name)
            .await
            .map_err(|error| error.to_string())?;
        Ok(value.unwrap_or_default())
    }

    /// Whether an element is there now.
    async fn has(&self, css: &str) -> bool {
        self.0.find(Locator::Css(css)).await.is_ok()
    }

    async fn choose(&self, css: &str, value: &str) {
        let field = self.find(css).await;
        field.select_by_value(value).await.unwrap();
    }

    /// Keeps a picture where `LOTOAI_PICTURES` says, if it says so.
    async fn picture(&self, name: &str) {
        let Some(directory) = std::env::var_os("LOTOAI_PICTURES") else {
            return;
        };
        let picture = self.0.screenshot().await.unwrap();
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(Path::new(&directory).join(name), picture).unwrap();
    }

    async fn text(&self, css: &str) -> String {
        self.find(css).await.text().await.unwrap()
    }

    /// Fills in and sends Keycloak's form.
    async fn sign_in(&self, username: &str, password: &str) {
        self.fill("#username", username).await;
        self.fill("#password", password).await;
        self.click("#kc-login").await;
    }

    /// Opens the page, on which nobody is signed in, and signs in.
    async fn enter(&self, url: &str, person: &Person) {
        self.0.goto(&format!("{url}/")).await.unwrap();
        self.click(&test_id("sign-in")).await;
        self.sign_in(&person.username, person.password).await;
        assert_eq!(self.text(&test_id("me")).await, person.username);
    }

    /// The session that the browser keeps.
    async fn session(&self) -> String {
        let cookie = self.0.get_named_cookie(SESSION).await.unwrap();
        cookie.value().to_owned()
    }
}

/// What somebody with this session is told: the status, and the code of a refusal.
async fn told(client: &PublicClient, session: &str) -> (u16, String) {
    let request = client.http().get(format!("{}/api/me", client.url()));
    let request = request.header("cookie", format!("{SESSION}={session}"));
    let response = request.timeout(WITHIN).send().await.unwrap();
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    let code = body["code"].as_str().unwrap_or_default();
    (status, code.to_owned())
}

/// What somebody is told whose session is over.
fn over() -> (u16, String) {
    (401, "session_expired".to_owned())
}

/// The word on the page that nobody is signed in any more, and why.
fn signed_out(why: &str) -> String {
    format!("{}[data-ending=\"{why}\"]", test_id("signed-out"))
}

fn test_id(id: &str) -> String {
    format!("[data-testid=\"{id}\"]")
}

#[test]
fn a_person_signs_in_uploads_asks_and_reads_the_source() {
    run(|| async {
        let (platform, client) = ready().await;
        let login = platform.first_user().await.unwrap();
        let driver = Driver::start();
        let page = Page(driver.client("profile").await);
        page.0.goto(&format!("{}/", client.url())).await.unwrap();

        page.click(&test_id("sign-in")).await;
        // The negative control: a wrong password leads back to the form and nowhere else.
        page.sign_in(&login.username, "not the password").await;
        wait_for("the form to come again", WITHIN, async || {
            let url = page.0.current_url().await.map_err(|e| e.to_string())?;
            if url.path().contains("/login-actions/") {
                Ok(())
            } else {
                Err(url.to_string())
            }
        })
        .await;
        page.find("#password").await;
        page.0.goto(&format!("{}/", client.url())).await.unwrap();
        page.find(&test_id("sign-in")).await;
        assert!(
            !page.has(&test_id("me")).await,
            "a wrong password signed in"
        );

        page.click(&test_id("sign-in")).await;
        page.sign_in(&login.username, &login.password).await;
        assert_eq!(page.text(&test_id("me")).await, login.username);

        upload(&driver, &page).await;
        ask(&page).await;

        page.click(&format!(".sources {}", test_id("citation")))
            .await;
        let passage = page.text(&test_id("passage")).await;
        assert!(passage.contains("changes every June"), "{passage}");
        page.picture("browser.png").await;

        pages::account(&page, &client).await;
        pages::usage(&page, &client).await;

        assert_eq!(page.attribute("html", "lang").await.unwrap(), "en");
        page.choose(&test_id("language"), "es").await;
        page.find("html[lang=\"es\"]").await;
        page.0.close().await.unwrap();
    });
}

async fn upload(driver: &Driver, page: &Page) {
    let name = format!("parking-{}.md", std::process::id());
    let file = driver.home().join(&name);
    std::fs::write(
        &file,
        "# Parking\n\nThe visitor parking code is 4417 and changes every June.\n",
    )
    .unwrap();
    let input = page.find(&test_id("file-input")).await;
    input.send_keys(&file.to_string_lossy()).await.unwrap();
    let mine = format!("{}[data-name=\"{name}\"]", test_id("document-status"));
    wait_for(
        "the page to say that the document is ready",
        Duration::from_secs(90),
        async || {
            let state = page.attribute(&mine, "data-status").await?;
            if state == "indexed" {
                Ok(())
            } else {
                Err(state)
            }
        },
    )
    .await;
}

async fn ask(page: &Page) {
    page.fill(&test_id("question"), "What is the visitor parking code?")
        .await;
    page.click(&test_id("send")).await;
    let answer = test_id("answer");
    // While the answer is written its text and its links still change.
    wait_for(
        "the end of the answer",
        Duration::from_secs(60),
        async || {
            let state = page.attribute(&answer, "data-state").await?;
            if state == "done" { Ok(()) } else { Err(state) }
        },
    )
    .await;
    let text = page.text(&format!("{answer}[data-state=\"done\"]")).await;
    assert!(text.contains("4417"), "{text}");
}
