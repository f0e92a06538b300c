//! Whether the database answers. What stands between a caller and a model is refused soon when the
//! database is away, and waits when it is only busy: of a pool that gives no connection nobody can
//! tell which it is.
//!
//! A database that answers anything is there. When it has answered nothing for [`DOUBT`], somebody
//! knocks; when it does not let that one in within [`PROOF`], it is away. Whoever waits meanwhile
//! shares the finding, so that a busy database has one more connection at most.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::time::{Instant, sleep_until, timeout};

use super::is_away;

/// So long nothing is asked of a database that is silent.
const DOUBT: Duration = Duration::from_millis(400);
/// A new connection takes some milliseconds.
const PROOF: Duration = Duration::from_millis(400);
const _: () = assert!(
    DOUBT.as_millis() + PROOF.as_millis() < 1_000,
    "without a database nothing is spent, and that is told within a second"
);

/// What a knock came to.
#[derive(Debug, Clone, Copy)]
struct Finding {
    at: Instant,
    is_there: bool,
}

#[derive(Debug)]
struct Inner {
    /// When the database answered last.
    answered: Mutex<Instant>,
    found: tokio::sync::Mutex<Option<Finding>>,
}

/// When the database answered last, and whether it lets anybody in. Cheap to clone; all clones are
/// the same.
#[derive(Debug, Clone)]
pub(super) struct Pulse(Arc<Inner>);

impl Pulse {
    /// A database that has just answered.
    pub(super) fn new() -> Self {
        Self(Arc::new(Inner {
            answered: Mutex::new(Instant::now()),
            found: tokio::sync::Mutex::default(),
        }))
    }

    /// Hears that the database has answered.
    pub(super) fn beats(&self) {
        *self.lock() = Instant::now();
    }

    fn answered(&self) -> Instant {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Instant> {
        let answered = self.0.answered.lock();
        answered.unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the database behind `pool` is away. Safe to cancel.
    pub(super) async fn stops(&self, pool: &PgPool) {
        let mut since = Instant::now();
        loop {
            sleep_until(since + DOUBT).await;
            let answered = self.answered();
            if answered > since {
                since = answered;
            // Boxed: every statement has room for this, and hardly one needs it.
            } else if Box::pin(self.is_there(pool)).await {
                since = Instant::now();
            } else {
                return;
            }
        }
    }

    async fn is_there(&self, pool: &PgPool) -> bool {
        let asked = Instant::now();
        let mut found = self.0.found.lock().await;
        if let Some(finding) = found.filter(|finding| finding.at >= asked) {
            return finding.is_there;
        }
        let is_there = timeout(PROOF, lets_in(pool)).await.unwrap_or(false)
            // Or it has answered somebody who waited.
            || self.answered() >= asked;
        if is_there {
            self.beats();
        }
        *found = Some(Finding {
            at: Instant::now(),
            is_there,
        });
        is_there
    }
}

/// Whether a database lets anybody in. One that is full would, if not now.
async fn lets_in(pool: &PgPool) -> bool {
    match PgConnection::connect_with(&pool.connect_options()).await {
        Ok(connection) => connection.close().await.is_ok(),
        Err(error) => {
            let code = error.as_database_error().and_then(|error| error.code());
            let is_full = code.is_some_and(|code| code.starts_with("53"));
            is_full || !is_away(&error)
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgPoolOptions;
    use tokio::time::sleep;

    use super::*;

    /// A database that nobody can reach.
    fn nowhere() -> PgPool {
        PgPoolOptions::new()
            .connect_lazy("postgres://nobody:x@127.0.0.1:1/none")
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_database_that_answers_others_is_there_and_a_silent_one_is_asked() {
        let (pulse, pool) = (Pulse::new(), nowhere());
        let others = async {
            for _ in 0..20 {
                sleep(DOUBT / 2).await;
                pulse.beats();
            }
        };
        tokio::select! {
            () = pulse.stops(&pool) => panic!("it answers"),
            () = others => {}
        }
        let began = Instant::now();
        // Who waits as well hears the same.
        tokio::join!(pulse.stops(&pool), pulse.stops(&pool), pulse.stops(&pool));
        let took = began.elapsed();
        assert!(took >= DOUBT, "{took:?}");
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}
