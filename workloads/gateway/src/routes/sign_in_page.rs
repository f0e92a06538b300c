//! Where people are told why a sign-in or sign-out failed: a page of the web client, which has the
//! sentences in both languages. The address of it holds a code of ours and the request's id, and
//! nothing that the browser or the identity provider sent.

use axum::extract::Request;
use axum::http::header::{ACCEPT, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use url::form_urlencoded;

use crate::failure::Failure;

/// The calls that browsers make as a whole page, and not from within one.
const VISITED: [&str; 3] = ["/auth/login", "/auth/callback", "/auth/logout"];
/// The page of the web client.
const PAGE: &str = "/sign-in";

/// Middleware: sends a browser whose sign-in or sign-out failed to the page that says why. Programs
/// get the problem as everywhere. It stands around those who write failures.
pub async fn tell<F: Future<Output = Response>>(
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let is_told = VISITED.contains(&request.uri().path()) && prefers_html(request.headers());
    if !is_told {
        return next(request).await;
    }
    let request_id = request.headers().get("x-request-id").cloned();
    let response = next(request).await;
    let Some(failure) = response.extensions().get::<Failure>() else {
        return response;
    };
    let status = failure.status.as_u16();
    // The answer that is counted and logged is a redirect; this is what the id leads to.
    tracing::info!(code = %failure.code, status, "a browser is told why its sign-in failed");
    let request_id = request_id.as_ref().and_then(|id| id.to_str().ok());
    let Ok(location) = HeaderValue::try_from(address(&failure.code, request_id)) else {
        return response;
    };
    (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response()
}

/// The page's address, a path of this site.
fn address(code: &str, request_id: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("reason", code);
    if let Some(id) = request_id {
        query.append_pair("request", id);
    }
    format!("{PAGE}?{}", query.finish())
}

/// Whether HTML is preferred to the problem, by the quality values of RFC 9110, section 12.5.1.
/// Whoever likes both alike is a program: browsers put HTML first when they load a page.
pub fn prefers_html(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter();
    let ranges: Vec<(String, f32)> = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(range)
        .collect();
    let html = quality(&ranges, "text", "html");
    ["problem+json", "json"]
        .into_iter()
        .all(|json| html > quality(&ranges, "application", json))
}

/// A media range and its quality, from 0 to 1; nothing where that is no such number.
fn range(text: &str) -> Option<(String, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next()?.to_ascii_lowercase();
    let weight = parts.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.eq_ignore_ascii_case("q").then_some(value)
    });
    let quality: f32 = match weight {
        Some(value) => value.parse().ok()?,
        None => 1.0,
    };
    (0.0..=1.0).contains(&quality).then_some((name, quality))
}

/// The quality of a media type: that of the most specific range that it fits, else 0.
fn quality(ranges: &[(String, f32)], kind: &str, subtype: &str) -> f32 {
    [
        format!("{kind}/{subtype}"),
        format!("{kind}/*"),
        "*/*".to_owned(),
    ]
    .iter()
    .find_map(|wanted| ranges.iter().find(|(name, _)| name == wanted))
    .map_or(0.0, |(_, quality)| *quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    // Firefox, Chrome, and a script that wants a page.
    #[case(
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        true
    )]
    #[case(
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8,\
         application/signed-exchange;v=b3;q=0.7",
        true
    )]
    #[case("text/html", true)]
    #[case("TEXT/HTML ; Q=0.5, application/json;q=0.4", true)]
    #[case("text/*, */*;q=0.1", true)]
    #[case("application/json;q=0, text/html;q=0.001", true)]
    // Programs.
    #[case("", false)]
    #[case("*/*", false)]
    #[case("application/json", false)]
    #[case("application/problem+json", false)]
    #[case("application/json, text/plain, */*", false)]
    #[case("application/json, text/html", false)]
    #[case("text/html;q=0.9, application/json", false)]
    #[case("text/html;q=0.9, application/*", false)]
    #[case("text/html;q=0.9, application/problem+json", false)]
    #[case("text/html;q=0", false)]
    #[case("text/html;q=0, text/*, */*;q=0.1", false)]
    // What is no quality.
    #[case("text/html;q=2", false)]
    #[case("text/html;q=-1", false)]
    #[case("text/html;q=NaN", false)]
    #[case("text/html;q=", false)]
    #[case("html", false)]
    #[case(",;,=;q", false)]
    fn html_is_for_who_prefers_it(#[case] accepted: &str, #[case] expected: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accepted.parse().unwrap());
        assert_eq!(prefers_html(&headers), expected);
    }

    #[test]
    fn several_headers_are_one_list_and_none_is_a_program() {
        let mut headers = HeaderMap::new();
        assert!(!prefers_html(&headers));
        headers.append(ACCEPT, HeaderValue::from_static("*/*;q=0.1"));
        headers.append(ACCEPT, HeaderValue::from_static("text/html"));
        assert!(prefers_html(&headers));
        headers.append(ACCEPT, HeaderValue::from_static("application/json"));
        assert!(!prefers_html(&headers));
    }

    #[test]
    fn the_address_is_a_path_of_this_site_whatever_the_id_is() {
        assert_eq!(address("c", None), "/sign-in?reason=c");
        assert_eq!(
            address("sign_in_failed", Some("a1-b2")),
            "/sign-in?reason=sign_in_failed&request=a1-b2"
        );
        let address = address("c", Some("\"><script>&reason=x#//evil.example.org"));
        assert_eq!(
            address.matches(['<', '>', '"', '#']).count(),
            0,
            "{address}"
        );
        assert_eq!(address.matches("reason=").count(), 1, "{address}");
    }
}
