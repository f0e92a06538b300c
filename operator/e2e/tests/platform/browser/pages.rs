//! The pages of the account and of usage, as a person uses them.

use std::time::Duration;

use lotoai_e2e::PublicClient;

use super::{Page, WITHIN, test_id};
use crate::support::{get_with, wait_for};

/// What a question used is counted within seconds of its answer.
const COUNTED_WITHIN: Duration = Duration::from_secs(60);

/// A name that no other run of the tests has.
fn own_name() -> String {
    format!("browser-{}", std::process::id())
}

/// The element of that kind and name.
fn named(kind: &str, name: &str) -> String {
    format!("{}[data-name=\"{name}\"]", test_id(kind))
}

async fn gone(page: &Page, css: &str) {
    wait_for(&format!("{css} to go"), WITHIN, async || {
        if page.has(css).await {
            Err("it is still there".to_owned())
        } else {
            Ok(())
        }
    })
    .await;
}

/// Waits for an element that is there once the gateway says so, and reads the page again until then.
async fn found_on_usage(page: &Page, css: &str) {
    wait_for(css, COUNTED_WITHIN, async || {
        if page.has(css).await {
            return Ok(());
        }
        page.click(&test_id("usage-reload")).await;
        Err("it is not on the page".to_owned())
    })
    .await;
}

/// Whether a key is one of the platform's now: 200, or 401.
async fn status_of(client: &PublicClient, key: &str) -> Result<u16, String> {
    let (status, _) = get_with(client, key, "/api/me").await?;
    Ok(status)
}

/// Makes an API key, sees it once, and revokes it.
pub(super) async fn account(page: &Page, client: &PublicClient) {
    let name = own_name();
    let row = named("key", &name);
    page.click(&test_id("account")).await;
    page.find(&test_id("account-page")).await;
    page.fill(&test_id("key-name"), &name).await;
    page.click(&test_id("make-key")).await;
    let field = page.find(&test_id("secret-key")).await;
    let key = field.prop("value").await.unwrap().unwrap_or_default();
    assert!(key.starts_with("loto_"), "what is shown is no key");
    assert_eq!(status_of(client, &key).await.unwrap(), 200);

    // It is shown once: not after it was kept, nor after a reload.
    page.click(&test_id("secret-close")).await;
    page.find(&row).await;
    for _ in ["closed", "read again"] {
        assert!(!page.has(&test_id("secret")).await);
        let source = page.0.source().await.unwrap();
        assert!(source.contains(&name), "the control: the list is there");
        assert!(!source.contains(&key), "the key is shown again");
        page.0.refresh().await.unwrap();
        page.find(&row).await;
    }
    assert_eq!(status_of(client, &key).await.unwrap(), 200, "it works on");

    page.click(&format!("{row} .actions button")).await;
    page.click(&format!("{row} {}", test_id("confirm"))).await;
    gone(page, &row).await;
    // Another replica may believe it for a second.
    wait_for(
        "the revoked key to be refused",
        WITHIN,
        async || match status_of(client, &key).await? {
            401 => Ok(()),
            status => Err(format!("{status}")),
        },
    )
    .await;
    page.picture("account.png").await;
    page.click(&test_id("account-close")).await;
    page.find(&test_id("question")).await;
}

/// Sees what was used; sets a budget, sees what is left of it, and removes it.
pub(super) async fn usage(page: &Page, client: &PublicClient) {
    page.click(&test_id("usage")).await;
    page.find(&test_id("usage-page")).await;
    // Not the month: that of the question may have ended since.
    page.choose(&test_id("usage-range"), "days30").await;
    found_on_usage(page, &test_id("usage-requests")).await;
    for picture in ["usage-chart", "usage-models"] {
        page.find(&format!("{} svg", test_id(picture))).await;
    }

    let name = own_name();
    let me = client.get("/api/me").await.unwrap();
    let whose = |value: &str| {
        let whose = test_id("usage-whose");
        format!("{whose} input[value=\"{value}\"] + span")
    };
    page.click(&whose("all")).await;
    page.click(&test_id("make-rule")).await;
    page.fill(&test_id("rule-name"), &name).await;
    page.choose(&test_id("rule-per"), "Month").await;
    // For one person, and out of reach: the other tests go on beside it.
    let subject = me["subject"].as_str().unwrap();
    page.fill(&test_id("rule-names"), subject).await;
    page.fill(&test_id("rule-requests"), "1000000").await;
    page.click(&test_id("send-rule")).await;
    let rule = named("rule", &name);
    page.find(&rule).await;

    page.click(&whose("own")).await;
    let budget = format!("{}[data-standing=\"ok\"]", named("budget", &name));
    found_on_usage(page, &budget).await;
    page.find(&format!("{budget} [role=\"meter\"] svg")).await;
    page.picture("usage.png").await;

    page.click(&whose("all")).await;
    // The first button alters it.
    let remove = format!("{rule} .actions button:not([data-testid])");
    page.click(&remove).await;
    page.click(&format!("{rule} {}", test_id("confirm"))).await;
    gone(page, &rule).await;
    page.click(&test_id("usage-close")).await;
    page.find(&test_id("question")).await;
}
