//! What is asked beside questions while a process is killed: vectors, and files that come in pieces.

use std::collections::HashMap;
use std::sync::Mutex;

use serde_json::json;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::client::{Client, Reply};
use crate::model_server::{self, MODEL, TOKENS};

/// Of each kind and load, one after the other.
pub(super) const CALLS: usize = 4;
/// Texts of a call for vectors: they are as dear as an answer at least.
const TEXTS: [&str; 3] = ["a", "b", "c"];
/// A file is never whole: it would be over.
const FILE: usize = 10_000;
const PIECE: usize = 100;

/// The objects of a store, by their paths. Signatures are not looked at.
#[derive(Default)]
struct Objects(Mutex<HashMap<String, Vec<u8>>>);

impl Respond for Objects {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let path = request.url.path();
        let mut objects = self.0.lock().unwrap();
        let found = match request.method.as_str() {
            "PUT" => {
                objects.insert(path.to_owned(), request.body.clone());
                Some(Vec::new())
            }
            "GET" => objects.get(path).cloned(),
            // What is to be deleted stays.
            _ => None,
        };
        match found {
            Some(bytes) => ResponseTemplate::new(200)
                .insert_header("etag", "\"x\"")
                .set_body_bytes(bytes),
            None => ResponseTemplate::new(404),
        }
    }
}

/// The far sides of these.
pub(super) struct Sides {
    model_server: MockServer,
    objects: MockServer,
}

impl Sides {
    pub(super) async fn start() -> Self {
        let objects = MockServer::start().await;
        let stored = Mock::given(any()).respond_with(Objects::default());
        stored.mount(&objects).await;
        Self {
            model_server: model_server::start().await,
            objects,
        }
    }

    /// Where they are, as a process is told.
    pub(super) fn settings(&self) -> [(&'static str, String); 3] {
        [
            ("MODEL_SERVER_URL", self.model_server.uri()),
            ("MODEL_SERVER_TOKEN", "m".to_owned()),
            ("S3_URL", self.objects.uri()),
        ]
    }
}

/// How often vectors were asked for, and came.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Vectors {
    pub(super) asked: usize,
    pub(super) acknowledged: usize,
}

/// Asks for vectors until they do not come.
pub(super) async fn embed(client: Client) -> Vectors {
    let mut vectors = Vectors::default();
    let body = json!({ "model": MODEL, "input": TEXTS }).to_string();
    for _ in 0..CALLS {
        vectors.asked += 1;
        let reply = client.send("POST", "/v1/embeddings", &body).await;
        let Some(reply) = reply.ok().filter(|reply| reply.status == 200) else {
            break;
        };
        let tokens = TOKENS * TEXTS.len() as u64;
        assert_eq!(reply.json()["usage"]["prompt_tokens"], tokens);
        vectors.acknowledged += 1;
    }
    vectors
}

/// A file of which so many bytes were acknowledged.
pub(super) struct Sent {
    path: String,
    pub(super) acknowledged: usize,
}

/// Bytes of [`Sent`] when nothing was cut.
pub(super) const WHOLE: usize = CALLS * PIECE;

/// Sends a file in pieces until one is not acknowledged; `None` when it was not even begun.
pub(super) async fn send(client: Client) -> Option<Sent> {
    let lines = format!("upload-length: {FILE}\r\nupload-metadata: filename cGxhbi50eHQ=\r\n");
    let begun = ask(&client, "POST", "/api/uploads", &lines, "").await;
    let begun = begun.ok().filter(|reply| reply.status == 201)?;
    let mut sent = Sent {
        path: begun.header("location").to_owned(),
        acknowledged: 0,
    };
    for _ in 0..CALLS {
        let piece = "x".repeat(PIECE);
        let reply = add(&client, &sent.path, sent.acknowledged, &piece).await;
        let Some(reply) = reply.ok().filter(|reply| reply.status == 204) else {
            break;
        };
        sent.acknowledged += PIECE;
        let offset = reply.header("upload-offset");
        assert_eq!(offset, sent.acknowledged.to_string(), "{reply:?}");
    }
    Some(sent)
}

/// What was acknowledged is safe, and beside it the piece that was on its way at most.
pub(super) async fn is_kept(client: &Client, sent: &Sent) {
    // No piece of it begins there, and the refusal says where the next one does.
    let reply = add(client, &sent.path, FILE + 1, "").await.unwrap();
    assert_eq!(reply.code(), "upload_offset_mismatch", "{reply:?}");
    let detail = reply.json()["detail"].as_str().unwrap().to_owned();
    let (_, rest) = detail.split_once("is that at ").unwrap();
    let received: usize = rest.split(';').next().unwrap().parse().unwrap();
    let there = sent.acknowledged..=sent.acknowledged + PIECE;
    assert!(there.contains(&received), "{received} is not in {there:?}");
}

async fn add(client: &Client, path: &str, offset: usize, piece: &str) -> Result<Reply, String> {
    let lines = format!("upload-offset: {offset}\r\n");
    ask(client, "PATCH", path, &lines, piece).await
}

async fn ask(
    client: &Client,
    method: &str,
    path: &str,
    lines: &str,
    body: &str,
) -> Result<Reply, String> {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         tus-resumable: 1.0.0\r\n{lines}content-type: application/offset+octet-stream\r\n\
         content-length: {}\r\n\r\n{body}",
        client.token,
        body.len()
    );
    client.deliver(&request).await
}
