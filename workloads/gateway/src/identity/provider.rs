//! HTTP to the identity provider, with limits.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use lotoai_kit::authority::{self, AuthorityError};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use snafu::{OptionExt as _, ResultExt as _, Snafu};
use url::Url;

/// Largest answer to a token request.
const MAX_BYTES: usize = 256 * 1024;

/// How long a whole exchange may take.
pub const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the provider gave no usable answer.
#[derive(Debug, Snafu)]
pub enum ProviderError {
    /// The HTTP client could not be made.
    #[snafu(display("failed to make an HTTP client for the identity provider"))]
    Client {
        /// Cause.
        source: reqwest::Error,
    },
    /// The authority of its certificate cannot be trusted.
    #[snafu(display("failed to trust the identity provider's certificate authority"))]
    Authority {
        /// Cause.
        source: AuthorityError,
    },
    /// No connection, no answer in time, or a broken answer.
    #[snafu(display("failed to reach the identity provider"))]
    Reach {
        /// Cause; the URL is left out of it.
        source: reqwest::Error,
    },
    /// The provider answered with an error.
    #[snafu(display("the identity provider answered {status}"))]
    Refused {
        /// Its status.
        status: u16,
    },
    /// More than the limit.
    #[snafu(display("the identity provider's answer is longer than {limit} bytes"))]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// The request or answer cannot be expressed in HTTP.
    #[snafu(display("failed to translate an HTTP message"))]
    Translate {
        /// Cause.
        source: http::Error,
    },
    /// An answer without a status.
    #[snafu(display("the sign-in library made a request that is not valid"))]
    Invalid,
}

/// The client for the identity provider. It follows no redirects.
#[derive(Debug, Clone)]
pub struct ProviderHttp(Arc<reqwest::Client>);

impl ProviderHttp {
    /// A client with a connect timeout of 2 s and [`EXCHANGE_TIMEOUT`] for the whole. It trusts the
    /// authority in `ca_file` beside the well-known ones.
    ///
    /// # Errors
    /// When that file holds no certificate or the TLS library cannot be set up.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, ProviderError> {
        let builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(2))
            .timeout(EXCHANGE_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .no_proxy();
        authority::trust(builder, ca_file)
            .context(AuthoritySnafu)?
            .build()
            .map(|client| Self(Arc::new(client)))
            .context(ClientSnafu)
    }

    /// Reads `url`, at most `limit` bytes.
    ///
    /// # Errors
    /// When there is no answer, one that is not 2xx, or one that is too long.
    pub async fn get(&self, url: Url, limit: usize) -> Result<Vec<u8>, ProviderError> {
        let response = self
            .0
            .get(url)
            .send()
            .await
            .map_err(reqwest::Error::without_url)
            .context(ReachSnafu)?;
        if !response.status().is_success() {
            return RefusedSnafu {
                status: response.status().as_u16(),
            }
            .fail();
        }
        read_capped(response, limit).await
    }

    /// Posts a form and ignores the answer's body.
    ///
    /// # Errors
    /// When there is no answer or one that is not 2xx.
    pub async fn post_form(&self, url: Url, form: &[(&str, &str)]) -> Result<(), ProviderError> {
        let response = self
            .0
            .post(url)
            .form(form)
            .send()
            .await
            .map_err(reqwest::Error::without_url)
            .context(ReachSnafu)?;
        snafu::ensure!(
            response.status().is_success(),
            RefusedSnafu {
                status: response.status().as_u16()
            }
        );
        Ok(())
    }

    /// Carries a request of the sign-in library. Error statuses are answers here.
    async fn carry(&self, request: HttpRequest) -> Result<HttpResponse, ProviderError> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string())
            .ok()
            .context(InvalidSnafu)?;
        let response = self
            .0
            .request(parts.method, url)
            .headers(parts.headers)
            .body(body)
            .send()
            .await
            .map_err(reqwest::Error::without_url)
            .context(ReachSnafu)?;
        let mut builder = http::Response::builder().status(response.status());
        for (name, value) in response.headers() {
            builder = builder.header(name, value);
        }
        let body = read_capped(response, MAX_BYTES).await?;
        builder.body(body).context(TranslateSnafu)
    }
}

impl<'c> AsyncHttpClient<'c> for ProviderHttp {
    type Error = ProviderError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, ProviderError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.carry(request))
    }
}

async fn read_capped(
    mut response: reqwest::Response,
    limit: usize,
) -> Result<Vec<u8>, ProviderError> {
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(reqwest::Error::without_url)
        .context(ReachSnafu)?
    {
        if body.len() + chunk.len() > limit {
            return TooLongSnafu { limit }.fail();
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
