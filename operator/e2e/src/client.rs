//! The public API, as a program with a user's token sees it.

use std::time::{Duration, Instant};

use eventsource_stream::Eventsource;
use futures::{FutureExt, StreamExt};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use snafu::{OptionExt, ResultExt};

use crate::error::{RefusedSnafu, RequestSnafu, Result, UnexpectedSnafu};
use crate::platform::{Login, Platform};

/// The audience-bearing client for people at a terminal.
const CLI_CLIENT: &str = "lotoai-cli";
/// A token is renewed when it has less than this left.
const TOKEN_MARGIN: Duration = Duration::from_secs(60);

/// A signed-in client of the public URL.
pub struct PublicClient {
    http: reqwest::Client,
    url: String,
    login: Login,
    token: tokio::sync::Mutex<Option<(String, Instant)>>,
}

/// What the platform said to a question.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// The extra `lotoai` object: run id, decision, citations, tool calls.
    pub lotoai: Value,
    /// Time to the first piece of text; `None` when the answer was not streamed.
    pub first_token: Option<Duration>,
    /// How often the next event had not come yet when everything before it, and some text, was
    /// read: never when a streamed answer was held back until it was whole.
    pub waits: u32,
    /// Time to the end.
    pub total: Duration,
}

impl Answer {
    /// Names of the cited documents, in order of citation.
    #[must_use]
    pub fn cited_documents(&self) -> Vec<String> {
        let citations = self.lotoai["citations"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        citations
            .iter()
            .filter_map(|citation| citation["document_name"].as_str().map(str::to_owned))
            .collect()
    }

    /// `knowledge`, `agent` or `tool`.
    #[must_use]
    pub fn route(&self) -> &str {
        self.lotoai["decision"]["route"]
            .as_str()
            .unwrap_or_default()
    }
}

impl PublicClient {
    /// Signs in as the platform's first user.
    ///
    /// # Errors
    /// When the platform's URL, certificate or first user cannot be read.
    pub async fn first_user(platform: &Platform) -> Result<Self> {
        Self::first_user_by(platform, platform.http().await?).await
    }

    /// The same with an HTTP client that knows the way to the platform and whom to trust there.
    ///
    /// # Errors
    /// When the platform's URL or first user cannot be read.
    pub async fn first_user_by(platform: &Platform, http: reqwest::Client) -> Result<Self> {
        Ok(Self {
            http,
            url: platform.url().await?.trim_end_matches('/').to_owned(),
            login: platform.first_user().await?,
            token: tokio::sync::Mutex::new(None),
        })
    }

    /// The public URL without a trailing slash.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The HTTP client underneath, for calls without a token.
    #[must_use]
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// A token of the first user from another client of the realm.
    ///
    /// # Errors
    /// When the issuer refuses or does not answer.
    pub async fn token_of(&self, client_id: &str) -> Result<(String, Duration)> {
        let action = "sign in";
        let form = [
            ("grant_type", "password"),
            ("client_id", client_id),
            ("username", &self.login.username),
            ("password", &self.login.password),
            ("scope", "openid"),
        ];
        let request = self
            .http
            .post(format!(
                "{}/realms/lotoai/protocol/openid-connect/token",
                self.url
            ))
            .timeout(Duration::from_secs(15))
            .form(&form);
        let body = json_of(
            action,
            accepted(action, send(action, request).await?).await?,
        )
        .await?;
        let token = body["access_token"].as_str().context(UnexpectedSnafu {
            action,
            problem: "no access_token",
        })?;
        let life = Duration::from_secs(body["expires_in"].as_u64().unwrap_or(0));
        Ok((token.to_owned(), life))
    }

    async fn bearer(&self) -> Result<String> {
        let mut slot = self.token.lock().await;
        if let Some((token, renew_at)) = &*slot
            && Instant::now() < *renew_at
        {
            return Ok(token.clone());
        }
        let (token, life) = self.token_of(CLI_CLIENT).await?;
        *slot = Some((
            token.clone(),
            Instant::now() + life.saturating_sub(TOKEN_MARGIN),
        ));
        Ok(token)
    }

    /// A request with the user's token.
    ///
    /// # Errors
    /// When signing in fails.
    pub async fn request(&self, method: Method, path: &str) -> Result<RequestBuilder> {
        let token = self.bearer().await?;
        Ok(self
            .http
            .request(method, format!("{}{path}", self.url))
            .timeout(Duration::from_secs(120))
            .bearer_auth(token))
    }

    /// `GET path` as JSON.
    ///
    /// # Errors
    /// When the call fails or is refused.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let action = format!("GET {path}");
        let response = send(&action, self.request(Method::GET, path).await?).await?;
        json_of(&action, accepted(&action, response).await?).await
    }

    /// Uploads one document to the default knowledge base and returns it as the platform sees it.
    ///
    /// # Errors
    /// When the call fails or is refused.
    pub async fn upload(&self, name: &str, bytes: Vec<u8>) -> Result<Value> {
        let action = format!("upload {name:?}");
        let part = reqwest::multipart::Part::bytes(bytes).file_name(name.to_owned());
        let form = reqwest::multipart::Form::new().part("file", part);
        let request = self
            .request(Method::POST, "/api/documents")
            .await?
            .multipart(form);
        json_of(
            &action,
            accepted(&action, send(&action, request).await?).await?,
        )
        .await
    }

    /// Asks `model` one question and waits for the whole answer.
    ///
    /// # Errors
    /// When the call fails or is refused.
    pub async fn ask(&self, model: &str, question: &str) -> Result<Answer> {
        let action = "ask a question";
        let begun = Instant::now();
        let request = self
            .request(Method::POST, "/v1/chat/completions")
            .await?
            .json(&chat_body(model, question, false));
        let body = json_of(
            action,
            accepted(action, send(action, request).await?).await?,
        )
        .await?;
        let text = body["choices"][0]["message"]["content"]
            .as_str()
            .context(UnexpectedSnafu {
                action,
                problem: "no choices[0].message.content",
            })?;
        Ok(Answer {
            text: text.to_owned(),
            lotoai: body["lotoai"].clone(),
            first_token: None,
            waits: 0,
            total: begun.elapsed(),
        })
    }

    /// Asks `model` one question and calls `on_text` with each piece of the answer as it comes.
    ///
    /// # Errors
    /// When the call fails, is refused, or the stream ends without `[DONE]`.
    pub async fn ask_streaming(
        &self,
        model: &str,
        question: &str,
        mut on_text: impl FnMut(&str),
    ) -> Result<Answer> {
        let action = "stream an answer";
        let begun = Instant::now();
        let request = self
            .request(Method::POST, "/v1/chat/completions")
            .await?
            .json(&chat_body(model, question, true));
        let response = accepted(action, send(action, request).await?).await?;
        let mut events = response.bytes_stream().eventsource();
        let mut answer = Answer::default();
        loop {
            let come = events.next().now_or_never();
            if come.is_none() && answer.first_token.is_some() {
                answer.waits += 1;
            }
            let next = match come {
                Some(next) => next,
                None => events.next().await,
            };
            let Some(event) = next else { break };
            let event = event.map_err(|error| {
                UnexpectedSnafu {
                    action,
                    problem: error.to_string(),
                }
                .build()
            })?;
            if event.data == "[DONE]" {
                answer.total = begun.elapsed();
                return Ok(answer);
            }
            let chunk: Value = serde_json::from_str(&event.data).map_err(|error| {
                UnexpectedSnafu {
                    action,
                    problem: error.to_string(),
                }
                .build()
            })?;
            if let Some(error) = chunk.get("error") {
                return UnexpectedSnafu {
                    action,
                    problem: error.to_string(),
                }
                .fail();
            }
            if chunk["lotoai"].is_object() {
                answer.lotoai = chunk["lotoai"].clone();
            }
            if let Some(text) = chunk["choices"][0]["delta"]["content"].as_str()
                && !text.is_empty()
            {
                answer.first_token.get_or_insert_with(|| begun.elapsed());
                answer.text.push_str(text);
                on_text(text);
            }
        }
        UnexpectedSnafu {
            action,
            problem: "the stream ended without [DONE]",
        }
        .fail()
    }
}

fn chat_body(model: &str, question: &str, stream: bool) -> Value {
    json!({
        "model": model,
        "stream": stream,
        "messages": [{"role": "user", "content": question}],
    })
}

async fn send(action: &str, request: RequestBuilder) -> Result<Response> {
    request.send().await.context(RequestSnafu { action })
}

async fn accepted(action: &str, response: Response) -> Result<Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = response
        .text()
        .await
        .unwrap_or_else(|error| format!("(no body: {error})"));
    RefusedSnafu {
        action,
        status: status.as_u16(),
        body,
    }
    .fail()
}

async fn json_of(action: &str, response: Response) -> Result<Value> {
    response.json().await.context(RequestSnafu { action })
}
