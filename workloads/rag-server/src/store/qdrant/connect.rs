//! The channel to Qdrant: TLS, key, limits.

use std::path::Path;

use lotoai_kit::upstream::{self, CONNECT_TIMEOUT};
use lotoai_kit::{MAX_GRPC_MESSAGE_BYTES, authority};
use qdrant_client::qdrant::collections_client::CollectionsClient;
use qdrant_client::qdrant::points_client::PointsClient;
use secrecy::{ExposeSecret, SecretString};
use snafu::ResultExt;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Request, Status};
use url::Url;

use crate::config::QdrantArgs;
use crate::store::error::{AddressSnafu, AuthoritySnafu, StoreError};

/// Header of the key.
const API_KEY: &str = "api-key";

type Authenticated = InterceptedService<Channel, Key>;

/// Clients on one channel, which connects at the first call and again after a broken connection.
#[derive(Debug)]
pub(super) struct Clients {
    channel: Authenticated,
}

impl Clients {
    pub(super) fn new(url: &Url, args: &QdrantArgs) -> Result<Self, StoreError> {
        let address = AddressSnafu { url: url.as_str() };
        let mut endpoint = upstream::endpoint(url).context(address)?;
        if url.scheme() == "https" {
            let tls = tls(args.qdrant_ca_file.as_deref())?;
            endpoint = endpoint.tls_config(tls).context(address)?;
        }
        let key = args.qdrant_api_key.as_ref().map(header).transpose()?;
        let channel = InterceptedService::new(endpoint.connect_lazy(), Key { key });
        Ok(Self { channel })
    }

    pub(super) fn points(&self) -> PointsClient<Authenticated> {
        PointsClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_GRPC_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_GRPC_MESSAGE_BYTES)
    }

    pub(super) fn collections(&self) -> CollectionsClient<Authenticated> {
        CollectionsClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_GRPC_MESSAGE_BYTES)
    }
}

/// The well-known authorities, and that of the file beside them. The server's name is checked.
fn tls(authority: Option<&Path>) -> Result<ClientTlsConfig, StoreError> {
    let tls = ClientTlsConfig::new()
        .with_native_roots()
        .timeout(CONNECT_TIMEOUT);
    let Some(path) = authority else {
        return Ok(tls);
    };
    let pem = authority::read(path).context(AuthoritySnafu)?;
    Ok(tls.ca_certificate(Certificate::from_pem(pem)))
}

fn header(key: &SecretString) -> Result<AsciiMetadataValue, StoreError> {
    let mut value =
        AsciiMetadataValue::try_from(key.expose_secret()).map_err(|_| StoreError::Key)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Adds the key to every call.
#[derive(Debug, Clone)]
pub(super) struct Key {
    key: Option<AsciiMetadataValue>,
}

impl Interceptor for Key {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(key) = &self.key {
            request.metadata_mut().insert(API_KEY, key.clone());
        }
        Ok(request)
    }
}
