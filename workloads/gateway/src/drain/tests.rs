use axum::Router;
use axum::middleware::{Next, from_fn};
use axum::routing::post;
use futures::stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// More than the buffers of both ends of a connection hold.
const BODY: usize = 24 * 1024 * 1024;

/// Refuses at once.
async fn refuse() -> StatusCode {
    StatusCode::UNAUTHORIZED
}

/// Reads the beginning, as a form whose first field is wrong.
async fn refuse_half_way(body: Body) -> StatusCode {
    let mut body = body.into_data_stream();
    assert!(body.next().await.unwrap().is_ok());
    StatusCode::UNSUPPORTED_MEDIA_TYPE
}

/// Reads everything.
async fn take(body: Bytes) -> String {
    body.len().to_string()
}

async fn connect() -> TcpStream {
    let router = Router::new()
        .route("/refuse", post(refuse))
        .route("/half", post(refuse_half_way))
        .route("/take", post(take))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .layer(from_fn(|request, next: Next| {
            drain(request, |request| next.run(request))
        }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    TcpStream::connect(address).await.unwrap()
}

/// Writes a whole request before it reads, as a proxy without much patience does.
async fn call(connection: &mut TcpStream, path: &str) -> String {
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {BODY}\r\n\r\n");
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&vec![b'x'; BODY]).await.unwrap();
    answer(connection).await
}

/// The answer, as far as one read brings it.
async fn answer(connection: &mut TcpStream) -> String {
    let mut buffer = vec![0; 4096];
    let size = connection.read(&mut buffer).await.unwrap();
    String::from_utf8_lossy(&buffer[..size]).into_owned()
}

#[rstest::rstest]
#[case("/refuse", "HTTP/1.1 401")]
#[case("/half", "HTTP/1.1 415")]
#[case("/take", "HTTP/1.1 200")]
#[tokio::test]
async fn an_early_answer_reaches_who_still_sends(#[case] path: &str, #[case] status: &str) {
    let mut connection = connect().await;
    let first = call(&mut connection, path).await;
    assert!(first.starts_with(status), "{first}");
    // And the connection goes on being of use.
    let second = call(&mut connection, path).await;
    assert!(second.starts_with(status), "{second}");
}

#[tokio::test]
async fn a_client_that_asks_first_is_not_made_to_send() {
    let mut connection = connect().await;
    let head = format!(
        "POST /refuse HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {BODY}\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let answer = answer(&mut connection).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn reading_off_is_bounded_in_bytes_and_time() {
    let started = tokio::time::Instant::now();
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[0; 1024])));
    read_off(endless, 1024 * 1024, MAX_TIME).await;
    assert_eq!(started.elapsed(), Duration::ZERO);
    let silent = stream::pending();
    read_off(silent, MAX_BYTES, MAX_TIME).await;
    assert!(started.elapsed() >= MAX_TIME);
    let broken = stream::iter([Err(axum::Error::new("gone")), Ok(Bytes::new())]);
    read_off(broken, MAX_BYTES, MAX_TIME).await;
}
