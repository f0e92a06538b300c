//! The object store.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use object_store::aws::AmazonS3Builder;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use secrecy::{ExposeSecret, SecretString};
use snafu::{ResultExt, Snafu};
use url::Url;

/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one request may take, body included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a request is tried again after server errors.
const RETRY_TIMEOUT: Duration = Duration::from_secs(15);

/// Where the objects are and who we are there.
#[derive(Debug, Clone, Args)]
pub struct S3Args {
    /// Address of the object store, for example `http://lotoai-minio:9000`
    #[arg(long, env = "S3_URL")]
    pub s3_url: Url,
    /// Bucket
    #[arg(long, env = "S3_BUCKET")]
    pub s3_bucket: String,
    /// Region that requests are signed for
    #[arg(long, env = "S3_REGION", default_value = "us-east-1")]
    pub s3_region: String,
    /// Access key
    #[arg(long, env = "S3_USERNAME")]
    pub s3_username: String,
    /// Secret key
    #[arg(long, env = "S3_PASSWORD", hide_env_values = true)]
    pub s3_password: SecretString,
}

/// The client was refused.
#[derive(Debug, Snafu)]
#[snafu(display("failed to open bucket {bucket:?} at {url}"))]
pub struct S3Error {
    url: String,
    bucket: String,
    source: object_store::Error,
}

impl S3Args {
    /// A client of the bucket, with bucket names in the path and bounded requests. Connects at the
    /// first use.
    ///
    /// # Errors
    /// The address or the bucket name cannot be used.
    pub fn open(&self) -> Result<Arc<dyn ObjectStore>, S3Error> {
        let options = ClientOptions::new()
            .with_allow_http(true)
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_timeout(REQUEST_TIMEOUT);
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: 5,
            retry_timeout: RETRY_TIMEOUT,
        };
        let store = AmazonS3Builder::new()
            .with_endpoint(self.s3_url.as_str().trim_end_matches('/'))
            .with_bucket_name(&self.s3_bucket)
            .with_region(&self.s3_region)
            .with_access_key_id(&self.s3_username)
            .with_secret_access_key(self.s3_password.expose_secret())
            .with_virtual_hosted_style_request(false)
            .with_client_options(options)
            .with_retry(retry)
            .build()
            .context(S3Snafu {
                url: self.s3_url.as_str(),
                bucket: &self.s3_bucket,
            })?;
        Ok(Arc::new(store))
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::path::Path;
    use wiremock::matchers::{header_regex, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    fn args(url: &str) -> S3Args {
        S3Args {
            s3_url: url.parse().unwrap(),
            s3_bucket: "documents".to_owned(),
            s3_region: "us-east-1".to_owned(),
            s3_username: "gateway".to_owned(),
            s3_password: "0123456789abcdef".into(),
        }
    }

    #[tokio::test]
    async fn the_bucket_is_in_the_path_and_requests_are_signed() {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .and(path("/documents/a/b.txt"))
            .and(header_regex(
                "authorization",
                "^AWS4-HMAC-SHA256 Credential=gateway/",
            ))
            .respond_with(
                ResponseTemplate::new(200)
                    .insert_header("last-modified", "Sun, 22 Nov 2026 10:00:00 GMT")
                    .insert_header("etag", "\"x\"")
                    .set_body_bytes("text"),
            )
            .expect(1)
            .mount(&server)
            .await;
        let store = args(&server.uri()).open().unwrap();
        let object = store.get(&Path::from("a/b.txt")).await.unwrap();
        assert_eq!(object.bytes().await.unwrap(), "text");
    }

    #[tokio::test]
    async fn a_refusal_is_an_error() {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .respond_with(ResponseTemplate::new(403))
            .mount(&server)
            .await;
        let store = args(&server.uri()).open().unwrap();
        let error = store.get(&Path::from("a")).await.unwrap_err();
        assert!(
            matches!(error, object_store::Error::PermissionDenied { .. }),
            "{error:?}"
        );
    }
}
