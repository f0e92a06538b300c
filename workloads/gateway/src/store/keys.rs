//! Rows of API keys and of what their owners may do.

use lotoai_policy::Scope;
use serde::Serialize;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use utoipa::ToSchema;

use super::{Store, StoreError, rfc3339, within};

/// Most keys of one person.
const MAX_KEYS: i64 = 100;

/// A key as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ApiKey {
    /// Identity, which is no secret.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// The only models that it may name; `null` is every one of its owner.
    pub models: Option<Vec<String>>,
    /// The groups that it has while its owner has them.
    pub groups: Vec<String>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub expires_at: String,
    /// RFC 3339, to the minute; `null` is never.
    pub last_used_at: Option<String>,
    /// Microseconds of `created_at`: the place in the list.
    #[serde(skip)]
    pub created_micros: i64,
    /// Subject of its owner.
    #[serde(skip)]
    pub owner: String,
    /// Name of its owner when it was made.
    #[serde(skip)]
    pub owner_name: String,
}

/// A key to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiKey {
    /// Identity.
    pub id: String,
    /// SHA-256 of the whole key.
    pub hash: [u8; 32],
    /// Subject of its owner.
    pub owner: String,
    /// Name of its owner.
    pub owner_name: String,
    /// Groups of its owner.
    pub owner_groups: Vec<String>,
    /// Unix seconds at which the issuer said so.
    pub owner_said_at: u64,
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The only models that it may name.
    pub models: Option<Vec<String>>,
    /// The groups that it has.
    pub groups: Vec<String>,
    /// Days until it ends.
    pub days: u32,
}

/// A key as it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredApiKey {
    /// SHA-256 of the whole key.
    pub hash: [u8; 32],
    /// Subject of its owner.
    pub owner: String,
    /// Name of its owner.
    pub owner_name: String,
    /// Its groups that its owner still has.
    pub groups: Vec<String>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The only models that it may name.
    pub models: Option<Vec<String>>,
    /// Unix seconds.
    pub expires_at: u64,
    /// Whether its last use was noted more than a minute ago.
    pub stale: bool,
}

macro_rules! columns {
    () => {
        concat!(
            "id, name, scopes, models, groups, ",
            rfc3339!("created_at"),
            ", ",
            rfc3339!("expires_at"),
            ", ",
            rfc3339!("last_used_at"),
            ", (extract(epoch from created_at) * 1000000)::bigint, owner, owner_name"
        )
    };
}

fn listed(row: &PgRow) -> ApiKey {
    ApiKey {
        id: row.get(0),
        name: row.get(1),
        scopes: row.get(2),
        models: row.get(3),
        groups: row.get(4),
        created_at: row.get(5),
        expires_at: row.get(6),
        last_used_at: row.get(7),
        created_micros: row.get(8),
        owner: row.get(9),
        owner_name: row.get(10),
    }
}

/// A stored hash; what has another length fits nothing that is sent.
pub(super) fn hash(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().unwrap_or_default()
}

impl Store {
    /// Adds a key; `None` when its owner has as many as one may have.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_api_key(&self, new: &NewApiKey) -> Result<Option<ApiKey>, StoreError> {
        let mut change = self.begin().await?;
        // The row is locked: two keys at once are counted one after the other.
        let owner = sqlx::query(
            "insert into key_owners (subject, groups, said_at)
             values ($1, $2, to_timestamp($3))
             on conflict (subject) do update set
                groups = case when key_owners.said_at < excluded.said_at
                              then excluded.groups else key_owners.groups end,
                said_at = greatest(key_owners.said_at, excluded.said_at)",
        )
        .bind(&new.owner)
        .bind(&new.owner_groups)
        .bind(new.owner_said_at as f64)
        .execute(&mut *change.tx);
        within("store the owner of an API key", owner).await?;
        let scopes: Vec<&str> = new.scopes.iter().map(|scope| scope.name()).collect();
        let key = sqlx::query(concat!(
            "insert into api_keys
                (id, hash, owner, owner_name, name, scopes, models, groups, expires_at)
             select $1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(days => $9)
             where (select count(*) from api_keys where owner = $3) < $10
             returning ",
            columns!()
        ))
        .bind(&new.id)
        .bind(new.hash.as_slice())
        .bind(&new.owner)
        .bind(&new.owner_name)
        .bind(&new.name)
        .bind(scopes)
        .bind(&new.models)
        .bind(&new.groups)
        .bind(i32::try_from(new.days).unwrap_or(i32::MAX))
        .bind(MAX_KEYS)
        .fetch_optional(&mut *change.tx);
        let row = within("store an API key", key).await?;
        change.commit().await?;
        Ok(row.as_ref().map(listed))
    }

    /// A key by its id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn api_key(&self, id: &str) -> Result<Option<StoredApiKey>, StoreError> {
        let statement = sqlx::query(
            "select hash, owner, owner_name,
                    array(select unnest(k.groups) intersect select unnest(o.groups)),
                    scopes, models, floor(extract(epoch from expires_at))::bigint,
                    coalesce(last_used_at < now() - interval '1 minute', true)
             from api_keys k join key_owners o on o.subject = k.owner where id = $1",
        )
        .bind(id)
        .fetch_optional(&self.pool);
        let read = within("read an API key", statement);
        let row = self.unless_away(read).await?;
        Ok(row.map(|row| {
            let names: Vec<String> = row.get(4);
            StoredApiKey {
                hash: hash(row.get(0)),
                owner: row.get(1),
                owner_name: row.get(2),
                groups: row.get(3),
                // A scope of a newer version means nothing here.
                scopes: names
                    .iter()
                    .filter_map(|name| Scope::of_name(name))
                    .collect(),
                models: row.get(5),
                expires_at: u64::try_from(row.get::<i64, _>(6)).unwrap_or(0),
                stale: row.get(7),
            }
        }))
    }

    /// Whose key that is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn api_key_owner(&self, id: &str) -> Result<Option<String>, StoreError> {
        let statement = sqlx::query("select owner from api_keys where id = $1")
            .bind(id)
            .fetch_optional(&self.pool);
        let row = within("read an API key", statement).await?;
        Ok(row.map(|row| row.get(0)))
    }

    /// The keys of a person, or of everybody, newest first, after `after` (microseconds and id).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn api_keys(
        &self,
        owner: Option<&str>,
        after: Option<(i64, String)>,
        limit: i64,
    ) -> Result<Vec<ApiKey>, StoreError> {
        let (micros, id) = after.unzip();
        let statement = sqlx::query(concat!(
            "select ",
            columns!(),
            " from api_keys where ($1::text is null or owner = $1) and ($2::bigint is null
                or ((extract(epoch from created_at) * 1000000)::bigint, id) < ($2, $3))
             order by created_at desc, id desc limit $4"
        ))
        .bind(owner)
        .bind(micros)
        .bind(id)
        .bind(limit)
        .fetch_all(&self.pool);
        let rows = within("list API keys", statement).await?;
        Ok(rows.iter().map(listed).collect())
    }

    /// Deletes a key and gives its hash.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_api_key(&self, id: &str) -> Result<Option<[u8; 32]>, StoreError> {
        let statement = sqlx::query("delete from api_keys where id = $1 returning hash")
            .bind(id)
            .fetch_optional(&self.pool);
        let row = within("delete an API key", statement).await?;
        Ok(row.map(|row| hash(row.get(0))))
    }

    /// Notes that a key is used, once a minute.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn touch_api_key(&self, id: &str) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "update api_keys set last_used_at = now()
             where id = $1 and coalesce(last_used_at < now() - interval '1 minute', true)",
        )
        .bind(id)
        .execute(&self.pool);
        within("note the use of an API key", statement)
            .await
            .map(|_| ())
    }

    /// Keeps what the newest token of a person says, if the person has keys.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn update_key_owner(
        &self,
        subject: &str,
        groups: &[String],
        said_at: u64,
    ) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "update key_owners set groups = $2, said_at = to_timestamp($3)
             where subject = $1 and said_at < to_timestamp($3)",
        )
        .bind(subject)
        .bind(groups)
        .bind(said_at as f64)
        .execute(&self.pool);
        within("note the groups of an owner", statement)
            .await
            .map(|_| ())
    }
}
