//! Bounded HTTP requests to a store's management interface.

use std::path::Path;
use std::time::Duration;

use ::http::StatusCode;
use bytes::Bytes;
use lotoai_kit::authority::{self, AuthorityError};
use lotoai_kit::http_error::{BodyError, read_body_capped};
use reqwest::{RequestBuilder, Response};
use serde::de::DeserializeOwned;
use snafu::{ResultExt, Snafu};

/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a request may take in all.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// How much of an error answer is shown, in characters.
const SHOWN: usize = 300;

/// Why a request failed. `what` continues "failed to".
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub enum HttpError {
    /// The client was refused.
    #[snafu(display("failed to build the HTTP client"))]
    Client {
        /// The cause.
        source: reqwest::Error,
    },
    /// The authority of the store's certificate cannot be used.
    #[snafu(display("failed to use the file with the authority of the store's certificate"))]
    Authority {
        /// The cause.
        source: AuthorityError,
    },
    /// Nothing answered.
    #[snafu(display("failed to {what}"))]
    Send {
        /// What was being done.
        what: String,
        /// The cause.
        source: reqwest::Error,
    },
    /// The answer could not be read.
    #[snafu(display("failed to {what}"))]
    Body {
        /// What was being done.
        what: String,
        /// The cause.
        source: BodyError,
    },
    /// The store refused.
    #[snafu(display("failed to {what}: the answer was {status}: {answer}"))]
    Status {
        /// What was being done.
        what: String,
        /// The status.
        status: StatusCode,
        /// The beginning of the body.
        answer: String,
    },
    /// The answer is not what it should be.
    #[snafu(display("failed to {what}: the answer is not understood"))]
    Parse {
        /// What was being done.
        what: String,
        /// The cause.
        source: serde_json::Error,
    },
    /// Something that was created does not work.
    #[snafu(display(
        "failed to start {what}: its state is {state:?} after {seconds} s; the store's log says why"
    ))]
    NotRunning {
        /// What does not run.
        what: String,
        /// What the store says about it.
        state: String,
        /// How long it was given.
        seconds: u64,
    },
    /// Something that was just created cannot be found.
    #[snafu(display("failed to {what}: it is not there"))]
    Absent {
        /// What was being done.
        what: String,
    },
}

/// A client that follows no redirect and uses no proxy: it carries administrators' passwords.
/// It trusts the authority of a file beside the well-known ones.
pub(crate) fn client(authority: Option<&Path>) -> Result<reqwest::Client, HttpError> {
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(REQUEST_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    authority::trust(builder, authority)
        .context(AuthoritySnafu)?
        .build()
        .context(ClientSnafu)
}

/// Sends a request; any status is an answer.
pub(crate) async fn send(what: &str, request: RequestBuilder) -> Result<Answer, HttpError> {
    let response: Response = request.send().await.context(SendSnafu { what })?;
    let status = response.status();
    let body = read_body_capped(response, MAX_ANSWER)
        .await
        .context(BodySnafu { what })?;
    Ok(Answer {
        what: what.to_owned(),
        status,
        body,
    })
}

/// An answer that was read.
#[derive(Debug)]
pub(crate) struct Answer {
    what: String,
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The answer, when it says success.
    pub(crate) fn success(self) -> Result<Self, HttpError> {
        if self.status.is_success() {
            Ok(self)
        } else {
            Err(self.refused())
        }
    }

    /// The answer, when it says success; nothing when it says that the thing is not there.
    pub(crate) fn found(self) -> Result<Option<Self>, HttpError> {
        match self.status {
            StatusCode::NOT_FOUND => Ok(None),
            _ => self.success().map(Some),
        }
    }

    /// The error that this answer is.
    pub(crate) fn refused(self) -> HttpError {
        let text = String::from_utf8_lossy(&self.body);
        let answer = text.chars().take(SHOWN).collect();
        HttpError::Status {
            what: self.what,
            status: self.status,
            answer,
        }
    }

    /// The body as JSON, when the answer says success.
    pub(crate) fn json<T: DeserializeOwned>(self) -> Result<T, HttpError> {
        let answer = self.success()?;
        serde_json::from_slice(&answer.body).context(ParseSnafu { what: answer.what })
    }

    /// True when a thing was created, false when it was there; an error otherwise.
    pub(crate) fn created_or_there(self) -> Result<bool, HttpError> {
        match self.status {
            StatusCode::CONFLICT => Ok(false),
            _ => self
                .success()
                .map(|answer| answer.status == StatusCode::CREATED),
        }
    }
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::any;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    async fn ask(response: ResponseTemplate) -> Result<Answer, HttpError> {
        let server = MockServer::start().await;
        Mock::given(any())
            .respond_with(response)
            .mount(&server)
            .await;
        send("ask", client(None).unwrap().get(server.uri())).await
    }

    #[tokio::test]
    async fn a_refusal_shows_status_and_the_beginning_of_the_answer() {
        let long = "é".repeat(1000);
        let answer = ask(ResponseTemplate::new(400).set_body_string(long))
            .await
            .unwrap();
        let error = answer.success().unwrap_err().to_string();
        assert!(
            error.starts_with("failed to ask: the answer was 400 Bad Request: éé"),
            "{error}"
        );
        assert_eq!(error.matches('é').count(), SHOWN);
    }

    #[tokio::test]
    async fn an_answer_that_never_ends_is_cut_off() {
        let huge = ResponseTemplate::new(200).set_body_bytes(vec![0; MAX_ANSWER + 1]);
        assert!(matches!(ask(huge).await, Err(HttpError::Body { .. })));
    }

    #[rstest::rstest]
    #[case(200, Some(true))]
    #[case(204, Some(true))]
    #[case(404, Some(false))]
    #[case(403, None)]
    #[case(410, None)]
    #[case(503, None)]
    #[tokio::test]
    async fn only_404_means_that_nothing_is_there(
        #[case] status: u16,
        #[case] expected: Option<bool>,
    ) {
        let found = ask(ResponseTemplate::new(status)).await.unwrap().found();
        assert_eq!(found.ok().map(|answer| answer.is_some()), expected);
    }

    #[tokio::test]
    async fn an_address_with_a_password_shows_none_when_nothing_answers() {
        let request = client(None)
            .unwrap()
            .get("http://admin:hunter2@127.0.0.1:1/");
        let error = lotoai_kit::chain(&send("ask", request).await.unwrap_err());
        assert!(error.contains("127.0.0.1:1"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[tokio::test]
    async fn a_redirect_is_a_refusal() {
        let redirect = ResponseTemplate::new(302).insert_header("location", "http://elsewhere/");
        assert!(ask(redirect).await.unwrap().success().is_err());
    }
}
