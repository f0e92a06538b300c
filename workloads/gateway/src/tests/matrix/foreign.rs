//! A thing of somebody else looks like none: to the letter, and in what is done to find out.

use axum::http::{Method, StatusCode};
use lotoai_policy::Needs;

use super::platform::{Platform, Proof};
use super::requests::path_of;
use crate::domain::responses_request::id_of;
use crate::routes::table;
use crate::tests::statements::Statements;
use crate::tests::support::Reply;

const UNKNOWN: &str = "019aab4e-0000-7000-8000-000000000000";

impl Platform {
    /// An answer, and the statements that it took.
    async fn watched(&self, method: &Method, path: &str, proof: &Proof) -> (Reply, Vec<String>) {
        let asked = async {
            let reply = self.send(method, path, proof).await;
            self.gateway.settle().await;
            reply
        };
        Statements::of(asked).await
    }
}

#[tokio::test]
async fn what_is_somebody_elses_looks_like_what_is_not_there() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    let eve = Proof::Bearer(platform.gateway.signer.token("eve", &["sales"]));
    let ana = Proof::Bearer(platform.gateway.signer.token("ana", &["hr"]));
    // What is new of their tokens is heard once.
    for caller in [&eve, &ana] {
        platform.send(&Method::GET, "/api/me", caller).await;
    }
    platform.gateway.settle().await;
    let (mut compared, mut told_apart) = (0, 0);
    for route in table() {
        // What only administrators may do is refused to all others alike.
        let alike = route.needs == Needs::Admin || route.path.starts_with("/v1/models");
        if !route.path.contains("{id}") || alike {
            continue;
        }
        let things = platform.things().await;
        let path = path_of(route.path, &things);
        let (foreign, statements) = platform.watched(&route.method, &path, &eve).await;
        // An id of another form is told from both without a look.
        let form = match route.path.starts_with("/v1/responses") {
            true => id_of(UNKNOWN.parse().unwrap()),
            false => UNKNOWN.to_owned(),
        };
        let unknown = route.path.replace("{id}", &form);
        let (unknown, others) = platform.watched(&route.method, &unknown, &eve).await;
        assert_eq!(foreign.status, StatusCode::NOT_FOUND, "{path}: {foreign:?}");
        assert_eq!(
            (foreign.status, &foreign.headers, &foreign.body),
            (unknown.status, &unknown.headers, &unknown.body),
            "{path}"
        );
        // Neither takes longer: both take the same round trips to the database.
        assert!(!statements.is_empty(), "{path} asks nothing");
        assert_eq!(statements, others, "{path}");
        let (own, statements) = platform.watched(&route.method, &path, &ana).await;
        assert!(own.status.is_success(), "the control of {path}: {own:?}");
        told_apart += usize::from(statements != others);
        compared += 1;
    }
    assert_eq!(compared, 23);
    // The control: what is there takes more than what is not.
    assert!(told_apart > 0, "nothing is seen of what was asked");
    platform.check_statuses();
}
