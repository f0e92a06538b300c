//! What a path and the bytes around it were taken for.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, Uri};
use lotoai_policy::Needs;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::failure::is_api;
use crate::routes::{Route, table};
use crate::tests::matrix::no_route_answers_who_is_unknown;
use crate::tests::support::{Gateway, Parts, Reply};

const PATIENCE: Duration = Duration::from_secs(20);

fn guarded() -> Vec<Route> {
    let mut routes = table();
    routes.retain(|route| route.needs != Needs::Nothing);
    routes
}

/// Paths that are anybody's here, and those that are so elsewhere.
fn public() -> Vec<String> {
    let ours = table().into_iter();
    let ours = ours.filter(|route| route.needs == Needs::Nothing);
    let ours = ours.map(|route| route.path.to_owned());
    let usual = [
        "/",
        "/login",
        "/callback",
        "/logout",
        "/configs",
        "/index.html",
        "/assets/app.js",
        "/favicon.ico",
        "/healthz",
        "/metrics",
    ];
    ours.chain(usual.map(str::to_owned)).collect()
}

/// A guarded path, written so that a rule on the ends, the case or the spelling of public paths
/// could take it for one of them.
fn disguised(guarded: &str, public: &str) -> Vec<String> {
    let bare = public.trim_start_matches('/');
    let (upper, encoded) = (public.to_uppercase(), public.replace('/', "%2f"));
    vec![
        format!("{guarded}{public}"),
        format!("{guarded}{upper}"),
        format!("{guarded}{encoded}"),
        format!("{guarded};{bare}"),
        format!("{guarded}.{bare}"),
        format!("{guarded}?{public}"),
        format!("{guarded}?next={public}"),
        format!("{guarded}#{public}"),
        format!("{guarded}%23{public}"),
        format!("{guarded}%3f{public}"),
        format!("{guarded}%00{public}"),
        format!("{guarded}/{public}"),
        format!("{public}{guarded}"),
        format!("{upper}{guarded}"),
        format!("{public}/..{guarded}"),
        format!("{public}/..;{guarded}"),
        format!("{public}/%2e%2e{guarded}"),
        format!("{public}%2f..{guarded}"),
        format!("{public}/%252e%252e{guarded}"),
    ]
}

async fn bare(gateway: &Gateway, method: &Method, path: &str) -> Reply {
    let request = Request::builder().method(method).uri(path);
    gateway.send(request.body(Body::empty()).unwrap()).await
}

/// The web client's page, or a refusal of what is no API.
fn is_the_web_client(path: &str, reply: &Reply) -> bool {
    let uri: Uri = path.parse().unwrap();
    // HEAD has no body.
    let page = reply.status == StatusCode::OK
        && reply.header("content-type") == "text/html"
        && (reply.body == "<title>web</title>" || reply.body.is_empty());
    !is_api(uri.path()) && (page || reply.status.is_client_error())
}

/// Nothing that a path ends in, begins with or is spelled like makes it public.
#[tokio::test]
async fn cve_2026_53576_no_path_is_public_by_its_ends_its_case_or_its_spelling() {
    let gateway = Gateway::start(Parts::default()).await;
    let public = public();
    let mut refused = 0;
    for route in guarded() {
        let own = route.path.replace("{id}", "x");
        for path in public.iter().flat_map(|public| disguised(&own, public)) {
            let reply = bare(&gateway, &route.method, &path).await;
            let is_refused = reply.status == StatusCode::UNAUTHORIZED;
            assert!(
                is_refused || is_the_web_client(&path, &reply),
                "{} {path}: {reply:?}",
                route.method
            );
            refused += usize::from(is_refused);
        }
    }
    // Most of them lie in an API, whoever they look like.
    assert!(refused > guarded().len() * public.len() * 10, "{refused}");
    // The controls: what is public under its own name is, and what is guarded knows its caller.
    for route in table() {
        if route.needs == Needs::Nothing {
            let reply = bare(&gateway, &route.method, route.path).await;
            assert_ne!(reply.status, StatusCode::UNAUTHORIZED, "{}", route.path);
            assert!(!is_the_web_client(route.path, &reply), "{}", route.path);
        }
    }
    let me = gateway.get("/api/me?/auth/login", "ana").await;
    assert_eq!(me.json()["subject"], "ana", "{me:?}");
}

/// Every route asks who is calling, and those for administrators for more.
#[tokio::test]
async fn cve_2026_12795_no_function_is_without_its_check() {
    no_route_answers_who_is_unknown().await;
    // Of the right person and the wrong role.
    let gateway = Gateway::start(Parts::default()).await;
    let others: [&[&str]; 3] = [&[], &["staff"], &["admin", "Admins", "admins2"]];
    let mut checked = 0;
    for route in guarded() {
        if route.needs == Needs::Admin {
            let path = route.path.replace("{id}", "x");
            for groups in others {
                let request = gateway.request_in(route.method.clone(), &path, "ana", groups);
                let reply = gateway.send(request).await;
                assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path}: {reply:?}");
                checked += 1;
            }
        }
    }
    assert!(checked > 0, "there is a route for administrators");
}

/// Everything that a connection answers to these bytes, to its end.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let exchanging = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        // A connection that is closed with bytes unread may end in a reset, after the answer.
        while let Ok(1..) = stream.read_buf(&mut answer).await {}
        String::from_utf8_lossy(&answer).into_owned()
    };
    let answer = tokio::time::timeout(PATIENCE, exchanging).await;
    let sent = String::from_utf8_lossy(bytes);
    answer.unwrap_or_else(|_| panic!("the connection stays open after {sent:?}"))
}

/// The same over a real socket, where the head is bytes and no request that a library has made.
#[tokio::test]
async fn cve_2026_48710_bytes_of_a_head_open_nothing() {
    let gateway = Gateway::start(Parts::default()).await;
    let (address, _server) = gateway.serve().await;
    let lines = [
        "GET /api/me HTTP/1.1\r\nhost: x/auth/login?",
        "GET /api/me HTTP/1.1\r\nhost: x?/auth/login#",
        "GET /api/me HTTP/1.1\r\nhost: x\r\nhost: x/auth/login",
        "GET /api/me HTTP/1.1\r\nhost: x\r\n /auth/login",
        "GET /api/me HTTP/1.1\r\nhost : x/auth/login",
        "GET /api/me HTTP/1.1\r\nhost: x\0/auth/login",
        "GET /api/me HTTP/1.0",
        "GET  /api/me HTTP/1.1\r\nhost: x",
        "GET /auth/login /api/me HTTP/1.1\r\nhost: x",
        "GET api/me HTTP/1.1\r\nhost: x",
        "GET //api/me HTTP/1.1\r\nhost: x",
        "GET /api%2fme HTTP/1.1\r\nhost: x",
        "GET /auth/login%2f..%2f..%2fapi%2fme HTTP/1.1\r\nhost: x",
        "GET /auth/login/../../api/me HTTP/1.1\r\nhost: x",
        "GET /api/me\t/auth/login HTTP/1.1\r\nhost: x",
        "GET /api\\me HTTP/1.1\r\nhost: x",
        "GET http://ai.example.org/api/me HTTP/1.1\r\nhost: x/auth/login",
        "GET http://x/auth/login/../../api/me HTTP/1.1\r\nhost: ai.example.org",
        "GET http://ai.example.org/auth/login@x/api/me HTTP/1.1\r\nhost: x",
        "get /api/me HTTP/1.1\r\nhost: x",
        "CONNECT ai.example.org:443 HTTP/1.1\r\nhost: x",
        "OPTIONS * HTTP/1.1\r\nhost: x",
        "TRACE /api/me HTTP/1.1\r\nhost: x",
    ];
    for line in lines {
        let head = format!("{line}\r\nconnection: close\r\n\r\n");
        assert_nothing_is_given(&exchange(address, head.as_bytes()).await, line);
    }
    // One request hidden in the body of another: whoever is in front reads the other length.
    let hidden = "GET /api/me HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    for lengths in [
        "content-length: 0\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 5",
        "transfer-encoding: xchunked",
        "transfer-encoding: chunked, identity",
        "transfer-encoding : chunked",
        "content-length: 5\r\ncontent-length: 6",
        "content-length: +5",
        "content-length: 5, 5",
    ] {
        let outer = format!(
            "POST /api/keys HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{lengths}\r\n\r\n\
             0\r\n\r\n{hidden}"
        );
        let answer = exchange(address, outer.as_bytes()).await;
        assert_nothing_is_given(&answer, lengths);
    }
    // The control: the same bytes with a caller.
    let token = gateway.signer.token("ana", &[]);
    let known = format!(
        "GET http://ai.example.org/api/me HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         connection: close\r\n\r\n"
    );
    let answer = exchange(address, known.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains(r#""subject":"ana""#), "{answer}");
}

/// A refusal or the web client's page, and as many answers as there were requests at most.
#[track_caller]
fn assert_nothing_is_given(answer: &str, sent: &str) {
    assert!(!answer.contains("subject"), "{sent:?}: {answer}");
    let status = answer.split(' ').nth(1).unwrap_or_default();
    let page = status == "200" && answer.ends_with("<title>web</title>");
    assert!(status.starts_with('4') || page, "{sent:?}: {answer}");
    assert_eq!(answer.matches("HTTP/1.").count(), 1, "{sent:?}: {answer}");
}
