//! Bodies of requests that do not come in time.

use axum::body::Body;
use axum::http::StatusCode;
use futures::{StreamExt as _, stream};
use tokio::time::Instant;

use super::Times;
use crate::failure::Failure;
use crate::flag::Flag;

/// A body that ends with an error when it does not come in time, and raises `late` then.
pub(super) fn in_time(body: Body, times: Times, late: Flag) -> Body {
    let end = Instant::now() + times.body;
    let parts = stream::unfold(Some(body.into_data_stream()), move |body| {
        let late = late.clone();
        async move {
            let mut body = body?;
            let limit = end.min(Instant::now() + times.part);
            match tokio::time::timeout_at(limit, body.next()).await {
                Ok(part) => Some((part?, Some(body))),
                Err(error) => {
                    late.raise();
                    Some((Err(axum::Error::new(error)), None))
                }
            }
        }
    });
    Body::from_stream(parts)
}

/// What a request is told whose body was too late.
pub(super) fn too_late() -> Failure {
    metrics::counter!("lotoai_gateway_late_bodies_total").increment(1);
    Failure::new(
        StatusCode::REQUEST_TIMEOUT,
        "body_timeout",
        "the body of the request did not come in time; nothing was changed, send it again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_ends_with_an_error() {
        let first = stream::iter([Ok::<_, std::io::Error>("part")]);
        let late = Flag::default();
        let body = Body::from_stream(first.chain(stream::pending()));
        let body = in_time(body, Times::default(), late.clone());
        let mut parts = body.into_data_stream();
        assert_eq!(parts.next().await.unwrap().unwrap(), "part");
        assert!(!late.is_raised());
        assert!(parts.next().await.unwrap().is_err());
        assert!(late.is_raised());
        assert!(parts.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_ends_with_an_error_as_well() {
        let times = Times::default();
        let began = Instant::now();
        let trickle = stream::repeat(()).then(move |()| async move {
            tokio::time::sleep(times.part / 2).await;
            Ok::<_, std::io::Error>("x")
        });
        let late = Flag::default();
        let body = in_time(Body::from_stream(trickle), times, late.clone());
        let mut parts = body.into_data_stream();
        while parts.next().await.is_some_and(|part| part.is_ok()) {}
        assert!(late.is_raised());
        assert!(began.elapsed() >= times.body && began.elapsed() < times.body + times.part);
    }
}
