//! Signing keys of the issuer that change, or are out of reach, while many people send requests.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use futures::future::join_all;
use tokio::sync::Notify;
use tokio::time::Instant;
use wiremock::matchers::{method, path};
use wiremock::{Mock, ResponseTemplate};

use super::api_keys::bearing;
use super::keys::{CERTS, Signer, publish};
use super::support::{Gateway, Parts, Reply};
use crate::identity::jwks::Lookup;

const PATIENCE: Duration = Duration::from_secs(60);
const WORKERS: usize = 8;
/// So many answers with a key show that it is good.
const ENOUGH: usize = 100;

/// Has the gateway fetch the signing keys as it does every minute; what came of it.
pub(crate) async fn fetch(gateway: &Gateway) -> Result<(), String> {
    let fetched = Mutex::new(None);
    let told = Notify::new();
    tokio::select! {
        () = gateway.state.verifier.jwks().keep_fresh(|outcome| {
            *fetched.lock().unwrap() = Some(outcome);
            told.notify_one();
        }) => {}
        () = told.notified() => {}
    }
    fetched.into_inner().unwrap().unwrap()
}

/// People who send requests all the time, each with a token of its own.
struct Load<'g> {
    gateway: &'g Gateway,
    /// What the issuer signs with now, by turns.
    signers: Mutex<Vec<Signer>>,
    /// Good answers by the key of the token.
    answered: Mutex<HashMap<String, usize>>,
    refused: Mutex<Vec<Reply>>,
    is_over: AtomicBool,
}

impl<'g> Load<'g> {
    fn new(gateway: &'g Gateway, signers: &[&Signer]) -> Self {
        let load = Self {
            gateway,
            signers: Mutex::default(),
            answered: Mutex::default(),
            refused: Mutex::default(),
            is_over: AtomicBool::new(false),
        };
        load.sign_with(signers);
        load
    }

    fn sign_with(&self, signers: &[&Signer]) {
        let signers = signers.iter().map(|&signer| signer.clone()).collect();
        *self.signers.lock().unwrap() = signers;
    }

    fn signer(&self, turn: usize) -> Signer {
        let signers = self.signers.lock().unwrap();
        signers[turn % signers.len()].clone()
    }

    async fn work(&self, worker: usize) {
        let mut turn = worker;
        while !self.is_over.load(Ordering::Relaxed) {
            let signer = self.signer(turn);
            let token = signer.token(&format!("person-{worker}-{turn}"), &[]);
            // When its token is checked first, and when that is known.
            for _ in 0..2 {
                let reply = get(self.gateway, &token).await;
                if reply.status == StatusCode::OK {
                    let mut answered = self.answered.lock().unwrap();
                    *answered.entry(signer.id.clone()).or_default() += 1;
                } else {
                    self.refused.lock().unwrap().push(reply);
                }
                tokio::task::yield_now().await;
            }
            turn += 1;
        }
    }

    /// Waits for more good answers to tokens of this signer.
    async fn goes_on(&self, signer: &Signer) {
        let count = || {
            let answered = self.answered.lock().unwrap();
            answered.get(&signer.id).copied().unwrap_or(0)
        };
        let enough = count() + ENOUGH;
        let reached = async {
            while count() < enough {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let reached = tokio::time::timeout(PATIENCE, reached).await;
        reached.unwrap_or_else(|_| panic!("{:?}", self.refused.lock().unwrap().last()));
    }

    /// Has everybody work while `script` goes on; nobody may be refused.
    async fn during(&self, script: impl Future<Output = ()>) {
        let script = async {
            script.await;
            self.is_over.store(true, Ordering::Relaxed);
        };
        let workers = join_all((0..WORKERS).map(|worker| self.work(worker)));
        tokio::join!(workers, script);
        let refused = self.refused.lock().unwrap();
        assert!(refused.is_empty(), "{refused:?}");
    }
}

async fn get(gateway: &Gateway, token: &str) -> Reply {
    gateway.send(bearing(Method::GET, "/api/me", token)).await
}

/// What the issuer publishes from now on.
async fn republish(gateway: &Gateway, signers: &[&Signer]) {
    gateway.realm.reset().await;
    publish(&gateway.realm, signers).await;
}

#[tokio::test]
async fn a_rotation_of_keys_under_load_refuses_nobody() {
    let gateway = Gateway::start(Parts::default()).await;
    let (old, new) = (gateway.signer.clone(), Signer::ec("key-2"));
    fetch(&gateway).await.unwrap();
    let load = Load::new(&gateway, &[&old]);
    let script = async {
        load.goes_on(&old).await;
        // The issuer publishes a key, signs with it, and lets the tokens of the other one run out.
        republish(&gateway, &[&old, &new]).await;
        load.goes_on(&old).await;
        load.sign_with(&[&old, &new]);
        load.goes_on(&new).await;
        load.goes_on(&old).await;
        load.sign_with(&[&new]);
        load.goes_on(&new).await;
        let late = old.token("late", &[]);
        assert_eq!(get(&gateway, &late).await.status, StatusCode::OK);
        republish(&gateway, &[&new]).await;
        load.goes_on(&new).await;
        fetch(&gateway).await.unwrap();
        let reply = get(&gateway, &late).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (StatusCode::UNAUTHORIZED, "token_invalid"),
            "{reply:?}"
        );
        load.goes_on(&new).await;
    };
    load.during(script).await;
}

#[tokio::test]
async fn an_issuer_that_is_down_for_a_while_refuses_nobody_whose_key_is_known() {
    let gateway = Gateway::start(Parts::default()).await;
    let (old, new) = (gateway.signer.clone(), Signer::ec("key-2"));
    fetch(&gateway).await.unwrap();
    let jwks = gateway.state.verifier.jwks();
    assert!(jwks.reachable());
    gateway.realm.reset().await;
    let load = Load::new(&gateway, &[&old]);
    let script = async {
        for _ in 0..3 {
            fetch(&gateway).await.unwrap_err();
            assert!(!jwks.reachable());
            load.goes_on(&old).await;
        }
        // The control: a key that nobody can be asked for.
        let reply = get(&gateway, &new.token("bo", &[])).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, "identity_unavailable"),
            "{reply:?}"
        );
    };
    load.during(script).await;
}

#[tokio::test]
async fn an_issuer_that_is_back_has_its_new_keys_known() {
    let gateway = Gateway::start(Parts::default()).await;
    let new = Signer::ec("key-2");
    fetch(&gateway).await.unwrap();
    gateway.realm.reset().await;
    fetch(&gateway).await.unwrap_err();
    let token = new.token("bo", &[]);
    assert_eq!(get(&gateway, &token).await.code(), "identity_unavailable");
    publish(&gateway.realm, &[&new]).await;
    fetch(&gateway).await.unwrap();
    assert_eq!(get(&gateway, &token).await.status, StatusCode::OK);
    // What it has withdrawn meanwhile is good no more.
    let withdrawn = gateway.signer.token("ana", &[]);
    assert_eq!(get(&gateway, &withdrawn).await.code(), "token_invalid");
}

/// A gateway that has the signing keys, and whose issuer takes its time from now on.
async fn whose_issuer_falls_silent() -> Gateway {
    let gateway = Gateway::start(Parts::default()).await;
    fetch(&gateway).await.unwrap();
    gateway.realm.reset().await;
    let silent = ResponseTemplate::new(200).set_delay(PATIENCE);
    Mock::given(method("GET"))
        .and(path(CERTS))
        .respond_with(silent)
        .mount(&gateway.realm)
        .await;
    gateway
}

/// The issuer takes its time, and whoever names an unknown key leaves before it answers.
#[tokio::test]
async fn who_leaves_has_the_keys_fetched_no_more_often_than_who_waits() {
    const LEAVERS: usize = 20;
    let gateway = whose_issuer_falls_silent().await;
    let began = Instant::now();
    for leaver in 0..LEAVERS {
        let id = format!("unknown-{leaver}");
        let looking = gateway.state.verifier.jwks().find(&id);
        let found = tokio::time::timeout(Duration::from_millis(150), looking).await;
        assert!(found.is_err(), "nobody has answered");
    }
    let asked = gateway.realm.received_requests().await.unwrap().len();
    // Once a second: at both ends of the time one more.
    let most = usize::try_from(began.elapsed().as_secs()).unwrap() + 2;
    assert!(asked <= most, "{asked} times, and not {most}");
}

/// Strangers name keys that there are not, while the issuer takes its time.
#[tokio::test]
async fn who_waits_for_a_key_leaves_places_to_those_whose_key_is_known() {
    const ALL: usize = 1_024;
    let gateway = whose_issuer_falls_silent().await;
    let jwks = gateway.state.verifier.jwks();
    let ids: Vec<String> = (0..ALL).map(|number| format!("unknown-{number}")).collect();
    let mut waiting = Vec::new();
    for id in &ids {
        let mut looking = Box::pin(jwks.find(id));
        match futures::poll!(&mut looking) {
            Poll::Pending => waiting.push(looking),
            Poll::Ready(found) => assert!(matches!(found, Lookup::Crowded)),
        }
    }
    assert!(
        waiting.len() > WORKERS && waiting.len() <= ALL / 4,
        "{}",
        waiting.len()
    );
    let stranger = Signer::ec("unknown").token("eve", &[]);
    let refused = get(&gateway, &stranger).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (429, "overloaded")
    );
    // The control: whose key is known is served, and who waits is let in again when others have left.
    let known = gateway.signer.token("ana", &[]);
    assert_eq!(get(&gateway, &known).await.status, StatusCode::OK);
    drop(waiting);
    let mut looking = Box::pin(jwks.find("unknown"));
    assert!(futures::poll!(&mut looking).is_pending());
}
