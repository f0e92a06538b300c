//! People whom the orchestrator has still to erase.

use super::{Store, StoreError, within};

impl Store {
    /// Notes that a person is to be erased elsewhere, too.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_erasure(&self, subject: &str) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "insert into pending_erasures (subject) values ($1) on conflict (subject) do nothing",
        )
        .bind(subject)
        .execute(&self.pool);
        within("note an erasure", statement).await.map(|_| ())
    }

    /// Who has waited longest to be erased elsewhere.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pending_erasure(&self) -> Result<Option<String>, StoreError> {
        let statement = sqlx::query_scalar::<_, String>(
            "select subject from pending_erasures order by since limit 1",
        )
        .fetch_optional(&self.pool);
        within("find a pending erasure", statement).await
    }

    /// Puts a person whose erasure failed behind all others.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_off_erasure(&self, subject: &str) -> Result<(), StoreError> {
        let statement =
            sqlx::query("update pending_erasures set since = clock_timestamp() where subject = $1")
                .bind(subject)
                .execute(&self.pool);
        within("put off an erasure", statement).await.map(|_| ())
    }

    /// Forgets a person who is erased.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn close_erasure(&self, subject: &str) -> Result<(), StoreError> {
        let statement = sqlx::query("delete from pending_erasures where subject = $1")
            .bind(subject)
            .execute(&self.pool);
        within("close an erasure", statement).await.map(|_| ())
    }
}
