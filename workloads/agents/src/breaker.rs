//! A circuit breaker per provider: after a row of failures, calls fail at once for a while
//! instead of costing every caller a timeout.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Failures in a row after which the breaker opens.
pub const FAILURES_TO_OPEN: u32 = 5;
/// How long it stays open; then one call is let through as a test.
pub const OPEN_FOR: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open_until: Option<Instant>,
}

/// Counts failures in a row of one provider.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

impl Breaker {
    /// May a call go out now? When the time is up, exactly one caller is told yes and the rest
    /// wait for its result.
    #[must_use]
    pub fn allows(&self) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.open_until {
            None => true,
            Some(until) if Instant::now() < until => false,
            Some(_) => {
                state.open_until = Some(Instant::now() + OPEN_FOR);
                true
            }
        }
    }

    /// The provider answered.
    pub fn succeeded(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    /// The provider failed in a way that says something about its health.
    pub fn failed(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES_TO_OPEN {
            state.open_until = Some(Instant::now() + OPEN_FOR);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn opens_after_five_failures_and_lets_one_call_test_the_provider() {
        let breaker = Breaker::default();
        for _ in 0..FAILURES_TO_OPEN {
            assert!(breaker.allows());
            breaker.failed();
        }
        assert!(!breaker.allows());
        tokio::time::advance(OPEN_FOR).await;
        assert!(breaker.allows(), "one test call");
        assert!(!breaker.allows(), "and no second one while it runs");
        breaker.succeeded();
        assert!(breaker.allows() && breaker.allows());
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_in_between_starts_the_count_again() {
        let breaker = Breaker::default();
        for _ in 0..FAILURES_TO_OPEN * 2 {
            breaker.failed();
            breaker.succeeded();
        }
        assert!(breaker.allows());
    }
}
