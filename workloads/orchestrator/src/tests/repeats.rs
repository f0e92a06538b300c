//! Which requests to the tool server are made again: servers that come and go on loopback, and what
//! they were asked to do.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use lotoai_contracts::v1::Caller;
use lotoai_kit::tls::TlsArgs;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rstest::rstest;
use secrecy::SecretString;
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{oneshot, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tracing::{
    Event, Metadata, Subscriber,
    span::{Attributes, Id, Record},
    subscriber::DefaultGuard,
};
use url::Url;

use super::fake_tools::{self, FakeTool};
use crate::{
    domain::approval::{self, Cleared, Verdict},
    mcp::{Mcp, PATIENCE, ToolResult, Uncalled},
};

/// How long a test waits for anything.
const LIMIT: Duration = Duration::from_secs(20);

/// Counts what the log says of attempts that are followed by another one.
struct Counting(watch::Sender<usize>);

impl Subscriber for Counting {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "lotoai_kit::retry"
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {
        self.0.send_modify(|count| *count += 1);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The attempts of this test that were followed by another one.
struct Repeats {
    count: watch::Receiver<usize>,
    _guard: DefaultGuard,
}

impl Repeats {
    fn watched() -> Self {
        let (sender, count) = watch::channel(0);
        Self {
            count,
            _guard: tracing::subscriber::set_default(Counting(sender)),
        }
    }

    fn count(&self) -> usize {
        *self.count.borrow()
    }

    async fn first(&self) {
        let mut count = self.count.clone();
        let seen = timeout(LIMIT, count.wait_for(|count| *count > 0)).await;
        assert!(seen.is_ok(), "nothing is made again");
    }
}

/// A server that can be stopped, as a pod is that is replaced.
struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Server {
    async fn start(app: Router) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), app)
    }

    fn on(listener: TcpListener, app: Router) -> Self {
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = axum::serve(listener, app).with_graceful_shutdown(async {
            drop(stopped.await);
        });
        let serving = tokio::spawn(async { serving.await.unwrap() });
        Self {
            address,
            stop,
            serving,
        }
    }

    /// Closes its connections, which are idle, and gives its place, where nobody is let in.
    async fn gone(self) -> TcpSocket {
        self.stop.send(()).unwrap();
        timeout(LIMIT, self.serving).await.unwrap().unwrap();
        // Whoever has to wait for a connection hears first what came before: that others are closed.
        let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = elsewhere.local_addr().unwrap();
        TcpStream::connect(address).await.unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        socket
    }

    fn client(&self) -> Mcp {
        let url: Url = format!("http://{}/mcp", self.address).parse().unwrap();
        let token = SecretString::from("t".repeat(32));
        let client = lotoai_kit::upstream::http_client(&url, &token, &TlsArgs::default());
        Mcp::new(client.unwrap(), url)
    }
}

fn caller() -> Caller {
    Caller {
        subject: "s".to_owned(),
        ..Caller::default()
    }
}

/// A call of the one tool, after a look at the list, so that a connection is at hand.
async fn call_after_list(client: &Mcp) -> Cleared {
    let tools = client.tools(&caller()).await.unwrap();
    let arguments = json!({"start_date": "2026-11-02", "end_date": "2026-11-20"});
    match approval::judge(&tools[0], arguments.as_object().unwrap().clone()) {
        Verdict::Clear(call) => call,
        other => panic!("{other:?}"),
    }
}

fn fifteen() -> ToolResult {
    ToolResult {
        text: "15".to_owned(),
        is_error: false,
    }
}

fn calls(tool: &Arc<Mutex<FakeTool>>) -> usize {
    tool.lock().unwrap().calls.len()
}

#[tokio::test]
async fn a_call_that_nobody_let_in_is_made_when_somebody_does() {
    let (tool, repeats) = (Arc::<Mutex<FakeTool>>::default(), Repeats::watched());
    let server = Server::start(fake_tools::app(&tool)).await;
    let client = server.client();
    let call = call_after_list(&client).await;
    let place = server.gone().await;
    let next = async {
        repeats.first().await;
        Server::on(place.listen(64).unwrap(), fake_tools::app(&tool))
    };
    let caller = caller();
    let (result, _next) = tokio::join!(client.call(&caller, &call), next);
    assert_eq!(result, Ok(fifteen()));
    assert_eq!(calls(&tool), 1);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_carries_no_call() {
    let tool = Arc::<Mutex<FakeTool>>::default();
    let server = Server::start(fake_tools::app(&tool)).await;
    let client = server.client();
    let call = call_after_list(&client).await;
    let place = server.gone().await;
    let _next = Server::on(place.listen(64).unwrap(), fake_tools::app(&tool));
    assert_eq!(client.call(&caller(), &call).await, Ok(fifteen()));
    assert_eq!(calls(&tool), 1);
}

#[tokio::test]
async fn a_server_that_does_not_know_the_session_is_greeted_anew() {
    let (tool, repeats) = (Arc::<Mutex<FakeTool>>::default(), Repeats::watched());
    let sessions = Arc::<LocalSessionManager>::default();
    let server = Server::start(fake_tools::app_of_before(&tool, &sessions)).await;
    let client = server.client();
    let call = call_after_list(&client).await;
    assert_eq!(sessions.sessions.read().await.len(), 1, "the control");
    sessions.sessions.write().await.clear();
    assert_eq!(client.call(&caller(), &call).await, Ok(fifteen()));
    assert_eq!((calls(&tool), repeats.count()), (1, 1));
}

/// How an answer is lost.
#[derive(Clone, Copy, Debug)]
enum Loss {
    /// The server says that something failed on the way.
    Status(StatusCode),
    /// The connection ends without a word.
    Silence,
    /// The connection ends within the answer.
    Half,
}

impl Loss {
    fn answer(self) -> Response {
        match self {
            Self::Status(status) => status.into_response(),
            // The task of the connection ends, and nobody is told.
            Self::Silence => std::panic::resume_unwind(Box::new("cut")),
            Self::Half => {
                let pieces = [Ok("{"), Err(std::io::Error::other("cut"))];
                let body = Body::from_stream(futures::stream::iter(pieces));
                ([(header::CONTENT_TYPE, "application/json")], body).into_response()
            }
        }
    }
}

/// Loses the answer to every call.
async fn losing(
    State((tool, loss)): State<(Arc<Mutex<FakeTool>>, Loss)>,
    request: Request,
    next: Next,
) -> Response {
    let before = calls(&tool);
    let response = next.run(request).await;
    if calls(&tool) > before {
        return loss.answer();
    }
    response
}

#[rstest]
#[case(Loss::Status(StatusCode::INTERNAL_SERVER_ERROR))]
#[case(Loss::Status(StatusCode::BAD_GATEWAY))]
#[case(Loss::Status(StatusCode::SERVICE_UNAVAILABLE))]
#[case(Loss::Silence)]
#[case(Loss::Half)]
#[tokio::test]
async fn a_call_whose_answer_is_lost_is_made_once(#[case] loss: Loss) {
    let (tool, repeats) = (Arc::<Mutex<FakeTool>>::default(), Repeats::watched());
    let state = (Arc::clone(&tool), loss);
    let app = fake_tools::app(&tool).layer(middleware::from_fn_with_state(state, losing));
    let server = Server::start(app).await;
    let client = server.client();
    let call = call_after_list(&client).await;
    let Uncalled { failure, is_unmade } = client.call(&caller(), &call).await.unwrap_err();
    assert_eq!(failure.code, "mcp_server_unavailable");
    assert!(failure.retryable && !is_unmade);
    assert_eq!((calls(&tool), repeats.count()), (1, 0), "{loss:?}");
}

/// Loses the answers to the first requests, as a server that leaves.
async fn leaving(
    State((left, loss)): State<(Arc<AtomicUsize>, Loss)>,
    request: Request,
    next: Next,
) -> Response {
    let one_less = |left: usize| left.checked_sub(1);
    let (order, response) = (Ordering::SeqCst, next.run(request).await);
    match left.fetch_update(order, order, one_less) {
        Ok(_) => loss.answer(),
        Err(_) => response,
    }
}

#[rstest]
#[case(Loss::Status(StatusCode::INTERNAL_SERVER_ERROR))]
#[case(Loss::Silence)]
#[case(Loss::Half)]
#[tokio::test]
async fn a_list_is_asked_for_again_whatever_was_lost(#[case] loss: Loss) {
    let (tool, repeats) = (Arc::<Mutex<FakeTool>>::default(), Repeats::watched());
    let state = (Arc::new(AtomicUsize::new(1)), loss);
    let app = fake_tools::app(&tool).layer(middleware::from_fn_with_state(state, leaving));
    let server = Server::start(app).await;
    let tools = server.client().fresh_tools(&caller()).await.unwrap();
    assert_eq!(tools[0].name, "working_days");
    assert_eq!(repeats.count(), 1);
}

#[tokio::test]
async fn nobody_is_asked_for_longer_than_it_is_worth() {
    let (tool, repeats) = (Arc::<Mutex<FakeTool>>::default(), Repeats::watched());
    let server = Server::start(fake_tools::app(&tool)).await;
    let client = server.client();
    let call = call_after_list(&client).await;
    let _place = server.gone().await;
    let begun = Instant::now();
    let Uncalled { failure, is_unmade } = client.call(&caller(), &call).await.unwrap_err();
    let taken = begun.elapsed();
    assert_eq!(failure.code, "mcp_server_unavailable");
    assert!(is_unmade, "{failure:?}");
    // The last attempt begins in time, and who is not let in hears so at once.
    assert!(taken < PATIENCE + Duration::from_secs(2), "{taken:?}");
    let count = repeats.count();
    assert!((1..=4).contains(&count), "{count}");
    assert_eq!(calls(&tool), 0);
}

#[tokio::test]
async fn a_server_that_stays_away_is_waited_for_once() {
    let (tool, repeats) = (Arc::<Mutex<FakeTool>>::default(), Repeats::watched());
    let server = Server::start(fake_tools::app(&tool)).await;
    let client = server.client();
    let place = server.gone().await;
    let caller = caller();
    client.fresh_tools(&caller).await.unwrap_err();
    let count = repeats.count();
    assert!(count > 0);
    client.fresh_tools(&caller).await.unwrap_err();
    assert_eq!(repeats.count(), count);
    // The control: it is asked nevertheless, and is there when it is.
    let _next = Server::on(place.listen(64).unwrap(), fake_tools::app(&tool));
    let tools = client.fresh_tools(&caller).await.unwrap();
    assert_eq!(tools.len(), 1);
}

#[tokio::test]
async fn whoever_gives_up_earlier_ends_the_attempts() {
    let (tool, repeats) = (Arc::<Mutex<FakeTool>>::default(), Repeats::watched());
    let server = Server::start(fake_tools::app(&tool)).await;
    let client = server.client();
    let call = call_after_list(&client).await;
    let place = server.gone().await;
    let caller = caller();
    // Given up after the first attempt, by the one that has the deadline.
    tokio::select! {
        result = client.call(&caller, &call) => panic!("{result:?}"),
        () = repeats.first() => {}
    }
    let next = Server::on(place.listen(64).unwrap(), fake_tools::app(&tool));
    // The control: it is there, and takes calls.
    assert_eq!(client.call(&caller, &call).await, Ok(fifteen()));
    next.gone().await;
    assert_eq!(calls(&tool), 1);
}
