//! Keycloak's administration, as its administrator uses it. The edge does not show it, and the API
//! server passes no token on, so it is spoken to from inside the network of its pod.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use lotoai_e2e::Platform;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::credentials;
use crate::inside::Inside;
use crate::support::NAME;

const PORT: u16 = 8443;
/// Administrators get tokens for a minute.
const TOKEN_USE: Duration = Duration::from_secs(30);
/// The client of the browsers' sign-in.
const WEB: &str = "lotoai-web";
/// The attribute of a client that says how long its access tokens live. Empty: as the realm says.
const TOKEN_LIFE: &str = "access.token.lifespan";
/// The kind of component that holds the keys of a realm.
const KEYS: &str = "org.keycloak.keys.KeyProvider";
/// Of people who are there for one test.
const PASSWORD: &str = "a password of a test, 4711";

/// Keycloak as its administrator sees it.
pub(crate) struct Keycloak {
    inside: Inside,
    authorities: String,
    username: String,
    password: String,
    token: Mutex<Option<(String, Instant)>>,
}

/// What it answered.
struct Reply {
    status: u16,
    /// Null when there was none.
    body: Value,
    /// When the head of the answer was here.
    at: Instant,
}

/// Somebody who can sign in.
pub(crate) struct Person {
    /// `sub` of their tokens.
    pub(crate) id: String,
    pub(crate) username: String,
    pub(crate) password: &'static str,
}

/// People of a test, who are in one group.
pub(crate) struct Lent {
    pub(crate) people: Vec<Person>,
    /// Identity of the group.
    pub(crate) group: String,
}

impl Keycloak {
    /// The platform's Keycloak. Nothing, with the reason printed, where it is out of reach.
    pub(crate) async fn of(platform: &Platform) -> Option<Self> {
        let inside = Inside::of(platform, "keycloak").await?;
        let account = credentials::account(platform, "keycloak-admin").await;
        Some(Self {
            inside,
            authorities: credentials::authorities(platform).await,
            username: account.username,
            password: account.password,
            token: Mutex::default(),
        })
    }

    /// Makes these people and a group for the time of `work`. They go whatever happens in it, and
    /// tokens live again as the realm says.
    pub(crate) async fn lend(&self, names: &[&str], work: impl AsyncFnOnce(&Lent)) {
        let outcome = AssertUnwindSafe(async {
            let lent = self.make(names).await;
            work(&lent).await;
        })
        .catch_unwind()
        .await;
        self.set_token_life(None).await;
        for name in names {
            self.remove("users", "username", &own(name)).await;
        }
        self.remove("groups", "search", &own("group")).await;
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    }

    /// Signs with a key of its own for the time of `work`, while those of before stay published. The
    /// key goes whatever happens in it.
    pub(crate) async fn with_another_key(&self, work: impl AsyncFnOnce()) {
        let name = own("key");
        // The realm's own ones have priority 100.
        let key = json!({
            "name": name, "providerType": KEYS, "providerId": "rsa-generated",
            "config": {
                "priority": ["1000"], "enabled": ["true"], "active": ["true"],
                "keySize": ["2048"], "algorithm": ["RS256"],
            },
        });
        let outcome = AssertUnwindSafe(async {
            self.ask(Method::POST, "components", Some(key)).await;
            work().await;
        })
        .catch_unwind()
        .await;
        self.remove("components", "name", &name).await;
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    }

    async fn make(&self, names: &[&str]) -> Lent {
        let group = json!({ "name": own("group") });
        self.ask(Method::POST, "groups", Some(group)).await;
        let group = self.find("groups", "search", &own("group")).await.unwrap();
        let mut people = Vec::new();
        for name in names {
            let username = own(name);
            // Whoever lacks one of these is asked for it at the first sign-in.
            let user = json!({
                "username": username, "email": format!("{username}@lotoai.invalid"),
                "emailVerified": true, "firstName": "Test", "lastName": "Person", "enabled": true,
                "credentials": [{ "type": "password", "value": PASSWORD, "temporary": false }],
            });
            self.ask(Method::POST, "users", Some(user)).await;
            let id = self.find("users", "username", &username).await.unwrap();
            let path = format!("users/{id}/groups/{group}");
            self.ask(Method::PUT, &path, Some(json!({}))).await;
            people.push(Person {
                id,
                username,
                password: PASSWORD,
            });
        }
        Lent { people, group }
    }

    /// Seconds that access tokens of browsers live from now on; none: as the realm says. Those that
    /// were given stay as they are.
    pub(crate) async fn set_token_life(&self, seconds: Option<u32>) {
        let path = format!("clients?clientId={WEB}");
        let mut client = self.ask(Method::GET, &path, None).await.body[0].take();
        let life = seconds.map(|seconds| seconds.to_string());
        client["attributes"][TOKEN_LIFE] = json!(life.unwrap_or_default());
        let path = format!("clients/{}", client["id"].as_str().unwrap());
        self.ask(Method::PUT, &path, Some(client)).await;
    }

    /// Takes the person out of the group; says when that was done.
    pub(crate) async fn leave(&self, person: &Person, group: &str) -> Instant {
        let path = format!("users/{}/groups/{group}", person.id);
        self.ask(Method::DELETE, &path, None).await.at
    }

    /// Signs the person out everywhere, as an administrator does; says when that was done.
    pub(crate) async fn sign_out(&self, person: &Person) -> Instant {
        let path = format!("users/{}/logout", person.id);
        self.ask(Method::POST, &path, None).await.at
    }

    /// How many stays the person has there.
    pub(crate) async fn stays(&self, person: &Person) -> usize {
        let path = format!("users/{}/sessions", person.id);
        let reply = self.ask(Method::GET, &path, None).await;
        reply.body.as_array().unwrap().len()
    }

    /// The identity of what has this name.
    async fn find(&self, kind: &str, field: &str, name: &str) -> Option<String> {
        let path = format!("{kind}?{field}={name}&exact=true");
        let found = self.ask(Method::GET, &path, None).await.body;
        Some(found.as_array()?.first()?["id"].as_str()?.to_owned())
    }

    async fn remove(&self, kind: &str, field: &str, name: &str) {
        if let Some(id) = self.find(kind, field, name).await {
            self.ask(Method::DELETE, &format!("{kind}/{id}"), None)
                .await;
        }
    }

    /// Calls the administration of the realm; panics when it refuses.
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        let what = format!("{method} {path}");
        let token = self.token().await;
        let url = url(&format!("admin/realms/lotoai/{path}"));
        let reply = self.send(move |http| {
            let request = http.request(method, url).bearer_auth(token);
            match body {
                Some(body) => request.json(&body),
                None => request,
            }
        });
        let reply = reply.await;
        let is_done = (200..300).contains(&reply.status);
        assert!(is_done, "{what}: {} {}", reply.status, reply.body);
        reply
    }

    async fn token(&self) -> String {
        let mut known = self.token.lock().await;
        if let Some((token, since)) = &*known
            && since.elapsed() < TOKEN_USE
        {
            return token.clone();
        }
        let form = [
            ("grant_type", "password".to_owned()),
            ("client_id", "admin-cli".to_owned()),
            ("username", self.username.clone()),
            ("password", self.password.clone()),
        ];
        let url = url("realms/master/protocol/openid-connect/token");
        let reply = self.send(move |http| http.post(url).form(&form)).await;
        let token = reply.body["access_token"].as_str();
        let token = token.unwrap_or_else(|| panic!("no token: {} {}", reply.status, reply.body));
        *known = Some((token.to_owned(), reply.at));
        token.to_owned()
    }

    async fn send(
        &self,
        request: impl FnOnce(&Client) -> RequestBuilder + Send + 'static,
    ) -> Reply {
        let host = host();
        let server = (host.as_str(), PORT);
        let told = self.inside.call(server, &self.authorities, request).await;
        Reply {
            status: told.status,
            body: serde_json::from_str(&told.text).unwrap_or(Value::Null),
            at: told.at,
        }
    }
}

/// A name that no other run of the tests has.
fn own(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}

fn host() -> String {
    format!("{NAME}-keycloak")
}

fn url(path: &str) -> String {
    format!("https://{}:{PORT}/{path}", host())
}
