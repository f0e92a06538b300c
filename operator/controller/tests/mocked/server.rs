//! An API server that answers from a function and remembers what it was asked.

use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower_test::mock;

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: Value,
}

impl Call {
    pub(crate) async fn of(request: Request<Body>) -> Self {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }
}

pub(crate) fn response(status: u16, body: &Value) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Body::from(serde_json::to_vec(body).unwrap()))
        .unwrap()
}

/// Everything that was asked so far.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Call>>>);

impl Log {
    pub(crate) fn note(&self, call: Call) {
        self.0.lock().unwrap().push(call);
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.0.lock().unwrap().clone()
    }

    /// Method and last part of the path of every request with one of these methods.
    pub(crate) fn summary(&self, methods: &[&str]) -> Vec<String> {
        self.calls()
            .iter()
            .filter(|call| methods.contains(&call.method.as_str()))
            .map(|call| format!("{} {}", call.method, call.path.rsplit('/').next().unwrap()))
            .collect()
    }
}

/// A client whose server answers with `answer`: a status and a body.
pub(crate) fn serve(answer: impl Fn(&Call) -> (u16, Value) + Send + 'static) -> (Client, Log) {
    let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
    let log = Log::default();
    let calls = log.clone();
    tokio::spawn(async move {
        while let Some((request, reply)) = handle.next_request().await {
            let call = Call::of(request).await;
            let (status, body) = answer(&call);
            calls.note(call);
            reply.send_response(response(status, &body));
        }
    });
    (Client::new(service, "default"), log)
}

/// The refusal that Kubernetes sends with this code.
pub(crate) fn refusal(code: u16, reason: &str) -> (u16, Value) {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "code": code, "reason": reason, "message": reason,
    });
    (code, body)
}
