//! Answers that must end when what let them begin is over: a session that was closed, or an API key
//! that was deleted, here or on another replica.
//!
//! What the open answers rest on is looked up twice a second, in one statement, and only while there
//! are any. That needs no connection of its own, works behind a pooler, and misses nothing when the
//! database was away for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use tokio_util::sync::CancellationToken;

use super::{Credential, Identity, SessionHash};
use crate::error::chain;
use crate::failure::Failure;
use crate::store::{Store, StoreError};

/// How often it is looked whether open answers may go on.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What an answer rests on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Ground {
    /// A session, by the hash of its cookie.
    Session(SessionHash),
    /// An API key, by its id.
    Key(String),
}

#[derive(Default)]
struct Entry {
    over: CancellationToken,
    followers: usize,
}

/// The open answers. Cheap to clone; all clones are the same.
#[derive(Clone, Default)]
pub struct Watch(Arc<Mutex<HashMap<Ground, Entry>>>);

/// The word that an answer may go on; held as long as it is open.
pub struct Follow {
    watch: Watch,
    ground: Option<Ground>,
    over: CancellationToken,
}

impl Watch {
    /// Follows what the caller is known by. A token is good until it ends by itself.
    pub fn follow(&self, identity: &Identity) -> Follow {
        let ground = match &identity.credential {
            Credential::Session(hash) => Some(Ground::Session(*hash)),
            Credential::Key(grant) => Some(Ground::Key(grant.id.clone())),
            Credential::Token | Credential::Probe => None,
        };
        let over = match &ground {
            Some(ground) => {
                let mut open = self.open();
                let entry = open.entry(ground.clone()).or_default();
                entry.followers += 1;
                entry.over.clone()
            }
            None => CancellationToken::new(),
        };
        Follow {
            watch: self.clone(),
            ground,
            over,
        }
    }

    /// Ends the answers of this process that rest on something that is over.
    pub fn end(&self, ground: &Ground) {
        if let Some(entry) = self.open().get(ground) {
            entry.over.cancel();
        }
    }

    /// Looks once whether the open answers may go on.
    ///
    /// # Errors
    /// When the database fails; then all of them go on.
    pub async fn look(&self, store: &Store) -> Result<(), StoreError> {
        let (mut sessions, mut keys) = (Vec::new(), Vec::new());
        for ground in self.open().keys() {
            match ground {
                Ground::Session(hash) => sessions.push(hash.to_vec()),
                Ground::Key(id) => keys.push(id.clone()),
            }
        }
        if sessions.is_empty() && keys.is_empty() {
            return Ok(());
        }
        for ground in store.ended(&sessions, &keys).await? {
            self.end(&ground);
        }
        Ok(())
    }

    /// Looks again and again, until `stop`.
    pub async fn run(self, store: Store, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if let Err(error) = self.look(&store).await {
                tracing::warn!(error = chain(&error), "open answers were not looked after");
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Ground, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follow {
    /// Waits until the answer must end. Safe to cancel.
    pub async fn over(&self) {
        self.over.cancelled().await;
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        let Some(ground) = &self.ground else {
            return;
        };
        let mut open = self.watch.open();
        if let Some(entry) = open.get_mut(ground) {
            entry.followers -= 1;
            if entry.followers == 0 {
                open.remove(ground);
            }
        }
    }
}

/// What an answer ends with that may not go on.
pub fn signed_out() -> Failure {
    Failure::new(
        StatusCode::UNAUTHORIZED,
        "signed_out",
        "the session or API key of this request was ended while it was answered; sign in again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Grant;

    fn identity(credential: Credential) -> Identity {
        Identity {
            subject: "ana".to_owned(),
            name: "Ana".to_owned(),
            groups: Vec::new(),
            expires_at: 0,
            issued_at: 0,
            credential,
        }
    }

    fn key(id: &str) -> Identity {
        let grant = Grant {
            id: id.to_owned(),
            scopes: Vec::new(),
            models: None,
        };
        identity(Credential::Key(grant.into()))
    }

    #[tokio::test]
    async fn all_answers_on_one_ground_end_and_no_others() {
        let watch = Watch::default();
        let one = watch.follow(&identity(Credential::Session([1; 32])));
        let also = watch.follow(&identity(Credential::Session([1; 32])));
        let other = watch.follow(&identity(Credential::Session([2; 32])));
        let (key, token) = (
            watch.follow(&key("k")),
            watch.follow(&identity(Credential::Token)),
        );
        watch.end(&Ground::Session([1; 32]));
        one.over().await;
        also.over().await;
        for kept in [&other, &key, &token] {
            assert!(!kept.over.is_cancelled());
        }
        watch.end(&Ground::Key("k".to_owned()));
        key.over().await;
        drop((one, also, other, key, token));
        assert!(watch.open().is_empty());
    }

    #[test]
    fn a_ground_that_is_used_again_is_looked_at_anew() {
        let watch = Watch::default();
        let first = watch.follow(&key("k"));
        watch.end(&Ground::Key("k".to_owned()));
        drop(first);
        assert!(!watch.follow(&key("k")).over.is_cancelled());
    }
}
