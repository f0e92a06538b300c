//! Rows of browser sessions.

use std::time::Duration;

use serde::Serialize;
use sqlx::Row as _;
use utoipa::ToSchema;
use uuid::Uuid;

use super::keys::hash;
use super::{Change, STATEMENT_TIMEOUT, Store, StoreError, rfc3339, within, within_limit};
use crate::identity::SessionHash;
use crate::identity::provider::EXCHANGE_TIMEOUT;

/// Whoever ends a session waits for one whose tokens are being renewed, which is locked for as long as
/// the provider takes to answer.
pub(super) const ENDS_WITHIN: Duration = Duration::from_secs(7);
const _: () = assert!(
    ENDS_WITHIN.as_secs() > EXCHANGE_TIMEOUT.as_secs(),
    "who ends a session must outlast the provider that is waited for"
);

/// A session to store.
#[derive(Debug)]
pub struct NewSession<'s> {
    /// Hash of its cookie.
    pub hash: SessionHash,
    /// What its owner knows it by.
    pub id: Uuid,
    /// Whose it is.
    pub subject: &'s str,
    /// Its tokens.
    pub sealed: &'s [u8],
    /// The groups that they name.
    pub groups: &'s [String],
    /// Unix seconds at which the issuer said so.
    pub said_at: u64,
    /// The provider's word for its own session.
    pub provider_session: Option<&'s str>,
    /// The browser, as it calls itself.
    pub user_agent: &'s str,
    /// When it ends, used or not.
    pub seconds: u64,
}

/// A session that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSession {
    /// Its tokens.
    pub sealed: Vec<u8>,
    /// Whether its last use was noted more than a minute ago.
    pub stale: bool,
}

/// A session as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ListedSession {
    /// Identity.
    pub id: Uuid,
    /// The browser, as it calls itself.
    pub user_agent: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339, to the minute.
    pub last_used_at: String,
    /// RFC 3339; it may end before.
    pub expires_at: String,
    /// Whether it is the one that asks.
    pub current: bool,
    /// Hash of its cookie.
    #[serde(skip)]
    pub hash: SessionHash,
    /// Whose it is.
    #[serde(skip)]
    pub subject: String,
}

impl Store {
    /// Adds a session.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_session(&self, new: &NewSession<'_>) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "insert into sessions
                (id_hash, id, subject, sealed, provider_session, user_agent, expires_at,
                 groups, said_at)
             values ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7),
                     $8, to_timestamp($9))",
        )
        .bind(new.hash.as_slice())
        .bind(new.id)
        .bind(new.subject)
        .bind(new.sealed)
        .bind(new.provider_session)
        .bind(new.user_agent)
        .bind(new.seconds as f64)
        .bind(new.groups)
        .bind(new.said_at as f64)
        .execute(&self.pool);
        within("store a session", statement).await.map(|_| ())
    }

    /// A session that has not ended, and was used within the last `idle` seconds.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn session(
        &self,
        id: &SessionHash,
        idle: u64,
    ) -> Result<Option<StoredSession>, StoreError> {
        let statement = sqlx::query(
            "select sealed, last_used_at < now() - interval '1 minute' from sessions
             where id_hash = $1 and expires_at > now()
               and last_used_at > now() - make_interval(secs => $2)",
        )
        .bind(id.as_slice())
        .bind(idle as f64)
        .fetch_optional(&self.pool);
        let read = within("read a session", statement);
        let row = self.unless_away(read).await?;
        Ok(row.map(|row| StoredSession {
            sealed: row.get(0),
            stale: row.get(1),
        }))
    }

    /// Notes that a session is used, once a minute however many requests see that it is time.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn touch_session(&self, id: &SessionHash) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "update sessions set last_used_at = now()
             where id_hash = $1 and last_used_at < now() - interval '1 minute'",
        )
        .bind(id.as_slice())
        .execute(&self.pool);
        within("note the use of a session", statement)
            .await
            .map(|_| ())
    }

    /// The sessions of a person, or of everybody, that go on, newest first, after `after`; `current`
    /// is the one that asks.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sessions(
        &self,
        subject: Option<&str>,
        idle: u64,
        current: Option<&SessionHash>,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<ListedSession>, StoreError> {
        let statement = sqlx::query(concat!(
            "select id, user_agent, ",
            rfc3339!("created_at"),
            ", ",
            rfc3339!("last_used_at"),
            ", ",
            rfc3339!("expires_at"),
            ", id_hash, subject from sessions
             where ($1::text is null or subject = $1) and expires_at > now()
               and last_used_at > now() - make_interval(secs => $2)
               and ($3::uuid is null or id < $3)
             order by id desc limit $4"
        ))
        .bind(subject)
        .bind(idle as f64)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.pool);
        let rows = within("list sessions", statement).await?;
        Ok(rows
            .iter()
            .map(|row| {
                let hash = hash(row.get(5));
                ListedSession {
                    id: row.get(0),
                    user_agent: row.get(1),
                    created_at: row.get(2),
                    last_used_at: row.get(3),
                    expires_at: row.get(4),
                    current: current == Some(&hash),
                    hash,
                    subject: row.get(6),
                }
            })
            .collect())
    }

    /// Deletes a session and gives its sealed tokens.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_session(&self, id: &SessionHash) -> Result<Option<Vec<u8>>, StoreError> {
        let statement = sqlx::query("delete from sessions where id_hash = $1 returning sealed")
            .bind(id.as_slice())
            .fetch_optional(&self.pool);
        let row = within_limit(ENDS_WITHIN, "delete a session", statement).await?;
        Ok(row.map(|row| row.get(0)))
    }

    /// Deletes what has ended: sessions, by either limit; used logout tokens; API keys, a month
    /// later, so that their owners see why a program stopped. Says how many sessions.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep_identity(&self, idle: u64) -> Result<u64, StoreError> {
        let sessions = sqlx::query(
            "delete from sessions
             where expires_at <= now() or last_used_at <= now() - make_interval(secs => $1)",
        )
        .bind(idle as f64)
        .execute(&self.pool);
        let done = within("sweep sessions", sessions).await?;
        let tokens = sqlx::query("delete from used_logout_tokens where expires_at <= now()")
            .execute(&self.pool);
        within("sweep logout tokens", tokens).await?;
        let keys =
            sqlx::query("delete from api_keys where expires_at <= now() - interval '30 days'")
                .execute(&self.pool);
        within("sweep API keys", keys).await?;
        Ok(done.rows_affected())
    }
}

impl Change {
    /// The sealed tokens of a session, locked until the end of the transaction. Somebody else's lock
    /// is waited for as long as `patience`; without patience a locked session counts as none.
    ///
    /// # Errors
    /// When the database fails, or the lock is held for longer than that.
    pub async fn lock_session(
        &mut self,
        id: &SessionHash,
        patience: Option<Duration>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let statement = if patience.is_some() {
            "select sealed from sessions where id_hash = $1 and expires_at > now() for update"
        } else {
            "select sealed from sessions where id_hash = $1 and expires_at > now()
             for update skip locked"
        };
        let statement = sqlx::query(statement)
            .bind(id.as_slice())
            .fetch_optional(&mut *self.tx);
        let limit = patience.unwrap_or(STATEMENT_TIMEOUT);
        let row = within_limit(limit, "lock a session", statement).await?;
        Ok(row.map(|row| row.get(0)))
    }

    /// Replaces the sealed tokens of a session.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn update_session(
        &mut self,
        id: &SessionHash,
        sealed: &[u8],
    ) -> Result<(), StoreError> {
        let statement = sqlx::query("update sessions set sealed = $2 where id_hash = $1")
            .bind(id.as_slice())
            .bind(sealed)
            .execute(&mut *self.tx);
        within("update a session", statement).await.map(|_| ())
    }

    /// Deletes a session.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_session(&mut self, id: &SessionHash) -> Result<(), StoreError> {
        let statement = sqlx::query("delete from sessions where id_hash = $1")
            .bind(id.as_slice())
            .execute(&mut *self.tx);
        within("delete a session", statement).await.map(|_| ())
    }

    /// Deletes the sessions that the provider ended: that of `provider_session`, or without it all
    /// of `subject`. One of which the provider's word is not known cannot be told apart, so it
    /// ends, too. Gives the hashes of their cookies.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_provider_sessions(
        &mut self,
        subject: Option<&str>,
        provider_session: Option<&str>,
    ) -> Result<Vec<SessionHash>, StoreError> {
        let statement = sqlx::query(
            // Locked in an order, so that two who end several never wait for each other.
            "delete from sessions
             where id_hash in (
                 select id_hash from sessions
                 where ($1::text is not null or $2::text is not null)
                   and ($1::text is null or subject = $1)
                   and ($2::text is null or provider_session = $2
                        or ($1::text is not null and provider_session is null))
                 order by id_hash for update)
             returning id_hash",
        )
        .bind(subject)
        .bind(provider_session)
        .fetch_all(&mut *self.tx);
        let action = "delete the sessions of a provider";
        let rows = within_limit(ENDS_WITHIN, action, statement).await?;
        Ok(rows.iter().map(|row| hash(row.get(0))).collect())
    }

    /// Notes a logout token as used for `seconds`; says whether it was not before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn use_logout_token(
        &mut self,
        id_hash: &[u8],
        seconds: u64,
    ) -> Result<bool, StoreError> {
        let statement = sqlx::query(
            "insert into used_logout_tokens (id_hash, expires_at)
             values ($1, now() + make_interval(secs => $2)) on conflict do nothing",
        )
        .bind(id_hash)
        .bind(seconds as f64)
        .execute(&mut *self.tx);
        let done = within("note a logout token", statement).await?;
        Ok(done.rows_affected() == 1)
    }
}
