//! Sessions of browsers. The cookie is a random value of which only the hash is stored; the
//! tokens are stored sealed.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest as _, Sha256};

use super::Identity;
use super::login::{Login, RefreshFailure, Tokens};
use super::seal::{SealingKey, random_text};
use super::token::{TokenVerifier, now, provider_unavailable};
use crate::failure::Failure;
use crate::store::Store;

/// Name of the session cookie. The prefix makes browsers refuse it without Secure and Path=/.
pub const SESSION_COOKIE: &str = "__Host-lotoai";
/// Name of the cookie that holds a sign-in attempt.
pub const ATTEMPT_COOKIE: &str = "__Host-lotoai-login";
/// A session ends after this long, whatever happens.
pub const SESSION_SECONDS: u64 = 10 * 3600;
/// A token with less than this left is replaced before it is used.
const REFRESH_BEFORE_SECONDS: u64 = 30;

/// The sessions.
pub struct Sessions {
    store: Store,
    key: SealingKey,
    login: Arc<Login>,
    verifier: Arc<TokenVerifier>,
}

impl Sessions {
    /// Sessions kept in `store` and sealed with `key`.
    pub fn new(
        store: Store,
        key: SealingKey,
        login: Arc<Login>,
        verifier: Arc<TokenVerifier>,
    ) -> Self {
        Self {
            store,
            key,
            login,
            verifier,
        }
    }

    /// Opens a session; the value of its cookie.
    ///
    /// # Errors
    /// 401 when the access token is not good for this platform, 503 when something is away.
    pub async fn open(&self, tokens: &Tokens) -> Result<String, Failure> {
        let identity = self.verifier.verify(&tokens.access_token).await?;
        let cookie = random_text().map_err(|_| Failure::internal())?;
        let id = hash(&cookie);
        let sealed = self.seal(&id, tokens)?;
        self.store
            .insert_session(&id, &identity.subject, &sealed, SESSION_SECONDS)
            .await?;
        Ok(cookie)
    }

    /// Who the session with this cookie belongs to.
    ///
    /// # Errors
    /// 401 when there is no such session (any more), 503 when something is away.
    pub async fn identify(&self, cookie: &str) -> Result<Arc<Identity>, Failure> {
        let id = hash(cookie);
        let sealed = self.store.session(&id).await?.ok_or_else(session_over)?;
        let mut tokens = self.unseal(&id, &sealed)?;
        if tokens.expires_at < now() + REFRESH_BEFORE_SECONDS {
            tokens = self.refresh(&id).await?;
        }
        self.verifier
            .verify(&tokens.access_token)
            .await
            .map_err(|failure| {
                if failure.status == StatusCode::UNAUTHORIZED {
                    session_over()
                } else {
                    failure
                }
            })
    }

    /// Replaces the access token. The row is locked meanwhile: a refresh token works once, and two
    /// requests of one browser must not both use it.
    async fn refresh(&self, id: &[u8]) -> Result<Tokens, Failure> {
        let mut change = self.store.begin().await?;
        let sealed = change.lock_session(id).await?.ok_or_else(session_over)?;
        let tokens = self.unseal(id, &sealed)?;
        if tokens.expires_at >= now() + REFRESH_BEFORE_SECONDS {
            return Ok(tokens); // another request was first
        }
        let Some(refresh_token) = &tokens.refresh_token else {
            change.delete_session(id).await?;
            change.commit().await?;
            return Err(session_over());
        };
        match Box::pin(self.login.refresh(refresh_token)).await {
            Ok(fresh) => {
                change.update_session(id, &self.seal(id, &fresh)?).await?;
                change.commit().await?;
                Ok(fresh)
            }
            Err(RefreshFailure::Ended) => {
                change.delete_session(id).await?;
                change.commit().await?;
                Err(session_over())
            }
            Err(RefreshFailure::Unavailable) if tokens.expires_at > now() => Ok(tokens),
            Err(RefreshFailure::Unavailable) => Err(provider_unavailable()),
        }
    }

    /// Ends a session here and at the provider.
    ///
    /// # Errors
    /// 503 when the session cannot be deleted here.
    pub async fn close(&self, cookie: &str) -> Result<(), Failure> {
        let id = hash(cookie);
        let Some(sealed) = self.store.take_session(&id).await? else {
            return Ok(());
        };
        let refresh_token = self
            .unseal(&id, &sealed)
            .ok()
            .and_then(|it| it.refresh_token);
        if let Some(refresh_token) = refresh_token
            && let Err(error) = self.login.end(&refresh_token).await
        {
            // The session is over here; at the provider it ends by its own idle timeout.
            tracing::warn!(
                error = crate::error::chain(&error),
                "sign-out not told the provider"
            );
        }
        Ok(())
    }

    fn seal(&self, id: &[u8], tokens: &Tokens) -> Result<Vec<u8>, Failure> {
        let plain = serde_json::to_vec(tokens).map_err(|_| Failure::internal())?;
        self.key
            .seal(&purpose(id), &plain)
            .map_err(|_| Failure::internal())
    }

    /// A row that does not open was sealed with an earlier key: the person signs in again.
    fn unseal(&self, id: &[u8], sealed: &[u8]) -> Result<Tokens, Failure> {
        let plain = self
            .key
            .open(&purpose(id), sealed)
            .map_err(|_| session_over())?;
        serde_json::from_slice(&plain).map_err(|_| session_over())
    }
}

fn purpose(id: &[u8]) -> Vec<u8> {
    [b"lotoai session v1 ".as_slice(), id].concat()
}

fn hash(cookie: &str) -> Vec<u8> {
    Sha256::digest(cookie.as_bytes()).to_vec()
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
