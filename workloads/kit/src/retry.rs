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
    until_final(what, patience, |_| false, attempt).await
}

/// The same, but a failure that `is_final`, because waiting mends nothing, is returned at once.
///
/// # Errors
/// The last failure of `attempt`.
pub async fn until_final<T, E, F, Fut>(
    what: &'static str,
    patience: Duration,
    is_final: impl Fn(&E) -> bool,
    mut attempt: F,
) -> Result<T, E>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: StdError,
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
            Err(error) if is_final(&error) => return Err(error),
            Err(error) => error,
        };
        let wait = waits.next().unwrap_or(Duration::from_secs(5));
        if Instant::now() + wait > deadline {
            return Err(error);
        }
        tracing::info!(error = crate::runtime::chain(&error), "waiting for {what}");
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
    async fn it_does_not_wait_after_a_failure_that_no_waiting_mends() {
        let started = Instant::now();
        let calls = Cell::new(0);
        let is_final = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
        let result: io::Result<()> =
            until_final("a test", Duration::from_secs(30), is_final, || {
                calls.set(calls.get() + 1);
                let kind = if calls.get() < 3 {
                    io::ErrorKind::ConnectionRefused
                } else {
                    io::ErrorKind::PermissionDenied
                };
                std::future::ready(Err(kind.into()))
            })
            .await;
        assert!(is_final(&result.unwrap_err()));
        assert_eq!(calls.get(), 3);
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}
