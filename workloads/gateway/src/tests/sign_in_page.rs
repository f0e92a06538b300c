//! What people are told when a sign-in or sign-out fails, and what programs are.

use std::collections::HashMap;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use url::Url;
use wiremock::matchers::{body_string_contains, method, path};
use wiremock::{Mock, ResponseTemplate};

use super::browser::{ANA, TOKEN, begin, tokens};
use super::keys::{ISSUER, claims};
use super::support::{Gateway, PUBLIC_URL, Parts, Reply};

/// What a browser accepts when it loads a page.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
/// What programs accept.
const PROGRAMS: [Option<&str>; 3] = [None, Some("*/*"), Some("application/json")];
const REQUEST_ID: &str = "019aab4e-0000-7000-8000-000000000000";

/// A request, as somebody sends it.
struct Visit<'v> {
    method: Method,
    path: &'v str,
    cookies: &'v str,
    origin: Option<&'v str>,
    id: &'v str,
}

impl<'v> Visit<'v> {
    fn new(path: &'v str, cookies: &'v str) -> Self {
        Self {
            method: Method::GET,
            path,
            cookies,
            origin: None,
            id: REQUEST_ID,
        }
    }

    async fn by(&self, gateway: &Gateway, accept: Option<&str>) -> Reply {
        let request = Request::builder()
            .method(&self.method)
            .uri(self.path)
            .header("cookie", self.cookies)
            .header("x-request-id", self.id);
        let headers = [("origin", self.origin), ("accept", accept)];
        let request = headers
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .fold(request, |request, (name, value)| {
                request.header(name, value)
            });
        gateway.send(request.body(Body::empty()).unwrap()).await
    }

    /// The browser is led to the page, and programs get the problem.
    async fn is_told(&self, gateway: &Gateway, status: u16, code: &str) {
        let reply = self.by(gateway, Some(BROWSER)).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{code}: {reply:?}");
        let page = format!("/sign-in?reason={code}&request={REQUEST_ID}");
        assert_eq!(reply.header("location"), page, "{reply:?}");
        assert_eq!(reply.header("cache-control"), "no-store", "{reply:?}");
        let policy = reply.header("content-security-policy");
        assert!(policy.contains("default-src 'self'"), "{reply:?}");
        assert_eq!(reply.body, "", "{reply:?}");
        for name in ["set-cookie", "www-authenticate", "retry-after"] {
            assert!(!reply.headers.contains_key(name), "{name}: {reply:?}");
        }
        for accept in PROGRAMS {
            let reply = self.by(gateway, accept).await;
            let said = (reply.status.as_u16(), reply.code());
            assert_eq!(said, (status, code.to_owned()), "{accept:?}: {reply:?}");
            assert_eq!(reply.header("content-type"), "application/problem+json");
            assert_eq!(reply.header("cache-control"), "no-store", "{reply:?}");
            assert_eq!(reply.json()["request_id"], REQUEST_ID);
        }
    }
}

/// A source of the web client.
fn web_source(path: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../web/src");
    std::fs::read_to_string(format!("{root}/{path}")).unwrap()
}

/// Whether the web client has a sentence of its own for a code, in this language.
fn has_words(language: &str, code: &str) -> bool {
    let texts = web_source(&format!("i18n/{language}.ts"));
    texts.contains(&format!("\"signIn.failed.{code}\": \""))
}

/// The provider answers this code so.
async fn redeems(gateway: &Gateway, code: &str, answer: ResponseTemplate) {
    Mock::given(method("POST"))
        .and(path(TOKEN))
        .and(body_string_contains(format!("code={code}")))
        .respond_with(answer)
        .with_priority(1)
        .mount(&gateway.realm)
        .await;
}

#[tokio::test]
async fn a_return_that_fails_leads_people_to_the_page_and_gives_programs_the_problem() {
    // Without a database.
    let gateway = Gateway::start(Parts::default()).await;
    let (query, attempt) = begin(&gateway).await;
    let (_, other_tab) = begin(&gateway).await;
    let state = &query["state"];
    let good = tokens(&gateway, ANA, 300, Some(&query["nonce"]));
    let mut foreign = good.clone();
    let mut of_others = claims("ana");
    of_others["aud"] = json!("account");
    foreign["access_token"] = json!(gateway.signer.sign(&of_others));
    let mut unsigned = good.clone();
    unsigned["id_token"] = json!("e30.e30.AA");
    let spent = ResponseTemplate::new(400).set_body_json(json!({"error": "invalid_grant"}));
    let json = |body: Value| ResponseTemplate::new(200).set_body_json(body);
    redeems(&gateway, "good", json(good)).await;
    redeems(&gateway, "foreign", json(foreign)).await;
    redeems(&gateway, "unsigned", json(unsigned)).await;
    redeems(&gateway, "spent", spent).await;
    // More than is read: as good as no answer, and sooner.
    let flood = ResponseTemplate::new(200).set_body_string(" ".repeat(300 * 1024));
    redeems(&gateway, "flood", flood).await;

    let mine = attempt.as_str();
    for (query, cookies, status, code) in [
        ("code=good&state=STATE", "", 400, "sign_in_expired"),
        (
            "code=good&state=STATE",
            other_tab.as_str(),
            400,
            "sign_in_expired",
        ),
        ("code=good&state=other", mine, 400, "sign_in_expired"),
        ("code=good", mine, 400, "sign_in_expired"),
        ("state=STATE", mine, 400, "sign_in_failed"),
        (
            "error=access_denied&state=STATE",
            mine,
            403,
            "sign_in_refused",
        ),
        (
            "error=login_required&state=STATE",
            mine,
            403,
            "sign_in_failed",
        ),
        (
            "error=invalid_scope&state=STATE",
            mine,
            403,
            "sign_in_failed",
        ),
        ("error=&state=STATE", mine, 403, "sign_in_failed"),
        (
            "error=temporarily_unavailable&state=STATE",
            mine,
            503,
            "identity_unavailable",
        ),
        (
            "error=server_error&state=STATE",
            mine,
            503,
            "identity_unavailable",
        ),
        ("code=flood&state=STATE", mine, 503, "identity_unavailable"),
        ("code=spent&state=STATE", mine, 400, "sign_in_failed"),
        ("code=unsigned&state=STATE", mine, 400, "sign_in_failed"),
        (
            "code=foreign&state=STATE",
            mine,
            401,
            "token_wrong_audience",
        ),
        ("code=good&state=STATE", mine, 503, "storage_unavailable"),
        // No request of a provider.
        ("state=a&state=b", mine, 400, "invalid_request"),
    ] {
        let path = format!("/auth/callback?{}", query.replace("STATE", state));
        Visit::new(&path, cookies)
            .is_told(&gateway, status, code)
            .await;
        let of_page = if code.starts_with("token_") {
            "token"
        } else {
            code
        };
        for language in ["en", "es"] {
            // The last one has the general sentence, which is the control as well.
            let expected = code != "invalid_request";
            assert_eq!(has_words(language, of_page), expected, "{language} {code}");
        }
    }
}

#[tokio::test]
async fn a_sign_in_that_cannot_begin_and_a_sign_out_that_fails_are_told_alike() {
    let gateway = Gateway::start(Parts::default()).await;
    gateway.realm.reset().await;
    let login = Visit::new("/auth/login?return_to=/c/1", "");
    login.is_told(&gateway, 503, "identity_unavailable").await;
    let session = "__Host-lotoai=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for (origin, status, code) in [
        ("https://evil.example.org", 403, "cross_site_request"),
        (PUBLIC_URL, 503, "storage_unavailable"),
    ] {
        let mut logout = Visit::new("/auth/logout", session);
        logout.method = Method::POST;
        logout.origin = Some(origin);
        logout.is_told(&gateway, status, code).await;
        assert!(has_words("en", code) && has_words("es", code), "{code}");
    }
    // An API is no page, whoever asks.
    let reply = Visit::new("/api/me", "").by(&gateway, Some(BROWSER)).await;
    assert_eq!(reply.code(), "sign_in_required", "{reply:?}");
}

#[tokio::test]
async fn the_page_is_the_web_clients_and_leads_nowhere_by_itself() {
    let gateway = Gateway::start(Parts::default()).await;
    let callback = Visit::new("/auth/callback?code=c&state=s", "");
    let reply = callback.by(&gateway, Some(BROWSER)).await;
    let (place, _) = reply.header("location").split_once('?').unwrap();
    let known = format!("SIGN_IN = \"{place}\";");
    assert!(web_source("lib/place.ts").contains(&known), "{known}");
    let page = Visit::new(reply.header("location"), "");
    let page = page.by(&gateway, Some(BROWSER)).await;
    assert_eq!(page.status, StatusCode::OK, "{page:?}");
    assert_eq!(page.body, "<title>web</title>");
    assert_eq!(page.header("location"), "", "{page:?}");
}

fn everything(reply: &Reply) -> String {
    format!("{:?} {}", reply.headers, reply.body)
}

#[tokio::test]
async fn nothing_that_a_stranger_sends_is_told() {
    const MARK: &str = "evil-7f3a";
    let gateway = Gateway::start(Parts::default()).await;
    let (query, attempt) = begin(&gateway).await;
    let state = &query["state"];
    let script = format!("%3Cscript%3E{MARK}%3C/script%3E");
    let forged = format!("__Host-lotoai-login={MARK}");
    let words = format!(
        "error={script}&error_description={script}&error_uri=https://{MARK}.example.org\
         &code={script}"
    );
    let refused = format!("/auth/callback?{words}&state={state}");
    let unknown = format!("/auth/callback?{words}&state={script}");
    let spent = format!("/auth/callback?code={script}&state={state}");
    let sealed = attempt.split_once('=').unwrap().1;
    let secret = [sealed, state.as_str(), query["nonce"].as_str()];
    for (path, cookies) in [
        (&refused, &attempt),
        (&unknown, &attempt),
        (&unknown, &forged),
        (&spent, &attempt),
    ] {
        for accept in [Some(BROWSER), None] {
            let reply = Visit::new(path, cookies).by(&gateway, accept).await;
            let told = everything(&reply);
            for word in [MARK, "script"].into_iter().chain(secret) {
                assert!(!told.contains(word), "{word} of {path}: {told}");
            }
        }
    }
    // The control: what is told is found, and without a mark of HTML it leads to this site only.
    let mut named = Visit::new(&refused, &attempt);
    named.id = "\"><script>evil-7f3a</script>&reason=x";
    let reply = named.by(&gateway, Some(BROWSER)).await;
    assert!(everything(&reply).contains(MARK), "{reply:?}");
    let location = reply.header("location");
    assert!(!location.contains(['<', '>', '"', '\'']), "{location}");
    let page = Url::parse(PUBLIC_URL).unwrap().join(location).unwrap();
    assert!(page.as_str().starts_with(&format!("{PUBLIC_URL}/sign-in?")));
    let reasons = page.query_pairs().filter(|(name, _)| name == "reason");
    let reasons: Vec<String> = reasons.map(|(_, value)| value.into_owned()).collect();
    assert_eq!(reasons, ["sign_in_failed"]);
}

#[tokio::test]
async fn of_two_tabs_the_last_one_signs_in_and_going_back_is_told() {
    let Some((_server, gateway)) = Gateway::stored(Parts::default()).await else {
        return;
    };
    let login = Visit::new("/auth/login", "");
    let reply = login.by(&gateway, Some(BROWSER)).await;
    assert!(reply.header("location").starts_with(ISSUER), "{reply:?}");

    let (first, _) = begin(&gateway).await;
    let (last, attempt) = begin(&gateway).await;
    let answer = tokens(&gateway, ANA, 300, Some(&last["nonce"]));
    let answer = ResponseTemplate::new(200).set_body_json(answer);
    redeems(&gateway, "good", answer).await;
    let back = |query: &HashMap<String, String>| {
        format!("/auth/callback?code=good&state={}", query["state"])
    };
    let (first, last) = (back(&first), back(&last));
    Visit::new(&first, &attempt)
        .is_told(&gateway, 400, "sign_in_expired")
        .await;
    // What failed took nothing from the other one.
    let reply = Visit::new(&last, &attempt)
        .by(&gateway, Some(BROWSER))
        .await;
    assert_eq!(reply.header("location"), "/c/1", "{reply:?}");
    let cookies = reply.headers.get_all("set-cookie").iter();
    let over = "__Host-lotoai-login=;";
    assert!(
        cookies
            .filter_map(|it| it.to_str().ok())
            .any(|it| it.starts_with(over)),
        "{reply:?}"
    );
    Visit::new(&last, "")
        .is_told(&gateway, 400, "sign_in_expired")
        .await;
}
