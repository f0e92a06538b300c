//! Clients of our own services: address and token from the environment, deadlines for connecting,
//! the trace context on every call.

#[cfg(feature = "grpc")]
mod ending;

use std::path::Path;
use std::time::Duration;

use clap::Args;
use http::{HeaderMap, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};
use snafu::{OptionExt, ResultExt, Snafu};
use url::Url;

use crate::authority::{self, AuthorityError};
use crate::telemetry;
use crate::tls::TlsArgs;

/// How long opening a connection may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a server may be silent within an answer. Callers set a shorter limit per call.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(120);
/// How long an HTTP connection is kept that nothing goes over. A server that stops closes its idle
/// connections when nobody has come for [`Limits::quiet`](crate::Limits); a request that met one at
/// that moment would be lost, and nobody could tell whether it was carried out. Who gives up before
/// the server may never sends one there.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);
/// How often an idle connection is asked whether its other end still lives.
#[cfg(feature = "grpc")]
const KEEPALIVE: Duration = Duration::from_secs(20);
#[cfg(feature = "grpc")]
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// What of an answer is in memory that nobody takes, in bytes.
#[cfg(feature = "grpc")]
const STREAM_WINDOW: u32 = 64 * 1024;
/// The same for all answers of a connection: room for a thousand that nobody takes, or a few of them
/// would hold up all others. It is used only as far as they do.
#[cfg(feature = "grpc")]
const CONNECTION_WINDOW: u32 = 1024 * STREAM_WINDOW;

/// Why a client could not be made.
#[derive(Debug, Snafu)]
pub enum UpstreamError {
    /// The token cannot stand in a header.
    #[snafu(display("failed to use the token for {url}; it may hold visible ASCII only"))]
    Token {
        /// The service.
        url: Url,
    },
    /// The HTTP client was refused.
    #[snafu(display("failed to build the HTTP client for {url}"))]
    Client {
        /// The service.
        url: Url,
        /// The cause.
        source: reqwest::Error,
    },
    /// The address asks for TLS, and nothing says whose certificates are to be trusted.
    #[snafu(display(
        "failed to use {url}: set TLS_CA_FILE to the file with the authority of its certificate"
    ))]
    NoAuthority {
        /// The service.
        url: Url,
    },
    /// `TLS_CA_FILE` cannot be used.
    #[snafu(display("failed to use TLS_CA_FILE"))]
    Authority {
        /// The cause.
        source: AuthorityError,
    },
    /// The address is no gRPC address.
    #[cfg(feature = "grpc")]
    #[snafu(display("failed to use {url} as a gRPC address"))]
    Endpoint {
        /// The service.
        url: Url,
        /// The cause.
        source: tonic::transport::Error,
    },
}

/// `Bearer <token>` as a header value that is never printed.
///
/// # Errors
/// The token holds anything but visible ASCII.
fn bearer(url: &Url, token: &SecretString) -> Result<HeaderValue, UpstreamError> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
        .map_err(|_| UpstreamError::Token { url: url.clone() })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The file with the authority of the service's certificate; none when TLS is not spoken.
fn authority<'a>(url: &Url, tls: &'a TlsArgs) -> Result<Option<&'a Path>, UpstreamError> {
    if url.scheme() != "https" {
        return Ok(None);
    }
    let file = tls.tls_ca_file.as_deref();
    file.context(NoAuthoritySnafu { url: url.clone() })
        .map(Some)
}

/// An HTTP client that sends `token` with every request, follows no redirect (a redirect would
/// carry the token elsewhere), uses no proxy, and over TLS trusts the platform's authority alone.
///
/// # Errors
/// The token cannot stand in a header, the authority is missing, or the client is refused.
pub fn http_client(
    url: &Url,
    token: &SecretString,
    tls: &TlsArgs,
) -> Result<reqwest::Client, UpstreamError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, bearer(url, token)?);
    let builder = reqwest::Client::builder()
        .default_headers(headers)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(SILENCE_TIMEOUT)
        .tcp_nodelay(true)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    secured(builder, url, tls)?
        .build()
        .context(ClientSnafu { url: url.clone() })
}

/// What every HTTP client of a service of ours has: over TLS it trusts the platform's authority
/// alone, it spreads its requests over connections, and it keeps none that is idle for a second.
///
/// # Errors
/// The authority is missing or cannot be used.
pub fn secured(
    builder: reqwest::ClientBuilder,
    url: &Url,
    tls: &TlsArgs,
) -> Result<reqwest::ClientBuilder, UpstreamError> {
    // Over TLS the two sides would agree on HTTP/2 and one connection: with several replicas
    // behind a Service all requests would then go to one of them.
    let builder = builder.http1_only().pool_idle_timeout(IDLE_TIMEOUT);
    match authority(url, tls)? {
        Some(file) => authority::trust_only(builder, file).context(AuthoritySnafu),
        None => Ok(builder),
    }
}

/// Adds the trace context of the current span to an HTTP request.
pub fn traced(mut request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
    for (name, value) in telemetry::trace_headers() {
        request = request.header(name, value);
    }
    request
}

/// A gRPC channel that carries our token; give it to a generated client's `new`.
#[cfg(feature = "grpc")]
pub type GrpcChannel = tonic::service::interceptor::InterceptedService<
    ending::Ending<tonic::transport::Channel>,
    Bearer,
>;

/// Adds the token and the trace context to every gRPC call.
#[cfg(feature = "grpc")]
#[derive(Debug, Clone)]
pub struct Bearer {
    value: tonic::metadata::AsciiMetadataValue,
}

#[cfg(feature = "grpc")]
impl tonic::service::Interceptor for Bearer {
    fn call(
        &mut self,
        mut request: tonic::Request<()>,
    ) -> Result<tonic::Request<()>, tonic::Status> {
        use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};

        request
            .metadata_mut()
            .insert("authorization", self.value.clone());
        for (name, value) in telemetry::trace_headers() {
            let pair = (
                AsciiMetadataKey::from_bytes(name.as_bytes()),
                AsciiMetadataValue::try_from(value),
            );
            if let (Ok(name), Ok(value)) = pair {
                request.metadata_mut().insert(name, value);
            }
        }
        Ok(request)
    }
}

/// What every gRPC connection has in common; TLS is the caller's to add, with
/// [`CONNECT_TIMEOUT`] for its handshake, which the limit on connecting does not reach.
///
/// # Errors
/// The address is no gRPC address.
#[cfg(feature = "grpc")]
pub fn endpoint(url: &Url) -> Result<tonic::transport::Endpoint, tonic::transport::Error> {
    Ok(tonic::transport::Endpoint::from_shared(url.to_string())?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true))
}

/// A channel that connects at the first call, and again after a broken connection. Over TLS it
/// trusts the platform's authority alone.
///
/// # Errors
/// The token cannot stand in a header, the authority is missing, or the address is no gRPC address.
#[cfg(feature = "grpc")]
pub fn grpc_channel(
    url: &Url,
    token: &SecretString,
    tls: &TlsArgs,
) -> Result<GrpcChannel, UpstreamError> {
    use tonic::transport::{Certificate, ClientTlsConfig};

    let context = || EndpointSnafu { url: url.clone() };
    let mut endpoint = endpoint(url).with_context(|_| context())?;
    if let Some(file) = authority(url, tls)? {
        let pem = authority::read(file).context(AuthoritySnafu)?;
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(pem))
            .timeout(CONNECT_TIMEOUT);
        endpoint = endpoint.tls_config(tls).with_context(|_| context())?;
    }
    let header = bearer(url, token)?;
    let mut value = tonic::metadata::AsciiMetadataValue::try_from(header.as_bytes())
        .map_err(|_| UpstreamError::Token { url: url.clone() })?;
    value.set_sensitive(true);
    let channel = ending::Ending(endpoint.connect_lazy());
    Ok(GrpcChannel::new(channel, Bearer { value }))
}

/// One struct per service of ours: its address and the token of this workload for it.
macro_rules! services {
    ($($(#[$doc:meta])* $name:ident, $url:literal, $token:literal, $long_url:literal, $long_token:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Args)]
        pub struct $name {
            /// Address of the service
            #[arg(id = $url, long = $long_url, env = $url)]
            pub url: Url,
            /// Token of this workload for the service
            #[arg(id = $token, long = $long_token, env = $token, hide_env_values = true)]
            pub token: SecretString,
        }

        impl $name {
            /// A gRPC channel to the service, see [`grpc_channel`].
            ///
            /// # Errors
            /// See [`grpc_channel`].
            #[cfg(feature = "grpc")]
            pub fn grpc_channel(&self, tls: &TlsArgs) -> Result<GrpcChannel, UpstreamError> {
                grpc_channel(&self.url, &self.token, tls)
            }

            /// An HTTP client for the service, see [`http_client`].
            ///
            /// # Errors
            /// See [`http_client`].
            pub fn http_client(&self, tls: &TlsArgs) -> Result<reqwest::Client, UpstreamError> {
                http_client(&self.url, &self.token, tls)
            }
        }
    )*};
}

services! {
    /// The orchestrator (gRPC).
    OrchestratorArgs, "ORCHESTRATOR_URL", "ORCHESTRATOR_TOKEN", "orchestrator-url", "orchestrator-token";
    /// The agents service (gRPC).
    AgentsArgs, "AGENTS_URL", "AGENTS_TOKEN", "agents-url", "agents-token";
    /// The owner of the vector store (gRPC).
    RagServerArgs, "RAG_SERVER_URL", "RAG_SERVER_TOKEN", "rag-server-url", "rag-server-token";
    /// The local models (HTTP, OpenAI API).
    ModelServerArgs, "MODEL_SERVER_URL", "MODEL_SERVER_TOKEN", "model-server-url", "model-server-token";
    /// The tools (HTTP, MCP; the address ends in `/mcp`).
    McpServerArgs, "MCP_SERVER_URL", "MCP_SERVER_TOKEN", "mcp-server-url", "mcp-server-token";
    /// Usage figures (HTTP).
    AnalyticsArgs, "ANALYTICS_URL", "ANALYTICS_TOKEN", "analytics-url", "analytics-token";
}

#[cfg(test)]
mod tests;
