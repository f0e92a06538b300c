//! Ways around authentication and rights that other products had, one test each. The name of a test
//! begins with the fault that it stands for.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode};
use serde_json::{Value, json};

use super::api_keys::{bearing, key, make};
use super::browser::{ANA, sign_in_as, with_cookies};
use super::orchestrator;
use super::support::{Gateway, PUBLIC_URL, Parts, Reply};
use crate::policy::{Needs, Scope};
use crate::routes::table;

async fn stored() -> Option<(super::postgres::Server, Gateway)> {
    let (orchestrator, _) = orchestrator::start().await;
    let parts = Parts {
        orchestrator,
        ..Parts::default()
    };
    Gateway::stored(parts).await
}

/// An upload, as a form with a file and a knowledge base.
fn upload(request: Request<Body>, name: &str, knowledge_base: &str) -> Request<Body> {
    const BOUNDARY: &str = "a-boundary-that-no-file-holds";
    let (mut parts, _) = request.into_parts();
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    parts.headers.insert("content-type", kind.parse().unwrap());
    let field = |name: &str, content: &str| {
        format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name={name}\r\n\r\n{content}\r\n")
    };
    let body = [
        field("\"knowledge_base\"", knowledge_base),
        field(&format!("\"file\"; filename=\"{name}\""), "text"),
        format!("--{BOUNDARY}--\r\n"),
    ];
    Request::from_parts(parts, Body::from(body.concat()))
}

async fn add(gateway: &Gateway, subject: &str, groups: &[&str], base: &str) -> Reply {
    let post = gateway.request_in(Method::POST, "/api/documents", subject, groups);
    gateway.send(upload(post, "plan.txt", base)).await
}

/// What is in a key must never be part of a statement.
#[tokio::test]
async fn cve_2026_42208_a_key_is_never_part_of_a_statement() {
    let Some((server, gateway)) = stored().await else {
        return;
    };
    let good = key(&gateway, "ana", &[], &json!({ "name": "a" })).await;
    let mut hostile: Vec<HeaderValue> = [
        "Bearer loto_' or '1'='1",
        "Bearer loto_\" or 1=1 --",
        "Bearer loto_'; delete from api_keys; --",
        "Bearer '",
        "Bearer %27%20or%201=1",
        "Bearer $1",
        "Bearer \\x00",
        "' or '1'='1",
    ]
    .into_iter()
    .map(|text| text.parse().unwrap())
    .collect();
    for bytes in ["Bearer loto_ñ'", "Bearer loto_\u{202e}", "Bearer \u{ff07}"] {
        hostile.push(HeaderValue::from_bytes(bytes.as_bytes()).unwrap());
    }
    // A key of the right form whose id is made of what a statement would mind.
    let mut quoted = good.clone();
    quoted.replace_range(5..7, "';");
    hostile.push(format!("Bearer {quoted}").parse().unwrap());
    for route in table() {
        if route.needs == Needs::Nothing {
            continue;
        }
        let path = route.path.replace("{id}", "'%20or%20'1'='1");
        for value in &hostile {
            let request = Request::builder()
                .method(&route.method)
                .uri(&path)
                .header("authorization", value)
                .body(Body::empty());
            let reply = gateway.send(request.unwrap()).await;
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path} {value:?}");
        }
    }
    assert!(
        HeaderValue::from_bytes(b"Bearer \0").is_err(),
        "a NUL is no header at all"
    );
    let keys: i64 = sqlx::query_scalar("select count(*) from api_keys")
        .fetch_one(&server.pool().await)
        .await
        .unwrap();
    assert_eq!(keys, 1);
    let reply = gateway.send(bearing(Method::GET, "/api/me", &good)).await;
    assert_eq!(reply.status, StatusCode::OK, "the control");
}

/// What the request says of its host, and how it spells its path, decides nothing.
#[tokio::test]
async fn cve_2026_48710_host_and_spelling_of_a_path_open_nothing() {
    let gateway = Gateway::start(Parts::default()).await;
    let hosts = [
        "ai.example.org?/auth/login",
        "x/auth/login#",
        "localhost",
        "ai.example.org/auth/login",
    ];
    let paths = [
        "/api/me",
        "//api/me",
        "/api//me",
        "/api/me/",
        "/API/me",
        "/api%2fme",
        "/%61pi/me",
        "/api/me;/auth/login",
        "/api/me?/auth/login",
        "/auth/login/../../api/me",
        "/auth/login%2f..%2f..%2fapi%2fme",
        "/auth/../api/me",
        "/auth/login/",
        "/./api/me",
        "http://ai.example.org/api/me",
        "http://x/auth/login/../../api/me",
        "/api/me/configs",
        "/api/me.json",
    ];
    for host in hosts {
        for path in paths {
            for header in [
                "host",
                "x-forwarded-host",
                "x-original-url",
                "x-rewrite-url",
            ] {
                let request = Request::builder().uri(path).header(header, host);
                let reply = gateway.send(request.body(Body::empty()).unwrap()).await;
                // The web client's page is everybody's; nothing else is.
                let page = reply.status == StatusCode::OK && reply.body == "<title>web</title>";
                assert!(
                    page || reply.status.is_client_error(),
                    "{path} with {header}: {host}: {reply:?}"
                );
            }
        }
    }
    let known = gateway.request(Method::GET, "/api/me", "ana");
    assert_eq!(
        gateway.send(known).await.json()["subject"],
        "ana",
        "the control"
    );
    // The method is not taken from elsewhere either.
    let request = Request::builder()
        .uri("/api/conversations")
        .header("x-http-method-override", "OPTIONS")
        .body(Body::empty());
    assert_eq!(
        gateway.send(request.unwrap()).await.status,
        StatusCode::UNAUTHORIZED
    );
}

/// Verdicts are kept by the whole token: people whose tokens begin alike are different people.
#[tokio::test]
async fn cve_2026_35030_tokens_that_begin_alike_belong_to_different_people() {
    let gateway = Gateway::start(Parts::default()).await;
    for subject in ["ana", "bo", "ana"] {
        let reply = gateway.get("/api/me", subject).await;
        assert_eq!(reply.json()["subject"], subject);
    }
    let (one, two) = (
        gateway.signer.token("ana", &[]),
        gateway.signer.token("bo", &[]),
    );
    assert_eq!(one[..40], two[..40]);
}

/// A key can do no more than who makes it.
#[tokio::test]
async fn cve_2026_47101_a_key_goes_no_further_than_its_maker() {
    let Some((_server, gateway)) = stored().await else {
        return;
    };
    let beyond = [
        json!({ "name": "k", "groups": ["admins"] }),
        json!({ "name": "k", "groups": ["staff", "hr"] }),
        json!({ "name": "k", "groups": ["*"] }),
        json!({ "name": "k", "groups": ["/staff"] }),
        json!({ "name": "k", "groups": ["STAFF"] }),
    ];
    for request in &beyond {
        let reply = make(&gateway, "ana", &["staff"], request).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (StatusCode::FORBIDDEN, "key_beyond_rights"),
            "{request}"
        );
    }
    let own = json!({ "name": "k", "groups": ["staff"], "scopes": Scope::ALL.map(Scope::name) });
    let widest = key(&gateway, "ana", &["staff"], &own).await;
    // The widest key there is makes none.
    let mut request = bearing(Method::POST, "/api/keys", &widest);
    *request.body_mut() = Body::from(json!({ "name": "k" }).to_string());
    assert_eq!(gateway.send(request).await.code(), "person_required");
}

/// What a caller may not decide is refused, and not passed over.
#[tokio::test]
async fn cve_2026_47102_nothing_is_set_that_is_not_the_callers() {
    let Some((server, gateway)) = stored().await else {
        return;
    };
    for field in [
        "id",
        "key",
        "hash",
        "owner",
        "owner_name",
        "subject",
        "admin",
        "role",
        "user_role",
        "is_admin",
        "expires_at",
        "created_at",
        "last_used_at",
        "Name",
        "__proto__",
    ] {
        let mut request = json!({ "name": "k" });
        request[field] = json!("root");
        let reply = make(&gateway, "ana", &[], &request).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (StatusCode::BAD_REQUEST, "unknown_parameter"),
            "{field}"
        );
    }
    let keys: i64 = sqlx::query_scalar("select count(*) from api_keys")
        .fetch_one(&server.pool().await)
        .await
        .unwrap();
    assert_eq!(keys, 0);
    key(&gateway, "ana", &[], &json!({ "name": "k" })).await;
}

/// A cookie is worth nothing after its sign-out, whoever kept it.
#[tokio::test]
async fn cve_2026_12772_a_cookie_is_dead_after_its_sign_out() {
    let Some((_server, gateway)) = stored().await else {
        return;
    };
    let cookie = sign_in_as(&gateway, ANA, 300).await;
    let other = sign_in_as(&gateway, ANA, 300).await;
    let ours = Some(PUBLIC_URL);
    let reply = with_cookies(&gateway, Method::POST, "/auth/logout", &cookie, ours).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    for route in table() {
        if route.needs == Needs::Nothing {
            continue;
        }
        let reply = with_cookies(&gateway, route.method, route.path, &cookie, ours).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{}", route.path);
    }
    let reply = with_cookies(&gateway, Method::GET, "/api/me", &other, None).await;
    assert_eq!(reply.status, StatusCode::OK, "the control");
}

/// A thing of somebody else cannot be hung onto one's own request.
#[tokio::test]
async fn cve_2026_45402_what_is_anothers_is_no_part_of_ones_own_request() {
    let Some((_server, gateway)) = stored().await else {
        return;
    };
    let question = |id: &Value| {
        json!({
            "model": "lotoai", "store": true, "metadata": { "conversation_id": id },
            "messages": [{ "role": "user", "content": "what did I say before?" }],
        })
        .to_string()
    };
    let hers = gateway.chat("ana", question(&Value::Null)).await.json();
    let hers = &hers["lotoai"]["conversation_id"];
    let foreign = gateway.chat("eve", question(hers)).await;
    let unknown = json!("019aab4e-0000-7000-8000-000000000000");
    let unknown = gateway.chat("eve", question(&unknown)).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    assert_eq!(
        (foreign.status, &foreign.body),
        (unknown.status, &unknown.body)
    );
    assert_eq!(
        gateway.chat("ana", question(hers)).await.status,
        StatusCode::OK
    );
}

/// A knowledge base is its own name and nothing that begins or ends like it.
#[tokio::test]
async fn cve_2026_45398_a_knowledge_base_is_not_told_by_how_it_begins() {
    let Some((_server, gateway)) = stored().await else {
        return;
    };
    let document = add(&gateway, "ana", &["hr-secret"], "hr-secret").await;
    assert_eq!(document.status, StatusCode::ACCEPTED, "{document:?}");
    let path = format!("/api/documents/{}", document.json()["id"].as_str().unwrap());
    for group in ["hr", "hr-", "hr-secret2", "HR-SECRET", "secret", "%", "*"] {
        let reply = add(&gateway, "eve", &[group], "hr-secret").await;
        assert_eq!(reply.code(), "knowledge_base_forbidden", "{group}");
        let get = gateway.request_in(Method::GET, &path, "eve", &[group]);
        assert_eq!(
            gateway.send(get).await.code(),
            "document_not_found",
            "{group}"
        );
    }
    for name in [
        "019aab4e-0000-7000-8000-000000000000",
        "default/../hr-secret",
    ] {
        let reply = add(&gateway, "eve", &[], name).await;
        assert!(reply.status.is_client_error(), "{name}: {reply:?}");
    }
    let get = gateway.request_in(Method::GET, &path, "bo", &["hr-secret"]);
    assert_eq!(
        gateway.send(get).await.status,
        StatusCode::OK,
        "the control"
    );
}

/// Who may read may not delete.
#[tokio::test]
async fn cve_2026_45671_who_may_read_may_not_delete() {
    let Some((_server, gateway)) = stored().await else {
        return;
    };
    let document = add(&gateway, "ana", &["hr"], "hr").await.json();
    let path = format!("/api/documents/{}", document["id"].as_str().unwrap());
    let retry = format!("{path}/retry");
    let send = |method: Method, path: &str, subject: &str| {
        gateway.send(gateway.request_in(method, path, subject, &["hr"]))
    };
    assert_eq!(send(Method::GET, &path, "bo").await.status, StatusCode::OK);
    for (method, path) in [(Method::DELETE, &path), (Method::POST, &retry)] {
        assert_eq!(send(method, path, "bo").await.code(), "not_your_document");
    }
    let reply = send(Method::DELETE, &path, "ana").await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT, "the control");
}

/// There is one place for a credential, and what stands elsewhere widens nothing.
#[tokio::test]
async fn ghsa_57q6_fvp4_pqmm_another_header_takes_no_restriction_away() {
    let Some((_server, gateway)) = stored().await else {
        return;
    };
    let chat = key(&gateway, "ana", &[], &json!({ "name": "chat" })).await;
    let every = json!({ "name": "every", "scopes": Scope::ALL.map(Scope::name) });
    let every = key(&gateway, "ana", &[], &every).await;
    let path = "/api/documents";
    for header in [
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "x-auth-token",
        "x-forwarded-authorization",
        "proxy-authorization",
        "x-forwarded-user",
    ] {
        for value in [every.clone(), format!("Bearer {every}")] {
            let bare = Request::builder().uri(path).header(header, &value);
            let reply = gateway.send(bare.body(Body::empty()).unwrap()).await;
            assert_eq!(reply.code(), "sign_in_required", "{header}");
            let mut both = bearing(Method::GET, path, &chat);
            both.headers_mut().insert(header, value.parse().unwrap());
            assert_eq!(
                gateway.send(both).await.code(),
                "key_scope_missing",
                "{header}"
            );
        }
    }
    for (first, second) in [(&chat, &every), (&every, &chat)] {
        let mut twice = bearing(Method::GET, path, first);
        let second = format!("Bearer {second}").parse().unwrap();
        twice.headers_mut().append("authorization", second);
        assert_eq!(gateway.send(twice).await.code(), "sign_in_required");
    }
    for query in ["api_key", "key", "access_token"] {
        let bare = Request::builder().uri(format!("{path}?{query}={every}"));
        let reply = gateway.send(bare.body(Body::empty()).unwrap()).await;
        assert_eq!(reply.code(), "sign_in_required", "{query}");
    }
    let reply = gateway.send(bearing(Method::GET, path, &every)).await;
    assert_eq!(reply.status, StatusCode::OK, "the control");
}

/// Every way to write an id asks whose the thing is.
#[tokio::test]
async fn cve_2026_55255_every_form_of_an_id_asks_for_its_owner() {
    let Some((_server, gateway)) = stored().await else {
        return;
    };
    let document = add(&gateway, "ana", &["hr"], "hr").await.json();
    let id = document["id"].as_str().unwrap();
    let simple = id.replace('-', "");
    let forms = [
        id.to_owned(),
        simple.clone(),
        id.to_uppercase(),
        format!("urn:uuid:{id}"),
        format!("%7B{id}%7D"),
        format!("{id}%00"),
        format!("%20{id}"),
        "plan.txt".to_owned(),
        "hr/plan.txt".to_owned(),
    ];
    for form in &forms {
        for method in [Method::GET, Method::DELETE] {
            let path = format!("/api/documents/{form}");
            let reply = gateway
                .send(gateway.request_in(method, &path, "eve", &["sales"]))
                .await;
            assert_eq!(reply.status, StatusCode::NOT_FOUND, "{form}");
        }
    }
    // The same name in a knowledge base of one's own is another document.
    let other = add(&gateway, "eve", &["hr"], "hr").await.json();
    assert_ne!(other["id"], document["id"]);
    for form in [id, &simple] {
        let path = format!("/api/documents/{form}");
        let get = gateway.request_in(Method::GET, &path, "ana", &[]);
        assert_eq!(
            gateway.send(get).await.status,
            StatusCode::OK,
            "the control"
        );
    }
}

/// What is shown of a document is as much its reader's as the document.
#[tokio::test]
async fn cve_2026_41949_a_list_shows_what_its_reader_may_read() {
    let Some((_server, gateway)) = stored().await else {
        return;
    };
    add(&gateway, "ana", &["hr"], "hr").await;
    for query in ["", "?knowledge_base=hr", "?limit=200"] {
        let path = format!("/api/documents{query}");
        let reply = gateway
            .send(gateway.request_in(Method::GET, &path, "eve", &["sales"]))
            .await;
        assert_eq!(reply.json()["items"], json!([]), "{query}");
        let reply = gateway
            .send(gateway.request_in(Method::GET, &path, "bo", &["hr"]))
            .await;
        assert_eq!(reply.json()["items"][0]["name"], "plan.txt", "the control");
    }
}
