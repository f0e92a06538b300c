//! What API keys were led into elsewhere.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode};
use lotoai_policy::Needs;
use serde_json::json;

use crate::routes::table;
use crate::tests::api_keys::{bearing, every_scope, key, make};
use crate::tests::openapi::{document, json_bodies};
use crate::tests::support::Gateway;

/// What is in a key must never be part of a statement.
#[tokio::test]
async fn cve_2026_42208_a_key_is_never_part_of_a_statement() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
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
        .fetch_one(&server.pool())
        .await
        .unwrap();
    assert_eq!(keys, 1);
    let reply = gateway.send(bearing(Method::GET, "/api/me", &good)).await;
    assert_eq!(reply.status, StatusCode::OK, "the control");
}

/// A key can do no more than who makes it.
#[tokio::test]
async fn cve_2026_47101_a_key_goes_no_further_than_its_maker() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let beyond = [
        json!({ "name": "k", "groups": ["admins"] }),
        json!({ "name": "k", "groups": ["staff", "hr"] }),
        json!({ "name": "k", "groups": ["*"] }),
        json!({ "name": "k", "groups": ["/staff"] }),
        json!({ "name": "k", "groups": ["STAFF"] }),
        json!({ "name": "k", "scopes": ["chat", "admin"] }),
        json!({ "name": "k", "scopes": ["admin"], "groups": ["staff"] }),
    ];
    for request in &beyond {
        let reply = make(&gateway, "ana", &["staff"], request).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (StatusCode::FORBIDDEN, "key_beyond_rights"),
            "{request}"
        );
    }
    let own = json!({ "name": "k", "groups": ["staff"], "scopes": every_scope() });
    let widest = key(&gateway, "ana", &["staff"], &own).await;
    // The widest key there is makes none.
    let mut request = bearing(Method::POST, "/api/keys", &widest);
    *request.body_mut() = Body::from(json!({ "name": "k" }).to_string());
    assert_eq!(gateway.send(request).await.code(), "person_required");
}

/// What a caller may not decide is refused, and not passed over.
#[tokio::test]
async fn cve_2026_47102_nothing_is_set_that_is_not_the_callers() {
    let Some((server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let bodies = json_bodies(&document());
    assert!(bodies.len() >= 9, "{bodies:?}");
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
        // And so it is wherever JSON is taken, unless the field is one that callers do set.
        for (method, path, schema) in &bodies {
            if schema["properties"].get(field).is_some() {
                continue;
            }
            let mut request = gateway.request_in(method.clone(), path, "root", &["admins"]);
            *request.body_mut() = Body::from(json!({ field: "root" }).to_string());
            let reply = gateway.send(request).await;
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (StatusCode::BAD_REQUEST, "unknown_parameter"),
                "{method} {path}: {field}"
            );
        }
    }
    let left: i64 = sqlx::query_scalar(
        "select (select count(*) from api_keys) + (select count(*) from conversations)
              + (select count(*) from stored_budgets)",
    )
    .fetch_one(&server.pool())
    .await
    .unwrap();
    assert_eq!((left, seen.count()), (0, 0));
    key(&gateway, "ana", &[], &json!({ "name": "k" })).await;
}

/// There is one place for a credential, and what stands elsewhere widens nothing.
#[tokio::test]
async fn ghsa_57q6_fvp4_pqmm_another_header_takes_no_restriction_away() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let chat = key(&gateway, "ana", &[], &json!({ "name": "chat" })).await;
    let every = json!({ "name": "every", "scopes": every_scope() });
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
