#[cfg(feature = "grpc")]
mod grpc;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures::StreamExt;
use reqwest::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::testing::{Authority, Running, serve, serve_within};
use crate::{Limits, runtime, upstream};

/// How long a test waits for what must happen.
const DEADLINE: Duration = Duration::from_secs(10);

fn hello() -> Router {
    Router::new().route("/", get(|| std::future::ready("hello")))
}

fn client(url: &str, tls: &TlsArgs) -> Client {
    upstream::http_client(&url.parse().unwrap(), &"t0ken".into(), tls).unwrap()
}

/// Asks over a connection of its own.
async fn ask(running: &Running, tls: &TlsArgs) -> Result<String, String> {
    let url = format!("https://localhost:{}/", running.port);
    match client(&url, tls).get(url).send().await {
        Ok(response) => Ok(response.text().await.unwrap()),
        Err(error) => Err(runtime::chain(&error)),
    }
}

/// Connects, and shakes hands as a client that trusts `authority`.
async fn shake(port: u16, authority: &Authority, alpn: &[&[u8]]) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    shake_on(stream, authority, alpn).await
}

async fn shake_on(
    stream: TcpStream,
    authority: &Authority,
    alpn: &[&[u8]],
) -> TlsStream<TcpStream> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};

    let mut roots = rustls::RootCertStore::empty();
    let file = authority.file("ca.crt");
    roots
        .add(CertificateDer::from_pem_file(file).unwrap())
        .unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
        .connect("localhost".try_into().unwrap(), stream)
        .await
        .unwrap()
}

fn shown(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

/// One request over a connection that stays open.
async fn request(stream: &mut TlsStream<TcpStream>) -> String {
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        assert_ne!(
            stream.read_buf(&mut answer).await.unwrap(),
            0,
            "it was closed"
        );
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn who_trusts_the_authority_connects_and_nobody_else() {
    let platform = Authority::new("platform");
    let other = Authority::new("other");
    platform.issue(&["localhost"]);
    let running = serve(hello(), Some(platform.certificates())).await;

    assert_eq!(ask(&running, &platform.args()).await.unwrap(), "hello");
    let cause = ask(&running, &other.args()).await.unwrap_err();
    assert!(
        cause.contains("invalid peer certificate: UnknownIssuer"),
        "{cause}"
    );
    // A refusal harms nobody else.
    assert_eq!(ask(&running, &platform.args()).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let platform = Authority::new("platform");
    platform.issue(&["elsewhere"]);
    let running = serve(hello(), Some(platform.certificates())).await;
    let cause = ask(&running, &platform.args()).await.unwrap_err();
    assert!(
        cause.contains("certificate not valid for name \"localhost\""),
        "{cause}"
    );
}

#[tokio::test]
async fn clear_text_is_not_answered() {
    let platform = Authority::new("platform");
    platform.issue(&["localhost"]);
    let running = serve(hello(), Some(platform.certificates())).await;
    assert!(
        reqwest::get(format!("http://127.0.0.1:{}/", running.port))
            .await
            .is_err()
    );
    assert_eq!(ask(&running, &platform.args()).await.unwrap(), "hello");
}

#[tokio::test]
async fn callers_choose_the_protocol() {
    let platform = Authority::new("platform");
    platform.issue(&["localhost"]);
    let running = serve(hello(), Some(platform.certificates())).await;
    for (offered, chosen) in [
        (&[b"h2".as_slice(), b"http/1.1"][..], Some(b"h2".as_slice())),
        (&[b"http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let stream = shake(running.port, &platform, offered).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen);
    }
    // Our own clients spread their requests over connections.
    let url = format!("https://localhost:{}/", running.port);
    let answer = client(&url, &platform.args())
        .get(&url)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_11);
}

#[tokio::test]
async fn pieces_arrive_when_they_are_sent_and_a_stop_lets_the_answer_end() {
    let platform = Authority::new("platform");
    platform.issue(&["localhost"]);
    let pem = std::fs::read(platform.file("ca.crt")).unwrap();
    let root = reqwest::Certificate::from_pem(&pem).unwrap();
    for (builder, version) in [
        (Client::builder(), http::Version::HTTP_2),
        (Client::builder().http1_only(), http::Version::HTTP_11),
    ] {
        let (pieces, taken) = mpsc::unbounded_channel::<&'static str>();
        let taken = Arc::new(tokio::sync::Mutex::new(taken));
        let handler = move || {
            let taken = Arc::clone(&taken);
            let stream = futures::stream::unfold(taken, |taken| async move {
                let piece = taken.lock().await.recv().await?;
                Some((Ok::<_, std::io::Error>(Bytes::from(piece)), taken))
            });
            std::future::ready(Body::from_stream(stream))
        };
        let router = Router::new().route("/", get(handler));
        let running = serve(router, Some(platform.certificates())).await;
        let client = builder.tls_certs_only([root.clone()]).build().unwrap();
        let url = format!("https://localhost:{}/", running.port);
        let answer = client.get(url).send().await.unwrap();
        assert_eq!(answer.version(), version);
        let mut body = answer.bytes_stream();

        for piece in ["one", "two"] {
            pieces.send(piece).unwrap();
            let arrived = tokio::time::timeout(DEADLINE, body.next()).await.unwrap();
            assert_eq!(arrived.unwrap().unwrap(), piece);
        }
        running.service.shutdown.cancel();
        pieces.send("three").unwrap();
        drop(pieces);
        let mut rest = Vec::new();
        while let Some(piece) = body.next().await {
            rest.extend(piece.unwrap());
        }
        assert_eq!(rest, b"three");
        drop((body, client));
        let ended = tokio::time::timeout(DEADLINE, running.server).await;
        ended.unwrap().unwrap().unwrap();
    }
}

#[tokio::test]
async fn new_connections_get_the_new_certificate_and_running_ones_go_on() {
    let platform = Authority::new("platform");
    let first = platform.issue(&["localhost"]);
    let certificates = platform.certificates();
    let running = serve(hello(), Some(Arc::clone(&certificates))).await;
    certificates.watch(&running.service, Duration::from_millis(5));
    let mut open = shake(running.port, &platform, &[]).await;
    assert_eq!(shown(&open), first);
    request(&mut open).await;

    let second = platform.issue(&["localhost"]);
    let changed = async { while shown(&shake(running.port, &platform, &[]).await) != second {} };
    tokio::time::timeout(DEADLINE, changed).await.unwrap();
    request(&mut open).await;
    assert_eq!(shown(&open), first);
}

#[test]
fn a_broken_pair_keeps_the_one_before_and_the_next_good_one_is_taken() {
    let platform = Authority::new("platform");
    let first = platform.issue(&["localhost"]);
    let certificates = platform.certificates();
    let now = || certificates.leaf();

    // Half of a change: the new certificate with the old key.
    let (certificate, key) = platform.pair(&["localhost"]);
    std::fs::write(platform.file("tls.crt"), certificate.pem()).unwrap();
    certificates.look();
    assert_eq!(now(), first);
    std::fs::write(platform.file("tls.crt"), "half of a fi").unwrap();
    certificates.look();
    assert_eq!(now(), first);
    std::fs::remove_file(platform.file("tls.crt")).unwrap();
    certificates.look();
    assert_eq!(now(), first);
    // The other half.
    std::fs::write(platform.file("tls.crt"), certificate.pem()).unwrap();
    std::fs::write(platform.file("tls.key"), key.serialize_pem()).unwrap();
    certificates.look();
    assert_eq!(now(), certificate.der().to_vec());
}

#[test]
fn files_that_cannot_be_used_at_the_start_are_an_error_that_names_them() {
    let platform = Authority::new("platform");
    let error = || runtime::chain(&platform.args().certificates().unwrap_err());
    assert!(
        error().starts_with("failed to read TLS_CERT_FILE \""),
        "{}",
        error()
    );
    platform.issue(&["localhost"]);
    let (other, _) = platform.pair(&["localhost"]);
    std::fs::write(platform.file("tls.crt"), other.pem()).unwrap();
    assert!(
        error().contains("is not the key of the certificate"),
        "{}",
        error()
    );
    std::fs::write(platform.file("tls.crt"), "text").unwrap();
    assert!(error().contains("BEGIN CERTIFICATE"), "{}", error());
    platform.issue(&["localhost"]);
    std::fs::write(platform.file("tls.key"), "text").unwrap();
    assert!(error().contains("BEGIN PRIVATE KEY"), "{}", error());
    assert!(TlsArgs::default().certificates().unwrap().is_none());
}

#[tokio::test]
async fn a_caller_that_dawdles_holds_up_no_other() {
    let platform = Authority::new("platform");
    platform.issue(&["localhost"]);
    let running = serve(hello(), Some(platform.certificates())).await;
    let _silent = TcpStream::connect(("127.0.0.1", running.port))
        .await
        .unwrap();
    assert_eq!(ask(&running, &platform.args()).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_handshake_that_is_under_way_at_a_stop_is_finished_and_answered() {
    let platform = Authority::new("platform");
    platform.issue(&["localhost"]);
    let quiet = Duration::from_millis(300);
    let limits = Limits {
        quiet,
        ..Limits::default()
    };
    let mut running = serve_within(hello(), Some(platform.certificates()), limits).await;
    let slow = TcpStream::connect(("127.0.0.1", running.port))
        .await
        .unwrap();
    // Who comes later is answered: the slow one is accepted.
    assert_eq!(ask(&running, &platform.args()).await.unwrap(), "hello");
    running.service.shutdown.cancel();
    // Nobody comes for much longer than the listener stays for that alone.
    let ended = tokio::time::timeout(4 * quiet, &mut running.server).await;
    assert!(ended.is_err(), "{ended:?}");
    let mut slow = shake_on(slow, &platform, &[]).await;
    let answer = request(&mut slow).await;
    assert!(answer.contains("connection: close"), "{answer}");
    // The control: now nobody is waited for.
    let ended = tokio::time::timeout(DEADLINE, running.server).await;
    ended.unwrap().unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_takes_too_long_is_ended() {
    let platform = Authority::new("platform");
    platform.issue(&["localhost"]);
    let running = serve(hello(), Some(platform.certificates())).await;
    let started = tokio::time::Instant::now();
    let mut silent = TcpStream::connect(("127.0.0.1", running.port))
        .await
        .unwrap();
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
    assert!(started.elapsed() >= Duration::from_secs(10));
}

#[test]
fn tls_without_an_authority_is_refused_with_the_fix() {
    let url = "https://agents:50051".parse().unwrap();
    let error = upstream::http_client(&url, &"t0ken".into(), &TlsArgs::default()).unwrap_err();
    assert!(error.to_string().contains("set TLS_CA_FILE"), "{error}");
    let tls = TlsArgs {
        tls_ca_file: Some("/nowhere/ca.crt".into()),
        ..TlsArgs::default()
    };
    let error = upstream::http_client(&url, &"t0ken".into(), &tls).unwrap_err();
    assert_eq!(error.to_string(), "failed to use TLS_CA_FILE");
}
