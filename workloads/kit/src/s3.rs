//! The object store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgAction, Args};
use object_store::aws::AmazonS3Builder;
use object_store::{BackoffConfig, Certificate, ClientOptions, ObjectStore, RetryConfig};
use secrecy::{ExposeSecret, SecretString};
use snafu::{ResultExt, Snafu};
use url::Url;

use crate::authority::{self, AuthorityError};

/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an object store is waited for that cannot be reached or says that it cannot serve now: as
/// long as MinIO takes until its servers are back, all of them together. What is asked for again does
/// nothing twice: every request is one for a whole object or part, by its key.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The longest pause before the next attempt; the first is 100 ms.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Where the objects are and who we are there.
#[derive(Debug, Clone, Args)]
pub struct S3Args {
    /// Address of the object store, for example `https://lotoai-minio:9000`
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
    /// Whether the bucket's name stands in the path; `false`: before the host
    #[arg(long, env = "S3_PATH_STYLE", default_value_t = true, action = ArgAction::Set)]
    pub s3_path_style: bool,
    /// File with the authority of the server's certificate, beside the well-known ones
    #[arg(long, env = "S3_CA_FILE")]
    pub s3_ca_file: Option<PathBuf>,
}

/// The client was refused.
#[derive(Debug, Snafu)]
pub enum S3Error {
    /// The address or the bucket's name cannot be used.
    #[snafu(display("failed to open bucket {bucket:?} at {url}"))]
    Open {
        /// The address.
        url: String,
        /// The bucket.
        bucket: String,
        /// The cause.
        source: object_store::Error,
    },
    /// `S3_CA_FILE` cannot be used.
    #[snafu(display("failed to use S3_CA_FILE"))]
    Authority {
        /// The cause.
        source: AuthorityError,
    },
}

impl S3Args {
    /// A client of the bucket, each of whose requests may take `limit`, body included. What fails is
    /// attempted again for [`PATIENCE`], so that a call may take `PATIENCE` and `limit`. Connects at
    /// the first use.
    ///
    /// # Errors
    /// The address, the bucket name or the authority cannot be used.
    pub fn open(&self, limit: Duration) -> Result<Arc<dyn ObjectStore>, S3Error> {
        self.client(limit, PATIENCE)
    }

    fn client(&self, limit: Duration, patience: Duration) -> Result<Arc<dyn ObjectStore>, S3Error> {
        let mut options = ClientOptions::new()
            .with_allow_http(true)
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_timeout(limit);
        let open = OpenSnafu {
            url: self.s3_url.as_str(),
            bucket: &self.s3_bucket,
        };
        if let Some(file) = &self.s3_ca_file {
            let pem = authority::read(file).context(AuthoritySnafu)?;
            let certificates = Certificate::from_pem_bundle(pem.as_bytes()).context(open)?;
            for certificate in certificates {
                options = options.with_root_certificate(certificate);
            }
        }
        let retry = RetryConfig {
            backoff: BackoffConfig {
                max_backoff: MAX_PAUSE,
                ..BackoffConfig::default()
            },
            // The time bounds them.
            max_retries: usize::MAX,
            retry_timeout: patience,
        };
        let store = AmazonS3Builder::new()
            .with_endpoint(self.endpoint())
            .with_bucket_name(&self.s3_bucket)
            .with_region(&self.s3_region)
            .with_access_key_id(&self.s3_username)
            .with_secret_access_key(self.s3_password.expose_secret())
            .with_virtual_hosted_style_request(!self.s3_path_style)
            .with_client_options(options)
            .with_retry(retry)
            .build()
            .context(open)?;
        Ok(Arc::new(store))
    }

    /// The address as the client library wants it: with the bucket before the host, if it stands
    /// there.
    fn endpoint(&self) -> String {
        let mut url = self.s3_url.clone();
        if !self.s3_path_style
            && let Some(host) = self.s3_url.host_str()
        {
            // Fails only for addresses that can have no host.
            let _ = url.set_host(Some(&format!("{}.{host}", self.s3_bucket)));
        }
        url.as_str().trim_end_matches('/').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::path::Path;
    use wiremock::matchers::{header_regex, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn args(url: &str) -> S3Args {
        S3Args {
            s3_url: url.parse().unwrap(),
            s3_bucket: "documents".to_owned(),
            s3_region: "us-east-1".to_owned(),
            s3_username: "gateway".to_owned(),
            s3_password: "0123456789abcdef".into(),
            s3_path_style: true,
            s3_ca_file: None,
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
        let store = args(&server.uri()).open(LIMIT).unwrap();
        let object = store.get(&Path::from("a/b.txt")).await.unwrap();
        assert_eq!(object.bytes().await.unwrap(), "text");
    }

    #[test]
    fn the_bucket_may_stand_before_the_host() {
        let mut args = args("https://s3.eu-central-1.amazonaws.com");
        args.s3_path_style = false;
        let endpoint = "https://documents.s3.eu-central-1.amazonaws.com";
        assert_eq!(args.endpoint(), endpoint);
        assert!(args.open(LIMIT).is_ok());
    }

    #[test]
    fn an_authority_that_is_not_there_is_an_error() {
        let mut args = args("https://s3.example.com");
        args.s3_ca_file = Some("/nowhere/ca.crt".into());
        let error = args.open(LIMIT).unwrap_err().to_string();
        assert_eq!(error, "failed to use S3_CA_FILE");
    }

    #[tokio::test]
    async fn over_tls_the_authority_and_the_name_are_checked() {
        use crate::testing::{Authority, serve};

        let platform = Authority::new("platform");
        platform.issue(&["localhost"]);
        let answer = || {
            let headers = [
                ("last-modified", "Sun, 22 Nov 2026 10:00:00 GMT"),
                ("etag", "x"),
            ];
            std::future::ready((headers, "text"))
        };
        let router = axum::Router::new().route("/documents/a", axum::routing::get(answer));
        let running = serve(router, Some(platform.certificates())).await;
        let get = async |host: &str, authority: &Authority| {
            let mut args = args(&format!("https://{host}:{}", running.port));
            args.s3_ca_file = Some(authority.file("ca.crt"));
            let store = args.client(LIMIT, Duration::ZERO).unwrap();
            let result = store.get(&Path::from("a")).await;
            result
                .map(drop)
                .map_err(|error| crate::runtime::chain(&error))
        };
        get("localhost", &platform).await.unwrap();
        let cause = get("localhost", &Authority::new("other"))
            .await
            .unwrap_err();
        assert!(cause.contains("UnknownIssuer"), "{cause}");
        let cause = get("127.0.0.1", &platform).await.unwrap_err();
        assert!(cause.contains("not valid for name"), "{cause}");
    }

    /// Longer than a handful of attempts: servers that start take a while.
    #[tokio::test]
    async fn a_store_that_starts_is_waited_for() {
        let server = MockServer::start().await;
        Mock::given(method("PUT"))
            .respond_with(ResponseTemplate::new(503))
            .up_to_n_times(8)
            .expect(8)
            .mount(&server)
            .await;
        Mock::given(method("PUT"))
            .and(path("/documents/a"))
            .respond_with(ResponseTemplate::new(200).insert_header("etag", "\"x\""))
            .expect(1)
            .mount(&server)
            .await;
        let store = args(&server.uri()).open(LIMIT).unwrap();
        store.put(&Path::from("a"), "text".into()).await.unwrap();
    }

    #[tokio::test]
    async fn a_store_that_goes_away_in_the_middle_is_waited_for() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let mut asked = vec![0; 4096];
            for _ in 0..8 {
                let (mut connection, _) = listener.accept().await.unwrap();
                assert!(connection.read(&mut asked).await.unwrap() > 0);
            }
            let (mut connection, _) = listener.accept().await.unwrap();
            let read = connection.read(&mut asked).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\netag: \"x\"\r\ncontent-length: 0\r\n\r\n";
            connection.write_all(answer).await.unwrap();
            String::from_utf8_lossy(&asked[..read]).into_owned()
        });
        let store = args(&url).open(LIMIT).unwrap();
        store.put(&Path::from("a"), "text".into()).await.unwrap();
        let asked = server.await.unwrap();
        assert!(asked.starts_with("PUT /documents/a"), "{asked}");
    }

    #[tokio::test]
    async fn a_refusal_is_an_error() {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .respond_with(ResponseTemplate::new(403))
            .mount(&server)
            .await;
        let store = args(&server.uri()).open(LIMIT).unwrap();
        let error = store.get(&Path::from("a")).await.unwrap_err();
        assert!(
            matches!(error, object_store::Error::PermissionDenied { .. }),
            "{error:?}"
        );
    }
}
