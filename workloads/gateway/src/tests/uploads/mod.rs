//! Documents that arrive in pieces.

mod ending;
mod protocol;
mod resuming;
mod stuck;
mod writers;

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sqlx::PgPool;

use super::support::{Gateway, Reply};

const PATIENCE: Duration = Duration::from_secs(20);

/// A client of the protocol, with an upload once it has begun one.
pub(super) struct Resumable<'a> {
    gateway: &'a Gateway,
    subject: &'a str,
    groups: &'a [&'a str],
    path: String,
}

impl<'a> Resumable<'a> {
    pub(super) fn of(gateway: &'a Gateway, subject: &'a str) -> Self {
        Self {
            gateway,
            subject,
            groups: &[],
            path: String::new(),
        }
    }

    fn within(self, groups: &'a [&'a str]) -> Self {
        Self { groups, ..self }
    }

    /// The same upload, asked for at another replica or by somebody else.
    fn at(&self, gateway: &'a Gateway, subject: &'a str) -> Self {
        let path = self.path.clone();
        Self {
            path,
            ..Self::of(gateway, subject)
        }
    }

    fn request(&self, method: Method, path: &str) -> Request<Body> {
        let gateway = self.gateway;
        let mut request = gateway.request_in(method, path, self.subject, self.groups);
        let headers = request.headers_mut();
        headers.insert("tus-resumable", "1.0.0".parse().unwrap());
        request
    }

    async fn ask(&self, size: usize, metadata: &str) -> Reply {
        let mut request = self.request(Method::POST, "/api/uploads");
        let headers = request.headers_mut();
        headers.insert("upload-length", size.into());
        headers.insert("upload-metadata", metadata.parse().unwrap());
        self.gateway.send(request).await
    }

    /// Begins an upload.
    pub(super) async fn begin(self, name: &str, size: usize) -> Self {
        let metadata = format!("filename {}", STANDARD.encode(name));
        self.begin_with(size, &metadata).await
    }

    async fn begin_with(self, size: usize, metadata: &str) -> Self {
        let reply = self.ask(size, metadata).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
        let path = reply.header("location").to_owned();
        Self { path, ..self }
    }

    fn piece(&self, offset: usize, body: impl Into<Body>) -> Request<Body> {
        let mut request = self.request(Method::PATCH, &self.path);
        let headers = request.headers_mut();
        headers.insert("upload-offset", offset.into());
        let kind = "application/offset+octet-stream".parse().unwrap();
        headers.insert("content-type", kind);
        *request.body_mut() = body.into();
        request
    }

    /// Sends a piece.
    pub(super) async fn add(&self, offset: usize, body: impl Into<Body>) -> Reply {
        self.gateway.send(self.piece(offset, body)).await
    }

    async fn look(&self) -> Reply {
        let request = self.request(Method::HEAD, &self.path);
        self.gateway.send(request).await
    }

    async fn end(&self) -> Reply {
        let request = self.request(Method::DELETE, &self.path);
        self.gateway.send(request).await
    }

    fn id(&self) -> uuid::Uuid {
        self.path.rsplit('/').next().unwrap().parse().unwrap()
    }

    /// The document that an answer names.
    async fn document(&self, reply: &Reply) -> Value {
        let id = reply.header("x-lotoai-document-id");
        assert!(!id.is_empty(), "{reply:?}");
        let path = format!("/api/documents/{id}");
        self.gateway.get(&path, self.subject).await.json()
    }
}

/// Status and offset of an answer.
fn at(reply: &Reply) -> (u16, &str) {
    (reply.status.as_u16(), reply.header("upload-offset"))
}

/// Deletes the parts of uploads that are over, as if a minute had passed since.
pub(super) async fn sweep_parts(gateway: &Gateway, pool: &PgPool) {
    sqlx::query("update discarded_uploads set discarded_at = now() - interval '2 minutes'")
        .execute(pool)
        .await
        .unwrap();
    let (store, objects) = (&gateway.state.store, &gateway.state.objects);
    while crate::uploads::sweep_batch(store, objects).await.unwrap() > 0 {}
}

/// Waits until it is true.
async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| panic!("{what} within {PATIENCE:?}"));
}
