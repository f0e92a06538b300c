//! API keys, from their making to their end.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use lotoai_policy::Scope;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::support::{Gateway, Parts, Reply};

/// Makes a key with a token of the person.
pub(crate) async fn make(
    gateway: &Gateway,
    subject: &str,
    groups: &[&str],
    request: &Value,
) -> Reply {
    let mut post = gateway.request_in(Method::POST, "/api/keys", subject, groups);
    *post.body_mut() = Body::from(request.to_string());
    gateway.send(post).await
}

/// Makes a key that is good; its text.
pub(crate) async fn key(
    gateway: &Gateway,
    subject: &str,
    groups: &[&str],
    request: &Value,
) -> String {
    let reply = make(gateway, subject, groups, request).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
    reply.json()["key"].as_str().unwrap().to_owned()
}

pub(crate) fn bearing(method: Method, path: &str, key: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {key}"))
        .body(Body::empty())
        .unwrap()
}

/// All scopes that everybody's key may have.
pub(crate) fn every_scope() -> Vec<&'static str> {
    let scopes = Scope::ALL.into_iter();
    let open = scopes.filter(|scope| *scope != Scope::Admin);
    open.map(Scope::name).collect()
}

pub(super) async fn get(gateway: &Gateway, path: &str, key: &str) -> Reply {
    gateway.send(bearing(Method::GET, path, key)).await
}

pub(super) async fn ask(gateway: &Gateway, key: &str, more: Value) -> Reply {
    let mut body = json!({
        "model": "lotoai", "store": false, "messages": [{ "role": "user", "content": "?" }],
    });
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    let mut request = bearing(Method::POST, "/v1/chat/completions", key);
    *request.body_mut() = Body::from(body.to_string());
    gateway.send(request).await
}

async fn row(pool: &PgPool) -> Value {
    sqlx::query_scalar("select row_to_json(k) from api_keys k")
        .fetch_one(pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_key_is_shown_once_and_stored_as_a_hash() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let pool = server.pool();
    let groups = ["staff", "admins"];
    let made = make(&gateway, "ana", &groups, &json!({ "name": "ci" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    assert_eq!(made.header("cache-control"), "no-store");
    let made = made.json();
    let text = made["key"].as_str().unwrap();
    let id = made["id"].as_str().unwrap();
    assert_eq!(made["shown"], format!("loto_{id}…"));
    assert_eq!(
        made["groups"],
        json!(["staff"]),
        "no key administers unasked"
    );
    assert_eq!(made["scopes"], json!(["chat"]));

    // A newer token with fewer groups would take them from the key.
    let owner = gateway.signer.token("ana", &groups);
    let listed = get(&gateway, "/api/keys", &owner).await;
    assert!(!listed.body.contains(&text[21..]));
    let item = &listed.json()["items"][0];
    assert_eq!((&item["id"], &item["key"]), (&made["id"], &Value::Null));
    assert_eq!(item["last_used_at"], Value::Null);
    let stored = row(&pool).await.to_string();
    assert!(
        stored.contains(id) && !stored.contains(&text[21..]),
        "{stored}"
    );

    let me = get(&gateway, "/api/me", text).await.json();
    assert_eq!(me["subject"], "ana");
    assert_eq!(me["groups"], json!(["staff"]));
    gateway.settle().await;
    let listed = get(&gateway, "/api/keys", &owner).await.json();
    assert!(listed["items"][0]["last_used_at"].is_string());
    assert_eq!(
        gateway.get("/api/keys", "eve").await.json()["items"],
        json!([])
    );
}

#[tokio::test]
async fn lists_have_pages_and_keys_have_a_limit() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    for at in 0..100 {
        key(&gateway, "ana", &[], &json!({ "name": format!("k{at}") })).await;
    }
    let reply = make(&gateway, "ana", &[], &json!({ "name": "one more" })).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::CONFLICT, "too_many_keys")
    );
    key(
        &gateway,
        "eve",
        &[],
        &json!({ "name": "the limit is each person's" }),
    )
    .await;
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = gateway
            .get(&format!("/api/keys?limit=40{cursor}"), "ana")
            .await
            .json();
        for item in page["items"].as_array().unwrap() {
            names.push(item["name"].as_str().unwrap().to_owned());
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(names.len(), 100);
    assert_eq!((names[0].as_str(), names[99].as_str()), ("k99", "k0"));
}

#[tokio::test]
async fn a_key_that_is_over_is_refused_and_its_answers_end_everywhere() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let pool = server.pool();
    let replica = gateway.replica(&server).await;
    let made = make(&gateway, "ana", &[], &json!({ "name": "a" }))
        .await
        .json();
    let (id, text) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let other = key(&gateway, "ana", &[], &json!({ "name": "b" })).await;
    let here = gateway.open(bearing(Method::POST, "/", text)).await;
    let there = replica.open(bearing(Method::POST, "/", text)).await;
    let mut control = replica.open(bearing(Method::POST, "/", &other)).await;

    // Nobody else can end it, or learn that there is such a key.
    let path = format!("/api/keys/{id}");
    let delete = |path: &str, subject: &str, groups: &[&str]| {
        gateway.send(gateway.request_in(Method::DELETE, path, subject, groups))
    };
    let foreign = delete(&path, "eve", &["staff"]).await;
    let unknown = delete("/api/keys/0011223344556677", "eve", &["staff"]).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    assert_eq!(
        (foreign.status, &foreign.body),
        (unknown.status, &unknown.body)
    );
    assert_eq!(get(&gateway, "/api/me", text).await.status, StatusCode::OK);
    // An administrator can.
    let reply = delete(&path, "root", &["admins"]).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT, "{reply:?}");
    for answer in [here, there] {
        let rest = answer.rest().await;
        assert!(rest.contains(r#""code":"signed_out""#), "{rest}");
    }
    assert!(control.goes_on().await);
    // More than a second has passed: no replica believes it any more.
    for gateway in [&gateway, &replica] {
        let reply = get(gateway, "/api/me", text).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (StatusCode::UNAUTHORIZED, "key_invalid")
        );
        assert!(reply.header("www-authenticate").contains("invalid_token"));
        assert_eq!(get(gateway, "/api/me", &other).await.status, StatusCode::OK);
    }
    assert_eq!(delete(&path, "ana", &[]).await.code(), "key_not_found");

    sqlx::query("update api_keys set expires_at = now() - interval '1 second'")
        .execute(&pool)
        .await
        .unwrap();
    let fresh = gateway.replica(&server).await;
    assert_eq!(get(&fresh, "/api/me", &other).await.code(), "key_expired");
}

#[tokio::test]
async fn a_key_of_another_secret_or_copied_badly_is_refused() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let text = key(&gateway, "ana", &[], &json!({ "name": "a" })).await;
    // The id of a key that there is, with the secret of one that there is not.
    let made_up = crate::identity::api_key::NewKey::random().unwrap();
    let made_up = secrecy::ExposeSecret::expose_secret(&made_up.text).to_owned();
    let body = format!("{}{}", &text[..21], &made_up[21..85]);
    let digest = <sha2::Sha256 as sha2::Digest>::digest(body.as_bytes());
    let forged = format!("{body}{}", hex::encode(&digest[..4]));
    let unknown = get(&gateway, "/api/me", &made_up).await;
    let forged = get(&gateway, "/api/me", &forged).await;
    assert_eq!(forged.code(), "key_invalid");
    assert_eq!(
        (forged.status, &forged.body),
        (unknown.status, &unknown.body)
    );
    let cut = get(&gateway, "/api/me", &text[..92]).await;
    assert!(cut.body.contains("copied badly"), "{cut:?}");
    assert_eq!(get(&gateway, "/api/me", &text).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_request_that_is_sent_again_makes_no_second_key_and_shows_none() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let send = || {
        let mut post = gateway.request(Method::POST, "/api/keys", "ana");
        let again = "a-request-that-is-sent-twice".parse().unwrap();
        post.headers_mut().insert("idempotency-key", again);
        *post.body_mut() = Body::from(json!({ "name": "ci" }).to_string());
        gateway.send(post)
    };
    let made = send().await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let made = made.json();
    let text = made["key"].as_str().unwrap();
    let again = send().await;
    assert_eq!(
        (again.status, again.code().as_str()),
        (StatusCode::CONFLICT, "idempotency_answer_not_kept")
    );
    let pool = server.pool();
    assert_eq!(row(&pool).await["id"], made["id"], "there is one key");
    let kept: Vec<String> =
        sqlx::query_scalar("select row_to_json(k)::text from idempotency_keys k")
            .fetch_all(&pool)
            .await
            .unwrap();
    let (kept, secret) = (kept.concat(), &text[21..]);
    assert!(!kept.is_empty());
    assert!(!kept.contains(secret) && !kept.contains(&hex::encode(secret)));
}

#[tokio::test]
async fn without_the_database_no_key_can_be_checked() {
    let gateway = Gateway::start(Parts::default()).await;
    let key = crate::identity::api_key::NewKey::random().unwrap();
    let key = secrecy::ExposeSecret::expose_secret(&key.text).to_owned();
    let reply = get(&gateway, "/api/me", &key).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable")
    );
}

#[tokio::test]
async fn an_administrator_finds_the_keys_of_others() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    for (subject, name) in [("ana", "ci"), ("eve", "bot")] {
        key(&gateway, subject, &[], &json!({ "name": name })).await;
    }
    let list = async |subject: &str, groups: &[&str], query: &str| {
        let path = format!("/api/admin/keys{query}");
        let request = gateway.request_in(Method::GET, &path, subject, groups);
        gateway.send(request).await
    };
    let names = |reply: &Reply| -> Vec<String> {
        let (body, text) = (reply.json(), |value: &Value| {
            value.as_str().unwrap().to_owned()
        });
        let items = body["items"].as_array().unwrap().iter();
        items
            .map(|key| text(&key["owner"]) + " " + &text(&key["name"]))
            .collect()
    };
    let all = list("root", &["admins"], "").await;
    assert_eq!(names(&all), ["eve bot", "ana ci"], "the newest first");
    assert!(!all.body.contains("\"hash\""), "{all:?}");
    let hers = list("root", &["admins"], "?subject=ana").await;
    assert_eq!(names(&hers), ["ana ci"]);
    let nobodys = list("root", &["admins"], "?subject=nobody").await;
    assert_eq!(names(&nobodys), Vec::<String>::new());
    let first = list("root", &["admins"], "?limit=1").await;
    let next = first.json()["next_cursor"].as_str().unwrap().to_owned();
    let second = list("root", &["admins"], &format!("?limit=1&cursor={next}")).await;
    assert_eq!(names(&second), ["ana ci"]);
    // Not even one's own.
    let refused = list("ana", &["staff"], "?subject=ana").await;
    assert_eq!(refused.code(), "admin_required");
}
