//! New tokens for those of a session that are about to end.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use moka::future::Cache;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Inner, REFRESH_BEFORE_SECONDS, Sessions, session_over};
use crate::failure::Failure;
use crate::identity::SessionHash;
use crate::identity::login::{RefreshFailure, Tokens};
use crate::identity::provider::EXCHANGE_TIMEOUT;
use crate::identity::token::{now, provider_unavailable};
use crate::store::{Store, StoreError};

/// Sessions that may be refreshed at once.
const REFRESHES: u64 = 10_000;
/// Who needs a new token waits for so long for whoever is fetching one.
const PATIENCE: Duration = Duration::from_secs(6);
const _: () = assert!(
    PATIENCE.as_secs() > EXCHANGE_TIMEOUT.as_secs(),
    "who waits must outlast the provider that is waited for"
);

/// The renewals of this replica.
pub(super) struct Renewals {
    /// Those that go on: the requests of one browser wait for the same one.
    running: Cache<SessionHash, Result<Tokens, Failure>>,
    /// Each holds a connection to the database for as long as the provider takes to answer. A slow
    /// provider must not take all of them from requests that need no new token.
    turns: Semaphore,
}

impl Renewals {
    /// Half of the connections may wait for the provider.
    pub(super) fn new(store: &Store) -> Self {
        Self {
            running: Cache::new(REFRESHES),
            turns: Semaphore::new((store.connections() / 2).max(1)),
        }
    }

    /// A turn at the provider. Who can do without a new token does not wait for one.
    async fn turn(&self, can_wait: bool) -> Option<SemaphorePermit<'_>> {
        if !can_wait {
            return self.turns.try_acquire().ok();
        }
        let turn = tokio::time::timeout(PATIENCE, self.turns.acquire());
        turn.await.ok()?.ok()
    }
}

impl Sessions {
    /// Tokens in the place of `tokens`. Those that still hold are good enough when no new ones can
    /// be had at once.
    pub(super) async fn renewed(
        &self,
        hash: SessionHash,
        tokens: Tokens,
    ) -> Result<Tokens, Failure> {
        match self.refreshed(hash, tokens.clone()).await {
            Err(failure) if failure.status == StatusCode::SERVICE_UNAVAILABLE && holds(&tokens) => {
                Ok(tokens)
            }
            outcome => outcome,
        }
    }

    /// One refresh goes on per session, in a task of its own: a browser that leaves meanwhile must
    /// not lose the answer, for the old refresh token is void then.
    async fn refreshed(&self, hash: SessionHash, known: Tokens) -> Result<Tokens, Failure> {
        let inner = Arc::clone(&self.0);
        let refresh = async move {
            let tasks = inner.tasks.clone();
            let task = tasks.spawn(async move { inner.refresh(&hash, known).await });
            task.await.unwrap_or_else(|_| Err(Failure::internal()))
        };
        let running = &self.0.renewals.running;
        let outcome = running.get_with(hash, refresh).await;
        running.invalidate(&hash).await;
        outcome
    }
}

impl Inner {
    /// Replaces the tokens. The row is locked meanwhile: a refresh token works once, and two
    /// replicas must not both use it.
    async fn refresh(&self, hash: &SessionHash, known: Tokens) -> Result<Tokens, Failure> {
        let must = !holds(&known);
        let Some(_turn) = self.renewals.turn(must).await else {
            return if must {
                Err(provider_unavailable())
            } else {
                Ok(known)
            };
        };
        let mut change = self.store.begin().await?;
        let locked = change.lock_session(hash, must.then_some(PATIENCE)).await;
        let sealed = match locked {
            Ok(Some(sealed)) => sealed,
            Ok(None) if must => return Err(session_over()),
            // Another replica is at it.
            Ok(None) => return Ok(known),
            // So is another one, and it takes as long as the provider does.
            Err(StoreError::Slow { .. }) if must => return Err(provider_unavailable()),
            Err(error) => return Err(error.into()),
        };
        let tokens = self.unseal(hash, &sealed)?;
        if tokens.expires_at >= now() + REFRESH_BEFORE_SECONDS {
            return Ok(tokens); // another replica was first
        }
        let Some(refresh_token) = &tokens.refresh_token else {
            if holds(&tokens) {
                return Ok(tokens);
            }
            change.delete_session(hash).await?;
            change.commit().await?;
            return Err(session_over());
        };
        match Box::pin(self.login.refresh(refresh_token)).await {
            Ok(fresh) => {
                let fresh = fresh.after(&tokens);
                change
                    .update_session(hash, &self.seal(hash, &fresh)?)
                    .await?;
                change.commit().await?;
                self.note_groups(hash, &fresh).await;
                Ok(fresh)
            }
            Err(RefreshFailure::Ended) => {
                change.delete_session(hash).await?;
                change.commit().await?;
                Err(session_over())
            }
            Err(RefreshFailure::Unavailable) => Err(provider_unavailable()),
        }
    }

    /// Keeps what new tokens say of their person, for the replicas that have open answers of this
    /// session or of the person's API keys. Not while the row is locked: the signing keys may have to be fetched for it. What
    /// is not kept is kept with the next tokens.
    async fn note_groups(&self, hash: &SessionHash, fresh: &Tokens) {
        // A token that is refused is refused to the next request, which ends the session.
        let Ok(said) = self.verifier.verify(&fresh.access_token).await else {
            return;
        };
        let store = &self.store;
        let (of_session, of_owner) = tokio::join!(
            store.note_groups(hash, &said.groups, said.issued_at),
            store.update_key_owner(&said.subject, &said.groups, said.issued_at),
        );
        if let Err(error) = of_session {
            tracing::warn!(
                error = crate::error::chain(&error),
                "the groups of a session were not noted"
            );
        }
        if let Err(error) = of_owner {
            tracing::warn!(
                error = crate::error::chain(&error),
                "the groups of an owner of API keys were not noted"
            );
        }
    }
}

fn holds(tokens: &Tokens) -> bool {
    tokens.expires_at > now()
}
