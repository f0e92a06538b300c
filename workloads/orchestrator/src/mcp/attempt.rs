//! Which attempts at a request may be followed by another one.

use std::error::Error as _;

use rmcp::{service::ServiceError, transport::streamable_http_client::StreamableHttpError};

use super::SERVICE;
use crate::failure::Failure;

/// An attempt that failed.
#[derive(Debug)]
pub(super) struct Failed {
    /// What the caller hears when it was the last one.
    pub(super) failure: Failure,
    /// Why another one may follow, for the log; `None` where the server has answered, or may have
    /// done what it was asked to.
    pub(super) again: Option<String>,
}

impl Failed {
    /// No other attempt may follow.
    pub(super) fn lasting(failure: Failure) -> Self {
        Self {
            failure,
            again: None,
        }
    }

    /// Another attempt may follow; `why` is for the caller, `cause` for the log.
    pub(super) fn passing(why: &str, cause: String) -> Self {
        Self {
            failure: Failure::dependency(SERVICE, why),
            again: Some(cause),
        }
    }

    /// The server said nothing in time to what changes nothing there.
    pub(super) fn slow() -> Self {
        Self::passing("too slow", "too slow".to_owned())
    }

    /// The tools could not be listed, which changes nothing on the server: whatever broke, the list
    /// may be asked for again.
    pub(super) fn list(error: &ServiceError) -> Self {
        match error {
            ServiceError::McpError(_) => Self::lasting(failure(error)),
            _ => Self {
                failure: failure(error),
                again: Some(error.to_string()),
            },
        }
    }

    /// A tool could not be called. It may have effects, so that only a call which surely did not
    /// begin is made again.
    pub(super) fn call(error: &ServiceError) -> Self {
        Self {
            failure: failure(error),
            again: has_not_begun(error).then(|| error.to_string()),
        }
    }
}

fn failure(error: &ServiceError) -> Failure {
    match error {
        ServiceError::McpError(error) => {
            let message: String = error.message.chars().take(300).collect();
            Failure::permanent(
                "tool_refused",
                format!("the tool server refused: {message}"),
            )
        }
        ServiceError::Timeout { .. } => Failure::dependency(SERVICE, "too slow"),
        _ => Failure::dependency(SERVICE, "the connection broke"),
    }
}

/// Whether a request surely did not come to a tool. An answer with an HTTP error says nothing on
/// that, 503 included: mcp-server never gives one before a call, it serves until it is gone.
fn has_not_begun(error: &ServiceError) -> bool {
    let ServiceError::TransportSend(error) = error else {
        return false;
    };
    match error
        .error
        .downcast_ref::<StreamableHttpError<reqwest::Error>>()
    {
        // There was no connection: refused, reset, timed out, or no TLS.
        Some(StreamableHttpError::Client(error)) => error.is_connect() || is_unsent(error),
        // Who does not know the session of a request does not carry it out, as MCP says.
        Some(StreamableHttpError::SessionExpired) => true,
        _ => false,
    }
}

/// Whether the connection ended before anything of the request was written to it.
fn is_unsent(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            return error.is_canceled();
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::any::TypeId;

    use rmcp::transport::DynamicTransportError;
    use rstest::rstest;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpSocket, TcpStream},
    };

    use super::*;

    type Error = StreamableHttpError<reqwest::Error>;

    fn sent(error: Error) -> ServiceError {
        let transport = DynamicTransportError::from_parts("test", TypeId::of::<()>(), error.into());
        ServiceError::TransportSend(transport)
    }

    /// What a client of ours says of a server that does this to its connection.
    async fn of_server(scheme: &str, answer: impl AsyncFnOnce(TcpStream)) -> ServiceError {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{scheme}://{}/", listener.local_addr().unwrap());
        let served = async {
            let (stream, _) = listener.accept().await.unwrap();
            answer(stream).await;
        };
        let (error, ()) = tokio::join!(of_post(&url), served);
        error
    }

    async fn of_post(url: &str) -> ServiceError {
        let client = reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .no_proxy()
            .build()
            .unwrap();
        let answer = client.post(url).body("{}").send().await;
        let body = match answer {
            Ok(answer) => answer.bytes().await.map(drop),
            Err(error) => Err(error),
        };
        sent(StreamableHttpError::Client(body.unwrap_err()))
    }

    #[tokio::test]
    async fn a_refused_connection_carried_nothing() {
        // Bound, so that nobody else listens there meanwhile.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("http://{}/", socket.local_addr().unwrap());
        let error = of_post(&url).await;
        assert!(has_not_begun(&error), "{error}");
    }

    #[tokio::test]
    async fn a_handshake_that_broke_off_carried_nothing() {
        let error = of_server("https", async |stream| drop(stream)).await;
        assert!(has_not_begun(&error), "{error}");
    }

    #[rstest]
    #[case::without_a_word("")]
    #[case::in_the_head("HTTP/1.1 200 OK\r\n")]
    #[case::in_the_body("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{")]
    #[tokio::test]
    async fn what_ended_after_the_request_may_have_been_carried_out(#[case] answer: &str) {
        let error = of_server("http", async |mut stream| {
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        assert!(!has_not_begun(&error), "{error}");
    }

    #[rstest]
    #[case::session(StreamableHttpError::SessionExpired, true)]
    #[case::recovery(StreamableHttpError::SessionRecoveryTimeout, false)]
    #[case::stream(StreamableHttpError::UnexpectedEndOfStream, false)]
    #[case::closed(StreamableHttpError::TransportChannelClosed, false)]
    fn of_the_protocols_own_errors_one_says_that_nothing_was_done(
        #[case] error: Error,
        #[case] is_so: bool,
    ) {
        assert_eq!(has_not_begun(&sent(error)), is_so);
    }

    #[test]
    fn a_list_is_asked_for_again_but_for_an_answer() {
        let lost = sent(StreamableHttpError::UnexpectedEndOfStream);
        assert!(Failed::list(&lost).again.is_some());
        assert!(Failed::call(&lost).again.is_none());
        let answer = rmcp::ErrorData::invalid_request("no", None);
        let answer = ServiceError::McpError(answer);
        assert!(Failed::list(&answer).again.is_none());
    }
}
