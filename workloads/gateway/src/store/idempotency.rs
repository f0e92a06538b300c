//! Rows of requests with an `Idempotency-Key`.

use std::mem::take;
use std::time::Duration;

use serde::Serialize;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Store, StoreError, within};

/// A key is remembered for this long.
const KEEP: &str = "24 hours";
/// Keys that one caller may have at a time.
const MAX_KEYS: i64 = 10_000;

/// An answer that can be given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// Where the answer to a question is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct AnswerPlace {
    /// The run that wrote it.
    pub run_id: Uuid,
    /// The conversation that it is in, unless that was deleted.
    pub conversation_id: Uuid,
}

impl AnswerPlace {
    /// What stands in two columns of a row from column `first` on; both may be null.
    fn of(row: &PgRow, first: usize) -> Option<Self> {
        let ids = row.get::<Option<Uuid>, _>(first).zip(row.get(first + 1));
        ids.map(|(run_id, conversation_id)| Self {
            run_id,
            conversation_id,
        })
    }
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Nothing was; now it belongs to this request.
    Claimed,
    /// Another request has it, and is being answered: where that is found, once it is known.
    Running(Option<AnswerPlace>),
    /// Another request had it, and nobody knows what became of that.
    Lost,
    /// A request with this hash was answered.
    Answered {
        /// Hash of the request.
        hash: Vec<u8>,
        /// The answer, where it was kept.
        answer: Option<KeptAnswer>,
        /// Where the answer is found, if it is one that is stored.
        place: Option<AnswerPlace>,
    },
    /// The caller has too many keys.
    Full,
}

/// How a request with a key ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Hash of the request.
    pub hash: Vec<u8>,
    /// The answer, if it may be kept.
    pub answer: Option<KeptAnswer>,
    /// Where the answer is found, if it is one that is stored.
    pub place: Option<AnswerPlace>,
}

impl Store {
    /// Takes a key for a request that will be answered within `lease`, unless it is taken.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_key(
        &self,
        owner: &str,
        key: &str,
        lease: Duration,
    ) -> Result<Claim, StoreError> {
        loop {
            if self.take_key(owner, key, lease).await? {
                return Ok(Claim::Claimed);
            }
            match self.known_key(owner, key).await? {
                Some(claim) => return Ok(claim),
                None if self.has_too_many_keys(owner).await? => return Ok(Claim::Full),
                // Given back since it could not be taken: now it may be.
                None => {}
            }
        }
    }

    /// Whether the key is this request's now. It may be taken though nobody waits for that any more: the
    /// client has left, or the database was silent for too long and goes on later. Nobody would ever
    /// answer under it then, and it is given back.
    async fn take_key(&self, owner: &str, key: &str, lease: Duration) -> Result<bool, StoreError> {
        let (owner, key) = (owner.to_owned(), key.to_owned());
        let taking = tokio::spawn(self.clone().insert_key(owner, key, lease));
        let taken = async { taking.await.unwrap_or(Err(sqlx::Error::WorkerCrashed)) };
        let taken = self.unless_away(within("claim an idempotency key", taken));
        match taken.await? {
            Some(taken) => {
                taken.keep();
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Never cancelled: a statement that is left on its way is carried out, and nobody hears of it.
    async fn insert_key(
        self,
        owner: String,
        key: String,
        lease: Duration,
    ) -> Result<Option<Taken>, sqlx::Error> {
        let claim = sqlx::query(
            "insert into idempotency_keys (owner, key, state, lease_until, expires_at)
             select $1, $2, 'running', now() + make_interval(secs => $3), now() + $4::interval
             where (select count(*) from (
                 select from idempotency_keys where owner = $1 limit $5) own) < $5
             on conflict (owner, key) do update
             set state = excluded.state, lease_until = excluded.lease_until,
                 expires_at = excluded.expires_at, request_hash = null, status = null,
                 headers = null, body = null, run_id = null, conversation_id = null
             where idempotency_keys.expires_at <= now()
             returning 1",
        )
        .bind(&owner)
        .bind(&key)
        .bind(lease.as_secs_f64())
        .bind(KEEP)
        .bind(MAX_KEYS)
        .fetch_optional(&self.pool);
        if claim.await?.is_none() {
            return Ok(None);
        }
        Ok(Some(Taken {
            store: self,
            owner,
            key,
            is_kept: false,
        }))
    }

    /// What is known of a key that somebody has.
    async fn known_key(&self, owner: &str, key: &str) -> Result<Option<Claim>, StoreError> {
        let read = sqlx::query(
            "select state, lease_until <= now(), request_hash, status, headers, body, run_id,
                    conversation_id
             from idempotency_keys where owner = $1 and key = $2",
        )
        .bind(owner)
        .bind(key)
        .fetch_optional(&self.pool);
        let row = within("read an idempotency key", read).await?;
        Ok(row.as_ref().map(claim))
    }

    async fn has_too_many_keys(&self, owner: &str) -> Result<bool, StoreError> {
        let count = sqlx::query_scalar::<_, i64>(
            "select count(*) from (
                 select from idempotency_keys where owner = $1 limit $2) own",
        )
        .bind(owner)
        .bind(MAX_KEYS)
        .fetch_one(&self.pool);
        let count = within("count idempotency keys", count).await?;
        Ok(count >= MAX_KEYS)
    }

    /// Notes how a request with a key ended.
    ///
    /// # Errors
    /// When the database fails; then nobody knows any more.
    pub async fn end_key(&self, owner: &str, key: &str, end: &Outcome) -> Result<(), StoreError> {
        let answer = end.answer.as_ref();
        let headers = answer.map(|answer| -> Vec<&str> {
            let each = answer.headers.iter();
            each.flat_map(|(name, value)| [name.as_str(), value.as_str()])
                .collect()
        });
        let statement = sqlx::query(
            "update idempotency_keys set state = $3, request_hash = $4, status = $5, headers = $6,
                    body = $7, run_id = $8, conversation_id = $9
             where owner = $1 and key = $2 and state = 'running'",
        )
        .bind(owner)
        .bind(key)
        .bind(if answer.is_some() { "kept" } else { "unkept" })
        .bind(&end.hash)
        .bind(answer.map(|answer| i16::try_from(answer.status).unwrap_or_default()))
        .bind(headers)
        .bind(answer.map(|answer| answer.body.as_slice()))
        .bind(end.place.map(|place| place.run_id))
        .bind(end.place.map(|place| place.conversation_id))
        .execute(&self.pool);
        within("end an idempotency key", statement)
            .await
            .map(|_| ())
    }

    /// Notes where the answer is found to a request that is being answered.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn place_key(
        &self,
        owner: &str,
        key: &str,
        place: &AnswerPlace,
    ) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "update idempotency_keys set run_id = $3, conversation_id = $4
             where owner = $1 and key = $2 and state = 'running'",
        )
        .bind(owner)
        .bind(key)
        .bind(place.run_id)
        .bind(place.conversation_id)
        .execute(&self.pool);
        within("place an idempotency key", statement)
            .await
            .map(|_| ())
    }

    /// Gives a key back whose request had no effect.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release_key(&self, owner: &str, key: &str) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "delete from idempotency_keys where owner = $1 and key = $2 and state = 'running'",
        )
        .bind(owner)
        .bind(key)
        .execute(&self.pool);
        within("release an idempotency key", statement)
            .await
            .map(|_| ())
    }

    /// Ends a key whose request took effect, or may have, and of which nothing else is known: no other
    /// request is handled under it.
    ///
    /// # Errors
    /// When the database fails; then that is so at the end of its lease.
    pub async fn lose_key(&self, owner: &str, key: &str) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "update idempotency_keys set lease_until = now()
             where owner = $1 and key = $2 and state = 'running'",
        )
        .bind(owner)
        .bind(key)
        .execute(&self.pool);
        within("lose an idempotency key", statement)
            .await
            .map(|_| ())
    }

    /// Forgets keys that have expired; says how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep_idempotency_keys(&self) -> Result<u64, StoreError> {
        let statement = sqlx::query("delete from idempotency_keys where expires_at <= now()")
            .execute(&self.pool);
        within("sweep idempotency keys", statement)
            .await
            .map(|done| done.rows_affected())
    }
}

/// A key that was taken. Dropped before anybody has heard of that, it is given back.
struct Taken {
    store: Store,
    owner: String,
    key: String,
    is_kept: bool,
}

impl Taken {
    /// Somebody answers for it from now on.
    fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        let (store, owner, key) = (
            self.store.clone(),
            take(&mut self.owner),
            take(&mut self.key),
        );
        tokio::spawn(async move {
            if let Err(error) = store.release_key(&owner, &key).await {
                let error = crate::error::chain(&error);
                tracing::warn!(error, "a key that nobody waited for stays taken");
            }
        });
    }
}

/// What a row says of a key.
fn claim(row: &PgRow) -> Claim {
    let is_lost: bool = row.get(1);
    match row.get::<&str, _>(0) {
        "running" if is_lost => Claim::Lost,
        "running" => Claim::Running(AnswerPlace::of(row, 6)),
        state => Claim::Answered {
            hash: row.get::<Option<_>, _>(2).unwrap_or_default(),
            answer: (state == "kept").then(|| KeptAnswer {
                status: row
                    .get::<Option<i16>, _>(3)
                    .unwrap_or_default()
                    .unsigned_abs(),
                headers: pairs(row.get::<Option<Vec<String>>, _>(4).unwrap_or_default()),
                body: row.get::<Option<_>, _>(5).unwrap_or_default(),
            }),
            place: AnswerPlace::of(row, 6),
        },
    }
}

fn pairs(flat: Vec<String>) -> Vec<(String, String)> {
    let mut pairs = Vec::with_capacity(flat.len() / 2);
    let mut flat = flat.into_iter();
    while let (Some(name), Some(value)) = (flat.next(), flat.next()) {
        pairs.push((name, value));
    }
    pairs
}
