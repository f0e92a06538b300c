//! Requests to the admin API.

use std::time::{Duration, Instant};

use ::http::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::config::KeycloakAdmin;
use crate::http::{Answer, HttpError, client, send};

/// A token is used this long; Keycloak gives administrators 60 s.
const TOKEN_USE: Duration = Duration::from_secs(30);

/// Keycloak as the administrator of realm `master` sees it.
pub(super) struct Api<'a> {
    client: reqwest::Client,
    admin: &'a KeycloakAdmin,
    realm: &'a str,
    token: Mutex<Option<(SecretString, Instant)>>,
}

#[derive(Deserialize)]
struct Token {
    access_token: SecretString,
}

/// What was done with a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    Created,
    Updated,
}

/// Part of every thing in Keycloak.
#[derive(Debug, Deserialize)]
pub(super) struct Thing {
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: String,
}

impl<'a> Api<'a> {
    pub(super) fn new(admin: &'a KeycloakAdmin, realm: &'a str) -> Result<Self, HttpError> {
        Ok(Self {
            client: client(admin.keycloak_ca_file.as_deref())?,
            admin,
            realm,
            token: Mutex::new(None),
        })
    }

    pub(super) fn realm(&self) -> &str {
        self.realm
    }

    fn url(&self, path: &[&str]) -> url::Url {
        let mut url = self.admin.keycloak_url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// Signs in anew: works only when the server is up and the password is right. An administrator
    /// with the password of before gets the other one.
    pub(super) async fn sign_in(&self) -> Result<(), HttpError> {
        let wanted = &self.admin.keycloak_password;
        let answer = self.ask_for_token(wanted).await?;
        let standby = &self.admin.keycloak_password_standby;
        let token: Token = match standby {
            // RFC 6749 §5.2 asks for 400 with `invalid_grant`; 401 comes of some versions.
            Some(standby)
                if matches!(
                    answer.status,
                    StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED
                ) =>
            {
                let old: Token = self.ask_for_token(standby).await?.json()?;
                self.renew(&old.access_token).await?;
                self.ask_for_token(wanted).await?.json()?
            }
            _ => answer.json()?,
        };
        *self.token.lock().await = Some((token.access_token, Instant::now()));
        Ok(())
    }

    async fn ask_for_token(&self, password: &SecretString) -> Result<Answer, HttpError> {
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", &self.admin.keycloak_username),
            ("password", password.expose_secret()),
        ];
        let url = self.url(&["realms", "master", "protocol", "openid-connect", "token"]);
        send("sign in to Keycloak", self.client.post(url).form(&form)).await
    }

    /// Gives the administrator the password that it should have.
    async fn renew(&self, token: &SecretString) -> Result<(), HttpError> {
        let username = self.admin.keycloak_username.as_str();
        let what = "look for the administrator";
        let query = [("username", username), ("exact", "true")];
        let path = ["master", "users"];
        let found = self.call_with(token, what, Method::GET, &path, &query, None);
        let found: Vec<Thing> = found.await?.json()?;
        let id = found.into_iter().next().map(|user| user.id);
        let id = id.ok_or_else(|| HttpError::Absent {
            what: what.to_owned(),
        })?;
        let what = "give the administrator its new password";
        let password = self.admin.keycloak_password.expose_secret();
        let body = json!({ "type": "password", "temporary": false, "value": password });
        let path = ["master", "users", id.as_str(), "reset-password"];
        self.call_with(token, what, Method::PUT, &path, &[], Some(&body))
            .await?
            .success()?;
        tracing::info!("{what}: done");
        Ok(())
    }

    async fn token(&self) -> Result<SecretString, HttpError> {
        let fresh = |(token, since): &(SecretString, Instant)| {
            (since.elapsed() < TOKEN_USE).then(|| token.clone())
        };
        let known = self.token.lock().await.as_ref().and_then(fresh);
        if let Some(token) = known {
            return Ok(token);
        }
        self.sign_in().await?;
        let token = self
            .token
            .lock()
            .await
            .as_ref()
            .map(|(token, _)| token.clone());
        token.ok_or_else(|| HttpError::Absent {
            what: "sign in to Keycloak".to_owned(),
        })
    }

    async fn call(
        &self,
        what: &str,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, HttpError> {
        let token = self.token().await?;
        self.call_with(&token, what, method, path, query, body)
            .await
    }

    async fn call_with(
        &self,
        token: &SecretString,
        what: &str,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, HttpError> {
        let all: Vec<&str> = ["admin", "realms"].iter().chain(path).copied().collect();
        let mut request = self.client.request(method, self.url(&all)).query(query);
        request = request.bearer_auth(token.expose_secret());
        if let Some(body) = body {
            request = request.json(body);
        }
        send(what, request).await
    }

    fn in_realm<'p>(&'p self, path: &[&'p str]) -> Vec<&'p str> {
        [self.realm].iter().chain(path).copied().collect()
    }

    /// The thing at `path` in the realm, or `None` when there is none.
    pub(super) async fn find<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &[&str],
    ) -> Result<Option<T>, HttpError> {
        let answer = self
            .call(what, Method::GET, &self.in_realm(path), &[], None)
            .await?;
        answer.found()?.map(Answer::json).transpose()
    }

    /// The things at `path` in the realm that `query` asks for.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Vec<T>, HttpError> {
        self.call(what, Method::GET, &self.in_realm(path), query, None)
            .await?
            .json()
    }

    /// Creates something below `path` in the realm; false when it was there.
    pub(super) async fn create(
        &self,
        what: &str,
        path: &[&str],
        body: &Value,
    ) -> Result<bool, HttpError> {
        let answer = self
            .call(what, Method::POST, &self.in_realm(path), &[], Some(body))
            .await?;
        // Some calls of this API answer 204 to a creation.
        if answer.status == StatusCode::CONFLICT {
            return Ok(false);
        }
        answer.success().map(|_| true)
    }

    /// Replaces what stands at `path` in the realm.
    pub(super) async fn replace(
        &self,
        what: &str,
        path: &[&str],
        body: &Value,
    ) -> Result<(), HttpError> {
        let path = self.in_realm(path);
        self.call(what, Method::PUT, &path, &[], Some(body))
            .await?
            .success()
            .map(drop)
    }

    /// Creates the realm itself.
    pub(super) async fn create_realm(&self, body: &Value) -> Result<(), HttpError> {
        self.call("create the realm", Method::POST, &[], &[], Some(body))
            .await?
            .success()
            .map(drop)
    }
}
