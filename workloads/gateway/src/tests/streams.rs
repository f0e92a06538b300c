//! Streams that a client comes back to, at the replica that writes them, at another one, and after
//! their end.

mod ending;
mod reading;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{Method, Request, StatusCode};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::browser::{sign_in, with_cookies};
use super::budgets::question;
use super::orchestrator::{self, Seen};
use super::postgres;
use super::support::{Gateway, PUBLIC_URL, Parts, Reply};

pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// Within which a stop reaches the orchestrator.
const SOON: Duration = Duration::from_secs(1);

pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(PATIENCE, future).await;
    outcome.expect("it happens in time")
}

pub(super) async fn start(grace: Duration) -> Option<(postgres::Database, Gateway, Arc<Seen>)> {
    let (orchestrator, seen) = orchestrator::start().await;
    let parts = Parts {
        orchestrator,
        grace,
        ..Parts::default()
    };
    let (server, gateway) = Gateway::stored(parts).await?;
    gateway.look_after_streams();
    Some((server, gateway, seen))
}

pub(super) fn resumable(model: &str) -> String {
    let more = json!({
        "store": true, "stream": true,
        "stream_options": {"resumable": true, "include_usage": true},
    });
    question(model, &more)
}

/// A stream as a client reads it.
pub(super) struct Listening {
    body: BodyDataStream,
    raw: String,
}

impl Listening {
    pub(super) async fn to(gateway: &Gateway, request: Request<Body>) -> Self {
        let response = within(gateway.router.clone().oneshot(request)).await;
        let response = response.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{response:?}");
        Self {
            body: response.into_body().into_data_stream(),
            raw: String::new(),
        }
    }

    async fn ask(gateway: &Gateway) -> Self {
        let mut request = gateway.request(Method::POST, "/v1/chat/completions", "ana");
        *request.body_mut() = Body::from(resumable("told"));
        Self::to(gateway, request).await
    }

    /// The same, with the answer of this number told so far.
    pub(super) async fn begun(gateway: &Gateway, seen: &Seen, answer: usize, text: &str) -> Self {
        let mut listening = Self::ask(gateway).await;
        seen.tell(answer, Some(text));
        listening.until(text).await;
        listening
    }

    async fn resume(gateway: &Gateway, id: &str, from: Option<usize>) -> Self {
        Self::to(gateway, resume(gateway, id, "ana", from)).await
    }

    /// Reads until the text so far ends with `end`.
    pub(super) async fn until(&mut self, end: &str) {
        while !self.text().ends_with(end) {
            let part = within(self.body.next()).await;
            let part = part.unwrap_or_else(|| panic!("it ended: {}", self.raw));
            self.raw
                .push_str(std::str::from_utf8(&part.unwrap()).unwrap());
        }
    }

    /// Reads to the end.
    pub(super) async fn rest(&mut self) {
        while let Some(part) = within(self.body.next()).await {
            self.raw
                .push_str(std::str::from_utf8(&part.unwrap()).unwrap());
        }
        assert!(self.raw.ends_with("data: [DONE]\n\n"), "{}", self.raw);
    }

    /// Id and data of the events so far.
    fn events(&self) -> Vec<(Option<usize>, Value)> {
        let events = self.raw.split_inclusive("\n\n");
        let whole = events.filter(|event| event.ends_with("\n\n") && !event.starts_with(':'));
        let event = |event: &str| {
            let mut id = None;
            let mut data = Value::Null;
            for line in event.lines() {
                if let Some(value) = line.strip_prefix("id: ") {
                    id = Some(value.parse().unwrap());
                } else if let Some(value) = line.strip_prefix("data: ") {
                    data = serde_json::from_str(value).unwrap_or_default();
                }
            }
            (id, data)
        };
        whole.map(event).collect()
    }

    pub(super) fn text(&self) -> String {
        let events = self.events().into_iter();
        let text = events.filter_map(|(_, data)| {
            let content = data["choices"][0]["delta"]["content"].as_str();
            content.map(str::to_owned)
        });
        text.collect()
    }

    /// The id of the last event that has one.
    fn last_id(&self) -> usize {
        let events = self.events().into_iter();
        events.filter_map(|(id, _)| id).next_back().unwrap()
    }

    pub(super) fn run_id(&self) -> String {
        let (_, first) = self.events().into_iter().next().unwrap();
        first["lotoai"]["run_id"].as_str().unwrap().to_owned()
    }

    pub(super) fn error(&self) -> String {
        let events = self.events().into_iter();
        let error = events.filter_map(|(_, data)| {
            let code = data["error"]["code"].as_str();
            code.map(str::to_owned)
        });
        error.collect()
    }

    /// What it ends with, without the time at which it was told.
    fn ending(&self) -> Vec<Value> {
        let events = self.events().into_iter();
        let ending = events.filter(|(id, data)| id.is_none() && !data.is_null());
        ending
            .map(|(_, mut data)| {
                data["created"] = Value::Null;
                data
            })
            .collect()
    }
}

pub(super) fn resume(
    gateway: &Gateway,
    id: &str,
    subject: &str,
    from: Option<usize>,
) -> Request<Body> {
    let path = format!("/v1/chat/completions/{id}/stream");
    let mut request = gateway.request(Method::GET, &path, subject);
    if let Some(from) = from {
        let from = from.to_string().parse().unwrap();
        request.headers_mut().insert("last-event-id", from);
    }
    request
}

async fn cancel(gateway: &Gateway, id: &str) -> Reply {
    let path = format!("/v1/chat/completions/{id}/cancel");
    gateway
        .send(gateway.request(Method::POST, &path, "ana"))
        .await
}

async fn stored(gateway: &Gateway) -> Vec<Value> {
    let list = gateway.get("/api/conversations", "ana").await.json();
    let id = list["items"][0]["id"].as_str().unwrap();
    let path = format!("/api/conversations/{id}");
    let conversation = gateway.get(&path, "ana").await.json();
    conversation["messages"].as_array().unwrap().clone()
}
