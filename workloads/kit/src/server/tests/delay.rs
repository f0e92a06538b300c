//! `TCP_NODELAY`, on the side that serves and on the side that calls: a small write goes out though
//! the one before it is not acknowledged yet. Receivers put off their acknowledgements here, so with
//! Nagle's algorithm every second write waits for 40 ms.

use rustix::net::sockopt::set_tcp_quickack;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;

const ROUNDS: usize = 12;
/// Between what the algorithm costs, and what a write takes without it.
const LIMIT: Duration = Duration::from_millis(20);

/// One part: enough of the mark to be told from a stray one in a head.
const PART: &[u8] = b"~~~~~~~~";

/// Reads what comes and acknowledges it as late as the kernel allows. Gives when two more parts have
/// come.
async fn two_parts(stream: &mut TcpStream) -> Instant {
    let (mut buffer, mut seen) = ([0; 4096], 0);
    while seen < 2 * PART.len() {
        set_tcp_quickack(&*stream, false).unwrap();
        let size = within(stream.read(&mut buffer)).await.unwrap();
        assert_ne!(size, 0, "it ended early");
        seen += buffer[..size]
            .iter()
            .filter(|byte| **byte == PART[0])
            .count();
    }
    Instant::now()
}

/// Two writes, one right after the other, again and again: the shortest time in which both came.
/// The shortest, because a busy machine only makes it longer.
async fn shortest(stream: &mut TcpStream, parts: &mpsc::Sender<Bytes>) -> Duration {
    let mut best = PATIENCE;
    for round in 0..ROUNDS {
        set_tcp_quickack(&*stream, false).unwrap();
        let began = Instant::now();
        for _ in 0..2 {
            parts.send(Bytes::from_static(PART)).await.unwrap();
            // So that they are two writes.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let took = two_parts(stream).await - began;
        // A new connection acknowledges its first parts at once.
        if round > 1 {
            best = best.min(took);
        }
    }
    best
}

fn parts() -> (mpsc::Sender<Bytes>, Body) {
    let (sender, receiver) = mpsc::channel(1);
    let parts = stream::unfold(receiver, |mut receiver| async move {
        let part = receiver.recv().await?;
        Some((Ok::<_, std::io::Error>(part), receiver))
    });
    (sender, Body::from_stream(parts))
}

/// Answers with the parts, once.
fn router(body: Body) -> Router {
    let body = Arc::new(std::sync::Mutex::new(Some(body)));
    let handler = move || std::future::ready(body.lock().unwrap().take().unwrap());
    Router::new().route("/", get(handler))
}

#[tokio::test]
async fn a_part_of_an_answer_goes_out_before_the_one_before_it_is_acknowledged() {
    let (sender, body) = parts();
    let running = serve_within(router(body), None, LONG).await;
    let mut stream = connect(&running).await;
    stream.write_all(REQUEST).await.unwrap();
    let with = shortest(&mut stream, &sender).await;
    assert!(with < LIMIT, "{with:?}");

    // The control: the same server on sockets as the kernel makes them.
    let (sender, body) = parts();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(serve(listener, Arc::default(), router(body), LONG, stop));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    let without = shortest(&mut stream, &sender).await;
    assert!(without > LIMIT, "{without:?}");
}

#[tokio::test]
async fn a_part_of_a_request_goes_out_before_the_one_before_it_is_acknowledged() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let url: url::Url = url.parse().unwrap();
    let tls = crate::tls::TlsArgs::default();
    let ours = crate::upstream::http_client(&url, &"t".to_owned().into(), &tls).unwrap();
    let others = reqwest::Client::builder()
        .tcp_nodelay(false)
        .no_proxy()
        .build()
        .unwrap();
    let mut measured = Vec::new();
    for client in [ours, others] {
        let (sender, body) = parts();
        let body = reqwest::Body::wrap_stream(body.into_data_stream());
        let request = client.post(url.clone()).body(body).send();
        let request = tokio::spawn(request);
        let (mut stream, _) = within(listener.accept()).await.unwrap();
        measured.push(shortest(&mut stream, &sender).await);
        request.abort();
    }
    assert!(measured[0] < LIMIT && measured[1] > LIMIT, "{measured:?}");
}

/// A server of HTTP/2 that says as little as it may and reads what comes.
#[cfg(feature = "grpc")]
#[tokio::test]
async fn a_part_of_a_call_goes_out_before_the_one_before_it_is_acknowledged() {
    use tower::Service as _;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let url: url::Url = url.parse().unwrap();
    let ours = crate::upstream::endpoint(&url).unwrap();
    let others = ours.clone().tcp_nodelay(false);
    let mut measured = Vec::new();
    for endpoint in [ours, others] {
        let (sender, body) = parts();
        let mut channel = endpoint.connect_lazy();
        let request = http::Request::post(url.as_str())
            .body(tonic::body::Body::new(body))
            .unwrap();
        let call = tokio::spawn(async move {
            std::future::poll_fn(|context| channel.poll_ready(context))
                .await
                .unwrap();
            channel.call(request).await
        });
        let (mut stream, _) = within(listener.accept()).await.unwrap();
        // Settings without any.
        stream.write_all(b"\0\0\0\x04\0\0\0\0\0").await.unwrap();
        measured.push(shortest(&mut stream, &sender).await);
        call.abort();
    }
    assert!(measured[0] < LIMIT && measured[1] > LIMIT, "{measured:?}");
}
