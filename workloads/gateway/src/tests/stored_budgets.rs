//! Budgets that administrators make, alter and remove while the gateway runs.

use axum::body::Body;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::budgets::{question, stored, used};
use super::support::{Gateway, Reply};
use crate::budget::ledger::fold;

const RULES: &str = "/api/admin/budgets";
const FILE: &str = "name: cap, scope: Platform, per: Month, requests: 1000";

async fn administer(gateway: &Gateway, method: Method, path: &str, body: &Value) -> Reply {
    let mut request = gateway.request_in(method, path, "root", &["admins"]);
    *request.body_mut() = Body::from(body.to_string());
    gateway.send(request).await
}

async fn make(gateway: &Gateway, body: &Value) -> Reply {
    administer(gateway, Method::POST, RULES, body).await
}

async fn remove(gateway: &Gateway, path: &str) -> Reply {
    administer(gateway, Method::DELETE, path, &Value::Null).await
}

/// All budgets as they were set.
async fn rules(gateway: &Gateway) -> Vec<Value> {
    let reply = administer(gateway, Method::GET, RULES, &Value::Null).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    reply.json()["items"].as_array().unwrap().clone()
}

async fn ask(gateway: &Gateway, subject: &str) -> u16 {
    let reply = gateway.chat(subject, question("writer", &json!({}))).await;
    reply.status.as_u16()
}

#[tokio::test]
async fn a_budget_holds_from_the_moment_it_is_made_until_it_is_removed() {
    let Some((server, gateway, _)) = stored(&[FILE]).await else {
        return;
    };
    let replica = gateway.replica(&server).await;
    assert_eq!(ask(&gateway, "ana").await, 200, "the control");

    let one = json!({
        "name": "one", "scope": "User", "names": ["ana"], "per": "Month", "requests": 1,
    });
    let made = make(&gateway, &one).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    assert_eq!(
        made.json(),
        json!({
            "name": "one", "scope": "User", "names": ["ana"], "per": "Month",
            "limits": { "requests": 1 }, "unknown_price": "Refuse", "warn_at_percent": 80,
            "source": "Administrator", "active": true,
        })
    );
    // What was used before does not count; of the next two one passes, and others all.
    assert_eq!(ask(&gateway, "ana").await, 200);
    let refused = gateway.chat("ana", question("writer", &json!({}))).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.json()["error"]["budget"]["name"], "one");
    assert_eq!(ask(&gateway, "eve").await, 200, "it is not hers");

    // Another replica holds to it as soon as it has read it, and counts with this one.
    assert_eq!(ask(&replica, "ana").await, 200);
    let store = &replica.state.store;
    replica.state.budgets.refresh(store).await.unwrap();
    assert_eq!(ask(&replica, "ana").await, 429);

    let two = json!({ "names": ["ana"], "requests": 2, "warn_at_percent": 50 });
    let altered = administer(&gateway, Method::PUT, "/api/admin/budgets/one", &two).await;
    assert_eq!(altered.status, StatusCode::OK, "{altered:?}");
    assert_eq!(altered.json()["limits"], json!({ "requests": 2 }));
    assert_eq!(altered.json()["per"], "Month", "it stays what it is");
    assert_eq!(
        [ask(&gateway, "ana").await, ask(&gateway, "ana").await],
        [200, 429]
    );

    let gone = remove(&gateway, "/api/admin/budgets/one").await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(ask(&gateway, "ana").await, 200);
    fold(&gateway.state.store).await.unwrap();
    // One of the same name begins with nothing used.
    assert_eq!(make(&gateway, &one).await.status, StatusCode::CREATED);
    assert_eq!(used(&gateway, "ana").await["one"], json!({ "requests": 0 }));
    assert_eq!(
        [ask(&gateway, "ana").await, ask(&gateway, "ana").await],
        [200, 429]
    );
}

#[tokio::test]
async fn a_budget_that_is_made_again_gives_nothing_back() {
    let file = "name: cap, scope: Platform, per: Month, tokens: 1000000";
    let Some((_server, gateway, _)) = stored(&[file]).await else {
        return;
    };
    let one = json!({ "name": "one", "scope": "User", "per": "Month", "tokens": 100_000 });
    assert_eq!(make(&gateway, &one).await.status, StatusCode::CREATED);
    assert_eq!(ask(&gateway, "ana").await, 200);
    gateway.settle().await;
    // What the question came to is settled and not folded: far less than was reserved.
    assert_eq!(
        remove(&gateway, "/api/admin/budgets/one").await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(make(&gateway, &one).await.status, StatusCode::CREATED);
    assert_eq!(ask(&gateway, "ana").await, 200);
    gateway.settle().await;
    assert_eq!(fold(&gateway.state.store).await.unwrap(), 2);
    let used = used(&gateway, "ana").await;
    // The fake counts 12 and 5 tokens of each question.
    assert_eq!(used["one"], json!({ "tokens": 17 }));
    // The control: in the budget beside it both count.
    assert_eq!(used["cap"], json!({ "tokens": 34 }));
}

#[tokio::test]
async fn budgets_of_the_resource_are_shown_and_stay_as_they_are() {
    let Some((server, gateway, _)) = stored(&[FILE]).await else {
        return;
    };
    let other = json!({ "name": "cap", "scope": "User", "per": "Day", "requests": 1 });
    let taken = make(&gateway, &other).await;
    assert_eq!(
        (taken.status, taken.code().as_str()),
        (StatusCode::CONFLICT, "budget_exists")
    );
    for (method, body) in [
        (Method::PUT, json!({ "requests": 9_000 })),
        (Method::DELETE, Value::Null),
    ] {
        let reply = administer(&gateway, method, "/api/admin/budgets/cap", &body).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (StatusCode::CONFLICT, "budget_of_resource")
        );
    }
    let shown = rules(&gateway).await;
    assert_eq!(shown.len(), 1);
    assert_eq!(
        (&shown[0]["source"], &shown[0]["limits"]["requests"]),
        (&json!("Resource"), &json!(1000))
    );

    // One that was there before the resource had its name holds no longer, and can be removed.
    sqlx::query(
        "insert into stored_budgets (name, scope, names, per, requests, unknown_price,
                                     warn_at_percent)
         values ('cap', 'User', '{}', 'Day', 1, 'Refuse', 80)",
    )
    .execute(&server.pool())
    .await
    .unwrap();
    let store = &gateway.state.store;
    gateway.state.budgets.refresh(store).await.unwrap();
    let active: Vec<Value> = rules(&gateway)
        .await
        .iter()
        .map(|rule| rule["active"].clone())
        .collect();
    assert_eq!(active, [true, false]);
    assert_eq!(
        [ask(&gateway, "ana").await, ask(&gateway, "ana").await],
        [200, 200]
    );
    let gone = remove(&gateway, "/api/admin/budgets/cap").await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    // What is counted under that name is the resource's, and stays.
    assert_eq!(used(&gateway, "ana").await["cap"], json!({ "requests": 2 }));
    assert_eq!(rules(&gateway).await.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_a_budget_is_refused_and_nothing_is_stored() {
    let Some((_server, gateway, _)) = stored(&[FILE]).await else {
        return;
    };
    for (body, param) in [
        (
            json!({ "name": "a", "scope": "User", "per": "Day" }),
            "requests",
        ),
        (
            json!({ "name": "a", "scope": "Platform", "names": ["x"], "per": "Day", "tokens": 1 }),
            "names",
        ),
        (
            json!({ "name": "A", "scope": "User", "per": "Day", "tokens": 1 }),
            "name",
        ),
    ] {
        let reply = make(&gateway, &body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body}: {reply:?}");
        assert_eq!(reply.json()["param"], param, "{body}");
    }
    assert_eq!(rules(&gateway).await.len(), 1, "the resource's");
    for (method, body) in [
        (Method::PUT, json!({ "requests": 1 })),
        (Method::DELETE, Value::Null),
    ] {
        let reply = administer(&gateway, method, "/api/admin/budgets/none", &body).await;
        assert_eq!(reply.code(), "budget_not_found");
    }
    // The control, and its name is taken then.
    let good = json!({ "name": "a", "scope": "User", "per": "Day", "tokens": 1 });
    assert_eq!(make(&gateway, &good).await.status, StatusCode::CREATED);
    assert_eq!(make(&gateway, &good).await.code(), "budget_exists");
    assert_eq!(rules(&gateway).await.len(), 2);
}

#[tokio::test]
async fn budgets_come_page_by_page_those_of_the_resource_first() {
    let file = [
        "name: cap, scope: Platform, per: Month, requests: 1000",
        "name: b-file, scope: User, per: Day, requests: 1000",
    ];
    let Some((_server, gateway, _)) = stored(&file).await else {
        return;
    };
    for name in ["zz", "a-b", "ab", "a"] {
        let body = json!({ "name": name, "scope": "User", "per": "Day", "tokens": 1 });
        assert_eq!(make(&gateway, &body).await.status, StatusCode::CREATED);
    }
    let whole = rules(&gateway).await;
    let names: Vec<_> = whole.iter().map(|rule| rule["name"].clone()).collect();
    assert_eq!(names, ["b-file", "cap", "a", "a-b", "ab", "zz"]);
    for limit in [1, 4] {
        let path = format!("{RULES}?limit={limit}");
        let pages = gateway.pages(&path, "root", &["admins"]).await;
        assert_eq!(pages.len(), 6_usize.div_ceil(limit));
        assert_eq!(pages.concat(), whole);
    }
    // What is removed meanwhile, even the last of a page, takes nothing else with it.
    let page = administer(
        &gateway,
        Method::GET,
        &format!("{RULES}?limit=4"),
        &Value::Null,
    )
    .await;
    let cursor = page.json()["next_cursor"].clone();
    let gone = remove(&gateway, "/api/admin/budgets/a-b").await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let rest = format!("{RULES}?cursor={}", cursor.as_str().unwrap());
    let rest = administer(&gateway, Method::GET, &rest, &Value::Null).await;
    assert_eq!(rest.json()["items"], json!(whole[4..]));
    for (query, param) in [
        ("cursor=bm9wZQ", "cursor"),
        ("limit=0", "limit"),
        ("all=true", "all"),
    ] {
        let path = format!("{RULES}?{query}");
        let reply = administer(&gateway, Method::GET, &path, &Value::Null).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}: {reply:?}");
        assert_eq!(reply.json()["param"], param, "{path}");
    }
}
