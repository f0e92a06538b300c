//! Conversations whose messages are long: what is read of them at a time has an end, and nothing is
//! left out.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;
use uuid::Uuid;

use super::budgets::question;
use super::postgres::Database;
use super::support::{Gateway, Parts};
use super::{orchestrator, wire};
use crate::admission::Times;
use crate::store::Most;

const MIB: usize = 1024 * 1024;
/// What a page may have, in bytes …
const PAGE: usize = 4 * MIB;
/// … and what is said beside the text of messages.
const AROUND: usize = 64 * 1024;
const MESSAGES: usize = 60;

/// A conversation of ana's with a question, an answer, and after them so many messages of a size. Each
/// ends with its number.
async fn talk(gateway: &Gateway, server: &Database, count: usize, bytes: usize) -> Uuid {
    let reply = gateway
        .chat("ana", question("writer", &json!({"store": true})))
        .await;
    let id = reply.json()["lotoai"]["conversation_id"].take();
    let id = id.as_str().unwrap().parse().unwrap();
    say(server, id, count, bytes).await;
    id
}

async fn say(server: &Database, id: Uuid, count: usize, bytes: usize) {
    sqlx::query(
        "insert into messages (id, conversation_id, role, content)
         select gen_random_uuid(), $1, 'user', lpad(' ' || n, $3, 'x')
         from generate_series(1, $2) n order by n",
    )
    .bind(id)
    .bind(i32::try_from(count).unwrap())
    .bind(i32::try_from(bytes).unwrap())
    .execute(&server.pool())
    .await
    .unwrap();
}

/// The numbers of long messages.
fn numbers<'m>(messages: impl IntoIterator<Item = &'m Value>) -> Vec<usize> {
    let texts = messages.into_iter().map(|it| it["content"].as_str());
    let long = texts.flatten().filter(|text| text.len() >= MIB);
    let words = long.map(|text| text.rsplit(' ').next().unwrap());
    words.map(|number| number.parse().unwrap()).collect()
}

#[tokio::test]
async fn pages_of_long_messages_are_short_and_together_all_there_is() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let id = talk(&gateway, &server, MESSAGES, MIB).await;
    let path = format!("/api/conversations/{id}");
    let list = format!("{path}/messages?limit=200");
    let pages = gateway.pages(&list, "ana", &[]).await;
    for page in &pages {
        let bytes: usize = page.iter().map(|it| it.to_string().len()).sum();
        assert!(bytes < PAGE + AROUND, "{bytes} bytes in a page");
    }
    let all = pages.concat();
    assert_eq!(all.len(), MESSAGES + 2);
    let expected: Vec<usize> = (1..=MESSAGES).rev().collect();
    assert_eq!(numbers(&all), expected);

    // The conversation shows the newest, and where the others are.
    let reply = gateway.get(&path, "ana").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.body.len() < PAGE + AROUND, "{}", reply.body.len());
    let shown = reply.json();
    let newest = shown["messages"].as_array().unwrap();
    assert_eq!(newest.last(), all.first());
    assert_eq!(newest.len(), pages[0].len());
    let cursor = shown["next_cursor"].as_str().unwrap();
    let rest = gateway.get(&format!("{list}&cursor={cursor}"), "ana").await;
    assert_eq!(rest.json()["items"], json!(pages[1]));
}

#[tokio::test]
async fn a_message_longer_than_a_page_is_one_alone() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let id = talk(&gateway, &server, 2, PAGE + MIB).await;
    say(&server, id, 1, 10).await;
    let list = format!("/api/conversations/{id}/messages?limit=200");
    let pages = gateway.pages(&list, "ana", &[]).await;
    let sizes: Vec<_> = pages.iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 1, 1, 2]);
    // The control: what is short comes together, and says that it is all.
    let id = talk(&gateway, &server, 20, 100).await;
    let shown = gateway
        .get(&format!("/api/conversations/{id}"), "ana")
        .await;
    let shown = shown.json();
    assert_eq!(shown["messages"].as_array().unwrap().len(), 22);
    assert_eq!(shown["next_cursor"], Value::Null);
}

#[tokio::test]
async fn an_answer_looks_back_no_further_than_there_is_room() {
    let Some((server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let id = talk(&gateway, &server, MESSAGES, MIB).await;
    let store = &gateway.state.store;
    let read = async |messages: i64, bytes: usize| {
        let bytes = i64::try_from(bytes).unwrap();
        let history = store.history("ana", id, Most { messages, bytes }).await;
        let said = history.unwrap().unwrap();
        let said: Vec<_> = said
            .iter()
            .map(|it| json!({"content": it.content}))
            .collect();
        numbers(&said)
    };
    assert_eq!(read(40, 3 * MIB).await, [58, 59, 60]);
    assert_eq!(read(2, 3 * MIB).await, [59, 60]);
    assert!(read(40, MIB - 1).await.is_empty());
    let most = Most {
        messages: 40,
        bytes: 1,
    };
    let foreign = store.history("eve", id, most).await;
    assert_eq!(foreign.unwrap(), None);

    // A question is asked all the same.
    let more = json!({"store": true, "metadata": {"conversation_id": id}});
    let reply = gateway.chat("ana", question("writer", &more)).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let requests = seen.requests.lock().unwrap();
    let last = &requests.last().unwrap().messages;
    assert_eq!(last.len(), 1, "nothing so long is looked back on");
}

#[tokio::test]
async fn a_reader_who_takes_nothing_of_a_long_answer_is_ended() {
    /// More than the system keeps of what is sent and not read.
    const LONG: usize = 16 * MIB;
    const SMALL_BUFFER: u32 = 4096;
    let (orchestrator, _seen) = orchestrator::start().await;
    let parts = Parts {
        orchestrator,
        times: Times {
            take: Duration::from_secs(1),
            ..Times::default()
        },
        ..Parts::default()
    };
    let Some((server, gateway)) = Gateway::stored(parts).await else {
        return;
    };
    let id = talk(&gateway, &server, 1, LONG).await;
    let (address, _serving) = gateway.serve().await;
    let token = gateway.signer.token("ana", &[]);
    let request = format!(
        "GET /api/conversations/{id} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    let begin = async |buffer: Option<u32>| {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = buffer {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        let mut stream = socket.connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    };
    let has_room = || gateway.state.admission.room(u64::MAX).is_ok();
    let until = async |what: &str, is_so: &dyn Fn() -> bool| {
        let waiting = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waiting = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        waiting.unwrap_or_else(|_| panic!("it does not come that {what}"));
    };
    // The control: who reads has all of it.
    let (head, whole) = wire::answer(begin(None).await).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(whole.len() > LONG);
    until("it is let go", &has_room).await;

    let slow = begin(Some(SMALL_BUFFER)).await;
    until("it is there", &|| !has_room()).await;
    until("it is given up", &has_room).await;
    let cut = wire::answer(slow).await;
    assert!(cut.is_err(), "what was given up looks whole");
}
