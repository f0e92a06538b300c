//! Where the identity provider's endpoints are: what its discovery document says, checked, kept,
//! and read again now and then.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::Deserialize;
use snafu::{OptionExt as _, ResultExt as _, Snafu, ensure};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::provider::{ProviderError, ProviderHttp};
use crate::config::OidcArgs;

/// What is known is used for this long before it is read again.
const REFRESH_EVERY: Duration = Duration::from_secs(600);
/// After a failure the provider is left alone for this long, however many people sign in.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Documents of providers are 1 to 7 KB.
const MAX_BYTES: usize = 256 * 1024;
const PATH: &str = ".well-known/openid-configuration";

/// Why it is not known where the endpoints are.
#[derive(Debug, Snafu)]
pub enum DiscoveryError {
    /// The provider could not be reached or refused.
    #[snafu(display("failed to read {PATH} of the identity provider"))]
    Fetch {
        /// Cause.
        source: ProviderError,
    },
    /// The answer is not such a document.
    #[snafu(display("failed to understand {PATH} of the identity provider"))]
    Read {
        /// Cause.
        source: serde_json::Error,
    },
    /// The document is somebody else's. Tokens would carry that issuer, too.
    #[snafu(display(
        "the identity provider calls itself {found:?}, not {expected:?}; write the issuer exactly \
         as the provider does, trailing slash included"
    ))]
    Issuer {
        /// The configured issuer.
        expected: String,
        /// The one in the document.
        found: String,
    },
    /// An address that cannot be used.
    #[snafu(display("the identity provider's {name} {url:?} is not an https address"))]
    Endpoint {
        /// Name in the document.
        name: &'static str,
        /// The address.
        url: String,
    },
    /// It failed a moment ago and is not tried again yet.
    #[snafu(display("{message}"))]
    Again {
        /// What it failed with.
        message: String,
    },
}

/// Where a person's stay at the provider is ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignOut {
    /// The managed Keycloak ends the whole session for a refresh token that is posted here.
    EndSession(Url),
    /// Others make the refresh token void (RFC 7009).
    Revoke(Url),
}

/// The provider's endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Where browsers sign in.
    pub authorization: Url,
    /// Where codes and refresh tokens are redeemed.
    pub token: Url,
    /// Where signing keys are published.
    pub jwks: Url,
    /// Where sign-out is told, if anywhere.
    pub sign_out: Option<SignOut>,
    /// Where a browser is sent to end the person's stay at a provider that is not ours, if it can.
    pub leave: Option<Url>,
    /// Whether the client secret goes into the form, because the provider does not take it in the
    /// header.
    pub secret_in_form: bool,
}

/// The parts of the document that are used.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    end_session_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

#[derive(Clone)]
struct Known {
    at: Instant,
    endpoints: Arc<Endpoints>,
}

struct Failed {
    at: Instant,
    message: String,
}

/// The endpoints of one provider.
pub struct Discovery {
    issuer: String,
    internal: Option<Url>,
    http: ProviderHttp,
    known: RwLock<Option<Known>>,
    failed: Mutex<Option<Failed>>,
}

impl Discovery {
    /// Nothing is read yet.
    pub fn new(oidc: &OidcArgs, http: ProviderHttp) -> Self {
        Self {
            issuer: oidc.issuer.to_string(),
            internal: oidc.internal_url.clone(),
            http,
            known: RwLock::default(),
            failed: Mutex::default(),
        }
    }

    /// The endpoints: as they were read in the last ten minutes, else read now. What is older goes
    /// on being used while the provider is away.
    ///
    /// # Errors
    /// When nothing usable was ever read.
    pub async fn endpoints(&self) -> Result<Arc<Endpoints>, DiscoveryError> {
        if let Some(fresh) = self.fresh() {
            return Ok(fresh);
        }
        let mut failed = self.failed.lock().await;
        if let Some(fresh) = self.fresh() {
            return Ok(fresh); // another request was first
        }
        let again = failed
            .as_ref()
            .filter(|failed| failed.at.elapsed() < RETRY_AFTER)
            .map(|failed| failed.message.clone());
        let outcome = match again {
            Some(message) => AgainSnafu { message }.fail(),
            None => {
                let outcome = self.read().await;
                *failed = outcome.as_ref().err().map(|error| Failed {
                    at: Instant::now(),
                    message: crate::error::chain(error),
                });
                outcome
            }
        };
        match outcome {
            Ok(endpoints) => {
                let endpoints = Arc::new(endpoints);
                let known = Known {
                    at: Instant::now(),
                    endpoints: Arc::clone(&endpoints),
                };
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
                Ok(endpoints)
            }
            Err(error) => self.last().map(|known| known.endpoints).ok_or(error),
        }
    }

    fn last(&self) -> Option<Known> {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn fresh(&self) -> Option<Arc<Endpoints>> {
        self.last()
            .filter(|known| known.at.elapsed() < REFRESH_EVERY)
            .map(|known| known.endpoints)
    }

    async fn read(&self) -> Result<Endpoints, DiscoveryError> {
        let base = self
            .internal
            .as_ref()
            .map_or(self.issuer.as_str(), Url::as_str);
        let text = format!("{}/{PATH}", base.trim_end_matches('/'));
        let url = Url::parse(&text).ok().context(EndpointSnafu {
            name: "issuer",
            url: &text,
        })?;
        let body = self.http.get(url, MAX_BYTES).await.context(FetchSnafu)?;
        endpoints_of(&body, &self.issuer, self.internal.as_ref())
    }
}

/// Reads a discovery document: the endpoints, if it is that of `issuer`. `internal` is the address
/// under which the gateway itself reaches the provider, where that is another one.
///
/// # Errors
/// When it is no such document, somebody else's, or names an address that cannot be used.
pub fn endpoints_of(
    body: &[u8],
    issuer: &str,
    internal: Option<&Url>,
) -> Result<Endpoints, DiscoveryError> {
    let document: Document = serde_json::from_slice(body).context(ReadSnafu)?;
    check(&document, issuer, internal)
}

/// The endpoints of a document, if it is that of `issuer`. Those that the gateway itself calls are
/// moved to `internal`, where the provider is reached under another address.
fn check(
    document: &Document,
    issuer: &str,
    internal: Option<&Url>,
) -> Result<Endpoints, DiscoveryError> {
    ensure!(
        document.issuer == issuer,
        IssuerSnafu {
            expected: issuer,
            found: &document.issuer
        }
    );
    let public = |name, text: &str| endpoint(name, text, issuer.starts_with("http://"));
    let behind = |name, text: &str| match internal {
        None => public(name, text),
        Some(internal) => {
            let base = internal.as_str().trim_end_matches('/');
            let moved = below(text, issuer).map(|rest| format!("{base}{rest}"));
            let url = moved.as_deref().unwrap_or(text);
            endpoint(name, url, below(url, base).is_some())
        }
    };
    let sign_out = if internal.is_some() {
        let text = document.end_session_endpoint.as_deref();
        text.map(|text| behind("end_session_endpoint", text))
            .transpose()?
            .map(SignOut::EndSession)
    } else {
        let text = document.revocation_endpoint.as_deref();
        text.map(|text| behind("revocation_endpoint", text))
            .transpose()?
            .map(SignOut::Revoke)
    };
    let leave = document.end_session_endpoint.as_deref();
    let leave = leave
        .filter(|_| internal.is_none())
        .map(|text| public("end_session_endpoint", text))
        .transpose()?;
    // A document without the list means the header.
    let methods = document.token_endpoint_auth_methods_supported.as_deref();
    let takes = |method: &str| methods.is_none_or(|all| all.iter().any(|one| one == method));
    Ok(Endpoints {
        authorization: public("authorization_endpoint", &document.authorization_endpoint)?,
        token: behind("token_endpoint", &document.token_endpoint)?,
        jwks: behind("jwks_uri", &document.jwks_uri)?,
        sign_out,
        leave,
        secret_in_form: !takes("client_secret_basic"),
    })
}

/// The part of an address below another one, with its slash.
fn below<'t>(text: &'t str, base: &str) -> Option<&'t str> {
    text.strip_prefix(base.trim_end_matches('/'))
        .filter(|rest| rest.starts_with('/'))
}

/// A provider that is reached over TLS cannot lead to where there is none.
fn endpoint(name: &'static str, text: &str, plain: bool) -> Result<Url, DiscoveryError> {
    Url::parse(text)
        .ok()
        .filter(|url| url.scheme() == "https" || (plain && url.scheme() == "http"))
        .filter(Url::has_host)
        .context(EndpointSnafu { name, url: text })
}
