//! Trying again until something answers.

use std::error::Error as StdError;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::Instant;

/// Calls `attempt` until it succeeds or `patience` is over, with waits from 200 ms to 5 s and
/// jitter between the calls. Each failure is logged as a wait for `what`. The last error is
/// returned. An attempt that is still running when the time is over is allowed to end, so it needs
/// a timeout of its own.
///
/// # Errors
/// The last failure of `attempt`.
pub async fn until<T, E, F, Fut>(what: &'static str, patience: Duration, attempt: F) -> Result<T, E>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: StdError,
{
    let why = |error: &E| Some(crate::runtime::chain(error));
    while_passing(what, patience, why, attempt).await
}

/// Like [`until`], for an attempt that may be made again after some of its failures only: `why` gives
/// the cause for the log where it may, and nothing where it may not.
///
/// # Errors
/// The last failure of `attempt`.
pub async fn while_passing<T, E, F, Fut>(
    what: &'static str,
    patience: Duration,
    why: fn(&E) -> Option<String>,
    mut attempt: F,
) -> Result<T, E>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let deadline = Instant::now() + patience;
    let mut waits = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(5))
        .with_jitter()
        .without_max_times()
        .build();
    loop {
        let error = match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let Some(cause) = why(&error) else {
            return Err(error);
        };
        let wait = waits.next().unwrap_or(Duration::from_secs(5));
        if Instant::now() + wait > deadline {
            return Err(error);
        }
        tracing::info!(error = cause, "waiting for {what}");
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_until_it_works() {
        let calls = Cell::new(0);
        let result = until("a test", Duration::from_secs(60), || {
            calls.set(calls.get() + 1);
            std::future::ready(if calls.get() < 4 {
                Err(io::Error::other("no"))
            } else {
                Ok(7)
            })
        });
        assert_eq!(result.await.unwrap(), 7);
        assert_eq!(calls.get(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn it_gives_the_last_error_when_the_time_is_over() {
        let started = Instant::now();
        let calls = Cell::new(0);
        let result: io::Result<()> = until("a test", Duration::from_secs(30), || {
            calls.set(calls.get() + 1);
            std::future::ready(Err(io::Error::other(format!("refused {}", calls.get()))))
        })
        .await;
        assert_eq!(
            result.unwrap_err().to_string(),
            format!("refused {}", calls.get())
        );
        assert!(started.elapsed() <= Duration::from_secs(30));
        assert!(calls.get() > 5);
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_not_be_made_again_is_not() {
        let calls = Cell::new(0);
        let why = |error: &io::Error| {
            let passes = error.kind() == io::ErrorKind::ConnectionRefused;
            passes.then(|| error.to_string())
        };
        let result: io::Result<()> = while_passing("a test", Duration::from_secs(30), why, || {
            calls.set(calls.get() + 1);
            let kind = match calls.get() {
                1 | 2 => io::ErrorKind::ConnectionRefused,
                _ => io::ErrorKind::ConnectionReset,
            };
            std::future::ready(Err(kind.into()))
        })
        .await;
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(calls.get(), 3);
    }
}
