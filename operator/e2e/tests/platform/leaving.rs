//! A person who leaves at the issuer leaves here too: Keycloak tells the gateway.

use std::time::Duration;

use reqwest::StatusCode;

use crate::support::{ready, run, wait_for};
use crate::visitor::{Page, Visitor, attribute};

/// Far less than an access token lives: without being told the gateway would go on for that long.
const WITHIN: Duration = Duration::from_secs(30);

/// Ends a stay at the issuer with this realm, as from another of its applications.
async fn leave_the_issuer(visitor: &mut Visitor, realm: &str) {
    let url = format!("{realm}/protocol/openid-connect/logout");
    let response = visitor.get(&url).await;
    assert_eq!(response.status(), StatusCode::OK, "the issuer asks whether");
    let page = Page::of(response).await;
    let code = attribute(page.tag("<input", "session_code"), "value").unwrap();
    let fields = [("session_code", code.as_str()), ("confirmLogout", "Logout")];
    let response = visitor.submit(&page, "logout-confirm", &fields).await;
    let status = response.status();
    assert!(status.is_success() || status.is_redirection(), "{status}");
}

#[test]
fn a_sign_out_at_the_issuer_ends_the_session_here() {
    run(|| async {
        let (platform, client) = ready().await;
        let login = platform.first_user().await.unwrap();
        let visitor = || Visitor::new(client.http(), client.url());
        let (mut leaves, mut stays) = (visitor(), visitor());
        for visitor in [&mut leaves, &mut stays] {
            visitor.sign_in(&login).await;
            assert_eq!(visitor.me().await.0, 200);
        }
        let realm = format!("{}/realms/lotoai", client.url());
        leave_the_issuer(&mut leaves, &realm).await;
        wait_for("the session to end", WITHIN, async || {
            match leaves.me().await.0 {
                401 => Ok(()),
                status => Err(status.to_string()),
            }
        })
        .await;
        assert_eq!(stays.me().await.0, 200, "another browser stays signed in");
    });
}
