//! A thing of somebody else looks like none: to the letter, and in what is done to find out.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use lotoai_policy::Needs;
use serde_json::{Value, json};

use super::platform::{Platform, Proof};
use super::requests::{path_of, request};
use crate::domain::responses_request::id_of;
use crate::routes::table;
use crate::tests::statements::Statements;
use crate::tests::support::Reply;

const UNKNOWN: &str = "019aab4e-0000-7000-8000-000000000000";

impl Platform {
    /// An answer, and the statements that it took.
    async fn watched(&self, request: Request<Body>) -> (Reply, Vec<String>) {
        let asked = async {
            let reply = self.ask(request).await;
            self.gateway.settle().await;
            reply
        };
        Statements::of(asked).await
    }

    /// Eve and Ana. What is new of their tokens is heard before anything is compared.
    async fn stranger_and_owner(&self) -> (Proof, Proof) {
        let eve = Proof::Bearer(self.gateway.signer.token("eve", &["sales"]));
        let ana = Proof::Bearer(self.gateway.signer.token("ana", &["hr"]));
        for caller in [&eve, &ana] {
            self.send(&Method::GET, "/api/me", caller).await;
        }
        self.gateway.settle().await;
        (eve, ana)
    }
}

/// What somebody else's thing and none are answered with: the same, after the same round trips to the
/// database, of which there are some. So neither takes longer.
fn check_alike(what: &str, foreign: &(Reply, Vec<String>), unknown: &(Reply, Vec<String>)) {
    let ((foreign, statements), (unknown, others)) = (foreign, unknown);
    assert_eq!(foreign.status, StatusCode::NOT_FOUND, "{what}: {foreign:?}");
    assert_eq!(
        (foreign.status, &foreign.headers, &foreign.body),
        (unknown.status, &unknown.headers, &unknown.body),
        "{what}"
    );
    assert!(!statements.is_empty(), "{what} asks nothing");
    assert_eq!(statements, others, "{what}");
}

#[tokio::test]
async fn what_is_somebody_elses_looks_like_what_is_not_there() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    let (eve, ana) = platform.stranger_and_owner().await;
    let (mut compared, mut told_apart) = (0, 0);
    for route in table() {
        // What only administrators may do is refused to all others alike.
        let alike = route.needs == Needs::Admin || route.path.starts_with("/v1/models");
        if !route.path.contains("{id}") || alike {
            continue;
        }
        let things = platform.things().await;
        let path = path_of(route.path, &things);
        let watched = |path: &str, caller| platform.watched(request(&route.method, path, caller));
        let foreign = watched(&path, &eve).await;
        // An id of another form is told from both without a look.
        let form = match route.path.starts_with("/v1/responses") {
            true => id_of(UNKNOWN.parse().unwrap()),
            false => UNKNOWN.to_owned(),
        };
        let unknown = route.path.replace("{id}", &form);
        let unknown = watched(&unknown, &eve).await;
        check_alike(&path, &foreign, &unknown);
        let (own, statements) = watched(&path, &ana).await;
        assert!(own.status.is_success(), "the control of {path}: {own:?}");
        told_apart += usize::from(statements != unknown.1);
        compared += 1;
    }
    assert_eq!(compared, 24);
    // The control: what is there takes more than what is not.
    assert!(told_apart > 0, "nothing is seen of what was asked");
    platform.check_statuses();
}

/// A request whose body names `thing` in `field`; `own` is a conversation of the caller.
fn naming(field: &str, thing: &str, own: &str, caller: &Proof) -> Request<Body> {
    let (path, mut body) = match field {
        "metadata.conversation_id" => (
            "/v1/chat/completions".to_owned(),
            json!({
                "model": "lotoai", "store": true, "metadata": { "conversation_id": thing },
                "messages": [{ "role": "user", "content": "?" }],
            }),
        ),
        "message_id" => (format!("/api/conversations/{own}/branch"), json!({})),
        _ => (
            "/v1/responses".to_owned(),
            json!({ "model": "lotoai", "input": "?" }),
        ),
    };
    if !field.contains('.') {
        body[field] = Value::from(thing);
    }
    let mut request = request(&Method::POST, &path, caller);
    *request.body_mut() = Body::from(body.to_string());
    request
}

#[tokio::test]
async fn what_a_body_names_of_somebody_elses_looks_like_what_is_not_there() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    let (eve, ana) = platform.stranger_and_owner().await;
    let own = uuid::Uuid::now_v7();
    sqlx::query("insert into conversations (id, owner, title) values ($1, 'eve', 'her own')")
        .bind(own)
        .execute(&platform.pool)
        .await
        .unwrap();
    let own = own.to_string();
    for field in [
        "metadata.conversation_id",
        "conversation",
        "previous_response_id",
        "message_id",
    ] {
        let things = platform.things().await;
        let (thing, unknown) = match field {
            "previous_response_id" => (&things.response, id_of(UNKNOWN.parse().unwrap())),
            // A message has the id of its conversation here.
            _ => (&things.conversation, UNKNOWN.to_owned()),
        };
        let watched =
            |thing: &str, own: &str, caller| platform.watched(naming(field, thing, own, caller));
        let foreign = watched(thing, &own, &eve).await;
        let unknown = watched(&unknown, &own, &eve).await;
        check_alike(field, &foreign, &unknown);
        let (answer, statements) = watched(thing, &things.conversation, &ana).await;
        let is_answered = answer.status.is_success();
        assert!(is_answered, "the control of {field}: {answer:?}");
        assert_ne!(statements, unknown.1, "the control of {field}");
    }
    platform.check_statuses();
}
