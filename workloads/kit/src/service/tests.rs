use std::sync::Arc;
use std::time::Duration;

use axum::routing::get;
use tokio::sync::Notify;

use super::*;
use crate::testing::serve;

#[tokio::test]
async fn a_stop_lets_an_open_request_finish_and_takes_no_new_one() {
    let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (entered, leave) = (Arc::clone(&entered), Arc::clone(&leave));
        move || async move {
            entered.notify_one();
            leave.notified().await;
            "finished"
        }
    };
    let running = serve(Router::new().route("/slow", get(handler)), None).await;
    let address = format!("http://127.0.0.1:{}/slow", running.port);
    let open = tokio::spawn(reqwest::get(address.clone()));
    entered.notified().await;

    running.service.shutdown.cancel();
    // The listener closes soon after the stop: wait for the refusal, not for a time.
    let refused = async { while reqwest::get(&address).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(10), refused)
        .await
        .unwrap();
    assert!(
        !running.server.is_finished(),
        "the open request must hold the server"
    );

    leave.notify_one();
    assert_eq!(
        open.await.unwrap().unwrap().text().await.unwrap(),
        "finished"
    );
    let ended = tokio::time::timeout(Duration::from_secs(10), running.server);
    ended.await.unwrap().unwrap().unwrap();
}

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
    tokio::time::timeout(Duration::from_secs(10), server)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}
