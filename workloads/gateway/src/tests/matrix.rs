//! Every route and every kind of caller: who gets an answer is said here once more, and nobody else
//! gets one.

mod foreign;
mod writes;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::api_keys::{bearing, every_scope, key, make};
use super::browser::{ANA, sign_in_as};
use super::keys::{Signer, claims, realm};
use super::model_server;
use super::orchestrator::{self, Seen};
use super::support::{Gateway, PUBLIC_URL, Parts, Reply};
use crate::domain::responses_request::id_of;
use crate::identity::token::now;
use crate::policy::{Needs, Scope};
use crate::routes::table;

const PROBE: &str = "probe-token-of-32-bytes-or-more-x";
const BOUNDARY: &str = "a-boundary-that-no-file-holds";

/// How a caller is known.
#[derive(Clone)]
enum Proof {
    Nothing,
    Bearer(String),
    Cookie(String, Option<&'static str>),
}

struct Platform {
    gateway: Gateway,
    seen: Arc<Seen>,
    pool: sqlx::PgPool,
    _server: super::postgres::Database,
    _model_server: wiremock::MockServer,
}

/// What is Ana's and made anew for each attempt, since some of them delete it.
struct Things {
    conversation: String,
    document: String,
    key: String,
    session: String,
    /// A stream that has ended, which no API key began.
    stream: String,
    response: String,
    /// A budget that an administrator made, for nobody.
    budget: String,
    /// An upload of one byte, which is not there yet.
    upload: String,
    /// A call of a tool that waits for consent.
    approval: String,
}

impl Platform {
    async fn start() -> Option<Self> {
        let server = super::postgres::start()?;
        let pool = server.pool();
        let (orchestrator, seen) = orchestrator::start().await;
        let model_server = model_server::start().await;
        let signer = Signer::rsa("key-1");
        let realm = realm(&[&signer]).await;
        let parts = Parts {
            orchestrator,
            pool: pool.clone(),
            model_server: model_server.uri(),
            ..Parts::default()
        };
        let mut config = super::support::config(&realm.uri(), &parts.orchestrator);
        config.probe_token = Some(PROBE.to_owned().into());
        Some(Self {
            gateway: Gateway::with_config(&config, parts, realm, signer),
            seen,
            pool,
            _server: server,
            _model_server: model_server,
        })
    }

    /// Makes Ana's things, without asking the surface that is under test.
    async fn things(&self) -> Things {
        // One person may have so many keys, and an attempt leaves two.
        sqlx::query("delete from api_keys where name in ('k', 'another')")
            .execute(&self.pool)
            .await
            .unwrap();
        // And there may be so many budgets, and unfinished uploads of one person.
        for statement in [
            "delete from stored_budgets where name like 'b-%'",
            "delete from uploads",
        ] {
            sqlx::query(statement).execute(&self.pool).await.unwrap();
        }
        let id = uuid::Uuid::now_v7();
        for statement in [
            "insert into stored_budgets (name, scope, names, per, requests, unknown_price,
                                         warn_at_percent)
             values ('b-' || $1::text, 'User', '{nobody}', 'Day', 1, 'Refuse', 80)",
            "insert into conversations (id, owner, title) values ($1, 'ana', 'hers')",
            "insert into messages (id, conversation_id, role, content)
             values ($1, $1, 'user', 'what she said')",
            "insert into documents (id, owner, groups, knowledge_base, name, media_type, size,
                                    content_hash, object_key, status)
             values ($1, 'ana', '{hr,admins}', 'hr', $1::text, 'text/plain', 1, 'x', $1::text,
                     'failed')",
            "insert into uploads (id, owner, knowledge_base, name, media_type, metadata, size,
                                  expires_at)
             values ($1, 'ana', 'default', $1::text || '.txt', 'text/plain', '', 1,
                     now() + interval '1 hour')",
            "insert into sessions (id, id_hash, subject, sealed, expires_at)
             values ($1, sha256($1::text::bytea), 'ana', '', now() + interval '1 hour')",
            "insert into api_keys (id, hash, owner, owner_name, name, scopes, groups, expires_at)
             values ($1::text, '', 'ana', 'Ana', 'k', '{chat}', '{}', now() + interval '1 hour')",
            "insert into messages (id, conversation_id, role, content, run_id, outcome)
             values (gen_random_uuid(), $1, 'assistant', 'text', $1, 'ok')",
            "insert into answer_streams (run_id, conversation_id, subject, api_key, model,
                                         include_usage, alive_until, ended_at)
             values ($1, $1, 'ana', '', 'lotoai', false, now(), now())",
            "insert into responses (run_id, inputs, model, repeated, finish_reason, provider)
             values ($1, array[$1], 'lotoai', '{}', 'stop', '')",
        ] {
            let done = sqlx::query(statement).bind(id).execute(&self.pool).await;
            done.unwrap();
        }
        let response = id_of(id);
        let id = id.to_string();
        let approval = self.seen.approvals.add("ana", &id, "send_mail").id;
        Things {
            response,
            approval,
            budget: format!("b-{id}"),
            conversation: id.clone(),
            document: id.clone(),
            key: id.clone(),
            session: id.clone(),
            upload: id.clone(),
            stream: id,
        }
    }

    async fn send(&self, method: &Method, path: &str, proof: &Proof) -> Reply {
        self.gateway.send(request(method, path, proof)).await
    }
}

/// A request that its route understands.
fn request(method: &Method, path: &str, proof: &Proof) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    match proof {
        Proof::Nothing => {}
        Proof::Bearer(token) => {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        Proof::Cookie(cookie, origin) => {
            request = request.header("cookie", cookie);
            if let Some(origin) = origin {
                request = request.header("origin", *origin);
            }
        }
    }
    if path.starts_with("/api/uploads") {
        request = request
            .header("tus-resumable", "1.0.0")
            .header("upload-length", "1")
            .header("upload-metadata", "filename YS50eHQ=")
            .header("upload-offset", "0")
            .header("content-type", "application/offset+octet-stream");
    }
    let body = match (method, path) {
        (&Method::POST, "/api/admin/budgets") => json!({
            "name": "made", "scope": "User", "names": ["nobody"], "per": "Day", "requests": 1,
        })
        .to_string(),
        (&Method::PUT, _) => json!({ "names": ["nobody"], "requests": 2 }).to_string(),
        (&Method::PATCH, path) if path.starts_with("/api/uploads/") => "t".to_owned(),
        (&Method::PATCH, _) => json!({ "title": "another" }).to_string(),
        // The message has the id of its conversation.
        (&Method::POST, path) if path.ends_with("/branch") => {
            json!({ "message_id": path.split('/').nth(3) }).to_string()
        }
        (&Method::POST, path) if path.starts_with("/api/approvals/") => {
            json!({ "decision": "approve" }).to_string()
        }
        (&Method::POST, "/v1/chat/completions") => json!({
            "model": "lotoai", "store": false,
            "messages": [{ "role": "user", "content": "?" }],
        })
        .to_string(),
        (&Method::POST, "/v1/embeddings") => {
            json!({ "model": model_server::MODEL, "input": "?" }).to_string()
        }
        (&Method::POST, "/v1/responses") => {
            json!({ "model": "lotoai", "store": false, "input": "?" }).to_string()
        }
        (&Method::POST, "/api/keys") => json!({ "name": "another" }).to_string(),
        (&Method::POST, "/api/documents") => {
            request = request.header(
                "content-type",
                format!("multipart/form-data; boundary={BOUNDARY}"),
            );
            format!(
                "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; \
                 filename=\"a.txt\"\r\n\r\ntext\r\n--{BOUNDARY}--\r\n"
            )
        }
        _ => String::new(),
    };
    request.body(Body::from(body)).unwrap()
}

fn path_of(route: &str, things: &Things) -> String {
    let id = match route.split('/').nth(2) {
        Some("conversations") => things.conversation.as_str(),
        Some("documents") => &things.document,
        Some("approvals") => &things.approval,
        Some("uploads") => &things.upload,
        Some("keys") => &things.key,
        Some("sessions") => &things.session,
        Some("users") => "somebody who left",
        Some("admin") => &things.budget,
        Some("chat") => &things.stream,
        Some("responses") => &things.response,
        // A model.
        _ => "writer",
    };
    let path = route.replace("{id}", &id.replace(' ', "%20"));
    match route.rsplit('/').next() {
        Some("search") => path + "?q=hers",
        Some("data") => path + "?confirm=erase-everything",
        _ => path,
    }
}

/// Callers that nobody should be.
async fn refused(platform: &Platform) -> Vec<(&'static str, Proof)> {
    let gateway = &platform.gateway;
    let signer = &gateway.signer;
    let sign = |field: &str, value: Value| {
        let mut claims = claims("ana");
        claims["groups"] = json!(["hr", "admins"]);
        claims[field] = value;
        Proof::Bearer(signer.sign(&claims))
    };
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let none = json!({ "alg": "none", "kid": "key-1" });
    let mut shared = Header::new(Algorithm::HS256);
    shared.kid = Some("key-1".to_owned());
    let public = signer.jwk();
    let secret = EncodingKey::from_secret(public["n"].as_str().unwrap().as_bytes());
    let shared = encode(&shared, &claims("ana"), &secret).unwrap();
    let deleted = make(gateway, "ana", &["hr"], &json!({ "name": "deleted" })).await;
    let deleted = deleted.json();
    let path = format!("/api/keys/{}", deleted["id"].as_str().unwrap());
    let gone = gateway.request(Method::DELETE, &path, "ana");
    assert_eq!(gateway.send(gone).await.status, StatusCode::NO_CONTENT);
    let expired = key(gateway, "ana", &["hr"], &json!({ "name": "expired" })).await;
    sqlx::query("update api_keys set expires_at = now() where name = 'expired'")
        .execute(&platform.pool)
        .await
        .unwrap();
    let cookie = sign_in_as(gateway, ANA, 300).await;
    let out = Request::builder()
        .method(Method::POST)
        .uri("/auth/logout")
        .header("cookie", &cookie)
        .header("origin", PUBLIC_URL)
        .body(Body::empty())
        .unwrap();
    assert_eq!(gateway.send(out).await.status, StatusCode::NO_CONTENT);
    vec![
        ("none", Proof::Nothing),
        ("expired", sign("exp", json!(now() - 60))),
        ("not yet", sign("nbf", json!(now() + 60))),
        ("wrong audience", sign("aud", json!("account"))),
        (
            "wrong issuer",
            sign("iss", json!("https://evil.example.org")),
        ),
        (
            "alg none",
            Proof::Bearer(format!("{}.{}.", part(&none), part(&claims("ana")))),
        ),
        ("HS256 with the public key", Proof::Bearer(shared)),
        (
            "another key of that name",
            Proof::Bearer(Signer::rsa("key-1").token("ana", &["admins"])),
        ),
        ("ID token", sign("typ", json!("ID"))),
        ("logout token", sign("events", json!({}))),
        (
            "deleted API key",
            Proof::Bearer(deleted["key"].as_str().unwrap().to_owned()),
        ),
        ("expired API key", Proof::Bearer(expired)),
        ("API key copied badly", Proof::Bearer("loto_0".to_owned())),
        ("ended session", Proof::Cookie(cookie, Some(PUBLIC_URL))),
    ]
}

/// Sends every route to every caller that nobody should be. Its test has the name of the fault that
/// it stands for, in `bypass`.
pub(super) async fn no_route_answers_who_is_unknown() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    let good = Proof::Bearer(platform.gateway.signer.token("ana", &["hr", "admins"]));
    let refused = refused(&platform).await;
    let mut cells = 0;
    for route in table() {
        if route.needs == Needs::Nothing {
            continue;
        }
        for (name, proof) in &refused {
            let path = path_of(route.path, &platform.things().await);
            let reply = platform.send(&route.method, &path, proof).await;
            assert_eq!(
                reply.status,
                StatusCode::UNAUTHORIZED,
                "{} {path} by {name}: {reply:?}",
                route.method
            );
            cells += 1;
        }
        // The control: the very same request is answered to who is known.
        let path = path_of(route.path, &platform.things().await);
        let reply = platform.send(&route.method, &path, &good).await;
        assert!(
            reply.status.is_success(),
            "{} {path}: {reply:?}",
            route.method
        );
    }
    assert_eq!(cells, (table().len() - 4) * refused.len());
}

/// Whether a caller who is known gets an answer from a route.
fn expected(caller: &str, method: &Method, route: &str, needs: Needs) -> bool {
    if needs == Needs::Admin {
        return caller == "admin";
    }
    let one_of_anas = route.contains("{id}") && route != "/v1/models/{id}";
    let a_stream = route.starts_with("/v1/chat/completions/");
    match caller {
        "owner" | "owner's session" => true,
        "other user" | "other group" => !one_of_anas,
        // Reads what the group may read, and changes nothing of it.
        "same group" => !one_of_anas || (method, route) == (&Method::GET, "/api/documents/{id}"),
        "admin" => {
            !one_of_anas
                || route.starts_with("/api/documents/")
                || (method, route) == (&Method::DELETE, "/api/keys/{id}")
        }
        // The owner's keys: what their scope says.
        "API key without scope" => needs == Needs::Caller && route != "/v1/models/{id}",
        "API key for chat" => {
            !a_stream && matches!(needs, Needs::Caller | Needs::Scope(Scope::Chat))
        }
        "API key with every scope" => !a_stream && needs != Needs::Person,
        "another's API key with every scope" | "admin's API key without that scope" => {
            !one_of_anas && needs != Needs::Person
        }
        "admin's API key with that scope" => {
            needs != Needs::Person && (!one_of_anas || route.starts_with("/api/documents/"))
        }
        "owner's session, another site" => method.is_safe(),
        // Its question is to model `probe`, and not this one.
        "operator" => false,
        _ => unreachable!("{caller}"),
    }
}

/// Everybody who is known.
async fn known(platform: &Platform) -> Vec<(&'static str, Proof)> {
    let gateway = &platform.gateway;
    let token =
        |subject: &str, groups: &[&str]| Proof::Bearer(gateway.signer.token(subject, groups));
    let every = json!({ "name": "every", "scopes": every_scope() });
    let admin = json!({ "name": "admin", "scopes": Scope::ALL.map(Scope::name) });
    // A key needs some scope: one that no route asks for is as good as none.
    let none = key(gateway, "ana", &["hr"], &json!({ "name": "none" })).await;
    sqlx::query("update api_keys set scopes = '{}' where name = 'none'")
        .execute(&platform.pool)
        .await
        .unwrap();
    let session = sign_in_as(gateway, ANA, 300).await;
    vec![
        ("owner", token("ana", &["hr"])),
        (
            "owner's session",
            Proof::Cookie(session.clone(), Some(PUBLIC_URL)),
        ),
        (
            "owner's session, another site",
            Proof::Cookie(session, Some("https://evil.example.org")),
        ),
        ("other user", token("eve", &[])),
        ("other group", token("eve", &["sales"])),
        ("same group", token("bo", &["hr"])),
        ("admin", token("root", &["admins"])),
        ("API key without scope", Proof::Bearer(none)),
        (
            "API key for chat",
            Proof::Bearer(key(gateway, "ana", &["hr"], &json!({ "name": "chat" })).await),
        ),
        (
            "API key with every scope",
            Proof::Bearer(key(gateway, "ana", &["hr"], &every).await),
        ),
        (
            "another's API key with every scope",
            Proof::Bearer(key(gateway, "eve", &["sales"], &every).await),
        ),
        (
            "admin's API key without that scope",
            Proof::Bearer(key(gateway, "root", &["admins"], &every).await),
        ),
        (
            "admin's API key with that scope",
            Proof::Bearer(key(gateway, "root", &["admins"], &admin).await),
        ),
        ("operator", Proof::Bearer(PROBE.to_owned())),
    ]
}

#[tokio::test]
async fn every_route_answers_whom_it_should_and_nobody_else() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    let mut callers = known(&platform).await;
    let names: Vec<&str> = callers.iter().map(|(name, _)| *name).collect();
    let (mut answered, mut unexpected) = (0, Vec::new());
    for route in table() {
        if route.needs == Needs::Nothing {
            continue;
        }
        for caller in names.clone() {
            let proof = &callers.iter().find(|(name, _)| *name == caller).unwrap().1;
            let path = path_of(route.path, &platform.things().await);
            let reply = platform.send(&route.method, &path, proof).await;
            let wanted = expected(caller, &route.method, route.path, route.needs);
            if reply.status.is_success() != wanted || reply.status.is_server_error() {
                unexpected.push(format!(
                    "{} {path} by {caller}: {} {}",
                    route.method, reply.status, reply.body
                ));
            }
            answered += usize::from(reply.status.is_success());
            // Whoever is erased has no session and no key any more, and whoever ends all other
            // sessions has one at most.
            let ends = matches!(
                (&route.method, route.path),
                (_, "/api/me/data") | (&Method::DELETE, "/api/sessions")
            );
            if ends && reply.status.is_success() {
                callers = known(&platform).await;
            }
        }
    }
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    assert!(answered > table().len(), "the controls were answered");
}

#[tokio::test]
async fn a_session_and_a_key_at_once_are_what_the_key_is() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    let gateway = &platform.gateway;
    let session = sign_in_as(gateway, ANA, 300).await;
    let chat = key(gateway, "eve", &[], &json!({ "name": "chat" })).await;
    let mut request = bearing(Method::GET, "/api/me", &chat);
    request
        .headers_mut()
        .insert("cookie", session.parse().unwrap());
    assert_eq!(gateway.send(request).await.json()["subject"], "eve");
}
