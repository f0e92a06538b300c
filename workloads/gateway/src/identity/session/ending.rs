//! How sessions end: by their person, here or from another browser; by the provider; by time.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use super::{Inner, Sessions, hash};
use crate::error::chain;
use crate::failure::Failure;
use crate::identity::back_channel::{self, Logout};
use crate::identity::watch::Ground;
use crate::identity::{Identity, SessionHash};
use crate::state::see_through;
use crate::store::TakenSession;

/// How often ended sessions are deleted. They are refused from the moment on.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

impl Sessions {
    /// Ends the session with this cookie here and at the provider. Gives the address to send the
    /// browser to, where only that ends the person's stay there.
    ///
    /// # Errors
    /// 503 when the session cannot be deleted here.
    pub async fn close(&self, cookie: &str) -> Result<Option<Url>, Failure> {
        let (inner, hash) = (Arc::clone(&self.0), hash(cookie));
        self.see_through(async move {
            match inner.store.take_session(&hash).await? {
                Some(sealed) => Ok(inner.part(&hash, &sealed).await),
                None => Ok(None),
            }
        })
        .await
    }

    /// Though who asks leaves: once a session is gone, nobody can tell the provider any more.
    async fn see_through<T: Send + 'static>(
        &self,
        ending: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        see_through(&self.0.tasks, Box::pin(ending)).await
    }

    /// Ends a session that gives way to a new one of the same browser. That the database is away is
    /// no reason not to go on: the old one ends by time.
    pub async fn replace(&self, cookie: &str) {
        let hash = hash(cookie);
        match self.0.store.take_session(&hash).await {
            Ok(_) => self.0.watch.end(&Ground::Session(hash)),
            Err(error) => tracing::warn!(error = chain(&error), "an old session stays"),
        }
    }

    /// Ends one of the caller's sessions, here and at the provider. A stay there that another session
    /// of the caller rests on goes on, or that session would end, too; a session that ends itself
    /// signs out, and ends it all the same.
    ///
    /// # Errors
    /// 404 when it is not the caller's, 503 when the database is away.
    pub async fn revoke(&self, identity: &Identity, id: Uuid) -> Result<(), Failure> {
        self.revoke_of(identity, Some(&identity.subject), id).await
    }

    /// Ends somebody's session in the same way, whose ever it is; `identity` asks for it.
    ///
    /// # Errors
    /// 404 when there is none, 503 when the database is away.
    pub async fn revoke_any(&self, identity: &Identity, id: Uuid) -> Result<(), Failure> {
        self.revoke_of(identity, None, id).await
    }

    async fn revoke_of(
        &self,
        identity: &Identity,
        subject: Option<&str>,
        id: Uuid,
    ) -> Result<(), Failure> {
        let (inner, subject) = (Arc::clone(&self.0), subject.map(str::to_owned));
        let own = identity.session().copied();
        self.see_through(async move {
            let idle = inner.limits.idle_seconds;
            let taken = inner.store.take_session_of(subject.as_deref(), id, idle);
            let taken = taken.await?.ok_or_else(|| Failure::not_found("session"))?;
            if taken.shares_stay && own != Some(taken.hash) {
                inner.watch.end(&Ground::Session(taken.hash));
            } else {
                // That browser is not here, so it cannot be sent anywhere.
                inner.part(&taken.hash, &taken.sealed).await;
            }
            Ok(())
        })
        .await
    }

    /// Ends all sessions of a person; says how many. The provider is told afterwards.
    ///
    /// # Errors
    /// 503 when the database is away.
    pub async fn end_all(&self, subject: &str) -> Result<usize, Failure> {
        self.end_but(subject, None).await
    }

    /// Ends all sessions of the caller but the one that asks, if it is one; says how many. The
    /// provider is told afterwards.
    ///
    /// # Errors
    /// 503 when the database is away.
    pub async fn end_others(&self, identity: &Identity) -> Result<usize, Failure> {
        self.end_but(&identity.subject, identity.session()).await
    }

    async fn end_but(&self, subject: &str, own: Option<&SessionHash>) -> Result<usize, Failure> {
        let (sessions, subject, own) = (self.clone(), subject.to_owned(), own.copied());
        self.see_through(async move {
            let taken = sessions.0.store.take_sessions(&subject, own.as_ref());
            Ok(sessions.end_taken(taken.await?))
        })
        .await
    }

    fn end_taken(&self, taken: Vec<TakenSession>) -> usize {
        let count = taken.len();
        for session in &taken {
            self.0.watch.end(&Ground::Session(session.hash));
        }
        let inner = Arc::clone(&self.0);
        self.0.tasks.spawn(async move {
            for session in taken.iter().filter(|session| !session.shares_stay) {
                inner.part(&session.hash, &session.sealed).await;
            }
        });
        count
    }

    /// Ends the sessions that the provider says are over; says how many there were.
    ///
    /// # Errors
    /// 400 when it said so before, 503 when the database is away: then nothing was ended.
    pub async fn end_by_provider(&self, logout: &Logout) -> Result<usize, Failure> {
        let mut change = self.0.store.begin().await?;
        let id = hash(&logout.id);
        if !change
            .use_logout_token(&id, back_channel::GOOD_FOR_SECONDS)
            .await?
        {
            return Err(back_channel::refused("this logout token was used before"));
        }
        let ended = change
            .delete_provider_sessions(
                logout.subject.as_deref(),
                logout.provider_session.as_deref(),
            )
            .await?;
        change.commit().await?;
        for hash in &ended {
            self.0.watch.end(&Ground::Session(*hash));
        }
        Ok(ended.len())
    }

    /// Deletes what has ended by time, again and again, until `stop`.
    pub async fn sweep(self, stop: CancellationToken) {
        loop {
            if let Err(error) = self
                .0
                .store
                .sweep_identity(self.0.limits.idle_seconds)
                .await
            {
                tracing::warn!(error = chain(&error), "ended sessions were not deleted");
            }
            tokio::select! {
                () = tokio::time::sleep(SWEEP_EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

impl Inner {
    /// What follows when a session was deleted.
    async fn part(&self, hash: &SessionHash, sealed: &[u8]) -> Option<Url> {
        self.watch.end(&Ground::Session(*hash));
        let tokens = self.unseal(hash, sealed).ok()?;
        if let Some(refresh_token) = &tokens.refresh_token
            && let Err(error) = self.login.end(refresh_token).await
        {
            // The session is over here; at the provider it ends by its own idle timeout.
            tracing::warn!(error = chain(&error), "sign-out not told the provider");
        }
        self.login.leave(&tokens).await
    }
}
