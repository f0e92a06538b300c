//! A browser as far as a sign-in needs one: it keeps cookies and follows nothing by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use lotoai_e2e::platform::Login;
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;

/// How long a page may take.
const PAGE_LIMIT: Duration = Duration::from_secs(30);

/// Somebody with a browser, at a platform.
pub(crate) struct Visitor {
    http: reqwest::Client,
    /// The platform's address, without a slash at the end.
    platform: String,
    /// By host and name.
    cookies: BTreeMap<(String, String), String>,
}

/// What a page shows, and where it is.
pub(crate) struct Page {
    address: Url,
    text: String,
}

impl Page {
    pub(crate) async fn of(response: Response) -> Self {
        Self {
            address: response.url().clone(),
            text: response.text().await.unwrap(),
        }
    }

    /// The first tag of this kind with `mark` in it.
    pub(crate) fn tag(&self, kind: &str, mark: &str) -> &str {
        let tags = self.text.match_indices(kind).map(|(start, _)| {
            let rest = &self.text[start..];
            rest.split('>').next().unwrap()
        });
        let found = tags.into_iter().find(|tag| tag.contains(mark));
        found.unwrap_or_else(|| panic!("no {kind} with {mark} in {}", self.text))
    }
}

impl Visitor {
    /// Nobody yet, at the platform with this address.
    pub(crate) fn new(http: &reqwest::Client, platform: &str) -> Self {
        Self {
            http: http.clone(),
            platform: platform.trim_end_matches('/').to_owned(),
            cookies: BTreeMap::new(),
        }
    }

    async fn send(&mut self, request: RequestBuilder) -> Response {
        let mut request = request.timeout(PAGE_LIMIT).build().unwrap();
        let host = request.url().host_str().unwrap().to_owned();
        let ours = self.cookies.iter().filter(|((of, _), _)| *of == host);
        let ours: Vec<String> = ours
            .map(|((_, name), value)| format!("{name}={value}"))
            .collect();
        if !ours.is_empty() {
            let cookies = ours.join("; ").parse().unwrap();
            request.headers_mut().insert("cookie", cookies);
        }
        let response = self.http.execute(request).await.unwrap();
        for cookie in response.headers().get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            let key = (host.clone(), name.to_owned());
            self.cookies.insert(key, value.to_owned());
        }
        response
    }

    /// Asks for an address.
    pub(crate) async fn get(&mut self, url: &str) -> Response {
        self.send(self.http.get(url)).await
    }

    /// Sends the form of a page, the one whose tag holds `mark`, with these fields.
    pub(crate) async fn submit(
        &mut self,
        page: &Page,
        mark: &str,
        fields: &[(&str, &str)],
    ) -> Response {
        let action = attribute(page.tag("<form", mark), "action").unwrap();
        let url = page.address.join(&action).unwrap();
        self.send(self.http.post(url).form(fields)).await
    }

    /// From the gateway to the issuer and back. The address of the issuer's page, at which the
    /// password was asked for.
    pub(crate) async fn sign_in(&mut self, login: &Login) -> Url {
        let begin = format!("{}/auth/login", self.platform);
        let response = self.get(&begin).await;
        let response = self.get(&location(&response)).await;
        assert_eq!(response.status(), StatusCode::OK, "the issuer's page");
        let page = Page::of(response).await;
        let fields = [
            ("username", login.username.as_str()),
            ("password", login.password.as_str()),
        ];
        let response = self.submit(&page, "kc-form-login", &fields).await;
        let response = self.get(&location(&response)).await;
        assert!(response.status().is_redirection(), "{}", response.status());
        assert!(self.has("__Host-lotoai"));
        page.address
    }

    fn has(&self, cookie: &str) -> bool {
        self.cookies.keys().any(|(_, name)| name == cookie)
    }

    /// What the platform says of who is signed in: a status, and with 200 the person.
    pub(crate) async fn me(&mut self) -> (u16, Value) {
        let url = format!("{}/api/me", self.platform);
        let response = self.get(&url).await;
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or_default())
    }
}

/// Where an answer leads.
pub(crate) fn location(response: &Response) -> String {
    let status = response.status();
    assert!(status.is_redirection(), "{status} leads nowhere");
    response.headers()["location"].to_str().unwrap().to_owned()
}

/// What a tag says under a name.
pub(crate) fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(value.replace("&amp;", "&"))
}
