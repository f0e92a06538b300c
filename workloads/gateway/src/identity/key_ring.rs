//! API keys: made once, shown once, stored as a hash, looked up by id.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use lotoai_policy::{Grant, keys};
use moka::sync::Cache;
use secrecy::SecretString;
use subtle::ConstantTimeEq as _;
use tokio_util::task::TaskTracker;

use super::api_key::{self, NewKey};
use super::token::{now, refused};
use super::watch::{Ground, Watch};
use super::{Credential, Identity};
use crate::domain::key_request::KeyRequest;
use crate::error::chain;
use crate::failure::Failure;
use crate::store::{ApiKey, NewApiKey, Store};

/// A key that was deleted on another replica works for this much longer at most.
const BELIEVED: Duration = Duration::from_secs(1);
const BELIEVED_KEYS: u64 = 10_000;
/// People whose newest token was seen, each about 100 bytes.
const KNOWN_PEOPLE: u64 = 10_000;

/// The keys of everybody.
pub struct KeyRing {
    store: Store,
    watch: Watch,
    tasks: TaskTracker,
    // By the hash of the whole key.
    believed: Cache<[u8; 32], Arc<Identity>>,
    /// When the newest token of a person was issued, as far as this replica knows.
    newest: Cache<String, u64>,
}

impl KeyRing {
    /// Keys that are kept in `store`.
    pub fn new(store: Store, watch: Watch, tasks: TaskTracker) -> Self {
        Self {
            store,
            watch,
            tasks,
            believed: Cache::builder()
                .max_capacity(BELIEVED_KEYS)
                .time_to_live(BELIEVED)
                .build(),
            newest: Cache::new(KNOWN_PEOPLE),
        }
    }

    /// Makes a key of the caller's: how it is listed, and its text, which nobody sees again.
    ///
    /// # Errors
    /// 403 when it could do more than the caller, 409 when the caller has too many, 503 when the
    /// database is away.
    pub async fn make(
        &self,
        identity: &Identity,
        request: KeyRequest,
    ) -> Result<(ApiKey, SecretString), Failure> {
        let groups = keys::groups(identity.who(), &request.scopes, request.groups.as_deref())?;
        let key = NewKey::random().map_err(|_| Failure::internal())?;
        let new = NewApiKey {
            id: key.id.clone(),
            hash: key.hash(),
            owner: identity.subject.clone(),
            owner_name: identity.name.clone(),
            owner_groups: identity.groups.clone(),
            owner_said_at: identity.issued_at,
            name: request.name,
            scopes: request.scopes,
            models: request.models,
            groups,
            days: request.days,
        };
        let stored = self.store.insert_api_key(&new).await?.ok_or_else(|| {
            Failure::new(
                StatusCode::CONFLICT,
                "too_many_keys",
                "you have 100 API keys; delete one that is not used",
            )
        })?;
        Ok((stored, key.text))
    }

    /// Who sends the key `text`.
    ///
    /// # Errors
    /// 401 when it is none that works, 503 when the database is away.
    pub async fn identify(&self, text: &str) -> Result<Arc<Identity>, Failure> {
        let sent = api_key::read(text).ok_or_else(|| {
            refused(
                "key_invalid",
                "the API key was copied badly: it must be loto_ and 88 hexadecimal digits, as it \
                 was shown",
            )
        })?;
        if let Some(identity) = self.believed.get(&sent.hash)
            && identity.expires_at > now()
        {
            return Ok(identity);
        }
        let stored = self.store.api_key(sent.id).await?;
        // An id that is not known is compared, too, so that it takes as long.
        let hash = stored.as_ref().map_or([0; 32], |stored| stored.hash);
        let same = bool::from(hash.ct_eq(&sent.hash));
        let stored = stored
            .filter(|_| same)
            .ok_or_else(|| refused("key_invalid", "there is no such API key; it may be deleted"))?;
        if stored.expires_at <= now() {
            return Err(refused(
                "key_expired",
                "the API key has expired; make a new one with POST /api/keys",
            ));
        }
        if stored.stale {
            self.note_use(sent.id);
        }
        let identity = Arc::new(Identity {
            subject: stored.owner,
            name: stored.owner_name,
            // Keys that were made before there was a scope for it are held to it as well.
            groups: keys::held(stored.groups, &stored.scopes),
            expires_at: stored.expires_at,
            issued_at: 0,
            credential: Credential::Key(Arc::new(Grant {
                id: sent.id.to_owned(),
                scopes: stored.scopes,
                models: stored.models,
            })),
        });
        self.believed.insert(sent.hash, Arc::clone(&identity));
        Ok(identity)
    }

    /// Deletes a key. Answers that it began end.
    ///
    /// # Errors
    /// 404 when there is none that the caller may delete, 503 when the database is away.
    pub async fn delete(&self, identity: &Identity, id: &str) -> Result<(), Failure> {
        let unknown = || Failure::not_found("API key");
        // PostgreSQL has no text for it, so no key can have such an id.
        if id.contains('\0') {
            return Err(unknown());
        }
        let owner = self.store.api_key_owner(id).await?;
        let owner = owner
            .filter(|owner| keys::may_end(identity.who(), owner))
            .ok_or_else(unknown)?;
        let hash = self.store.delete_api_key(id).await?.ok_or_else(unknown)?;
        self.believed.invalidate(&hash);
        self.watch.end(&Ground::Key(id.to_owned()));
        if owner != identity.subject {
            tracing::info!(key = id, "an administrator deleted an API key");
        }
        Ok(())
    }

    /// Deletes all keys of a person; gives their ids. Answers that they began end.
    ///
    /// # Errors
    /// 503 when the database is away.
    pub async fn delete_all(&self, owner: &str) -> Result<Vec<String>, Failure> {
        let mut ids = Vec::new();
        for (id, hash) in self.store.erase_api_keys(owner).await? {
            self.believed.invalidate(&hash);
            self.watch.end(&Ground::Key(id.clone()));
            ids.push(id);
        }
        Ok(ids)
    }

    /// Hears what the issuer says of a person now: a key has no group that its owner has lost.
    pub fn hear(&self, identity: &Identity) {
        let known = self.newest.get(&identity.subject).unwrap_or(0);
        if identity.issued_at <= known {
            return;
        }
        self.newest
            .insert(identity.subject.clone(), identity.issued_at);
        let (store, newest) = (self.store.clone(), self.newest.clone());
        let (subject, groups) = (identity.subject.clone(), identity.groups.clone());
        let said_at = identity.issued_at;
        self.tasks.spawn(async move {
            if let Err(error) = store.update_key_owner(&subject, &groups, said_at).await {
                tracing::warn!(
                    error = chain(&error),
                    "the groups of an API key's owner were not noted"
                );
                newest.invalidate(&subject);
            }
        });
    }

    fn note_use(&self, id: &str) {
        let (store, id) = (self.store.clone(), id.to_owned());
        self.tasks.spawn(async move {
            if let Err(error) = store.touch_api_key(&id).await {
                tracing::debug!(error = chain(&error), "the use of an API key was not noted");
            }
        });
    }
}
