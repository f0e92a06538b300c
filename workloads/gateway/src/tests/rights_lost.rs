//! Answers that are open while their caller loses rights, here or on another replica.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use wiremock::matchers::{body_string_contains, method, path};
use wiremock::{Mock, ResponseTemplate};

use super::api_keys::{bearing, key};
use super::browser::{ANA, Person, TOKEN, me, sign_in_as, tokens};
use super::keys::claims;
use super::postgres::Database;
use super::support::{Answer, Gateway, PUBLIC_URL};
use crate::identity::token::{SKEW_SECONDS, now};

/// A group that Ana and Eve have.
pub(super) const STAFF: [&str; 1] = ["staff"];

pub(super) const EVE: Person<'static> = Person {
    subject: "eve",
    groups: &STAFF,
    provider_session: "kc-eve-1",
};

/// A question of a browser.
fn with_session(session: &str) -> Request<Body> {
    Request::builder()
        .header("cookie", session)
        .header("origin", PUBLIC_URL)
        .body(Body::empty())
        .unwrap()
}

fn with_token(token: &str) -> Request<Body> {
    bearing(Method::POST, "/", token)
}

/// A token of Ana, with these groups, that was issued so many seconds from now.
pub(super) fn token(gateway: &Gateway, groups: &[&str], issued_in: u64) -> String {
    let mut claims = claims("ana");
    claims["groups"] = json!(groups);
    claims["iat"] = json!(now() + issued_in);
    gateway.signer.sign(&claims)
}

/// The next renewals of a session give tokens of `person` for so many seconds, one after the other.
pub(super) async fn renewals(gateway: &Gateway, answers: &[(Person<'_>, u64)]) {
    for (person, expires_in) in answers {
        renewal(gateway, &tokens(gateway, *person, *expires_in, None)).await;
    }
}

/// One of the next renewals gives these tokens.
async fn renewal(gateway: &Gateway, tokens: &Value) {
    Mock::given(method("POST"))
        .and(path(TOKEN))
        .and(body_string_contains("grant_type=refresh_token"))
        .respond_with(ResponseTemplate::new(200).set_body_json(tokens))
        .up_to_n_times(1)
        .expect(1)
        .mount(&gateway.realm)
        .await;
}

async fn ends_with(answer: Answer, code: &str) {
    let rest = answer.rest().await;
    assert!(rest.contains(&format!(r#""code":"{code}""#)), "{rest}");
    assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
}

#[tokio::test]
async fn a_group_that_a_session_lost_ends_its_answers_on_every_replica() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let replica = gateway.replica(&server).await;
    let session = sign_in_as(&gateway, ANA, 10).await;
    let eves = sign_in_as(&gateway, EVE, 300).await;
    let without = Person { groups: &[], ..ANA };
    // The first is for the question. What it gives is not due on its replica for some seconds, but
    // for a request it is.
    renewals(&gateway, &[(ANA, 29), (without, 300)]).await;
    let there = replica.open(with_session(&session)).await;
    let mut control = replica.open(with_session(&eves)).await;
    assert_eq!(me(&gateway, &session).await.json()["groups"], json!([]));
    ends_with(there, "rights_changed").await;
    assert!(control.goes_on().await, "Eve has her group");
    // With the rights that are left it goes on.
    let mut again = replica.open(with_session(&session)).await;
    assert!(again.goes_on().await);
}

#[tokio::test]
async fn a_session_that_only_streams_is_renewed_and_loses_what_is_lost() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let replica = gateway.replica(&server).await;
    let session = sign_in_as(&gateway, ANA, 10).await;
    let without = Person { groups: &[], ..ANA };
    // What the question gets is due at the next look, and what that gets is not.
    renewals(&gateway, &[(ANA, 20), (ANA, 300)]).await;
    let mut kept = replica.open(with_session(&session)).await;
    assert!(kept.goes_on().await, "the control: nothing was lost");
    gateway.realm.verify().await;
    drop(kept);

    let session = sign_in_as(&gateway, ANA, 10).await;
    renewals(&gateway, &[(ANA, 20), (without, 300)]).await;
    let lost = replica.open(with_session(&session)).await;
    ends_with(lost, "rights_changed").await;
    gateway.realm.verify().await;
}

#[tokio::test]
async fn a_session_that_the_provider_ended_ends_its_answers_without_a_request() {
    let Some((server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let replica = gateway.replica(&server).await;
    let session = sign_in_as(&gateway, ANA, 10).await;
    renewals(&gateway, &[(ANA, 20)]).await;
    let ended = ResponseTemplate::new(400).set_body_json(json!({ "error": "invalid_grant" }));
    Mock::given(method("POST"))
        .and(path(TOKEN))
        .and(body_string_contains("grant_type=refresh_token"))
        .respond_with(ended)
        .mount(&gateway.realm)
        .await;
    let answer = replica.open(with_session(&session)).await;
    ends_with(answer, "signed_out").await;
}

/// Two programs of Ana's.
struct Programs {
    gateway: Gateway,
    /// Where they ask.
    replica: Gateway,
    /// Has her group.
    key: String,
    /// Has none, so that there is nothing that it could lose.
    harmless: String,
    _server: Database,
}

impl Programs {
    /// `None`, with the reason printed, when there is no PostgreSQL here.
    async fn start() -> Option<Self> {
        let (server, gateway, _) = Gateway::answering().await?;
        let replica = gateway.replica(&server).await;
        let program = json!({ "name": "staff" });
        let program = key(&gateway, "ana", &STAFF, &program).await;
        let harmless = json!({ "name": "none", "groups": [] });
        let harmless = key(&gateway, "ana", &STAFF, &harmless).await;
        Some(Self {
            gateway,
            replica,
            key: program,
            harmless,
            _server: server,
        })
    }

    /// An answer to the one that has her group.
    async fn by_key(&self) -> Answer {
        self.replica.open(with_token(&self.key)).await
    }

    /// An answer to the one that has none.
    async fn with_nothing_to_lose(&self) -> Answer {
        self.replica.open(with_token(&self.harmless)).await
    }
}

#[tokio::test]
async fn a_group_that_a_person_lost_ends_the_answers_of_programs() {
    let Some(it) = Programs::start().await else {
        return;
    };
    let (gateway, replica) = (&it.gateway, &it.replica);
    let eves = gateway.signer.token("eve", &STAFF);
    let by_key = it.by_key().await;
    let by_token = replica.open(with_token(&token(gateway, &STAFF, 0))).await;
    let mut control = replica.open(with_token(&eves)).await;
    let mut with_nothing_to_lose = it.with_nothing_to_lose().await;

    let reply = gateway
        .send(bearing(Method::GET, "/api/me", &token(gateway, &[], 5)))
        .await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    gateway.settle().await;
    ends_with(by_key, "rights_changed").await;
    ends_with(by_token, "rights_changed").await;
    assert!(control.goes_on().await);
    assert!(with_nothing_to_lose.goes_on().await);
}

#[tokio::test]
async fn a_group_that_a_session_lost_while_it_streams_ends_the_answers_of_programs() {
    let Some(it) = Programs::start().await else {
        return;
    };
    let (gateway, replica) = (&it.gateway, &it.replica);
    let session = sign_in_as(gateway, ANA, 10).await;
    // What the question gets is due at the next look. Nobody sends a request after it.
    renewals(gateway, &[(ANA, 20)]).await;
    let without = Person { groups: &[], ..ANA };
    let mut lost = tokens(gateway, without, 300, None);
    // Of the same second it would say nothing new.
    lost["access_token"] = json!(token(gateway, &[], 5));
    renewal(gateway, &lost).await;
    let by_key = it.by_key().await;
    let mut with_nothing_to_lose = it.with_nothing_to_lose().await;
    let by_session = replica.open(with_session(&session)).await;
    ends_with(by_session, "rights_changed").await;
    ends_with(by_key, "rights_changed").await;
    assert!(with_nothing_to_lose.goes_on().await);
    gateway.realm.verify().await;
}

#[tokio::test]
async fn an_answer_ends_with_the_token_that_began_it() {
    let Some((_server, gateway, _)) = Gateway::answering().await else {
        return;
    };
    let session = sign_in_as(&gateway, EVE, 300).await;
    let mut claims = claims("ana");
    let ends = now() + 300;
    claims["exp"] = json!(ends);
    let mut by_token = gateway
        .open(with_token(&gateway.signer.sign(&claims)))
        .await;
    let mut control = gateway.open(with_session(&session)).await;
    let watch = &gateway.state.watch;
    watch.expire(ends + SKEW_SECONDS);
    assert!(by_token.goes_on().await, "clocks may differ");
    watch.expire(ends + SKEW_SECONDS + 1);
    ends_with(by_token, "token_expired").await;
    assert!(control.goes_on().await, "a session has other tokens");
}
