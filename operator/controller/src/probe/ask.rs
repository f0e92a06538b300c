//! One probe question: a token from the platform's own sign-in, where it has one, then a chat
//! completion, both through the edge exactly as a client sends them.
//!
//! No Kubernetes client needed.

use std::net::SocketAddr;
use std::time::Duration;

use futures::future::BoxFuture;
use lotoai_plan::ProbeQuestion;
use lotoai_plan::probe::UNTRUSTED;
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use snafu::{OptionExt, ResultExt, Snafu, ensure};

use super::trust;

/// The whole question may take this long, token included.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Answers above this size are refused; a probe answer is a few hundred bytes.
const MAX_BODY: usize = 256 * 1024;
/// What the probe asks.
const QUESTION: &str = "What does LotoAI answer with?";
/// How much of an error body is shown.
const EXCERPT: usize = 200;

/// Where and as whom to ask.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// The question, as planned.
    pub question: ProbeQuestion,
    /// PEM of the certificates to trust, and no others.
    pub roots: String,
    /// What the probe proves itself with.
    pub proof: Proof,
}

/// What the probe proves itself with.
#[derive(Clone, PartialEq, Eq)]
pub enum Proof {
    /// A service account of the managed Keycloak, which gives a token for it.
    Client {
        /// Path of the token endpoint behind the edge.
        token_path: &'static str,
        /// Client id.
        id: String,
        /// Client secret.
        secret: String,
        /// The client's other secret while that is made anew. Keycloak knows one of the two.
        standby: Option<String>,
    },
    /// A token that the gateway knows.
    Token(String),
}

impl Target {
    /// Whether this is the same question, whatever the probe proves itself with.
    pub(super) fn asks_like(&self, other: &Self) -> bool {
        self.question == other.question && self.roots == other.roots
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("question", &self.question)
            .finish_non_exhaustive()
    }
}

/// Why a probe question was not answered.
#[derive(Debug, Snafu)]
pub enum Error {
    /// The public URL of the resource cannot be used.
    #[snafu(display("failed to read the public URL {url:?}"))]
    Url {
        /// The URL from the resource.
        url: String,
    },
    /// The certificate authority cannot be read.
    #[snafu(display("failed to read the certificate authority of the edge"))]
    Roots {
        /// What the parser said.
        source: reqwest::Error,
    },
    /// The HTTP client cannot be built.
    #[snafu(display("failed to build the HTTP client of the probe"))]
    Build {
        /// What the library said.
        source: reqwest::Error,
    },
    /// The name of the edge leads nowhere.
    #[snafu(display("failed to look up the edge at {host:?}"))]
    LookUp {
        /// Its name.
        host: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The name of the edge has no address.
    #[snafu(display("failed to look up the edge at {host:?}: the name has no address"))]
    NoAddress {
        /// Its name.
        host: String,
    },
    /// No complete answer came back.
    #[snafu(display("failed to {step}"))]
    Send {
        /// What was tried.
        step: &'static str,
        /// What the network said.
        source: reqwest::Error,
    },
    /// Nobody who is trusted has signed the certificate of the edge.
    #[snafu(display("failed to {step}: nothing in Secret {secret:?} {UNTRUSTED}: {fix}"))]
    Untrusted {
        /// What was tried.
        step: &'static str,
        /// The Secret with the certificate of the edge.
        secret: String,
        /// Cause and fix.
        fix: &'static str,
        /// What the network said.
        source: reqwest::Error,
    },
    /// The answer is an error.
    #[snafu(display("failed to {step}: HTTP {status}: {excerpt}"))]
    Refused {
        /// What was tried.
        step: &'static str,
        /// The HTTP status.
        status: StatusCode,
        /// The error message of the body, shortened.
        excerpt: String,
    },
    /// The answer is too large.
    #[snafu(display("failed to {step}: the answer is larger than {MAX_BODY} bytes"))]
    TooLarge {
        /// What was tried.
        step: &'static str,
    },
    /// The answer cannot be understood.
    #[snafu(display("failed to {step}: the answer is not the JSON that was expected"))]
    Decode {
        /// What was tried.
        step: &'static str,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The platform answered with nothing.
    #[snafu(display("failed to {ASK}: the answer is empty"))]
    Empty,
    /// The platform answered without saying from where.
    #[snafu(display("failed to {ASK}: the answer cites no passage"))]
    NoCitation,
    /// The whole question took too long.
    #[snafu(display("failed to {ASK} within {} s", TIMEOUT.as_secs()))]
    TimedOut,
}

/// Of a Secret that holds a certificate and nothing of who signed it.
const ALONE: &str = "its tls.crt holds only a certificate that another one signed; add the \
    authority that signed it as ca.crt, or the rest of its chain to tls.crt";
/// Of any other Secret.
const ANOTHER: &str = "the edge shows another certificate than its tls.crt, or its ca.crt is not \
    the authority that signed that; let both be of the same authority";

impl Error {
    /// The same, with the Secret to mend where nobody vouches for the certificate of the edge.
    fn told_of(self, target: &Target) -> Self {
        match self {
            Self::Send { step, source } if trust::nobody_vouches(&source) => Self::Untrusted {
                step,
                secret: target.question.tls_secret.clone(),
                fix: match trust::is_alone(&target.roots) {
                    true => ALONE,
                    false => ANOTHER,
                },
                source,
            },
            other => other,
        }
    }

    /// Whether the client is not known by the secret that was sent: 401, for which RFC 6749 §5.2
    /// allows 400 as well.
    fn is_unknown_client(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                step: TOKEN,
                status: StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED,
                ..
            }
        )
    }
}

const TOKEN: &str = "get a token from the identity provider through the edge";
const ASK: &str = "get an answer through the public URL";

/// Asks the probe question. A trait so that tests can answer without a platform.
pub trait Ask: Send + Sync + 'static {
    /// Asks once; `Ok` means that a person would have got an answer.
    fn ask<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<(), Error>>;
}

/// Asks over HTTPS.
#[derive(Clone, Copy, Debug, Default)]
pub struct Https;

impl Ask for Https {
    fn ask<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            tokio::time::timeout(TIMEOUT, ask(target))
                .await
                .unwrap_or(Err(Error::TimedOut))
                .map_err(|error| error.told_of(target))
        })
    }
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    #[serde(default)]
    lotoai: Extra,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

#[derive(Default, Deserialize)]
struct Extra {
    #[serde(default)]
    citations: Vec<Value>,
}

async fn ask(target: &Target) -> Result<(), Error> {
    let question = &target.question;
    let url = question.url.as_str();
    let base = Url::parse(url).ok().context(UrlSnafu { url })?;
    let host = base.host_str().context(UrlSnafu { url })?;
    let authority = match base.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let client = client(target, host, look_up(question).await?)?;
    let at = |path: &str| -> Result<Url, Error> {
        // The connection goes to the edge's address; name, SNI and Host stay public.
        let mut at = base.join(path).ok().context(UrlSnafu { url })?;
        at.set_port(Some(question.edge_port))
            .ok()
            .context(UrlSnafu { url })?;
        Ok(at)
    };
    let token = match &target.proof {
        Proof::Token(token) => token.clone(),
        Proof::Client {
            token_path,
            id,
            secret,
            standby,
        } => {
            let post = client
                .post(at(token_path)?)
                .header(http::header::HOST, &authority);
            let again = post.try_clone().zip(standby.as_deref());
            match (token(post, id, secret).await, again) {
                (Err(error), Some((post, standby))) if error.is_unknown_client() => {
                    token(post, id, standby).await?
                }
                (told, _) => told?,
            }
        }
    };
    let response = client
        .post(at(question.path)?)
        .header(http::header::HOST, &authority)
        .bearer_auth(&token)
        .json(&json!({
            "model": question.model,
            "messages": [{ "role": "user", "content": QUESTION }],
            "store": false,
        }))
        .send()
        .await
        .map_err(reqwest::Error::without_url)
        .context(SendSnafu { step: ASK })?;
    let completion: Completion = decode(ASK, response).await?;
    let answered = completion
        .choices
        .first()
        .and_then(|choice| choice.message.content.as_deref())
        .is_some_and(|content| !content.trim().is_empty());
    ensure!(answered, EmptySnafu);
    ensure!(!completion.lotoai.citations.is_empty(), NoCitationSnafu);
    Ok(())
}

/// The token that the client gets for a secret.
async fn token(post: RequestBuilder, id: &str, secret: &str) -> Result<String, Error> {
    let response = post
        .form(&[
            ("grant_type", "client_credentials"),
            ("client_id", id),
            ("client_secret", secret),
        ])
        .send()
        .await
        .map_err(reqwest::Error::without_url)
        .context(SendSnafu { step: TOKEN })?;
    Ok(decode::<Token>(TOKEN, response).await?.access_token)
}

async fn look_up(question: &ProbeQuestion) -> Result<SocketAddr, Error> {
    let host = question.edge_host.as_str();
    tokio::net::lookup_host((host, question.edge_port))
        .await
        .context(LookUpSnafu { host })?
        .next()
        .context(NoAddressSnafu { host })
}

fn client(target: &Target, host: &str, address: SocketAddr) -> Result<Client, Error> {
    // A fresh connection for every question: a kept one would hide an edge that is gone.
    let roots = Certificate::from_pem_bundle(target.roots.as_bytes()).context(RootsSnafu)?;
    Client::builder()
        .no_proxy()
        .http1_only()
        .pool_max_idle_per_host(0)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(2))
        .timeout(TIMEOUT)
        .resolve(host, address)
        .tls_certs_only(roots)
        .build()
        .context(BuildSnafu)
}

async fn decode<T: for<'de> Deserialize<'de>>(
    step: &'static str,
    mut response: Response,
) -> Result<T, Error> {
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(reqwest::Error::without_url)
        .context(SendSnafu { step })?
    {
        ensure!(body.len() + chunk.len() <= MAX_BODY, TooLargeSnafu { step });
        body.extend_from_slice(&chunk);
    }
    ensure!(
        status.is_success(),
        RefusedSnafu {
            step,
            status,
            excerpt: excerpt(&body)
        }
    );
    serde_json::from_slice(&body).context(DecodeSnafu { step })
}

/// The message of an error body in any of the shapes that the edge, the identity provider and the
/// gateway use; its first bytes when it has none of them.
fn excerpt(body: &[u8]) -> String {
    let parsed: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let message = ["/error/message", "/error_description", "/detail", "/error"]
        .iter()
        .find_map(|pointer| parsed.pointer(pointer).and_then(Value::as_str));
    let text = match message {
        Some(message) => message.to_owned(),
        None => String::from_utf8_lossy(&body[..body.len().min(EXCERPT)]).into_owned(),
    };
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(EXCERPT).collect()
}

#[cfg(test)]
#[path = "ask_tests.rs"]
mod tests;
