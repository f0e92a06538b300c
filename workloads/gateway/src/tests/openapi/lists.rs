//! Lists: their pages, one after the other, are the whole.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::{document, operations};
use crate::budget::ledger::fold;
use crate::store::By;
use crate::tests::budgets::{question, stored};
use crate::tests::orchestrator::Seen;
use crate::tests::support::Gateway;
use crate::tests::usage_totals::USAGE;

/// Budgets that everybody's questions count in, in no order.
const BUDGETS: [&str; 3] = [
    "name: second, scope: User, per: Month, requests: 10",
    "name: third, scope: Platform, per: Month, requests: 100",
    "name: first, scope: User, per: Month, tokens: 100000",
];
/// Three of everything that is Ana's. Many are of one moment, which does not tell them apart.
const THINGS: [&str; 6] = [
    "insert into conversations (id, owner, title)
     select gen_random_uuid(), 'ana', 'vacaciones ' || n from generate_series(1, 3) n",
    "insert into messages (id, conversation_id, role, content)
     select gen_random_uuid(), id, 'user', 'part ' || n from conversations, generate_series(1, 3) n",
    "insert into documents (id, owner, groups, knowledge_base, name, media_type, size,
                            content_hash, object_key, status)
     select gen_random_uuid(), 'ana', '{*}', 'default', n || '.txt', 'text/plain', 1, 'x',
            n::text, 'failed' from generate_series(1, 3) n",
    "insert into sessions (id, id_hash, subject, sealed, expires_at)
     select gen_random_uuid(), sha256(n::text::bytea), 'ana', '', now() + interval '1 hour'
     from generate_series(1, 3) n",
    "insert into api_keys (id, hash, owner, owner_name, name, scopes, groups, expires_at)
     select 'k' || n, '', 'ana', 'Ana', 'k', '{chat}', '{}', now() + interval '1 hour'
     from generate_series(1, 3) n",
    "insert into stored_budgets (name, scope, names, per, requests, unknown_price, warn_at_percent)
     select 'b-' || n, 'User', '{nobody}', 'Day', 1, 'Refuse', 80 from generate_series(1, 3) n",
];

/// Fills every list; gives one of Ana's conversations.
async fn fill(pool: &PgPool, gateway: &Gateway, seen: &Seen) -> Uuid {
    for statement in THINGS.into_iter().chain([USAGE]) {
        sqlx::query(statement).execute(pool).await.unwrap();
    }
    for person in ["ana", "bo", "eve"] {
        let reply = gateway.chat(person, question("writer", &json!({}))).await;
        assert!(reply.status.is_success(), "{reply:?}");
        seen.approvals.add("ana", "", "send_mail");
    }
    gateway.settle().await;
    fold(&gateway.state.store).await.unwrap();
    let one = sqlx::query_scalar("select id from conversations limit 1");
    one.fetch_one(pool).await.unwrap()
}

fn names(operation: &Value) -> BTreeSet<&str> {
    let parameters = operation["parameters"].as_array();
    let names = parameters.into_iter().flatten();
    names.filter_map(|it| it["name"].as_str()).collect()
}

/// What a list is asked for beside its pages, each by itself.
fn queries(names: &BTreeSet<&str>) -> Vec<String> {
    let mut query = String::new();
    if names.contains("q") {
        query += "&q=vacaciones";
    }
    if names.contains("from") {
        query += "&from=2026-10-01&to=2026-11-30";
    }
    let mut queries = vec![query];
    if names.contains("by") {
        let by = |query: &String| By::ALL.map(|by| format!("{query}&by={}", by.name()));
        queries = queries.iter().flat_map(by).collect();
    }
    if names.contains("all") {
        let everybodys = queries.iter().map(|query| format!("{query}&all=true"));
        queries.extend(everybodys.collect::<Vec<_>>());
    }
    queries
}

fn is_page(document: &Value, operation: &Value) -> bool {
    let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    let named = schema["$ref"].as_str();
    let named = named.and_then(|name| document.pointer(&name[1..]));
    named.unwrap_or(schema)["properties"]
        .get("next_cursor")
        .is_some()
}

#[tokio::test]
async fn the_pages_of_every_list_together_are_the_whole() {
    let Some((server, gateway, seen)) = stored(&BUDGETS).await else {
        return;
    };
    let conversation = fill(&server.pool(), &gateway, &seen).await.to_string();
    let (caller, groups) = ("ana", ["admins"]);
    let document = document();
    let mut lists = BTreeSet::new();
    for ((method, path), operation) in operations(&document) {
        let names = names(&operation);
        let is_page = is_page(&document, &operation);
        assert_eq!(is_page, names.contains("cursor"), "{method} {path}");
        if !is_page {
            continue;
        }
        let place = path.replace("{id}", &conversation);
        for query in queries(&names) {
            let whole = format!("{place}?limit=200{query}");
            let whole = gateway.pages(&whole, caller, &groups).await;
            assert_eq!(whole.len(), 1, "{path} {query}");
            let single = format!("{place}?limit=1{query}");
            let single = gateway.pages(&single, caller, &groups).await;
            let longest = single.iter().map(Vec::len).max();
            assert_eq!(longest, Some(1), "{path} {query}");
            let together = single.concat();
            assert!(together.len() > 1, "{path} {query}: {together:?}");
            assert_eq!(together, whole[0], "{path} {query}");
        }
        lists.insert(path);
    }
    assert!(lists.len() >= 13, "{lists:?}");
}
