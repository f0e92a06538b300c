//! Everything that is held of a person, and its end.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use lotoai_contracts::events::{Event as _, PersonErased};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::api_keys::{bearing, key};
use super::browser::{Person, sign_in_as, with_cookies};
use super::budgets::{question, stored};
use super::conversations::{send, talk};
use super::documents::upload;
use super::postgres::tables_with;
use super::support::{Gateway, PUBLIC_URL};
use super::uploads::{Resumable, sweep_parts};
use crate::budget::ledger;
use crate::objects::sweep_batch;
use crate::store::{Asked, NewQuestion, NewStream, NewTalk};

/// A subject that is part of nothing else.
const LEAVER: &str = "leaver-7f3c";
const STAYER: &str = "stayer-90ab";
const ERASE: &str = "/api/me/data?confirm=erase-everything";

/// A person may ask twice a month.
const BUDGETS: [&str; 2] = [
    "name: mine, scope: User, per: Month, requests: 2",
    "name: all, scope: Platform, per: Month, requests: 100",
];

/// What analytics is told of erased people: their digests.
async fn told(pool: &PgPool) -> Vec<String> {
    let bodies: Vec<Vec<u8>> =
        sqlx::query_scalar("select body from outbox where routing_key = $1 order by id")
            .bind(PersonErased::NAME)
            .fetch_all(pool)
            .await
            .unwrap();
    let digest = |body: &Vec<u8>| {
        let event: PersonErased = serde_json::from_slice(body).unwrap();
        event.subject_digest
    };
    bodies.iter().map(digest).collect()
}

/// What a person leaves: something in every table that holds people.
struct Left {
    cookie: String,
    key: String,
    conversation: String,
}

async fn live(gateway: &Gateway, pool: &PgPool, subject: &str) -> Left {
    let person = Person {
        subject,
        groups: &[],
        provider_session: subject,
    };
    let cookie = sign_in_as(gateway, person, 300).await;
    let key = key(gateway, subject, &[], &json!({ "name": "ci" })).await;
    let conversation = talk(gateway, subject, &json!({})).await;
    let deleted = talk(gateway, subject, &json!({})).await;
    let path = format!("/api/conversations/{deleted}");
    let reply = send(gateway, subject, Method::DELETE, &path, &Value::Null).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    streamed(gateway, subject, &conversation).await;
    let reply = upload(gateway, subject, "plan.txt", "the plan").await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{reply:?}");
    let half = Resumable::of(gateway, subject);
    let half = half.begin("half.txt", 9).await;
    assert_eq!(half.add(0, "half").await.status, StatusCode::NO_CONTENT);
    let mut renames = gateway.request(
        Method::PATCH,
        &format!("/api/conversations/{conversation}"),
        subject,
    );
    let headers = renames.headers_mut();
    headers.insert("idempotency-key", "k-1".parse().unwrap());
    *renames.body_mut() = Body::from(json!({"title": "Vacaciones"}).to_string());
    assert_eq!(gateway.send(renames).await.status, StatusCode::OK);
    gateway.settle().await;
    ledger::fold(&gateway.state.store).await.unwrap();
    // A call of a tool that waits for consent.
    sqlx::query(
        "insert into approvals (id, owner, conversation_id, model)
         values (gen_random_uuid(), $1, $2, 'writer')",
    )
    .bind(subject)
    .bind(conversation.parse::<uuid::Uuid>().unwrap())
    .execute(pool)
    .await
    .unwrap();
    // A question that is being answered somewhere.
    sqlx::query(
        "insert into spendings (run_id, budgets, subjects, starts, reserved_tokens,
                                reserved_micros, lease_until, settled, subject, api_key, provider,
                                model, currency, price_version, input_tokens, output_tokens,
                                estimated)
         values (gen_random_uuid(), '{}', '{}', '{}', 0, 0, now() + interval '1 hour', false, $1,
                 '', '', 'writer', '', '', 1, 1, true)",
    )
    .bind(subject)
    .execute(pool)
    .await
    .unwrap();
    Left {
        cookie,
        key,
        conversation,
    }
}

/// A stream that a client may come back to, in a conversation that there is, without a question that
/// would count.
async fn streamed(gateway: &Gateway, subject: &str, conversation: &str) {
    let conversation_id: uuid::Uuid = conversation.parse().unwrap();
    let stream = NewStream {
        run_id: uuid::Uuid::now_v7(),
        conversation_id,
        subject: subject.to_owned(),
        api_key: String::new(),
        model: "writer".to_owned(),
        include_usage: false,
        repeated: Some(r#"{"background":true}"#.to_owned()),
    };
    let run_id = stream.run_id;
    let talk = NewTalk {
        conversation_id,
        owner: subject.to_owned(),
        title: None,
        messages: Vec::new(),
        stream: Some(stream),
    };
    let store = &gateway.state.store;
    let question = NewQuestion {
        talk: Some(talk),
        reservation: None,
    };
    assert_ne!(store.ask(question).await.unwrap(), Asked::NoConversation);
    let written = store.extend_stream(run_id, 0, "año".as_bytes());
    assert_eq!(written.await.unwrap(), 4);
}

const EVERYWHERE: [&str; 13] = [
    "answer_streams",
    "api_keys",
    "approvals",
    "budget_windows",
    "conversations",
    "documents",
    "idempotency_keys",
    "key_owners",
    "outbox",
    "sessions",
    "spendings",
    "uploads",
    "usage_days",
];

#[tokio::test]
async fn an_export_is_everything_of_one_person_and_of_nobody_else() {
    let Some((server, gateway, _)) = stored(&BUDGETS).await else {
        return;
    };
    let pool = server.pool();
    let left = live(&gateway, &pool, LEAVER).await;
    live(&gateway, &pool, STAYER).await;
    let reply = gateway.get("/api/me/export", LEAVER).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(
        reply.header("content-disposition"),
        "attachment; filename=\"lotoai-export.json\""
    );
    let all = reply.json();
    assert_eq!(all["version"], 1);
    assert_eq!(all["profile"]["subject"], LEAVER);
    assert_eq!(all["api_key_owner"]["groups"], json!([]));
    let conversations = all["conversations"].as_array().unwrap();
    assert_eq!(conversations.len(), 2);
    assert_eq!(conversations[0]["id"], json!(left.conversation));
    assert_eq!(conversations[0]["title"], "Vacaciones");
    assert_eq!(conversations[0]["deleted_at"], Value::Null);
    assert!(conversations[1]["deleted_at"].is_string());
    let answer = &conversations[0]["messages"][1];
    assert_eq!(answer["citations"][0]["passage"], "Holidays: 23 days");
    for (list, field, value) in [
        ("streams", "written", json!("año")),
        ("streams", "repeated", json!({"background": true})),
        ("approvals", "model", json!("writer")),
        ("documents", "name", json!("plan.txt")),
        ("uploads", "received", json!(4)),
        ("api_keys", "name", json!("ci")),
        ("sessions", "current", json!(false)),
        ("idempotency_keys", "key", json!("k-1")),
        ("usage", "requests", json!(2)),
        ("open_questions", "model", json!("writer")),
        ("budgets", "budget", json!("mine")),
    ] {
        let items = all[list].as_array().unwrap();
        assert_eq!(items.len(), 1, "{list}: {items:?}");
        assert_eq!(items[0][field], value, "{list}");
    }
    let content = all["documents"][0]["content"].as_str().unwrap();
    assert_eq!(gateway.get(content, LEAVER).await.body, "the plan");
    assert!(!reply.body.contains(STAYER));
    // Neither a key nor a cookie, nor what they are known by.
    for secret in [&left.key[21..60], &left.cookie[14..], "\"hash\"", "sealed"] {
        assert!(!reply.body.contains(secret), "{secret}");
    }
    let reply = gateway.get("/api/me/export?all=true", LEAVER).await;
    assert_eq!(reply.code(), "unknown_parameter");
    let reply = gateway
        .send(bearing(Method::GET, "/api/me/export", &left.key))
        .await;
    assert_eq!(reply.code(), "person_required");
    gateway.settle().await;
}

#[tokio::test]
async fn an_erased_person_is_nowhere_and_everybody_else_is() {
    let Some((server, gateway, _)) = stored(&BUDGETS).await else {
        return;
    };
    let pool = server.pool();
    let left = live(&gateway, &pool, LEAVER).await;
    live(&gateway, &pool, STAYER).await;
    assert_eq!(tables_with(&pool, LEAVER).await, EVERYWHERE);
    for path in ["/api/me/data", "/api/me/data?confirm=yes"] {
        let reply = send(&gateway, LEAVER, Method::DELETE, path, &Value::Null).await;
        assert_eq!(reply.code(), "confirmation_required");
    }
    assert_eq!(tables_with(&pool, LEAVER).await, EVERYWHERE);
    let ours = Some(PUBLIC_URL);
    let reply = with_cookies(&gateway, Method::DELETE, ERASE, &left.cookie, ours).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert_eq!(
        reply.json(),
        json!({
            "conversations": 2, "documents": 1, "uploads": 1, "api_keys": 1, "usage_days": 1,
            "open_questions": 1, "budget_windows": 0, "idempotency_keys": 1, "approvals": 0,
            "decisions": 0, "runs": 0, "sessions": 1,
        })
    );
    let cleared = reply.header("set-cookie");
    assert!(cleared.starts_with("__Host-lotoai=;") && cleared.contains("Max-Age=0"));
    gateway.settle().await;
    // What was spent of a budget that still runs stays counted, and nothing else.
    assert_eq!(tables_with(&pool, LEAVER).await, ["budget_windows"]);
    assert_eq!(tables_with(&pool, STAYER).await, EVERYWHERE, "the control");
    // Before and after the sessions, whose answers end with them.
    let leaver = PersonErased::digest(LEAVER);
    assert_eq!(told(&pool).await, [leaver.clone(), leaver]);
    let reply = with_cookies(&gateway, Method::GET, "/api/me", &left.cookie, ours).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    let reply = gateway
        .send(bearing(Method::GET, "/api/me", &left.key))
        .await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    // The bytes and the passages of the document go as those of any deleted one.
    let events: i64 =
        sqlx::query_scalar("select count(*) from outbox where routing_key = 'document.deleted'")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!((events, gateway.state.objects.count().await), (1, 4));
    sweep_batch(&gateway.state.store, &gateway.state.objects)
        .await
        .unwrap();
    assert_eq!(gateway.state.objects.count().await, 3);
    sweep_parts(&gateway, &pool).await;
    assert_eq!(gateway.state.objects.count().await, 2, "of the stayer");
    // What others share is counted as before.
    let all = gateway.get("/api/budgets", STAYER).await.json();
    let items = all["items"].as_array().unwrap().iter();
    let platform = items.clone().find(|it| it["name"] == "all").unwrap();
    assert_eq!(platform["used"]["requests"], 4);
}

/// Answers of a session end with it, which is after everything else is erased.
#[tokio::test]
async fn what_the_answers_of_ended_sessions_leave_is_erased_with_them() {
    let Some((server, gateway, _)) = stored(&BUDGETS).await else {
        return;
    };
    let pool = server.pool();
    live(&gateway, &pool, LEAVER).await;
    // As the end of an answer is stored that counted in no budget.
    sqlx::raw_sql(
        "create function end_answer() returns trigger language plpgsql as $$
         begin
             insert into spendings (run_id, budgets, subjects, starts, reserved_tokens,
                                    reserved_micros, lease_until, settled, subject, api_key,
                                    provider, model, currency, price_version, input_tokens,
                                    output_tokens, estimated)
             values (gen_random_uuid(), '{}', '{}', '{}', 0, 0, now(), true, old.subject, '', '',
                     'late', '', '', 1, 1, true);
             insert into outbox (message_id, routing_key, body)
             values ('late', 'usage.recorded',
                     convert_to(format('{\"subject\":\"%s\"}', old.subject), 'UTF8'));
             return old;
         end
         $$;
         create trigger end_answer after delete on sessions
             for each row execute function end_answer();",
    )
    .execute(&pool)
    .await
    .unwrap();
    let reply = send(&gateway, LEAVER, Method::DELETE, ERASE, &Value::Null).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let erased = reply.json();
    assert_eq!(erased["sessions"], 1, "the control: it left something");
    assert_eq!(erased["usage_days"], 2);
    gateway.settle().await;
    assert_eq!(tables_with(&pool, LEAVER).await, ["budget_windows"]);
}

#[tokio::test]
async fn to_be_erased_is_no_way_around_a_budget() {
    let Some((server, gateway, _)) = stored(&BUDGETS).await else {
        return;
    };
    let pool = server.pool();
    live(&gateway, &pool, LEAVER).await;
    let ask = || gateway.chat(LEAVER, question("writer", &json!({})));
    assert_eq!(ask().await.code(), "budget_exceeded");
    let reply = send(&gateway, LEAVER, Method::DELETE, ERASE, &Value::Null).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert_eq!(ask().await.code(), "budget_exceeded");
    // For an administrator the person has left, and nothing stays.
    let path = format!("/api/users/{LEAVER}/data?confirm=erase-everything");
    let admin = || gateway.request_in(Method::DELETE, &path, "root", &["admins"]);
    let reply = gateway.send(admin()).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert_eq!(reply.json()["budget_windows"], 1);
    assert_eq!(tables_with(&pool, LEAVER).await, Vec::<String>::new());
    // Whoever is not there looks as one of whom nothing is held.
    let nobody = path.replace(LEAVER, "nobody%00");
    let nobody = gateway.request_in(Method::DELETE, &nobody, "root", &["admins"]);
    let nobody = gateway.send(nobody).await;
    let again = gateway.send(admin()).await;
    assert_eq!((nobody.status, &nobody.body), (again.status, &again.body));
    let other = gateway.request_in(Method::DELETE, &path, STAYER, &["staff"]);
    assert_eq!(gateway.send(other).await.code(), "admin_required");
    assert_eq!(ask().await.status, StatusCode::OK, "the control");
}

#[tokio::test]
async fn an_erasure_with_a_key_is_answered_again_and_one_that_failed_goes_on() {
    let Some((server, gateway, _)) = stored(&BUDGETS).await else {
        return;
    };
    let pool = server.pool();
    live(&gateway, &pool, LEAVER).await;
    let erase = || {
        let mut request = gateway.request(Method::DELETE, ERASE, LEAVER);
        let headers = request.headers_mut();
        headers.insert("idempotency-key", "once".parse().unwrap());
        request
    };
    let first = gateway.send(erase()).await;
    assert_eq!(first.status, StatusCode::OK, "{first:?}");
    let again = gateway.send(erase()).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("idempotency-replayed"), "true");
    let reply = send(&gateway, LEAVER, Method::DELETE, ERASE, &Value::Null).await;
    assert_eq!(reply.json()["conversations"], 0, "{reply:?}");
    server.lose();
    for (method, path) in [(Method::DELETE, ERASE), (Method::GET, "/api/me/export")] {
        let request: Request<Body> = gateway.request(method, path, LEAVER);
        let reply = gateway.send(request).await;
        assert_eq!(reply.code(), "storage_unavailable", "{path}");
    }
}
