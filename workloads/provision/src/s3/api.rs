//! Signed requests to MinIO: the S3 interface and the admin interface.

use ::http::{Method, Request, StatusCode};
use aws_lc_rs::error::Unspecified;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::HttpRequestBody;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use snafu::{ResultExt, Snafu};
use url::Url;

use super::encrypt;
use crate::config::S3Admin;
use crate::http::{Answer, HttpError, client, send};

/// The region that buckets are created in when nothing is said.
const FIRST_REGION: &str = "us-east-1";

/// Why MinIO could not be provisioned.
#[derive(Debug, Snafu)]
pub enum S3Error {
    /// It refused, or did not answer.
    #[snafu(transparent)]
    Http {
        /// The cause.
        source: HttpError,
    },
    /// The request is none.
    #[snafu(display("failed to {what}: the address cannot be used"))]
    Request {
        /// What was being done.
        what: String,
        /// The cause.
        source: ::http::Error,
    },
    /// Signing failed.
    #[snafu(display("failed to sign the request to {what}"))]
    Sign {
        /// What was being done.
        what: String,
        /// The cause.
        source: object_store::Error,
    },
    /// Encrypting failed.
    #[snafu(display("failed to encrypt the request to {what}"))]
    Encrypt {
        /// What was being done.
        what: String,
        /// The cause.
        source: Unspecified,
    },
}

/// MinIO as its root user sees it.
pub(super) struct Api {
    client: reqwest::Client,
    url: Url,
    region: String,
    path_style: bool,
    credential: AwsCredential,
}

impl Api {
    pub(super) fn new(admin: &S3Admin) -> Result<Self, S3Error> {
        Ok(Self {
            client: client(admin.s3_ca_file.as_deref())?,
            url: admin.s3_url.clone(),
            region: admin.s3_region.clone(),
            path_style: admin.s3_path_style,
            credential: AwsCredential {
                key_id: admin.s3_username.clone(),
                secret_key: admin.s3_password.expose_secret().to_owned(),
                token: None,
            },
        })
    }

    async fn call(
        &self,
        what: &str,
        method: Method,
        url: Url,
        body: Vec<u8>,
    ) -> Result<Answer, S3Error> {
        let mut request = Request::builder()
            .method(method.clone())
            .uri(url.as_str())
            .body(HttpRequestBody::from(body.clone()))
            .context(RequestSnafu { what })?;
        AwsAuthorizer::new(&self.credential, "s3", &self.region)
            .try_authorize(&mut request, None)
            .context(SignSnafu { what })?;
        let signed = self
            .client
            .request(method, url)
            .headers(request.headers().clone())
            .body(body);
        Ok(send(what, signed).await?)
    }

    async fn admin(
        &self,
        what: &str,
        call: &str,
        query: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<(), S3Error> {
        let url = self.admin_url(call, query);
        self.call(what, Method::PUT, url, body).await?.success()?;
        Ok(())
    }

    fn admin_url(&self, call: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("/minio/admin/v3/{call}"));
        url.query_pairs_mut().extend_pairs(query);
        url
    }

    /// Lists buckets: works only when the server is up and the credentials are right.
    pub(super) async fn ping(&self) -> Result<(), S3Error> {
        let mut url = self.url.clone();
        url.set_path("/");
        self.call("reach MinIO", Method::GET, url, Vec::new())
            .await?
            .success()?;
        Ok(())
    }

    /// Address of a bucket.
    pub(super) fn bucket(&self, name: &str) -> Url {
        let mut url = self.url.clone();
        match (self.path_style, self.url.host_str()) {
            (false, Some(host)) => {
                // Fails only for addresses that can have no host.
                let _ = url.set_host(Some(&format!("{name}.{host}")));
            }
            _ => url.set_path(&format!("/{name}")),
        }
        url
    }

    /// Whether the bucket is there. Asks for nothing but rights on the bucket itself.
    pub(super) async fn has_bucket(&self, bucket: &str) -> Result<bool, S3Error> {
        let what = format!("look for bucket {bucket:?}");
        let url = self.bucket(bucket);
        let answer = self.call(&what, Method::HEAD, url, Vec::new()).await?;
        Ok(answer.found()?.is_some())
    }

    /// True when the bucket was created, false when it was there.
    pub(super) async fn create_bucket(&self, bucket: &str) -> Result<bool, S3Error> {
        let what = format!("create bucket {bucket:?}");
        let url = self.bucket(bucket);
        let place = self.place();
        let answer = self.call(&what, Method::PUT, url, place).await?;
        if answer.status == StatusCode::CONFLICT {
            let text = String::from_utf8_lossy(&answer.body);
            if text.contains("BucketAlreadyOwnedByYou") || text.contains("BucketAlreadyExists") {
                return Ok(false);
            }
        }
        answer.success()?;
        Ok(true)
    }

    /// What creating a bucket says about its region: nothing in the first one, as S3 asks.
    fn place(&self) -> Vec<u8> {
        if self.region == FIRST_REGION {
            return Vec::new();
        }
        format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>",
            self.region
        )
        .into_bytes()
    }

    pub(super) async fn put_policy(&self, name: &str, document: &Value) -> Result<(), S3Error> {
        let what = format!("create policy {name:?}");
        self.admin(
            &what,
            "add-canned-policy",
            &[("name", name)],
            document.to_string().into(),
        )
        .await
    }

    pub(super) async fn put_user(
        &self,
        name: &str,
        password: &SecretString,
    ) -> Result<(), S3Error> {
        let what = format!("create user {name:?}");
        let plain = json!({ "secretKey": password.expose_secret(), "status": "enabled" });
        let body = encrypt::encrypt(&self.credential.secret_key, plain.to_string().as_bytes())
            .context(EncryptSnafu { what: &what })?;
        self.admin(&what, "add-user", &[("accessKey", name)], body)
            .await
    }

    /// True when the user was deleted, false when there was none.
    pub(super) async fn delete_user(&self, name: &str) -> Result<bool, S3Error> {
        let what = format!("delete user {name:?}");
        self.delete(&what, self.admin_url("remove-user", &[("accessKey", name)]))
            .await
    }

    /// True when the policy was deleted, false when there was none.
    pub(super) async fn delete_policy(&self, name: &str) -> Result<bool, S3Error> {
        let what = format!("delete policy {name:?}");
        self.delete(
            &what,
            self.admin_url("remove-canned-policy", &[("name", name)]),
        )
        .await
    }

    async fn delete(&self, what: &str, url: Url) -> Result<bool, S3Error> {
        let answer = self.call(what, Method::DELETE, url, Vec::new()).await?;
        Ok(answer.found()?.is_some())
    }

    /// Makes the policy the only one of the user.
    pub(super) async fn set_policy(&self, user: &str, policy: &str) -> Result<(), S3Error> {
        let what = format!("give policy {policy:?} to user {user:?}");
        let query = [
            ("policyName", policy),
            ("userOrGroup", user),
            ("isGroup", "false"),
        ];
        self.admin(&what, "set-user-or-group-policy", &query, Vec::new())
            .await
    }
}
