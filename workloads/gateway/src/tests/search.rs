//! Search over a real PostgreSQL.

use axum::http::StatusCode;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::support::{Gateway, Parts};
use crate::words;

async fn insert(pool: &PgPool, owner: &str, title: &str, messages: &[&str]) -> Uuid {
    let id = Uuid::now_v7();
    sqlx::query("insert into conversations (id, owner, title) values ($1, $2, $3)")
        .bind(id)
        .bind(owner)
        .bind(title)
        .execute(pool)
        .await
        .unwrap();
    for content in messages {
        sqlx::query(
            "insert into messages (id, conversation_id, role, content)
             values (gen_random_uuid(), $1, 'user', $2)",
        )
        .bind(id)
        .bind(content)
        .execute(pool)
        .await
        .unwrap();
    }
    id
}

async fn search(gateway: &Gateway, subject: &str, query: &str) -> Value {
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let path = format!("/api/conversations/search?q={query}");
    let reply = gateway.get(&path, subject).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    reply.json()
}

/// Titles of what is found.
async fn found(gateway: &Gateway, subject: &str, query: &str) -> Vec<String> {
    let page = search(gateway, subject, query).await;
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|it| it["title"].as_str().unwrap().to_owned())
        .collect()
}

async fn gather(gateway: &Gateway) -> i64 {
    words::gather(&gateway.state.store).await.unwrap()
}

#[tokio::test]
async fn words_are_found_in_both_languages_and_without_accents() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let pool = server.pool();
    let handbook = "La información sobre vacaciones está en el manual del año";
    insert(&pool, "ana", "Libres", &["hola", handbook]).await;
    insert(
        &pool,
        "ana",
        "Leave",
        &["How many holidays are left for José?"],
    )
    .await;
    insert(&pool, "ana", "Teletrabajo", &["¿Cuándo?"]).await;
    assert_eq!(gather(&gateway).await, 4);
    for (query, expected) in [
        ("vacación", vec!["Libres"]),
        ("INFORMACION", vec!["Libres"]),
        ("manual informacion", vec!["Libres"]),
        ("año", vec!["Libres"]),
        ("AÑO", vec!["Libres"]),
        ("ano", vec![]),
        ("holiday", vec!["Leave"]),
        ("jose", vec!["Leave"]),
        ("teletrabajos", vec!["Teletrabajo"]),
        ("\"vacaciones está\"", vec!["Libres"]),
        ("\"manual vacaciones\"", vec![]),
        ("vacaciones -manual", vec![]),
        ("vacaciones or holiday", vec!["Leave", "Libres"]),
        // Nothing to look for, and nothing that PostgreSQL minds.
        ("the", vec![]),
        ("& | ! ( ' \\ :* <->", vec![]),
    ] {
        assert_eq!(found(&gateway, "ana", query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn only_what_is_ones_own_is_found() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let pool = server.pool();
    insert(&pool, "ana", "hers", &["the secret plan"]).await;
    insert(&pool, "eve", "Eve's", &["my own plan"]).await;
    let deleted = insert(&pool, "ana", "deleted", &["another plan"]).await;
    gather(&gateway).await;
    sqlx::query("update conversations set deleted_at = now() where id = $1")
        .bind(deleted)
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(found(&gateway, "eve", "plan").await, ["Eve's"]);
    assert_eq!(found(&gateway, "eve", "secret").await, Vec::<String>::new());
    assert_eq!(found(&gateway, "eve", "hers").await, Vec::<String>::new());
    assert_eq!(found(&gateway, "ana", "plan").await, ["hers"]);
}

#[tokio::test]
async fn a_snippet_is_text_and_shows_the_words() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let pool = server.pool();
    let hostile = "before \u{e000}x\u{e001} <script>alert(1)</script> & información </mark>";
    insert(&pool, "ana", "a <b>title</b>", &[hostile]).await;
    gather(&gateway).await;
    let page = search(&gateway, "ana", "informacion").await;
    let item = &page["items"][0];
    assert_eq!(item["title"], "a <b>title</b>");
    let pieces = item["snippet"].as_array().unwrap();
    let matches: Vec<_> = pieces.iter().filter(|it| it["is_match"] == true).collect();
    // The marks are ours: those in the text are no match.
    assert_eq!(matches.len(), 1, "{pieces:?}");
    assert!(item["message_id"].is_string());
    // Where only the title has the words there is nothing to show.
    let page = search(&gateway, "ana", "title").await;
    assert_eq!(page["items"][0]["snippet"], json!([]));
    assert_eq!(page["items"][0]["message_id"], Value::Null);
    let page = search(&gateway, "ana", "información").await;
    let pieces = page["items"][0]["snippet"].as_array().unwrap().iter();
    let marked: Vec<_> = pieces.filter(|it| it["is_match"] == true).collect();
    assert_eq!(marked[0]["text"], "información");
}

#[tokio::test]
async fn pages_lead_to_everything_once() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let pool = server.pool();
    for index in 0..7 {
        let title = format!("t{index}");
        insert(&pool, "ana", &title, &["one plan", "another plan"]).await;
    }
    gather(&gateway).await;
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/conversations/search?q=plan&limit=3&cursor={cursor}");
        let page = gateway.get(&path, "ana").await.json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 3);
        all.extend(
            items
                .iter()
                .map(|it| it["title"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(all, ["t6", "t5", "t4", "t3", "t2", "t1", "t0"]);
    for query in [
        "",
        "q=",
        "q=a%00",
        "q=a&limit=0",
        "q=a&cursor=!",
        "q=a&owner=eve",
    ] {
        let reply = gateway
            .get(&format!("/api/conversations/search?{query}"), "ana")
            .await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

/// Whatever somebody writes is stored, and its words are gathered, or those of its beginning.
#[tokio::test]
async fn no_text_has_too_many_words() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let pool = server.pool();
    let letters = |from: u32| (from..from + 40_000).filter_map(char::from_u32);
    let rare: String = letters(0x20000).flat_map(|c| [c, '-', c, ' ']).collect();
    let many = (0..200_000).map(|n| format!("w{n} "));
    let hosts = (0..40_000).map(|n| format!("http://a{n}.example/b{n}/c "));
    let endless = "x".repeat(4_000_000);
    let texts = [
        rare,
        many.collect(),
        hosts.collect(),
        endless,
        String::new(),
    ];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let id = insert(&pool, "ana", "long", &texts).await;
    assert_eq!(gather(&gateway).await, 5);
    assert_eq!(found(&gateway, "ana", "w17").await, ["long"]);
    // They go with their messages.
    sqlx::query("delete from conversations where id = $1")
        .bind(id)
        .execute(&pool)
        .await
        .unwrap();
    let left: i64 = sqlx::query_scalar("select count(*) from message_words")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn replicas_share_the_work_and_pass_over_what_is_gone() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let pool = server.pool();
    let id = insert(&pool, "ana", "gone", &["a plan"; 45]).await;
    sqlx::query("delete from messages where conversation_id = $1 and position <= 41")
        .bind(id)
        .execute(&pool)
        .await
        .unwrap();
    let other = gateway.state.store.clone();
    let (one, two) = tokio::join!(words::gather(&gateway.state.store), words::gather(&other));
    // A replica that finds the other's work locked leaves it to that.
    assert_eq!(one.unwrap() + two.unwrap() + gather(&gateway).await, 45);
    let gathered: i64 = sqlx::query_scalar("select count(*) from message_words")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(gathered, 4);
    // A rare word is looked up, and not every text read.
    let mut change = lotoai_kit::postgres::begin(&pool).await.unwrap();
    sqlx::query("set local enable_seqscan = off")
        .execute(&mut *change)
        .await
        .unwrap();
    let plan: Vec<String> =
        sqlx::query_scalar("explain select from message_words where words @@ search_query('plan')")
            .fetch_all(&mut *change)
            .await
            .unwrap();
    assert!(plan.concat().contains("message_words_by_words"), "{plan:?}");
}
