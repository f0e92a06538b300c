//! Decisions: once, by the person who asked, and only where they come through.

use wiremock::MockServer;

use super::*;
use crate::tests::api_keys::{bearing, every_scope, key};
use crate::tests::budgets::{self, used};
use crate::tests::orchestrator::approvals::ARGUMENTS;
use crate::tests::support::{Parts, config};

#[tokio::test]
async fn a_tool_that_is_approved_is_called_and_the_answer_goes_on() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let asked = asked(&gateway, "ana", "send_mail").await;
    let reply = decide(&gateway, "ana", &asked.id, &approve()).await;
    assert_eq!(text(&reply), "Sent.");
    let answer = reply.json();
    assert_eq!(answer["model"], "asks/send_mail");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    let extra = &answer["lotoai"];
    assert_eq!(extra["conversation_id"], json!(asked.conversation));
    assert_eq!(extra["tool_calls"][0]["arguments"], json!({"to": "bo"}));
    assert_eq!(extra["approvals"], json!([]));

    let told = seen.decisions.lock().unwrap().clone();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].approval_id, asked.id);
    assert_eq!(
        (told[0].arguments_json.as_str(), told[0].reason.as_str()),
        ("", "")
    );
    assert_eq!(told[0].caller.as_ref().unwrap().subject, "ana");
    assert_eq!(extra["run_id"], json!(told[0].run_id));

    let stored = messages(&gateway, &asked.conversation).await;
    assert_eq!(stored.len(), 3);
    assert_eq!(stored[2]["content"], "Sent.");
    assert_eq!(stored[2]["outcome"], "ok");
    assert_eq!(stored[2]["run_id"], extra["run_id"]);
    let one = gateway.get(&format!("{LIST}/{}", asked.id), "ana").await;
    let one = one.json();
    assert_eq!(one["state"], "approved");
    assert_eq!(one["answer_run_id"], extra["run_id"]);
    assert!(one["decided_at"].is_string());
}

#[tokio::test]
async fn a_tool_that_is_denied_is_not_called_and_the_reason_is_told() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let asked = asked(&gateway, "ana", "send_mail").await;
    let body = json!({"decision": "deny", "reason": " not to Bo "});
    let reply = decide(&gateway, "ana", &asked.id, &body).await;
    assert_eq!(text(&reply), "Not sent: not to Bo");
    assert_eq!(reply.json()["lotoai"]["tool_calls"], json!([]));
    assert_eq!(seen.decisions.lock().unwrap()[0].reason, "not to Bo");
    let one = gateway.get(&format!("{LIST}/{}", asked.id), "ana").await;
    assert_eq!(one.json()["state"], "denied");
    assert_eq!(one.json()["reason"], "not to Bo");
}

#[tokio::test]
async fn arguments_may_be_edited() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let asked = asked(&gateway, "ana", "send_mail").await;
    let edited = json!({"to": "eve", "text": "año"});
    assert_ne!(edited.to_string(), ARGUMENTS);
    for (body, param) in [
        (
            json!({"decision": "approve", "arguments": "{}"}),
            "arguments",
        ),
        (
            json!({"decision": "deny", "arguments": edited}),
            "arguments",
        ),
        (json!({"decision": "maybe"}), "decision"),
    ] {
        let reply = decide(&gateway, "ana", &asked.id, &body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{reply:?}");
        assert_eq!(reply.json()["param"], param);
    }
    assert!(seen.decisions.lock().unwrap().is_empty());
    let body = json!({"decision": "approve", "arguments": edited});
    let reply = decide(&gateway, "ana", &asked.id, &body).await;
    assert_eq!(text(&reply), "Sent.");
    assert_eq!(reply.json()["lotoai"]["tool_calls"][0]["arguments"], edited);
}

#[tokio::test]
async fn a_decision_counts_once() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    // The orchestrator would go on with a denial, of which no tool was called.
    for (first, second) in [
        (approve(), approve()),
        (approve(), deny()),
        (deny(), deny()),
        (deny(), approve()),
    ] {
        let asked = asked(&gateway, "ana", "send_mail").await;
        let reply = decide(&gateway, "ana", &asked.id, &first).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        let before = state(&gateway, "ana", &asked.id).await;
        let reply = decide(&gateway, "ana", &asked.id, &second).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (StatusCode::CONFLICT, "approval_decided"),
            "{reply:?}"
        );
        assert_eq!(state(&gateway, "ana", &asked.id).await, before);
        assert_eq!(messages(&gateway, &asked.conversation).await.len(), 3);
    }
    assert_eq!(seen.decisions.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn two_who_decide_at_a_time_are_answered_once() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let asked = asked(&gateway, "ana", "send_mail").await;
    let both = [approve(), approve(), approve(), approve()];
    let both = both
        .iter()
        .map(|body| decide(&gateway, "ana", &asked.id, body));
    let replies = futures::future::join_all(both).await;
    let count = |status: StatusCode| replies.iter().filter(|it| it.status == status).count();
    assert_eq!(
        (count(StatusCode::OK), count(StatusCode::CONFLICT)),
        (1, 3),
        "{replies:?}"
    );
    assert_eq!(messages(&gateway, &asked.conversation).await.len(), 3);
    assert_eq!(seen.decisions.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_has_expired_is_not_decided_and_leaves_nothing() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let asked = asked(&gateway, "ana", "send_mail").await;
    seen.approvals.expire(&asked.id);
    assert_eq!(state(&gateway, "ana", &asked.id).await, "expired");
    let reply = decide(&gateway, "ana", &asked.id, &approve()).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::GONE, "approval_expired")
    );
    assert_eq!(reply.header("content-type"), "application/problem+json");
    gateway.settle().await;
    assert_eq!(messages(&gateway, &asked.conversation).await.len(), 2);
}

#[tokio::test]
async fn somebody_elses_approval_looks_like_none() {
    let Some((_server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let asked = asked(&gateway, "ana", "send_mail").await;
    let unknown = uuid::Uuid::now_v7().to_string();
    for id in [&asked.id, &unknown, &"no id".replace(' ', "%20")] {
        let path = format!("{LIST}/{id}");
        let shown = gateway.get(&path, "eve").await;
        let decided = decide(&gateway, "eve", id, &approve()).await;
        for reply in [shown, decided] {
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (StatusCode::NOT_FOUND, "approval_not_found")
            );
            assert_eq!(reply.json()["detail"], "there is no such approval");
        }
    }
    assert!(seen.decisions.lock().unwrap().is_empty());
    let reply = decide(&gateway, "ana", &asked.id, &approve()).await;
    assert_eq!(text(&reply), "Sent.", "the control");
}

#[tokio::test]
async fn a_program_does_not_consent_in_the_place_of_a_person() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let asked = asked(&gateway, "ana", "send_mail").await;
    let every = json!({ "name": "every", "scopes": every_scope() });
    let every = key(&gateway, "ana", &[], &every).await;
    let path = format!("{LIST}/{}", asked.id);
    let mut request = bearing(Method::POST, &path, &every);
    *request.body_mut() = Body::from(approve().to_string());
    let reply = gateway.send(request).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::FORBIDDEN, "person_required")
    );
    // It may see what waits, where it may read conversations.
    let reply = gateway.send(bearing(Method::GET, &path, &every)).await;
    assert_eq!(reply.json()["state"], "pending", "{reply:?}");
    let chat = key(&gateway, "ana", &[], &json!({ "name": "chat" })).await;
    let reply = gateway.send(bearing(Method::GET, LIST, &chat)).await;
    assert_eq!(reply.code(), "key_scope_missing");
    let reply = decide(&gateway, "ana", &asked.id, &approve()).await;
    assert_eq!(text(&reply), "Sent.", "the control");
}

#[tokio::test]
async fn it_stays_decidable_while_the_orchestrator_is_away() {
    let Some((server, gateway, seen)) = Gateway::answering().await else {
        return;
    };
    let asked = asked(&gateway, "ana", "send_mail").await;
    let config = config(&gateway.realm.uri(), "http://127.0.0.1:1");
    let parts = Parts {
        pool: server.pool(),
        ..Parts::default()
    };
    let unused = MockServer::start().await;
    let alone = Gateway::with_config(&config, parts, unused, gateway.signer.clone());
    for stream in [false, true] {
        let body = json!({"decision": "approve", "stream": stream});
        let reply = decide(&alone, "ana", &asked.id, &body).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, "orchestrator_unavailable"),
            "{reply:?}"
        );
        alone.settle_run().await;
    }
    for path in [LIST.to_owned(), format!("{LIST}/{}", asked.id)] {
        let reply = alone.get(&path, "ana").await;
        assert_eq!(reply.code(), "orchestrator_unavailable");
    }
    assert_eq!(messages(&gateway, &asked.conversation).await.len(), 2);
    assert_eq!(state(&gateway, "ana", &asked.id).await, "pending");
    // Whatever is decided then.
    let reply = decide(&gateway, "ana", &asked.id, &deny()).await;
    assert_eq!(text(&reply), "Not sent: ");
    assert_eq!(seen.decisions.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_rest_of_an_answer_counts_in_budgets_and_waits_for_them() {
    const ONE: &str = "name: day, scope: User, per: Day, requests: 1";
    const TWO: &str = "name: day, scope: User, per: Day, requests: 2";
    let Some((_server, gateway, seen)) = budgets::stored(&[ONE]).await else {
        return;
    };
    let asked = asked(&gateway, "ana", "send_mail").await;
    let reply = decide(&gateway, "ana", &asked.id, &approve()).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "budget_exceeded"),
        "{reply:?}"
    );
    assert!(seen.decisions.lock().unwrap().is_empty());
    assert_eq!(state(&gateway, "ana", &asked.id).await, "pending");

    // The control.
    let Some((_server, gateway, _)) = budgets::stored(&[TWO]).await else {
        return;
    };
    let asked = super::asked(&gateway, "ana", "send_mail").await;
    let reply = decide(&gateway, "ana", &asked.id, &approve()).await;
    assert_eq!(text(&reply), "Sent.");
    assert_eq!(used(&gateway, "ana").await["day"]["requests"], 2);
}

#[tokio::test]
async fn what_is_not_stored_is_decided_and_not_stored_either() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let extra = ask(&gateway, "ana", "send_mail", false).await.json()["lotoai"].clone();
    assert_eq!(extra["conversation_id"], Value::Null);
    let id = extra["approvals"][0]["id"].as_str().unwrap();
    let reply = decide(&gateway, "ana", id, &approve()).await;
    assert_eq!(text(&reply), "Sent.");
    let reply = decide(&gateway, "ana", id, &approve()).await;
    assert_eq!(reply.code(), "approval_decided");
    let pool = server.pool();
    let stored: i64 = sqlx::query_scalar("select count(*) from messages")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(stored, 0);
    // What is kept, that it was decided, is not kept for long.
    let store = &gateway.state.store;
    assert_eq!(store.sweep_approvals().await.unwrap(), 0);
    let old = "update approvals set created_at = now() - interval '49 hours'";
    sqlx::query(old).execute(&pool).await.unwrap();
    assert_eq!(store.sweep_approvals().await.unwrap(), 1);
}
