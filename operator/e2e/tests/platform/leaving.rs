//! A person who leaves at the issuer leaves here too: Keycloak tells the gateway.

use std::collections::BTreeMap;
use std::time::Duration;

use lotoai_e2e::{Platform, PublicClient};
use reqwest::{RequestBuilder, Response, StatusCode};

use crate::support::{ready, run, wait_for};

/// Far less than an access token lives: without being told the gateway would go on for that long.
const WITHIN: Duration = Duration::from_secs(30);

/// A browser as far as a sign-in needs one: it keeps cookies and follows nothing by itself.
struct Browser<'c> {
    client: &'c PublicClient,
    cookies: BTreeMap<String, String>,
}

impl<'c> Browser<'c> {
    const fn new(client: &'c PublicClient) -> Self {
        Self {
            client,
            cookies: BTreeMap::new(),
        }
    }

    async fn send(&mut self, request: RequestBuilder) -> Response {
        let cookies = self.cookies.iter();
        let cookies: Vec<String> = cookies
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = request
            .timeout(Duration::from_secs(30))
            .header("cookie", cookies.join("; "));
        let response = request.send().await.unwrap();
        for cookie in response.headers().get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        response
    }

    async fn get(&mut self, url: &str) -> Response {
        self.send(self.client.http().get(url)).await
    }

    /// Sends the form of a page, the one whose tag holds `mark`, with these fields.
    async fn submit(&mut self, page: &str, mark: &str, fields: &[(&str, &str)]) -> Response {
        let form = tag(page, "<form", mark);
        let action = attribute(form, "action").unwrap();
        let url = if action.starts_with('/') {
            format!("{}{action}", self.client.url())
        } else {
            action
        };
        self.send(self.client.http().post(url).form(fields)).await
    }

    /// From the gateway to Keycloak and back.
    async fn sign_in(&mut self, platform: &Platform) {
        let login = platform.first_user().await.unwrap();
        let response = self.get(&format!("{}/auth/login", self.client.url())).await;
        let page = self.get(&location(&response)).await;
        assert_eq!(page.status(), StatusCode::OK, "the issuer's page");
        let page = page.text().await.unwrap();
        let fields = [
            ("username", login.username.as_str()),
            ("password", login.password.as_str()),
        ];
        let response = self.submit(&page, "kc-form-login", &fields).await;
        let response = self.get(&location(&response)).await;
        assert!(response.status().is_redirection(), "{}", response.status());
        assert!(self.cookies.contains_key("__Host-lotoai"));
    }

    /// Ends the stay at the issuer, as from another of its applications.
    async fn leave_the_issuer(&mut self) {
        let realm = format!("{}/realms/lotoai", self.client.url());
        let page = self
            .get(&format!("{realm}/protocol/openid-connect/logout"))
            .await;
        assert_eq!(page.status(), StatusCode::OK, "the issuer asks whether");
        let page = page.text().await.unwrap();
        let code = attribute(tag(&page, "<input", "session_code"), "value").unwrap();
        let fields = [("session_code", code.as_str()), ("confirmLogout", "Logout")];
        let response = self.submit(&page, "logout-confirm", &fields).await;
        let status = response.status();
        assert!(status.is_success() || status.is_redirection(), "{status}");
    }

    async fn me(&mut self) -> u16 {
        let url = format!("{}/api/me", self.client.url());
        self.get(&url).await.status().as_u16()
    }
}

fn location(response: &Response) -> String {
    let status = response.status();
    assert!(status.is_redirection(), "{status} leads nowhere");
    response.headers()["location"].to_str().unwrap().to_owned()
}

/// The first tag of this kind with `mark` in it.
fn tag<'p>(page: &'p str, kind: &str, mark: &str) -> &'p str {
    let tags = page.match_indices(kind).map(|(start, _)| {
        let rest = &page[start..];
        rest.split('>').next().unwrap()
    });
    let found = tags.into_iter().find(|tag| tag.contains(mark));
    found.unwrap_or_else(|| panic!("no {kind} with {mark} in {page}"))
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(value.replace("&amp;", "&"))
}

#[test]
fn a_sign_out_at_the_issuer_ends_the_session_here() {
    run(|| async {
        let (platform, client) = ready().await;
        let (mut leaves, mut stays) = (Browser::new(&client), Browser::new(&client));
        for browser in [&mut leaves, &mut stays] {
            browser.sign_in(&platform).await;
            assert_eq!(browser.me().await, 200);
        }
        leaves.leave_the_issuer().await;
        wait_for("the session to end", WITHIN, async || {
            match leaves.me().await {
                401 => Ok(()),
                status => Err(status.to_string()),
            }
        })
        .await;
        assert_eq!(stays.me().await, 200, "another browser stays signed in");
    });
}
