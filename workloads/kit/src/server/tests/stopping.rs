//! The end: who is in is answered to the end, and so is who still comes.

use super::*;

/// A server whose `/slow` answers when it is let, and that notes nothing of `/`.
async fn slow(limits: Limits) -> (Running, Arc<Notify>, Arc<Notify>) {
    let (held, entered, leave) = held();
    let router = Router::new()
        .route("/slow", held)
        .route("/", get(|| std::future::ready("here")));
    let running = serve_within(router, None, limits).await;
    (running, entered, leave)
}

const SLOW: &[u8] = b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn who_comes_while_a_request_is_open_is_answered_and_sent_elsewhere() {
    let (running, entered, leave) = slow(LONG).await;
    let mut idle = connect(&running).await;
    idle.write_all(REQUEST).await.unwrap();
    let before = read_to(&mut idle, "here").await;
    assert!(!before.contains("connection: close"), "{before}");
    let mut open = connect(&running).await;
    open.write_all(SLOW).await.unwrap();
    entered.notified().await;

    running.service.shutdown.cancel();
    // On a new connection, and on one that was idle at the stop.
    for stream in [&mut connect(&running).await, &mut idle] {
        stream.write_all(REQUEST).await.unwrap();
        let answer = read_to(stream, "here").await;
        assert!(answer.contains("connection: close"), "{answer}");
        assert!(closed(stream).await < PATIENCE);
    }
    assert!(!running.server.is_finished());

    leave.notify_one();
    read_to(&mut open, "finished").await;
    within(running.server).await.unwrap().unwrap();
    // The control: now nobody listens.
    let refused = TcpStream::connect(("127.0.0.1", running.port)).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn with_nothing_open_the_listener_closes_when_nobody_has_come_for_a_while() {
    let quiet = 2 * SHORT;
    let (running, ..) = slow(Limits { quiet, ..LONG }).await;
    running.service.shutdown.cancel();
    let began = Instant::now();
    // Each of them is another reason to stay.
    for _ in 0..3 {
        let mut stream = connect(&running).await;
        stream.write_all(REQUEST).await.unwrap();
        read_to(&mut stream, "here").await;
        tokio::time::sleep(quiet / 2).await;
    }
    let mut idle = connect(&running).await;
    within(running.server).await.unwrap().unwrap();
    assert!(began.elapsed() >= 2 * quiet, "{:?}", began.elapsed());
    assert!(closed(&mut idle).await < PATIENCE);
}

#[tokio::test]
async fn over_http2_a_stop_lets_the_open_request_finish() {
    let (running, entered, leave) = slow(LONG).await;
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let get = |path: &str| {
        let request = client.get(format!("http://127.0.0.1:{}{path}", running.port));
        async { request.send().await.unwrap().text().await.unwrap() }
    };
    let open = tokio::spawn(get("/slow"));
    entered.notified().await;
    running.service.shutdown.cancel();
    // GOAWAY makes the client open another connection.
    assert_eq!(within(get("/")).await, "here");
    leave.notify_one();
    assert_eq!(within(open).await.unwrap(), "finished");
    drop(client);
    within(running.server).await.unwrap().unwrap();
}

/// A server with an endless answer at `/` and one at `/slow` that ends when it is let. They may take
/// a short time after a stop.
async fn never_ending() -> (Running, Arc<Notify>, Arc<Notify>) {
    let (held, entered, leave) = held();
    let router = Router::new()
        .route("/slow", held)
        .route("/", get(|| std::future::ready(endless(()))));
    let limits = Limits {
        answers: SHORT,
        ..LONG
    };
    let running = serve_within(router, None, limits).await;
    (running, entered, leave)
}

#[rstest::rstest]
#[case::http1(reqwest::Client::builder().http1_only())]
#[case::http2(reqwest::Client::builder().http2_prior_knowledge())]
#[tokio::test]
async fn who_takes_nothing_is_not_waited_for_longer_than_answers_may_take(
    #[case] client: reqwest::ClientBuilder,
) {
    let (mut running, entered, leave) = never_ending().await;
    let client = client.build().unwrap();
    let url = format!("http://127.0.0.1:{}/", running.port);
    let untaken = within(client.get(url).send()).await.unwrap();
    let mut open = connect(&running).await;
    open.write_all(SLOW).await.unwrap();
    entered.notified().await;
    running.service.shutdown.cancel();
    // What is being done is waited for, however long after that time.
    let ended = tokio::time::timeout(8 * SHORT, &mut running.server).await;
    assert!(ended.is_err(), "{ended:?}");
    let left = Instant::now();
    leave.notify_one();
    read_to(&mut open, "finished").await;
    within(running.server).await.unwrap().unwrap();
    assert!(left.elapsed() < PATIENCE / 2, "{:?}", left.elapsed());
    drop(untaken);
}

#[tokio::test]
async fn who_is_slow_is_waited_for_after_that_time_too() {
    let (running, ..) = never_ending().await;
    let mut stream = connect(&running).await;
    stream.write_all(REQUEST).await.unwrap();
    running.service.shutdown.cancel();
    // Enough each time for the windows to move.
    let mut buffer = vec![0; 4 * 1024 * 1024];
    for _ in 0..24 {
        within(stream.read_exact(&mut buffer)).await.unwrap();
        tokio::time::sleep(SHORT / 3).await;
    }
    assert!(!running.server.is_finished());
    // And then not at all.
    let left = Instant::now();
    within(running.server).await.unwrap().unwrap();
    assert!(left.elapsed() < PATIENCE / 2, "{:?}", left.elapsed());
}
