//! The client of the API server.

use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, StreamBody};
use kube::client::{Body, ClientBuilder, DynBody};
use kube::{Client, Config};
use snafu::Snafu;
use tokio::time::timeout;
use tower::layer::layer_fn;
use tower::{BoxError, Service};

/// Longest time for an answer with all of its body, or for the beginning of a watch. A connection
/// that died silently holds a pass for so long, which is half of the minute after which a platform
/// is to be as it should be.
pub const ANSWER: Duration = Duration::from_secs(30);
/// Longest silence of a watch before it is taken for dead and begun again where it was. The API
/// server sends a bookmark every minute.
pub const SILENCE: Duration = Duration::from_secs(90);

/// A client that reports every failure at once, and silence as a failure.
///
/// The one that kube makes by default tries 15 times with pauses of up to 82 s whatever the API
/// server could not take now: a pass would sleep on long after the server is well again. Passes and
/// watches are repeated anyway, with pauses of less than a minute. And it waits for ever for an
/// answer over a connection that nobody serves any more.
///
/// # Errors
/// When the configuration holds a certificate, key or proxy that cannot be used.
pub fn client(mut config: Config) -> Result<Client, kube::Error> {
    config.default_retry = false;
    let bounded = layer_fn(|inner| Bounded { inner });
    let builder = ClientBuilder::try_from(config)?;
    Ok(builder.with_layer(&bounded).build())
}

/// No answer came in time.
#[derive(Debug, Snafu)]
#[snafu(display("the API server did not answer within {} s", ANSWER.as_secs()))]
struct Overdue;

/// Ends requests that are not answered in time and watches that have fallen silent. kube's own
/// limit on reading does not tell the two apart.
struct Bounded<S> {
    inner: S,
}

type Answer = Response<Box<DynBody>>;

impl<S> Service<Request<Body>> for Bounded<S>
where
    S: Service<Request<Body>, Response = Answer, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Answer;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Answer, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let watches = is_watch(request.uri());
        let answer = self.inner.call(request);
        let whole = async move {
            let (head, body) = answer.await?.into_parts();
            let body = if watches {
                while_it_speaks(body)
            } else {
                // The client gathers it anyway.
                let all = Full::new(body.collect().await?.to_bytes());
                Box::new(all.map_err(BoxError::from)) as Box<DynBody>
            };
            Ok(Response::from_parts(head, body))
        };
        Box::pin(async { timeout(ANSWER, whole).await.map_err(|_| Overdue)? })
    }
}

fn is_watch(uri: &Uri) -> bool {
    let mut parameters = uri.query().unwrap_or_default().split('&');
    parameters.any(|parameter| parameter == "watch=true")
}

/// The body until it ends or falls silent.
fn while_it_speaks(body: Box<DynBody>) -> Box<DynBody> {
    let frames = stream::unfold(body, |mut body| async {
        let frame = timeout(SILENCE, body.frame()).await.unwrap_or_else(|_| {
            tracing::info!("a watch has fallen silent and is restarted");
            None
        })?;
        Some((frame, body))
    });
    Box::new(StreamBody::new(Box::pin(frames)))
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use rstest::rstest;
    use tokio::time::{Instant, sleep};
    use tower::service_fn;

    use super::*;

    const LIST: &str = "/api/v1/pods?limit=1";
    const WATCH: &str = "/api/v1/pods?&watch=true&timeoutSeconds=290";

    /// Asks a server that begins its answer after `head` seconds, adds a byte after each of the
    /// pauses, and never ends it. Gives the length of the answer, or the error.
    async fn ask(path: &str, head: u64, pauses: &'static [u64]) -> Result<usize, String> {
        let inner = service_fn(move |_: Request<Body>| async move {
            sleep(Duration::from_secs(head)).await;
            let chunks = stream::unfold(pauses, |pauses| async move {
                let Some((next, rest)) = pauses.split_first() else {
                    return std::future::pending().await;
                };
                sleep(Duration::from_secs(*next)).await;
                Some((Ok::<_, BoxError>(Bytes::from("x")), rest))
            });
            let body = axum::body::Body::from_stream(chunks);
            let body: Box<DynBody> = Box::new(body.map_err(BoxError::from));
            Ok(Response::new(body))
        });
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = Bounded { inner }.call(request).await;
        let body = answer.map_err(|error| error.to_string())?.into_body();
        Ok(body.collect().await.unwrap().to_bytes().len())
    }

    #[rstest]
    #[case::no_answer(LIST, 100, &[], None, 30)]
    #[case::no_end_of_the_answer(LIST, 1, &[1, 1], None, 30)]
    #[case::no_beginning_of_a_watch(WATCH, 100, &[], None, 30)]
    #[case::a_watch_that_falls_silent(WATCH, 1, &[1], Some(1), 92)]
    #[case::a_watch_that_goes_on(WATCH, 1, &[80, 80, 80], Some(3), 331)]
    #[tokio::test(start_paused = true)]
    async fn silence_ends(
        #[case] path: &str,
        #[case] head: u64,
        #[case] pauses: &'static [u64],
        #[case] length: Option<usize>,
        #[case] seconds: u64,
    ) {
        let begun = Instant::now();
        let answer = ask(path, head, pauses).await;
        assert_eq!(begun.elapsed().as_secs(), seconds);
        let overdue = "the API server did not answer within 30 s".to_owned();
        assert_eq!(answer, length.ok_or(overdue));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_comes_in_time_is_whole() {
        let inner = service_fn(|_: Request<Body>| async {
            sleep(ANSWER - Duration::from_secs(1)).await;
            let body: Box<DynBody> =
                Box::new(Body::from(b"all of it".to_vec()).map_err(Into::into));
            Ok::<_, BoxError>(Response::new(body))
        });
        let request = Request::get(LIST).body(Body::empty()).unwrap();
        let answer = Bounded { inner }.call(request).await.unwrap();
        let body = answer.into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), "all of it");
    }
}
