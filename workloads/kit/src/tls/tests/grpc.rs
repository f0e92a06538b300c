//! gRPC over TLS.

use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::*;
use crate::Service;
use crate::service::ServeError;

/// A server of nothing but its health.
struct Healthy {
    service: Service,
    port: u16,
    server: JoinHandle<Result<(), ServeError>>,
}

impl Healthy {
    async fn start(platform: &Authority, limits: Limits) -> Self {
        let mut service = Service::for_tests("test");
        service.certificates = Some(platform.certificates());
        service.limits = limits;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = {
            let service = service.clone();
            let routes = tonic::service::Routes::default();
            tokio::spawn(async move { service.serve_grpc_on(listener, routes).await })
        };
        Self {
            service,
            port,
            server,
        }
    }

    /// What it says of itself over a connection of its own.
    async fn check(&self, host: &str, tls: &TlsArgs) -> Result<ServingStatus, tonic::Status> {
        let url = format!("https://{host}:{}", self.port).parse().unwrap();
        let channel = upstream::grpc_channel(&url, &"t0ken".into(), tls).unwrap();
        let mut client = HealthClient::new(channel);
        let answer = client.check(HealthCheckRequest::default()).await?;
        Ok(answer.get_ref().status())
    }

    /// Its end, which comes in time.
    async fn ended(self) {
        let ended = tokio::time::timeout(DEADLINE, self.server).await;
        ended.unwrap().unwrap().unwrap();
    }
}

#[tokio::test]
async fn grpc_is_served_and_called_over_tls_and_the_cause_of_a_refusal_is_told() {
    let platform = Authority::new("platform");
    let other = Authority::new("other");
    platform.issue(&["localhost"]);
    let healthy = Healthy::start(&platform, Limits::default()).await;
    let status = healthy.check("localhost", &platform.args()).await.unwrap();
    assert_eq!(status, ServingStatus::Serving);
    let refused = healthy.check("localhost", &other.args()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert!(refused.message().contains("UnknownIssuer"), "{refused:?}");
    let refused = healthy
        .check("127.0.0.1", &platform.args())
        .await
        .unwrap_err();
    assert!(
        refused.message().contains("not valid for name"),
        "{refused:?}"
    );
    healthy.service.shutdown.cancel();
    healthy.ended().await;
}

#[tokio::test]
async fn a_handshake_that_is_under_way_at_a_stop_is_finished_and_its_call_answered() {
    let platform = Authority::new("platform");
    platform.issue(&["localhost"]);
    let quiet = Duration::from_millis(500);
    let limits = Limits {
        quiet,
        ..Limits::default()
    };
    let mut healthy = Healthy::start(&platform, limits).await;
    let slow = TcpStream::connect(("127.0.0.1", healthy.port))
        .await
        .unwrap();
    // Who comes later is answered: the slow one is accepted.
    healthy.check("localhost", &platform.args()).await.unwrap();
    healthy.service.shutdown.cancel();
    // Nobody comes for much longer than the server stays for that alone.
    let ended = tokio::time::timeout(3 * quiet, &mut healthy.server).await;
    assert!(ended.is_err(), "{ended:?}");

    let shaken = shake_on(slow, &platform, &[b"h2"]).await;
    let mut shaken = Some(TokioIo::new(shaken));
    let connector = tower::service_fn(move |_: http::Uri| {
        let shaken = shaken.take();
        std::future::ready(shaken.ok_or_else(|| std::io::Error::other("there is but one")))
    });
    let endpoint = Endpoint::from_static("http://localhost");
    let channel = endpoint.connect_with_connector(connector).await.unwrap();
    let mut client = HealthClient::new(channel);
    let answer = client.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(answer.get_ref().status(), ServingStatus::NotServing);
    drop(client);
    // The control: now nobody is waited for.
    healthy.ended().await;
}

#[tokio::test]
async fn who_never_shakes_hands_is_not_waited_for_longer_than_answers_may_take() {
    let platform = Authority::new("platform");
    platform.issue(&["localhost"]);
    let limits = Limits {
        answers: Duration::from_millis(200),
        ..Limits::default()
    };
    let healthy = Healthy::start(&platform, limits).await;
    let _silent = TcpStream::connect(("127.0.0.1", healthy.port))
        .await
        .unwrap();
    healthy.check("localhost", &platform.args()).await.unwrap();
    let began = tokio::time::Instant::now();
    healthy.service.shutdown.cancel();
    healthy.ended().await;
    // Far less than a handshake may take.
    assert!(began.elapsed() < DEADLINE / 2, "{:?}", began.elapsed());
}
