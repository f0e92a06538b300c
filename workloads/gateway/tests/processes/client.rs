//! A person who asks the gateway, each time on a connection of its own.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::script::Way;
use crate::wire;

/// A person at an address.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// Of a replica, or of what stands before replicas.
    pub(crate) address: SocketAddr,
    /// The person's token.
    pub(crate) token: String,
}

/// An answer that came to its proper end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Client {
    /// A request, as it is sent.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> String {
        self.headed(method, path, "", body)
    }

    /// The same with more lines in its head, each with its end.
    fn headed(&self, method: &str, path: &str, lines: &str, body: &str) -> String {
        format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{lines}\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        )
    }

    /// Asks, and reads the answer to its end. The error says how it was cut, or that nobody took
    /// the connection.
    pub(crate) async fn send(&self, method: &str, path: &str, body: &str) -> Result<Reply, String> {
        self.deliver(&self.request(method, path, body)).await
    }

    /// The same with a request that is written already.
    pub(crate) async fn deliver(&self, request: &str) -> Result<Reply, String> {
        let refused = |error: std::io::Error| format!("refused: {error}");
        let mut stream = TcpStream::connect(self.address).await.map_err(refused)?;
        let written = stream.write_all(request.as_bytes()).await;
        written.map_err(refused)?;
        let (head, body) = wire::answer(stream).await?;
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| format!("no status in {head:?}"))?;
        Ok(Reply { status, head, body })
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Reply, String> {
        self.send("GET", path, "").await
    }

    pub(crate) async fn ask(&self, question: &Value) -> Result<Reply, String> {
        self.send("POST", "/v1/chat/completions", &question.to_string())
            .await
    }

    /// Asks in one of the ways there are; under a key the question takes effect once.
    pub(crate) async fn put(
        &self,
        way: Way,
        question: &Value,
        key: Option<&str>,
    ) -> Result<Reply, String> {
        let line = key.map(|key| format!("idempotency-key: {key}\r\n"));
        let line = line.unwrap_or_default();
        let request = self.headed("POST", way.path(), &line, &question.to_string());
        self.deliver(&request).await
    }

    /// What a conversation holds, which must be there.
    pub(crate) async fn messages(&self, conversation: &str) -> Vec<Value> {
        let path = format!("/api/conversations/{conversation}");
        let reply = self.get(&path).await.unwrap();
        assert_eq!(reply.status, 200, "{conversation}: {reply:?}");
        reply.json()["messages"].as_array().unwrap().clone()
    }
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?} is not JSON"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields
            .find(|(found, _)| *found == name)
            .map_or("", |(_, value)| value)
    }

    /// `code` of either error shape; empty where there is none.
    pub(crate) fn code(&self) -> String {
        let json: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let code = json["error"]["code"].as_str().or(json["code"].as_str());
        code.unwrap_or_default().to_owned()
    }
}
