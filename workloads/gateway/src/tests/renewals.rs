//! New tokens for sessions, while the provider takes its time.

use std::sync::{Mutex, mpsc as blocking};
use std::time::Duration;

use axum::http::StatusCode;
use futures::future::join_all;
use rstest::rstest;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use wiremock::matchers::{body_string_contains, method, path};
use wiremock::{Mock, Request, Respond, ResponseTemplate};

use super::browser::{ANA, TOKEN, me, sign_in, tokens};
use super::support::{Gateway, Parts};

const DEADLINE: Duration = Duration::from_secs(30);

/// Keeps refreshes waiting until the test hangs up.
struct Holding {
    asked: mpsc::UnboundedSender<()>,
    hung_up: Mutex<blocking::Receiver<()>>,
    answer: ResponseTemplate,
}

impl Respond for Holding {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let _ = self.asked.send(());
        // The provider has a thread of its own, which answers nothing else meanwhile.
        let _ = self.hung_up.lock().unwrap().recv();
        self.answer.clone()
    }
}

/// The test's end of it.
struct Held {
    asked: mpsc::UnboundedReceiver<()>,
    let_go: blocking::Sender<()>,
}

/// Has the provider keep refreshes waiting, of which there will be so many.
async fn hold(gateway: &Gateway, refreshes: u64) -> Held {
    let (asking, asked) = mpsc::unbounded_channel();
    let (let_go, hung_up) = blocking::channel();
    let holding = Holding {
        asked: asking,
        hung_up: Mutex::new(hung_up),
        answer: ResponseTemplate::new(200).set_body_json(tokens(gateway, ANA, 300, None)),
    };
    Mock::given(method("POST"))
        .and(path(TOKEN))
        .and(body_string_contains("grant_type=refresh_token"))
        .respond_with(holding)
        .expect(refreshes)
        .mount(&gateway.realm)
        .await;
    Held { asked, let_go }
}

/// Waits until so many connections are in this state.
async fn connections(pool: &PgPool, state: &'static str, at_least: i64) {
    let statement = format!(
        "select count(*) from pg_stat_activity where datname = current_database() and {state}"
    );
    let reached = async {
        loop {
            let count = sqlx::query_scalar(sqlx::AssertSqlSafe(statement.clone()));
            if count
                .fetch_one(pool)
                .await
                .is_ok_and(|count: i64| count >= at_least)
            {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, reached).await.expect(state);
}

#[rstest]
#[case::while_the_token_holds(29)]
#[case::when_it_is_over(0)]
#[tokio::test]
async fn two_replicas_refresh_once_and_a_browser_that_leaves_loses_nothing(#[case] seconds: u64) {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let pool = server.pool();
    let replica = gateway.replica(&server).await;
    // The provider will be busy, and this one does not know the signing keys yet.
    replica.state.verifier.jwks().for_sign_in().await.unwrap();
    let session = sign_in(&gateway, seconds).await;
    let Held { mut asked, let_go } = hold(&gateway, 1).await;
    // A browser that leaves while its token is being replaced.
    tokio::select! {
        reply = me(&gateway, &session) => panic!("nobody has answered yet: {reply:?}"),
        asked = asked.recv() => assert!(asked.is_some()),
    }
    let replicas = [&gateway, &replica];
    let letting_go = async {
        if seconds == 0 {
            connections(&pool, "wait_event_type = 'Lock'", 1).await;
        } else {
            // Nobody waits for a new token who has one that holds.
            for replica in replicas {
                assert_eq!(me(replica, &session).await.status, StatusCode::OK);
            }
        }
        drop(let_go);
    };
    let asking = join_all((0..12).map(|at| me(replicas[at % 2], &session)));
    let (replies, ()) = tokio::join!(asking, letting_go);
    for reply in replies {
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    }
    // What the provider gave was kept: nobody asks it again.
    gateway.settle().await;
    assert_eq!(me(&replica, &session).await.status, StatusCode::OK);
    gateway.realm.verify().await;
}

#[tokio::test]
async fn a_provider_that_is_slow_takes_no_connection_from_those_who_do_not_need_it() {
    let Some((server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let pool = server.pool();
    // One more than there are connections.
    let mut sessions = Vec::new();
    for _ in 0..=gateway.state.store.connections() {
        sessions.push(sign_in(&gateway, 0).await);
    }
    let Held {
        asked: _asked,
        let_go,
    } = hold(&gateway, sessions.len() as u64).await;
    let asking = join_all(sessions.iter().map(|session| me(&gateway, session)));
    let other = async {
        connections(&pool, "state = 'idle in transaction'", 2).await;
        let reply = gateway.get("/api/conversations", "bob").await;
        drop(let_go);
        reply
    };
    let (replies, other) = tokio::join!(asking, other);
    assert_eq!(other.status, StatusCode::OK, "{other:?}");
    for reply in replies {
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    }
    gateway.realm.verify().await;
}
