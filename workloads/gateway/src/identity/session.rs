//! Sessions of browsers. The cookie is a random value of which only the hash is stored; the
//! tokens are stored sealed.

mod ending;
mod open;
mod renewing;

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest as _, Sha256};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use self::renewing::Renewals;
use super::login::{Login, Tokens};
use super::seal::{SealingKey, random_text};
use super::token::{TokenVerifier, now};
use super::watch::Watch;
use super::{Credential, Identity, SessionHash};
use crate::config::SessionArgs;
use crate::failure::Failure;
use crate::store::{ListedSession, NewSession, Store, StoreError};

/// Name of the session cookie. The prefix makes browsers refuse it without Secure and Path=/.
pub const SESSION_COOKIE: &str = "__Host-lotoai";
/// Name of the cookie that holds a sign-in attempt.
pub const ATTEMPT_COOKIE: &str = "__Host-lotoai-login";
/// A token with less than this left is replaced before it is used.
const REFRESH_BEFORE_SECONDS: u64 = 30;
/// What is kept of the name that a browser gives itself.
const USER_AGENT_CHARS: usize = 200;

/// The sessions. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    store: Store,
    key: SealingKey,
    login: Arc<Login>,
    verifier: Arc<TokenVerifier>,
    watch: Watch,
    tasks: TaskTracker,
    limits: SessionArgs,
    renewals: Renewals,
}

/// What sessions rest on.
pub struct SessionParts {
    /// Where they are kept.
    pub store: Store,
    /// What seals them.
    pub key: SealingKey,
    /// The provider.
    pub login: Arc<Login>,
    /// Checks tokens.
    pub verifier: Arc<TokenVerifier>,
    /// Ends what they began.
    pub watch: Watch,
    /// Work that outlives its request.
    pub tasks: TaskTracker,
    /// How long they last.
    pub limits: SessionArgs,
}

impl Sessions {
    /// No session is open yet.
    pub fn new(parts: SessionParts) -> Self {
        let renewals = Renewals::new(&parts.store);
        Self(Arc::new(Inner {
            store: parts.store,
            key: parts.key,
            login: parts.login,
            verifier: parts.verifier,
            watch: parts.watch,
            tasks: parts.tasks,
            limits: parts.limits,
            renewals,
        }))
    }

    /// Opens a session; the value of its cookie.
    ///
    /// # Errors
    /// 401 when the access token is not good for this platform, 503 when something is away.
    pub async fn open(&self, tokens: &Tokens, user_agent: &str) -> Result<String, Failure> {
        let identity = self.0.verifier.verify(&tokens.access_token).await?;
        let cookie = random_text().map_err(|_| Failure::internal())?;
        let hash = hash(&cookie);
        let sealed = self.0.seal(&hash, tokens)?;
        self.0
            .store
            .insert_session(&NewSession {
                hash,
                id: Uuid::now_v7(),
                subject: &identity.subject,
                sealed: &sealed,
                groups: &identity.groups,
                said_at: identity.issued_at,
                provider_session: tokens.provider_session.as_deref(),
                user_agent: &user_agent
                    .chars()
                    .take(USER_AGENT_CHARS)
                    .collect::<String>(),
                seconds: self.0.limits.max_seconds,
            })
            .await?;
        Ok(cookie)
    }

    /// Who the session with this cookie belongs to.
    ///
    /// # Errors
    /// 401 when there is no such session (any more), 503 when something is away.
    pub async fn identify(&self, cookie: &str) -> Result<Arc<Identity>, Failure> {
        let hash = hash(cookie);
        let (tokens, stale) = self.tokens(hash).await?;
        if stale {
            self.note_use(hash);
        }
        let verified = self.0.verifier.verify(&tokens.access_token).await;
        let known = verified.map_err(|failure| {
            if failure.status == StatusCode::UNAUTHORIZED {
                session_over()
            } else {
                failure
            }
        })?;
        let mut identity = Identity::clone(&known);
        identity.credential = Credential::Session(hash);
        identity.expires_at = identity.expires_at.min(tokens.expires_at);
        Ok(Arc::new(identity))
    }

    /// The tokens of a session, renewed when they are about to end, and whether its last use was
    /// noted more than a minute ago.
    ///
    /// # Errors
    /// 401 when there is no such session (any more), 503 when something is away.
    async fn tokens(&self, hash: SessionHash) -> Result<(Tokens, bool), Failure> {
        let idle = self.0.limits.idle_seconds;
        let found = self.0.store.session(&hash, idle).await?;
        let stored = found.ok_or_else(session_over)?;
        let tokens = self.0.unseal(&hash, &stored.sealed)?;
        if tokens.expires_at >= now() + REFRESH_BEFORE_SECONDS {
            return Ok((tokens, stored.stale));
        }
        Ok((self.renewed(hash, tokens).await?, stored.stale))
    }

    /// The sessions of a person, or of everybody, that go on, newest first; `identity` asks.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(
        &self,
        identity: &Identity,
        subject: Option<&str>,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<ListedSession>, StoreError> {
        let current = identity.session();
        let idle = self.0.limits.idle_seconds;
        let store = &self.0.store;
        store.sessions(subject, idle, current, after, limit).await
    }

    /// Seconds after which a session ends, used or not.
    pub fn max_seconds(&self) -> u64 {
        self.0.limits.max_seconds
    }

    fn note_use(&self, hash: SessionHash) {
        let inner = Arc::clone(&self.0);
        self.0.tasks.spawn(async move {
            if let Err(error) = inner.store.touch_session(&hash).await {
                tracing::warn!(
                    error = crate::error::chain(&error),
                    "the use of a session was not noted"
                );
            }
        });
    }
}

impl Inner {
    fn seal(&self, hash: &SessionHash, tokens: &Tokens) -> Result<Vec<u8>, Failure> {
        let plain = serde_json::to_vec(tokens).map_err(|_| Failure::internal())?;
        self.key
            .seal(&purpose(hash), &plain)
            .map_err(|_| Failure::internal())
    }

    /// A row that does not open was sealed with an earlier key: the person signs in again.
    fn unseal(&self, hash: &SessionHash, sealed: &[u8]) -> Result<Tokens, Failure> {
        let plain = self
            .key
            .open(&purpose(hash), sealed)
            .map_err(|_| session_over())?;
        serde_json::from_slice(&plain).map_err(|_| session_over())
    }
}

fn purpose(hash: &SessionHash) -> Vec<u8> {
    [b"lotoai session v1 ".as_slice(), hash].concat()
}

fn hash(cookie: &str) -> SessionHash {
    Sha256::digest(cookie.as_bytes()).into()
}

fn session_over() -> Failure {
    let mut failure = Failure::new(
        StatusCode::UNAUTHORIZED,
        "session_expired",
        "the session is over; sign in again at /auth/login",
    );
    failure.challenge = Some(super::authenticate::CHALLENGE);
    failure
}

/// The value of a cookie.
pub fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// `Set-Cookie` for one of our cookies; no seconds delete it.
pub fn set_cookie(name: &str, value: &str, seconds: u64) -> Result<HeaderValue, Failure> {
    format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}")
        .parse()
        .map_err(|_| Failure::internal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append("cookie", "a=1; __Host-lotoai=xyz; b=2".parse().unwrap());
        headers.append("cookie", "c=3".parse().unwrap());
        assert_eq!(cookie(&headers, SESSION_COOKIE), Some("xyz"));
        assert_eq!(cookie(&headers, "c"), Some("3"));
        assert_eq!(cookie(&headers, "lotoai"), None);
    }

    #[test]
    fn our_cookies_are_out_of_reach_of_scripts_and_plain_http() {
        assert_eq!(
            set_cookie(SESSION_COOKIE, "v", 5).unwrap(),
            "__Host-lotoai=v; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=5"
        );
    }
}
