//! Answers that are open: what they rest on is looked after, and the tokens of their sessions are
//! renewed, as they would be if the browser sent requests meanwhile. What the provider takes from a
//! person is so heard of within the life of one token.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Sessions;
use crate::error::chain;
use crate::failure::Failure;
use crate::identity::SessionHash;
use crate::identity::token::now;

/// How often it is looked whether open answers may go on.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl Sessions {
    /// Looks after open answers again and again, until `stop`.
    pub async fn look_after_answers(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let watch = &self.0.watch;
            watch.expire(now());
            for hash in watch.due(now()) {
                let sessions = self.clone();
                // The provider may take its time; the others are looked after meanwhile.
                self.0.tasks.spawn(async move {
                    if let Err(failure) = sessions.renew(hash).await {
                        tracing::debug!(code = %failure.code, "a session was not renewed");
                    }
                });
            }
            if let Err(error) = watch.look(&self.0.store).await {
                tracing::warn!(error = chain(&error), "open answers were not looked after");
            }
        }
    }

    /// Renews the tokens of a session that has open answers, if they are about to end. While the
    /// provider is away its answers go on, as far as they may take.
    ///
    /// # Errors
    /// 401 when the session is over, which the next look sees; 503 when something is away.
    async fn renew(&self, hash: SessionHash) -> Result<(), Failure> {
        let (tokens, _) = self.tokens(hash).await?;
        self.0.watch.renewed(&hash, tokens.expires_at);
        Ok(())
    }
}
