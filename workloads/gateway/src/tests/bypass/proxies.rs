//! What a client says in the name of a proxy.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, Method, Request, StatusCode};
use serde_json::{Value, json};

use super::code::sources;
use crate::tests::browser::{begin, cookie, sign_in, with_cookies};
use crate::tests::budgets::{question, stored};
use crate::tests::postgres::tables_with;
use crate::tests::support::{Gateway, PUBLIC_URL};

/// An address that nobody has.
const ADDRESS: &str = "203.0.113.77";
const EVIL: &str = "evil.example.org";

/// Everything that proxies say of whom they stand in front of, said by the client itself.
fn spoofed() -> HeaderMap {
    let forwarded = format!("for={ADDRESS};host={EVIL};proto=http;by={ADDRESS}");
    let said = [
        ("forwarded", forwarded.as_str()),
        ("x-forwarded-for", ADDRESS),
        ("x-forwarded-host", EVIL),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-protocol", "http"),
        ("x-forwarded-scheme", "http"),
        ("x-forwarded-ssl", "off"),
        ("x-forwarded-port", "80"),
        ("x-forwarded-prefix", "/auth/login"),
        ("x-forwarded-uri", "/auth/login"),
        ("x-forwarded-method", "OPTIONS"),
        ("x-forwarded-server", EVIL),
        ("x-forwarded-user", "root"),
        ("x-forwarded-email", "root@example.org"),
        ("x-forwarded-groups", "admins"),
        ("x-real-ip", ADDRESS),
        ("x-client-ip", ADDRESS),
        ("x-cluster-client-ip", ADDRESS),
        ("x-original-forwarded-for", ADDRESS),
        ("true-client-ip", ADDRESS),
        ("cf-connecting-ip", ADDRESS),
        ("remote-user", "root"),
        ("front-end-https", "off"),
        ("via", "1.1 evil.example.org"),
    ];
    said.into_iter()
        .map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, value.parse().unwrap())
        })
        .collect()
}

fn spoof(mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().extend(spoofed());
    request
}

/// Neither limits nor records nor the scheme nor cookies follow what a client writes there.
#[tokio::test]
async fn cve_2026_21862_what_is_forwarded_decides_nothing() {
    const BUDGET: [&str; 1] = ["name: mine, scope: User, per: Month, requests: 2"];
    let Some((server, gateway, seen)) = stored(&BUDGET).await else {
        return;
    };
    // It makes nobody anybody.
    let bare = Request::builder().uri("/api/me").body(Body::empty());
    let reply = gateway.send(spoof(bare.unwrap())).await;
    assert_eq!(reply.code(), "sign_in_required");
    let admins = gateway.request(Method::GET, "/api/budgets?all=true", "ana");
    assert_eq!(gateway.send(spoof(admins)).await.code(), "admins_only");

    // Limits count persons: another address each time is no other caller.
    for (number, expected) in [(1, StatusCode::OK), (2, StatusCode::OK)] {
        let reply = ask(&gateway, number).await;
        assert_eq!(reply.0, expected, "{reply:?}");
    }
    let (status, body) = ask(&gateway, 3).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(body["error"]["code"], "budget_exceeded", "{body}");
    assert_eq!(seen.count(), 2);

    // The scheme and the host of a sign-in are the platform's, and so are its cookies.
    let login = Request::builder()
        .uri("/auth/login?return_to=/c/1")
        .body(Body::empty());
    let login = gateway.send(spoof(login.unwrap())).await;
    assert_eq!(login.status, StatusCode::SEE_OTHER);
    let back = url::Url::parse(login.header("location")).unwrap();
    let back = back.query_pairs().find(|(name, _)| name == "redirect_uri");
    assert_eq!(back.unwrap().1, format!("{PUBLIC_URL}/auth/callback"));
    cookie(&login, "__Host-lotoai-login");
    let (plain, _) = begin(&gateway).await;
    assert_eq!(plain["redirect_uri"], format!("{PUBLIC_URL}/auth/callback"));

    // Another site is another site, whatever it says of the host that it came to.
    let session = sign_in(&gateway, 300).await;
    let leave = |origin: &str| {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/auth/logout")
            .header("cookie", &session)
            .header("origin", origin)
            .body(Body::empty());
        spoof(request.unwrap())
    };
    for origin in [format!("https://{EVIL}"), format!("http://{EVIL}")] {
        let reply = gateway.send(leave(&origin)).await;
        assert_eq!(reply.code(), "cross_site_request", "{origin}");
    }
    let reply = with_cookies(&gateway, Method::GET, "/api/me", &session, None).await;
    assert_eq!(reply.status, StatusCode::OK, "the session goes on");

    // And nobody's record holds it.
    gateway.settle().await;
    for word in [ADDRESS, EVIL] {
        let tables = tables_with(&server.pool(), word).await;
        assert_eq!(tables, Vec::<String>::new(), "{word}");
    }
    // The controls: what does count is written down, and lets her out.
    let tables = tables_with(&server.pool(), "ana").await;
    assert!(tables.contains(&"sessions".to_owned()), "{tables:?}");
    let reply = gateway.send(leave(PUBLIC_URL)).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT, "{reply:?}");
}

/// A question of Ana's from another address each time.
async fn ask(gateway: &Gateway, number: u8) -> (StatusCode, Value) {
    let mut request = gateway.request(Method::POST, "/v1/chat/completions", "ana");
    *request.body_mut() = Body::from(question("lotoai", &json!({})));
    let mut request = spoof(request);
    let address = format!("203.0.113.{number}").parse().unwrap();
    request.headers_mut().insert("x-forwarded-for", address);
    let reply = gateway.send(request).await;
    (reply.status, reply.json())
}

/// Nothing in the gateway reads such a header, so that nothing can come to trust it unseen.
#[test]
fn cve_2026_21862_no_source_reads_what_is_forwarded() {
    let words = ["forwarded", "x-real-ip", "client-ip", "connecting-ip"];
    let mut read = 0;
    for (file, text) in sources() {
        let text = text.to_lowercase();
        let code = text.lines().filter(|line| !line.trim().starts_with("//"));
        for line in code {
            let found = words.iter().find(|word| line.contains(*word));
            assert_eq!(found, None, "{}: {line}", file.display());
        }
        read += usize::from(text.contains("origin"));
    }
    assert!(read > 0, "the control: what is read of headers is found");
}
