//! Rows of browser sessions.

use sqlx::Row as _;

use super::{Change, Store, StoreError, within};

impl Store {
    /// Adds a session that ends after `seconds`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_session(
        &self,
        id: &[u8],
        subject: &str,
        sealed: &[u8],
        seconds: u64,
    ) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "insert into sessions (id_hash, subject, sealed, expires_at)
             values ($1, $2, $3, now() + make_interval(secs => $4))",
        )
        .bind(id)
        .bind(subject)
        .bind(sealed)
        .bind(seconds as f64)
        .execute(&self.pool);
        within("store a session", statement).await.map(|_| ())
    }

    /// The sealed tokens of a session that has not ended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn session(&self, id: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let statement =
            sqlx::query("select sealed from sessions where id_hash = $1 and expires_at > now()")
                .bind(id)
                .fetch_optional(&self.pool);
        let row = within("read a session", statement).await?;
        Ok(row.map(|row| row.get(0)))
    }

    /// Deletes a session and gives its sealed tokens.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_session(&self, id: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let statement = sqlx::query("delete from sessions where id_hash = $1 returning sealed")
            .bind(id)
            .fetch_optional(&self.pool);
        let row = within("delete a session", statement).await?;
        Ok(row.map(|row| row.get(0)))
    }

    /// Deletes the sessions that have ended; says how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep_sessions(&self) -> Result<u64, StoreError> {
        let statement =
            sqlx::query("delete from sessions where expires_at <= now()").execute(&self.pool);
        within("sweep sessions", statement)
            .await
            .map(|done| done.rows_affected())
    }
}

impl Change {
    /// The sealed tokens of a session, locked until the end of the transaction.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock_session(&mut self, id: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let statement = sqlx::query(
            "select sealed from sessions where id_hash = $1 and expires_at > now() for update",
        )
        .bind(id)
        .fetch_optional(&mut *self.tx);
        let row = within("lock a session", statement).await?;
        Ok(row.map(|row| row.get(0)))
    }

    /// Replaces the sealed tokens of a session.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn update_session(&mut self, id: &[u8], sealed: &[u8]) -> Result<(), StoreError> {
        let statement = sqlx::query("update sessions set sealed = $2 where id_hash = $1")
            .bind(id)
            .bind(sealed)
            .execute(&mut *self.tx);
        within("update a session", statement).await.map(|_| ())
    }

    /// Deletes a session.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_session(&mut self, id: &[u8]) -> Result<(), StoreError> {
        let statement = sqlx::query("delete from sessions where id_hash = $1")
            .bind(id)
            .execute(&mut *self.tx);
        within("delete a session", statement).await.map(|_| ())
    }
}
