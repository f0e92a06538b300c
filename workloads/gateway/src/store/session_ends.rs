//! Browser sessions that are ended from elsewhere, one or all others.

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::keys::hash;
use super::sessions::ENDS_WITHIN;
use super::{Store, StoreError, within_limit};
use crate::identity::SessionHash;

/// A session that was ended from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenSession {
    /// Hash of its cookie.
    pub hash: SessionHash,
    /// Its tokens.
    pub sealed: Vec<u8>,
    /// Whether a session that goes on rests on the same stay at the provider: to end that there
    /// would end the other one, too.
    pub shares_stay: bool,
}

impl Store {
    /// Deletes a session of a person, or of whomever it is. Others share its stay that have not ended and were used within
    /// the last `idle` seconds.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_session_of(
        &self,
        subject: Option<&str>,
        id: Uuid,
        idle: u64,
    ) -> Result<Option<TakenSession>, StoreError> {
        let statement = sqlx::query(
            "delete from sessions where id = $1 and ($2::text is null or subject = $2)
             returning id_hash, sealed, exists (
                 select from sessions as other
                 where other.subject = sessions.subject
                   and other.id_hash <> sessions.id_hash
                   and other.provider_session = sessions.provider_session
                   and other.expires_at > now()
                   and other.last_used_at > now() - make_interval(secs => $3))",
        )
        .bind(id)
        .bind(subject)
        .bind(idle as f64)
        .fetch_optional(&self.pool);
        let row = within_limit(ENDS_WITHIN, "delete a session", statement).await?;
        Ok(row.map(|row| taken(&row)))
    }

    /// Deletes a person's sessions but for `spared`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_sessions(
        &self,
        subject: &str,
        spared: Option<&SessionHash>,
    ) -> Result<Vec<TakenSession>, StoreError> {
        let statement = sqlx::query(
            // Locked in an order, so that two who end several never wait for each other.
            "delete from sessions
             where id_hash in (
                 select id_hash from sessions
                 where subject = $1 and ($2::bytea is null or id_hash <> $2)
                 order by id_hash for update)
             returning id_hash, sealed, coalesce(
                 provider_session = (select provider_session from sessions where id_hash = $2),
                 false)",
        )
        .bind(subject)
        .bind(spared.map(<[u8; 32]>::as_slice))
        .fetch_all(&self.pool);
        let rows = within_limit(ENDS_WITHIN, "delete sessions", statement).await?;
        Ok(rows.iter().map(taken).collect())
    }
}

/// From a hash, sealed tokens, and whether the stay is shared.
fn taken(row: &PgRow) -> TakenSession {
    TakenSession {
        hash: hash(row.get(0)),
        sealed: row.get(1),
        shares_stay: row.get(2),
    }
}
