//! Check: asks an address once, for images that have no shell and no curl.
//!
//! No client of the cluster needed.

use std::time::Duration;

use reqwest::{StatusCode, Url};
use snafu::{ResultExt, Snafu, ensure};

/// What answers no faster is no use to anybody.
const LIMIT: Duration = Duration::from_secs(10);

/// Why the check failed.
#[derive(Debug, Snafu)]
pub enum Error {
    /// The address is not one that can be asked.
    #[snafu(display("failed to check {url:?}: write an http:// address"))]
    Scheme {
        /// The address.
        url: String,
    },
    /// The client could not be made.
    #[snafu(display("failed to make an HTTP client"))]
    Client {
        /// What the library said.
        source: reqwest::Error,
    },
    /// Nothing answered in time.
    #[snafu(display("failed to check {url}"))]
    Unanswered {
        /// The address.
        url: Url,
        /// What the library said.
        source: reqwest::Error,
    },
    /// The answer is none of success.
    #[snafu(display("failed to check {url}: HTTP {status}: {}", body.trim()))]
    Status {
        /// The address.
        url: Url,
        /// The answer's status.
        status: StatusCode,
        /// What it said.
        body: String,
    },
}

/// The address that a text stands for.
///
/// # Errors
/// When it is not an `http://` address.
pub fn address(text: &str) -> Result<Url, Error> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "http");
    url.ok_or_else(|| SchemeSnafu { url: text }.build())
}

/// Asks `url` with GET and returns what it says.
///
/// # Errors
/// When nothing answers within ten seconds, or with another status than success.
pub async fn check(url: Url) -> Result<String, Error> {
    // A proxy of the environment knows no addresses of the cluster.
    let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build();
    let response = client
        .context(ClientSnafu)?
        .get(url.clone())
        .send()
        .await
        .map_err(reqwest::Error::without_url)
        .context(UnansweredSnafu { url: url.clone() })?;
    let status = response.status();
    let body = response.text().await.unwrap_or_default();
    ensure!(status.is_success(), StatusSnafu { url, status, body });
    Ok(body)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use wiremock::matchers::path;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::error::chain;

    async fn ask(server: &MockServer, page: &str) -> Result<String, Error> {
        check(address(&format!("{}{page}", server.uri())).unwrap()).await
    }

    #[tokio::test]
    async fn only_success_is_success() {
        let server = MockServer::start().await;
        let answers = [
            (
                "/readyz",
                ResponseTemplate::new(200).set_body_string("ok\n"),
            ),
            (
                "/later",
                ResponseTemplate::new(503).set_body_string("waiting for x\n"),
            ),
        ];
        for (page, answer) in answers {
            let mock = Mock::given(path(page)).respond_with(answer);
            mock.mount(&server).await;
        }
        assert_eq!(ask(&server, "/readyz").await.unwrap(), "ok\n");
        let refusal = chain(&ask(&server, "/later").await.unwrap_err());
        assert!(
            refusal.ends_with("HTTP 503 Service Unavailable: waiting for x"),
            "{refusal}"
        );
    }

    #[rstest]
    #[case("https://x:9090/readyz")]
    #[case("x:9090")]
    #[case("")]
    fn other_addresses_are_refused(#[case] text: &str) {
        assert!(chain(&address(text).unwrap_err()).contains("write an http:// address"));
    }
}
