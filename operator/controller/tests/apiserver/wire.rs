//! What comes in from outside, through a real Traefik with the operator's configuration.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, future};
use reqwest::{Method, Response};
use rstest::rstest;
use serde_json::{Value, json};

use crate::traefik::{HOST, OTHER, Setup, Traefik};
use crate::world::{DEADLINE, wait_for};

/// More requests than the smallest burst lets through.
const MANY: usize = 40;
const SMALLEST_BURST: usize = 10;
/// A network for documents, in which no test runs.
const ELSEWHERE: &str = "192.0.2.0/24";

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    let value = response.headers().get(name)?;
    value.to_str().ok()
}

#[tokio::test]
async fn plain_http_leads_to_https_at_the_same_place() {
    let Some(traefik) = Traefik::with(Value::Null).await else {
        return;
    };
    for (method, status) in [(Method::GET, 301), (Method::POST, 308)] {
        let response = traefik.plain(method, "/chat/7?q=a%20b").await;
        assert_eq!(response.status(), status);
        let there = format!("https://{HOST}/chat/7?q=a%20b");
        assert_eq!(header(&response, "location"), Some(there.as_str()));
    }
    assert_eq!(traefik.gateway.asked(), 0, "nothing goes on without TLS");
}

#[tokio::test]
async fn each_path_leads_where_it_belongs() {
    let Some(traefik) = Traefik::with(Value::Null).await else {
        return;
    };
    for (path, who) in [
        ("/", "gateway"),
        ("/v1/chat/completions", "gateway"),
        ("/realms/lotoai/protocol/openid-connect/auth", "keycloak"),
        ("/resources/x/login.css", "keycloak"),
        // Keycloak's administrators are in another realm, and its other pages are for nobody.
        ("/realms/master/protocol/openid-connect/token", "gateway"),
        ("/admin/", "gateway"),
        ("/realms/lotoaix/", "gateway"),
    ] {
        let response = traefik.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.text().await.unwrap(), who, "{path}");
    }
    let other = traefik.secure_at(OTHER, Method::GET, "/").send().await;
    assert_eq!(other.unwrap().status(), 404);
}

/// The headers that are there for the browser's safety.
fn safety(response: &Response) -> BTreeMap<&str, &str> {
    let headers = response.headers().iter();
    headers
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .filter(|(name, _)| !["content-length", "content-type", "date"].contains(name))
        .collect()
}

#[rstest]
#[case::own_certificate(Value::Null, None)]
#[case::as_told(
    json!({ "traefik": { "securityHeaders": { "hstsSeconds": 86400 } } }),
    Some("max-age=86400")
)]
#[case::with_subdomains(
    json!({ "traefik": { "securityHeaders": {
        "hstsSeconds": 86400, "hstsIncludeSubdomains": true,
    } } }),
    Some("max-age=86400; includeSubDomains")
)]
#[tokio::test]
async fn every_answer_has_exactly_the_headers_of_its_kind(
    #[case] edge: Value,
    #[case] transport: Option<&str>,
) {
    let Some(traefik) = Traefik::with(edge).await else {
        return;
    };
    let mut expected = BTreeMap::from([("x-content-type-options", "nosniff")]);
    if let Some(transport) = transport {
        expected.insert("strict-transport-security", transport);
    }
    // Keycloak frames its own pages, and sets the rest itself.
    let response = traefik.get("/realms/lotoai/x").await;
    assert_eq!(safety(&response), expected);
    expected.insert("referrer-policy", "same-origin");
    expected.insert("x-frame-options", "DENY");
    let response = traefik.get("/").await;
    assert_eq!(safety(&response), expected);
}

/// How the requests of one client were answered, each of which claims to be from another one.
async fn asked_often(traefik: &Traefik) -> Vec<u16> {
    let mut statuses = Vec::new();
    for number in 0..MANY {
        let request = traefik.secure(Method::GET, "/");
        let claimed = format!("198.51.100.{number}");
        let response = request.header("x-forwarded-for", claimed).send().await;
        let response = response.unwrap();
        let status = response.status().as_u16();
        let says_when = header(&response, "retry-after").is_some();
        assert_eq!(says_when, status == 429, "{response:?}");
        statuses.push(status);
    }
    statuses
}

#[tokio::test]
async fn who_asks_too_often_is_refused_until_a_moment_later() {
    let limit = json!({ "requestsPerSecond": 1, "burst": SMALLEST_BURST });
    let Some(traefik) = Traefik::with(json!({ "traefik": { "rateLimit": limit } })).await else {
        return;
    };
    let statuses = asked_often(&traefik).await;
    assert_eq!(statuses[..SMALLEST_BURST], [200; SMALLEST_BURST]);
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert!(refused > 0, "{statuses:?}");
    assert_eq!(traefik.gateway.asked(), MANY - refused, "{statuses:?}");

    wait_for("it is let in again", DEADLINE, async || {
        traefik.get("/").await.status() == 200
    })
    .await;
}

#[tokio::test]
async fn without_a_limit_everybody_asks_as_often_as_they_like() {
    let Some(traefik) = Traefik::with(Value::Null).await else {
        return;
    };
    assert_eq!(asked_often(&traefik).await, [200; MANY]);
}

#[tokio::test]
async fn only_listed_addresses_are_let_in_and_the_operator_all_the_same() {
    let rules = json!({
        "allowedCIDRs": [ELSEWHERE],
        "rateLimit": { "requestsPerSecond": 1, "burst": SMALLEST_BURST },
    });
    let Some(traefik) = Traefik::with(json!({ "traefik": rules })).await else {
        return;
    };
    for claimed in [None, Some("192.0.2.7")] {
        let mut request = traefik.secure(Method::GET, "/");
        if let Some(claimed) = claimed {
            for name in ["x-forwarded-for", "x-real-ip"] {
                request = request.header(name, claimed);
            }
        }
        assert_eq!(request.send().await.unwrap().status(), 403, "{claimed:?}");
    }
    assert_eq!(traefik.gateway.asked(), 0);
    // Neither the list nor the limit is on the port that the operator asks through.
    for _ in 0..MANY {
        assert_eq!(traefik.probe("/").await.status(), 200);
    }
}

#[tokio::test]
async fn a_listed_address_is_let_in() {
    let rules = json!({ "allowedCIDRs": [ELSEWHERE, "127.0.0.0/8"] });
    let Some(traefik) = Traefik::with(json!({ "traefik": rules })).await else {
        return;
    };
    assert_eq!(traefik.get("/").await.status(), 200);
}

#[tokio::test]
async fn a_piece_of_a_stream_comes_before_the_next_is_sent() {
    let Some(traefik) = Traefik::with(Value::Null).await else {
        return;
    };
    let pieces = traefik.get("/stream").await.bytes_stream();
    // An end without content is a piece of HTTP/2, and none of the answer.
    let pieces = pieces.try_filter(|piece| future::ready(!piece.is_empty()));
    let mut pieces = std::pin::pin!(pieces);
    let mut next = async || {
        let piece = tokio::time::timeout(DEADLINE, pieces.next()).await;
        let piece = piece.expect("a piece in time");
        piece.map(|piece| piece.expect("a whole answer"))
    };
    assert_eq!(next().await.expect("a first piece"), "data: 0\n\n");
    traefik.gateway.go_on();
    assert_eq!(next().await.expect("a second piece"), "data: 1\n\n");
    assert_eq!(next().await, None);
}

/// Traefik's middleware that measures answers before it hands them on.
fn hold_back(dynamic: &mut Value) {
    dynamic["http"]["middlewares"]["held-back"] =
        json!({ "buffering": { "memResponseBodyBytes": 1_048_576 } });
    let used = &mut dynamic["http"]["routers"]["gateway"]["middlewares"];
    used.as_array_mut().unwrap().push(json!("held-back"));
}

/// The test above would notice.
#[tokio::test]
async fn an_answer_that_is_held_back_comes_only_when_it_is_whole() {
    let setup = Setup {
        alter: Some(hold_back),
        ..Setup::default()
    };
    let Some(traefik) = Traefik::start(setup).await else {
        return;
    };
    let request = traefik.secure(Method::GET, "/stream");
    let whole = tokio::spawn(async move { request.send().await.unwrap().text().await.unwrap() });
    let begun = tokio::time::timeout(DEADLINE, traefik.gateway.begun()).await;
    begun.expect("the first piece is sent");
    // Long enough for other answers to come the whole way.
    for _ in 0..MANY {
        assert_eq!(traefik.get("/").await.status(), 200);
    }
    assert!(!whole.is_finished());
    traefik.gateway.go_on();
    assert_eq!(whole.await.unwrap(), "data: 0\n\ndata: 1\n\n");
}

#[tokio::test]
async fn an_upstream_with_the_certificate_of_another_is_told_nothing() {
    let setup = Setup {
        gateway_is: Some("demo-agents"),
        ..Setup::default()
    };
    let Some(traefik) = Traefik::start(setup).await else {
        return;
    };
    let response = traefik.get("/").await;
    assert!(response.status().is_server_error(), "{response:?}");
    assert_eq!(traefik.gateway.asked(), 0);
    // The one beside it is who it says.
    let response = traefik.get("/realms/lotoai/x").await;
    assert_eq!(response.text().await.unwrap(), "keycloak");
    assert_eq!(traefik.keycloak.asked(), 1);
}

/// A path that leads to Keycloak by what Traefik sees, and to the realm of its administrators by what
/// a server may see that decodes it first.
const TWO_WAYS: &str = "/realms/lotoai/..%2Fmaster/protocol/openid-connect/token";
/// Other names of `X-Auth-User`, for servers that make variables of names. Those of `X-Forwarded-For`
/// Traefik takes away whatever it is told.
const ALIASES: [&str; 3] = ["x_auth_user", "x.auth.user", "x_auth-user"];

/// What Traefik does unless it is told otherwise.
fn as_it_comes(fixed: &mut Value) {
    let points = fixed["entryPoints"].as_object_mut().unwrap();
    for point in points.values_mut() {
        point.as_object_mut().unwrap().remove("http");
    }
}

async fn left_as_it_comes() -> Option<Traefik> {
    let setup = Setup {
        alter_ports: Some(as_it_comes),
        ..Setup::default()
    };
    Traefik::start(setup).await
}

#[tokio::test]
async fn a_path_that_can_be_read_in_two_ways_goes_no_further() {
    let Some(traefik) = Traefik::with(Value::Null).await else {
        return;
    };
    for path in [
        TWO_WAYS,
        "/realms/lotoai/..%2fmaster/",
        "/resources/..%5Cx",
        "/api/documents/a%00b",
        "/api/documents/a%3Bb",
        "/api/documents/a%252Fb",
        "/api/documents/a%3Fb",
        "/api/documents/a%23b",
    ] {
        assert_eq!(traefik.get(path).await.status(), 400, "{path}");
    }
    assert_eq!((traefik.gateway.asked(), traefik.keycloak.asked()), (0, 0));
    // Letters, spaces and what stands behind the question mark mean one thing only.
    for path in [
        "/api/documents/caf%C3%A9%20ol%C3%A9",
        "/api/users/auth0%7C7/data",
        "/auth/login?return_to=%2Fchat%2F7%3Fq%3D50%25",
    ] {
        assert_eq!(traefik.get(path).await.status(), 200, "{path}");
    }
}

/// The test above would notice.
#[tokio::test]
async fn without_the_rule_such_a_path_would_reach_keycloak() {
    let Some(traefik) = left_as_it_comes().await else {
        return;
    };
    let response = traefik.get(TWO_WAYS).await;
    assert_eq!(response.text().await.unwrap(), "keycloak");
}

/// Which of the headers that a client sent came through.
async fn headers_behind(traefik: &Traefik) -> Vec<String> {
    let mut request = traefik.secure(Method::GET, "/headers");
    let sent = ALIASES.into_iter().chain(["x-stainless-lang"]);
    for name in sent.clone() {
        request = request.header(name, "198.51.100.7");
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let behind = response.text().await.unwrap();
    let came = |name: &&str| behind.lines().any(|line| line == *name);
    sent.filter(came).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_header_under_a_second_name_is_taken_away() {
    let Some(traefik) = Traefik::with(Value::Null).await else {
        return;
    };
    assert_eq!(headers_behind(&traefik).await, ["x-stainless-lang"]);
}

/// The test above would notice.
#[tokio::test]
async fn without_the_rule_a_second_name_would_come_through() {
    let Some(traefik) = left_as_it_comes().await else {
        return;
    };
    let came = headers_behind(&traefik).await;
    assert_eq!(came.len(), ALIASES.len() + 1, "{came:?}");
}

#[tokio::test]
async fn it_has_nothing_to_warn_of() {
    let Some(traefik) = Traefik::with(Value::Null).await else {
        return;
    };
    assert_eq!(traefik.get("/").await.status(), 200);
    let log = traefik.log();
    let mut warnings = log.lines().filter(|line| is_warning(line));
    assert_eq!(warnings.next(), None);

    let Some(traefik) = left_as_it_comes().await else {
        return;
    };
    assert!(traefik.log().lines().any(is_warning), "the control");
}

fn is_warning(line: &str) -> bool {
    line.contains(r#""level":"warn""#)
}

#[tokio::test]
async fn the_log_tells_of_a_request_and_not_what_it_said() {
    let Some(traefik) = Traefik::with(Value::Null).await else {
        return;
    };
    let secret = "what-somebody-typed";
    let request = traefik.secure(Method::GET, &format!("/{secret}?code={secret}"));
    let request = request.bearer_auth(secret).header("referer", secret);
    assert_eq!(request.send().await.unwrap().status(), 200);
    wait_for("the request is logged", DEADLINE, async || {
        traefik.log().contains(r#""RouterName":"gateway@file""#)
    })
    .await;
    assert!(!traefik.log().contains(secret));
}
