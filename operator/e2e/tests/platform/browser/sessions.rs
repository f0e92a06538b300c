//! A session in the browser: its tokens are renewed without a word, it ends when it is left alone,
//! and its person ends it everywhere.

use std::time::{Duration, Instant};

use lotoai_e2e::PublicClient;

use super::driver::Driver;
use super::{Page, SESSION, Scene, WITHIN, over, signed_out, test_id, told, with_people};
use crate::database::Database;
use crate::keycloak::{Keycloak, Person};
use crate::support::{run, wait_for};

/// Seconds that an access token lives meanwhile: it is renewed with every request. The ID token, which
/// lives as long, must not end on its way to the gateway.
const TOKEN_LIFE: u32 = 5;

#[test]
fn a_session_is_renewed_ends_when_it_is_left_alone_and_is_signed_out_everywhere() {
    run(|| {
        with_people(&["iris"], async |scene, lent| {
            Box::pin(used_and_left(scene, &lent.people[0])).await;
        })
    });
}

async fn used_and_left(scene: &Scene, iris: &Person) {
    let Scene {
        client,
        keycloak,
        database,
        ..
    } = scene;
    let driver = Driver::start();
    let page = Page(driver.client("iris").await);
    renewed(&page, client, keycloak, database, iris).await;
    left_alone(&page, database, iris).await;
    left_by_its_person(&page, client, keycloak, iris).await;
    page.0.close().await.unwrap();
}

/// The access token ends, and the page goes on without a sign-in.
async fn renewed(
    page: &Page,
    client: &PublicClient,
    keycloak: &Keycloak,
    database: &Database,
    iris: &Person,
) {
    let sealed = || {
        let statement = format!(
            "select md5(sealed) from sessions where subject = '{}'",
            iris.id
        );
        let sealed = database.run(&statement);
        assert_eq!(sealed.lines().count(), 1, "one session: {sealed}");
        sealed
    };
    let reload = async || {
        page.0.refresh().await.unwrap();
        assert_eq!(page.text(&test_id("me")).await, iris.username);
    };
    keycloak.set_token_life(Some(TOKEN_LIFE)).await;
    page.enter(client.url(), iris).await;
    let (cookie, first) = (page.session().await, sealed());
    let ends = Instant::now() + Duration::from_secs(u64::from(TOKEN_LIFE) + 1);
    wait_for("the end of the access token", WITHIN, async || {
        let left = ends.saturating_duration_since(Instant::now());
        if left.is_zero() {
            Ok(())
        } else {
            Err(format!("{} ms are left", left.as_millis()))
        }
    })
    .await;
    page.click(&test_id("account")).await;
    page.find(&format!("{}[data-current=\"true\"]", test_id("session")))
        .await;
    let second = sealed();
    assert_ne!(second, first, "the tokens are those of before");
    keycloak.set_token_life(None).await;
    reload().await;
    let third = sealed();
    assert_ne!(third, second, "the last short token is still there");
    // The control: a token that holds is left alone.
    reload().await;
    assert_eq!(sealed(), third);
    assert_eq!(page.session().await, cookie, "the browser noticed nothing");
    page.click(&test_id("account-close")).await;
}

/// Nobody used the session for too long: the page says so at the next step, in both languages, and
/// goes on where it was.
async fn left_alone(page: &Page, database: &Database, iris: &Person) {
    // The time that passes is the database's own: no test can wait for an hour.
    let unused_for = |minutes: u32| {
        database.run(&format!(
            "update sessions set last_used_at = now() - interval '{minutes} minutes' \
             where subject = '{}'",
            iris.id
        ));
    };
    // The control: it may be left for almost an hour.
    unused_for(59);
    page.click(&test_id("account")).await;
    page.find(&format!("{}[data-current=\"true\"]", test_id("session")))
        .await;
    page.click(&test_id("account-close")).await;
    wait_for("the use to be noted", WITHIN, async || {
        let noted = database.run(&format!(
            "select last_used_at > now() - interval '1 minute' from sessions \
             where subject = '{}'",
            iris.id
        ));
        if noted == "t" { Ok(()) } else { Err(noted) }
    })
    .await;

    unused_for(61);
    page.click(&test_id("usage")).await;
    let word = signed_out("over");
    let text = page.text(&word).await;
    assert!(text.starts_with("Your session has ended"), "{text}");
    assert_nothing_shown(page, iris).await;
    page.0.refresh().await.unwrap();
    page.choose(&test_id("language"), "es").await;
    page.find("html[lang=\"es\"]").await;
    let text = page.text(&word).await;
    assert!(text.starts_with("Tu sesión ha terminado"), "{text}");
    page.picture("signed-out.png").await;
    page.choose(&test_id("language"), "en").await;

    // The stay at Keycloak goes on, so nobody is asked for a password.
    page.click(&test_id("sign-in")).await;
    assert_eq!(page.text(&test_id("me")).await, iris.username);
    page.find(&test_id("usage-page")).await;
}

/// Sign-out ends the session here and at Keycloak, in every tab, and nothing leads back into it.
async fn left_by_its_person(
    page: &Page,
    client: &PublicClient,
    keycloak: &Keycloak,
    iris: &Person,
) {
    let session = page.session().await;
    assert_eq!(told(client, &session).await.0, 200, "the control");
    assert_eq!(keycloak.stays(iris).await, 1);
    let here = page.0.window().await.unwrap();
    let there = page.0.new_window(true).await.unwrap().handle;
    page.0.switch_to_window(there.clone()).await.unwrap();
    page.0.goto(&format!("{}/", client.url())).await.unwrap();
    assert_eq!(page.text(&test_id("me")).await, iris.username);
    page.0.switch_to_window(here).await.unwrap();

    page.click(&test_id("sign-out")).await;
    page.find(&signed_out("self")).await;
    assert_eq!(told(client, &session).await, over());
    assert_eq!(keycloak.stays(iris).await, 0, "Keycloak's stay goes on");
    let kept = page.0.get_all_cookies().await.unwrap();
    let kept = kept.iter().any(|cookie| cookie.name() == SESSION);
    assert!(!kept, "the browser keeps the cookie");
    // Each of these was a page of hers.
    for step in 1..=4 {
        page.0.back().await.unwrap();
        let what = format!("the page after {step} steps back");
        wait_for(&what, WITHIN, async || {
            let url = page.0.current_url().await;
            let url = url.map_err(|error| error.to_string())?;
            if page.has(&test_id("sign-in")).await {
                Ok(())
            } else {
                Err(url.to_string())
            }
        })
        .await;
        assert_nothing_shown(page, iris).await;
    }

    page.0.switch_to_window(there).await.unwrap();
    let text = page.text(&signed_out("elsewhere")).await;
    assert!(text.contains("in another tab"), "{text}");
    assert_nothing_shown(page, iris).await;
    // With the stay at Keycloak gone a password is asked for.
    page.click(&test_id("sign-in")).await;
    page.find("#password").await;
}

async fn assert_nothing_shown(page: &Page, iris: &Person) {
    assert!(!page.has(&test_id("me")).await);
    let source = page.0.source().await.unwrap();
    assert!(!source.contains(&iris.username), "{source}");
}
