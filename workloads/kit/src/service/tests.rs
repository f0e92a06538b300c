use axum::routing::get;

use super::*;
use crate::testing::serve;

#[tokio::test]
async fn the_gate_opens_when_the_server_listens() {
    let router = Router::new().route("/", get(|| std::future::ready("ok")));
    let running = serve(router, None).await;
    let address = format!("http://127.0.0.1:{}", running.port);
    reqwest::get(address).await.unwrap();
    assert!(running.service.readiness.is_ready());
}

#[tokio::test]
async fn an_address_that_is_taken_is_named_with_the_fix() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = taken.local_addr().unwrap();
    let service = Service::for_tests("test");
    let error = service.serve_http(listen, Router::new()).await.unwrap_err();
    let wanted = format!("failed to listen on {listen}; set LISTEN to a free address");
    assert_eq!(error.to_string(), wanted);
}

#[cfg(feature = "grpc")]
#[tokio::test]
async fn grpc_serves_health_until_a_stop() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::health_client::HealthClient;

    let service = Service::for_tests("test");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = {
        let service = service.clone();
        tokio::spawn(async move {
            service
                .serve_grpc_on(listener, tonic::service::Routes::default())
                .await
        })
    };
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut client = HealthClient::new(endpoint.connect().await.unwrap());
    let answer = client.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(answer.get_ref().status(), ServingStatus::Serving);
    assert!(service.readiness.is_ready());
    drop(client);
    service.shutdown.cancel();
    tokio::time::timeout(std::time::Duration::from_secs(10), server)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}
