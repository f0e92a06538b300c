//! Answers that must end when what let them begin is over: a session that was closed, an API key
//! that was deleted, a group that was lost, a token that ended, here or on another replica.
//!
//! What the open answers rest on is looked up twice a second, in one statement, and only while there
//! are any. That needs no connection of its own, works behind a pooler, and misses nothing when the
//! database was away for a while.
//!
//! Any group that is lost ends an answer, whether the answer needed it or not: what an agent, a tool
//! or a search may still use is decided behind the gateway and step by step, so the gateway cannot
//! tell, and an answer is soon asked for again.
//!
//! An answer to a bearer of a token ends when the token does, and [`SKEW_SECONDS`] later, as a
//! request would be refused: nobody else says here that a bearer was signed out or lost a group, so
//! the issuer's own limit is the only one. Whoever begins an answer with the last second of a token
//! still has half a minute for it; programs with longer ones send a fresh token or an API key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::http::StatusCode;
use tokio_util::sync::CancellationToken;

use super::token::{SKEW_SECONDS, refused};
use super::{Credential, Identity, SessionHash};
use crate::failure::Failure;
use crate::store::{Store, StoreError};

/// A session whose tokens were about to end is not named again for so many seconds.
const RENEW_AGAIN_SECONDS: u64 = 10;
/// The tokens of a session with an open answer are renewed so many seconds before they end. A request
/// has them renewed earlier, so that they are due by then at every replica.
const RENEW_BEFORE_SECONDS: u64 = 20;

/// What an answer rests on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Ground {
    /// A session, by the hash of its cookie.
    Session(SessionHash),
    /// An API key, by its id.
    Key(String),
    /// A token, by the subject of its bearer.
    Token(String),
}

/// A ground, and what was said on it when an answer began.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Standing {
    /// What the answer rests on.
    pub ground: Ground,
    /// The groups that its caller had.
    pub groups: Vec<String>,
    /// Unix seconds at which the issuer said so; 0 where it does not say when.
    pub said_at: u64,
    /// Unix seconds after which it is over by itself, if not by the database.
    until: Option<u64>,
}

impl Standing {
    /// What the caller stands on; nobody ends the operator's own question.
    fn of(identity: &Identity) -> Option<Self> {
        let (ground, until) = match &identity.credential {
            Credential::Session(hash) => (Ground::Session(*hash), None),
            Credential::Key(grant) => (Ground::Key(grant.id.clone()), None),
            Credential::Token => (
                Ground::Token(identity.subject.clone()),
                Some(identity.expires_at.saturating_add(SKEW_SECONDS)),
            ),
            Credential::Probe => return None,
        };
        Some(Self {
            ground,
            groups: identity.groups.clone(),
            said_at: identity.issued_at,
            until,
        })
    }
}

/// Why an answer must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its session or API key was ended.
    SignedOut,
    /// Its caller lost a group.
    RightsChanged,
    /// Its token ended.
    TokenExpired,
}

/// The word that an answer must end, and why.
#[derive(Debug, Default)]
struct Over {
    token: CancellationToken,
    why: OnceLock<Why>,
}

impl Over {
    fn now(&self, why: Why) {
        // Who comes second says nothing new.
        self.why.get_or_init(|| why);
        self.token.cancel();
    }
}

struct Entry {
    over: Arc<Over>,
    followers: usize,
    /// Unix seconds from which on the tokens of a session are to be renewed.
    renew_at: u64,
}

/// The open answers. Cheap to clone; all clones are the same.
#[derive(Clone, Default)]
pub struct Watch(Arc<Mutex<HashMap<Arc<Standing>, Entry>>>);

/// The word that an answer may go on; held as long as it is open.
pub struct Follow {
    watch: Watch,
    standing: Option<Arc<Standing>>,
    over: Arc<Over>,
}

impl Watch {
    /// Follows what the caller is known by.
    pub fn follow(&self, identity: &Identity) -> Follow {
        let standing = Standing::of(identity).map(Arc::new);
        let over = match &standing {
            Some(standing) => {
                let mut open = self.open();
                let entry = open.entry(Arc::clone(standing)).or_insert_with(|| Entry {
                    over: Arc::default(),
                    followers: 0,
                    renew_at: identity.expires_at.saturating_sub(RENEW_BEFORE_SECONDS),
                });
                entry.followers += 1;
                Arc::clone(&entry.over)
            }
            None => Arc::default(),
        };
        Follow {
            watch: self.clone(),
            standing,
            over,
        }
    }

    /// Ends the answers of this process that rest on something that is over.
    pub fn end(&self, ground: &Ground) {
        self.end_where(Why::SignedOut, |standing| standing.ground == *ground);
    }

    /// Ends the answers whose token has ended at `now`, in Unix seconds.
    pub fn expire(&self, now: u64) {
        self.end_where(Why::TokenExpired, |standing| {
            standing.until.is_some_and(|until| until < now)
        });
    }

    /// Those that end are looked at no more: whoever follows the same ground later is another one.
    fn end_where(&self, why: Why, is_over: impl Fn(&Standing) -> bool) {
        self.open().retain(|standing, entry| {
            let over = is_over(standing);
            if over {
                entry.over.now(why);
            }
            !over
        });
    }

    /// Sessions with open answers whose tokens are to be renewed at `now`, in Unix seconds. Each is
    /// named again some seconds later, unless [`Self::renewed`] says better.
    pub fn due(&self, now: u64) -> Vec<SessionHash> {
        let mut due = Vec::new();
        let mut open = self.open();
        for (standing, entry) in &mut *open {
            let Ground::Session(hash) = &standing.ground else {
                continue;
            };
            if entry.renew_at <= now {
                entry.renew_at = now.saturating_add(RENEW_AGAIN_SECONDS);
                due.push(*hash);
            }
        }
        drop(open);
        // One session may have begun answers with several of its tokens.
        due.sort_unstable();
        due.dedup();
        due
    }

    /// Hears that a session has tokens until `expires_at`, in Unix seconds.
    pub fn renewed(&self, hash: &SessionHash, expires_at: u64) {
        let mut open = self.open();
        for (standing, entry) in &mut *open {
            if standing.ground == Ground::Session(*hash) {
                let renew_at = expires_at.saturating_sub(RENEW_BEFORE_SECONDS);
                entry.renew_at = entry.renew_at.max(renew_at);
            }
        }
    }

    /// Looks once whether the open answers may go on.
    ///
    /// # Errors
    /// When the database fails; then all of them go on.
    pub async fn look(&self, store: &Store) -> Result<(), StoreError> {
        let standings: Vec<Arc<Standing>> = self.open().keys().cloned().collect();
        if standings.is_empty() {
            return Ok(());
        }
        for (place, why) in store.fallen(&standings).await? {
            if let Some(fallen) = standings.get(place) {
                self.end_where(why, |standing| *standing == **fallen);
            }
        }
        Ok(())
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Arc<Standing>, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follow {
    /// Waits until the answer must end, and says what it ends with. Safe to cancel.
    pub async fn over(&self) -> Failure {
        self.over.token.cancelled().await;
        failure(self.over.why.get().copied().unwrap_or(Why::SignedOut))
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        let Some(standing) = &self.standing else {
            return;
        };
        let mut open = self.watch.open();
        if let Some(entry) = open.get_mut(standing)
            && Arc::ptr_eq(&entry.over, &self.over)
        {
            entry.followers -= 1;
            if entry.followers == 0 {
                open.remove(standing);
            }
        }
    }
}

/// What an answer ends with that may not go on.
fn failure(why: Why) -> Failure {
    match why {
        Why::SignedOut => refused(
            "signed_out",
            "the session or API key of this request was ended while it was answered; sign in again",
        ),
        Why::RightsChanged => Failure::new(
            StatusCode::FORBIDDEN,
            "rights_changed",
            "a group was taken from you while this was answered; ask again with the rights that \
             you have now",
        ),
        Why::TokenExpired => refused(
            "token_expired",
            "the access token ended while this was answered; get a new one, or use an API key for \
             long answers",
        ),
    }
}

#[cfg(test)]
mod tests;
