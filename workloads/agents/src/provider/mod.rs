//! Providers: one client each, and their streams as [`Event`]s.

mod anthropic;
mod calls;
mod events;
mod failure;
mod openai;
mod sampling;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream::BoxStream};
use lotoai_contracts::v1::Sampling;
use lotoai_kit::{
    tls::TlsArgs,
    upstream::{UpstreamError, secured},
};
use reqwest::{
    Client,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use snafu::{ResultExt, Snafu};
use url::Url;

pub use failure::{Failure, Kind as FailureKind};

use crate::{
    config::Timeouts,
    format::Format,
    functions::{Call, CallPiece, Functions},
    table::{self, Kind, Table},
};

/// A call to one model.
#[derive(Debug, Clone)]
pub struct Request {
    /// The model's name at the provider.
    pub model: String,
    /// The conversation.
    pub turns: Vec<Turn>,
    /// Upper bound of the answer in tokens.
    pub max_tokens: Option<u32>,
    /// Sampling temperature.
    pub temperature: Option<f32>,
    /// How else the model is to write.
    pub sampling: Sampling,
    /// Functions that the model may ask its caller to run.
    pub functions: Option<Functions>,
    /// What the answer is written as; `None` = plain text.
    pub format: Option<Format>,
}

/// One turn of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Who speaks.
    pub speaker: Speaker,
    /// What is said.
    pub text: String,
    /// Functions that the model asks for with it.
    pub calls: Vec<Call>,
    /// The call whose result it is.
    pub answers: Option<String>,
}

impl Turn {
    /// A turn of text alone.
    #[must_use]
    pub fn said(speaker: Speaker, text: impl Into<String>) -> Self {
        Self {
            speaker,
            text: text.into(),
            calls: Vec::new(),
            answers: None,
        }
    }
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    /// Instructions.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A function that the model asked for.
    Tool,
}

/// Tokens read and written; `None` = the provider did not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens read.
    pub input: Option<u64>,
    /// Tokens written.
    pub output: Option<u64>,
}

/// A piece of a model's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// More text.
    Text(String),
    /// More of a function call.
    Call(CallPiece),
    /// Token counts; later ones add to or replace earlier ones field by field.
    Usage(Usage),
    /// Why the model stopped, in OpenAI's words where there is one, else the provider's own.
    Finish(String),
    /// The provider is at work and has nothing to say yet: its model thinks.
    Alive,
    /// The provider said that nothing follows.
    End,
}

/// The events of one answer.
pub type Events = BoxStream<'static, Result<Event, Failure>>;

/// A client of one provider.
pub struct Provider {
    name: String,
    kind: Kind,
    url: Url,
    client: Client,
    /// Taken out of whatever the provider says of a failure.
    key: Option<SecretString>,
}

/// A provider that can be called, or the reason why it cannot.
type Entry = Result<Provider, String>;

/// All providers of the table.
pub struct Providers(HashMap<String, Entry>);

/// Why a provider's client cannot be made.
#[derive(Debug, Snafu)]
pub enum OpenError {
    /// The key holds a character that no HTTP header may have.
    #[snafu(display("the value of {variable} (provider {provider:?}) is not a usable key"))]
    Key {
        /// The provider.
        provider: String,
        /// The variable with the key.
        variable: String,
        /// The cause; it does not repeat the value.
        source: reqwest::header::InvalidHeaderValue,
    },
    /// The HTTP client cannot be built.
    #[snafu(display("failed to build the HTTP client of provider {provider:?}"))]
    Build {
        /// The provider.
        provider: String,
        /// The cause.
        source: reqwest::Error,
    },
    /// The client of the platform's own model server cannot be made.
    #[snafu(display("failed to reach provider {provider:?} securely"))]
    Local {
        /// The provider.
        provider: String,
        /// The cause.
        #[snafu(source(from(UpstreamError, Box::new)))]
        source: Box<UpstreamError>,
    },
    /// The address is not usable.
    #[snafu(display("failed to use the address of provider {provider:?}"))]
    Address {
        /// The provider.
        provider: String,
        /// The cause.
        source: table::TableError,
    },
}

impl Providers {
    /// Makes a client for every provider; one whose key is missing stays listed as unavailable.
    ///
    /// # Errors
    /// A key or an address cannot be used at all.
    pub fn open(
        table: &Table,
        timeouts: &Timeouts,
        tls: &TlsArgs,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, OpenError> {
        let mut all = HashMap::new();
        for entry in &table.providers {
            let key = entry
                .api_key_env
                .as_deref()
                .map(|name| (name, variable(name)));
            let opened = match key {
                Some((name, value)) => match value.filter(|v| !v.trim().is_empty()) {
                    Some(value) => Ok(Provider::open(entry, timeouts, tls, Some((name, value)))?),
                    None => Err(format!("set {name}: the key of provider `{}`", entry.name)),
                },
                None => Ok(Provider::open(entry, timeouts, tls, None)?),
            };
            all.insert(entry.name.clone(), opened);
        }
        Ok(Self(all))
    }

    /// The providers that cannot be called, each with the fix.
    pub fn unavailable(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, entry)| {
            entry
                .as_ref()
                .err()
                .map(|reason| (name.as_str(), reason.as_str()))
        })
    }

    /// The provider called `name`.
    ///
    /// # Errors
    /// It cannot be called; the failure says what to set.
    pub fn get(&self, name: &str) -> Result<&Provider, Failure> {
        match self.0.get(name) {
            Some(Ok(provider)) => Ok(provider),
            Some(Err(reason)) => Err(Failure::not_configured(reason.clone())),
            None => Err(Failure::not_configured(format!(
                "add provider `{name}` to the table"
            ))),
        }
    }

    /// Can models of this provider be trusted to plan and to use tools?
    #[must_use]
    pub fn capable(&self, name: &str) -> bool {
        matches!(self.0.get(name), Some(Ok(provider)) if provider.kind != Kind::Local)
    }
}

impl Provider {
    fn open(
        entry: &table::Provider,
        timeouts: &Timeouts,
        tls: &TlsArgs,
        key: Option<(&str, String)>,
    ) -> Result<Self, OpenError> {
        let provider = &entry.name;
        let path = match entry.kind {
            Kind::Anthropic => "messages",
            _ => "chat/completions",
        };
        let url = entry.endpoint(path).context(AddressSnafu { provider })?;
        let mut headers = HeaderMap::new();
        if entry.kind == Kind::Anthropic {
            headers.insert(
                "anthropic-version",
                HeaderValue::from_static(anthropic::VERSION),
            );
        }
        let key = key.map(|(variable, value)| (variable, SecretString::from(value)));
        if let Some((variable, value)) = &key {
            let variable = *variable;
            let (name, value) =
                key_header(entry.kind, value).context(KeySnafu { provider, variable })?;
            headers.insert(name, value);
        }
        let builder = Client::builder()
            .default_headers(headers)
            .connect_timeout(timeouts.connect)
            .pool_idle_timeout(Duration::from_secs(60))
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("lotoai-agents/", env!("CARGO_PKG_VERSION")));
        let builder = if entry.kind == Kind::Local {
            secured(builder, &url, tls).context(LocalSnafu { provider })?
        } else {
            builder
        };
        let client = builder.build().context(BuildSnafu { provider })?;
        Ok(Self {
            name: provider.clone(),
            kind: entry.kind,
            url,
            client,
            key: key.map(|(_, value)| value),
        })
    }

    /// The name in the table.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Is it the platform's own model server? It answers one conversation after the other, so that
    /// being slow says how busy it is and nothing about its health.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.kind == Kind::Local
    }

    /// Can an answer be held to a format? OpenAI's API and those that are like it have a parameter
    /// for that.
    #[must_use]
    pub fn takes_formats(&self) -> bool {
        match self.kind {
            Kind::OpenAI | Kind::XAI | Kind::OpenAICompatible => true,
            Kind::Anthropic | Kind::Local => false,
        }
    }

    /// The first parameter, as OpenAI's API names it, that a model here cannot be held to.
    #[must_use]
    pub fn beyond(&self, temperature: Option<f32>, asked: &Sampling) -> Option<&'static str> {
        sampling::beyond(self.kind, temperature, asked)
    }

    /// Sends the request and gives the stream of its answer. The caller bounds the time: dropping
    /// the future or the stream ends the call at the provider. No failure repeats the key.
    ///
    /// # Errors
    /// No connection, or any status but 2xx.
    pub async fn start(&self, request: &Request) -> Result<Events, Failure> {
        let started = self.send(request).await;
        let Some(key) = self.key.clone() else {
            return started;
        };
        match started {
            Ok(events) => Ok(events
                .map(move |event| event.map_err(|failure| failure.without(&key)))
                .boxed()),
            Err(failure) => Err(failure.without(&key)),
        }
    }

    async fn send(&self, request: &Request) -> Result<Events, Failure> {
        // Only its text is there while the provider is waited for.
        let post = {
            let body = match self.kind {
                Kind::Anthropic => anthropic::body(request),
                kind => openai::body(kind, request),
            };
            self.client.post(self.url.clone()).json(&body)
        };
        let response = post
            .send()
            .await
            .map_err(|error| Failure::from_transport(&self.name, &error))?;
        if !response.status().is_success() {
            return Err(failure::from_response(&self.name, response).await);
        }
        Ok(decode(&self.name, self.kind, response.bytes_stream()))
    }
}

/// The events in the body of an answer of the provider `name`.
pub fn decode(
    name: &str,
    kind: Kind,
    body: impl Stream<Item = Result<Bytes, reqwest::Error>> + Send + 'static,
) -> Events {
    let data = events::data(name.to_owned(), body);
    match kind {
        Kind::Anthropic => anthropic::events(name.to_owned(), data).boxed(),
        _ => openai::events(name.to_owned(), data).boxed(),
    }
}

/// The header that carries the key, marked sensitive so that no debug output shows it.
fn key_header(
    kind: Kind,
    key: &SecretString,
) -> Result<(HeaderName, HeaderValue), reqwest::header::InvalidHeaderValue> {
    let key = key.expose_secret().trim();
    let (name, mut value) = match kind {
        Kind::Anthropic => (
            HeaderName::from_static("x-api-key"),
            HeaderValue::from_str(key)?,
        ),
        _ => (
            reqwest::header::AUTHORIZATION,
            HeaderValue::from_str(&format!("Bearer {key}"))?,
        ),
    };
    value.set_sensitive(true);
    Ok((name, value))
}
