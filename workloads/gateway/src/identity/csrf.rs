//! Protection of requests that a browser authenticates by cookie: what changes state must come
//! from our own pages.

use axum::http::header::ORIGIN;
use axum::http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::failure::Failure;

/// Refuses a state-changing request that another site may have caused.
///
/// A browser sends `Origin` with every such request; `Sec-Fetch-Site` decides where a proxy or an
/// older browser leaves it out.
///
/// # Errors
/// 403 when the request does not come from `public_url`.
pub fn check(method: &Method, headers: &HeaderMap, public_url: &Url) -> Result<(), Failure> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let ours = public_url.origin().ascii_serialization();
    let same_site = match headers.get(ORIGIN) {
        // One that is no text is one of somebody else, and not left out.
        Some(origin) => *origin == ours,
        None => headers
            .get("sec-fetch-site")
            .is_some_and(|site| site == "same-origin"),
    };
    if same_site {
        return Ok(());
    }
    Err(Failure::new(
        StatusCode::FORBIDDEN,
        "cross_site_request",
        format!("a request with a session cookie must come from {ours}; use an access token"),
    ))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[rstest::rstest]
    #[case("GET", &[], true)]
    #[case("POST", &[("origin", "https://ai.example.org")], true)]
    #[case("POST", &[("sec-fetch-site", "same-origin")], true)]
    #[case("POST", &[], false)]
    #[case("POST", &[("origin", "https://evil.example.org")], false)]
    #[case("POST", &[("origin", "https://ai.example.org.evil.org")], false)]
    #[case("POST", &[("origin", "http://ai.example.org")], false)]
    #[case("POST", &[("origin", "null")], false)]
    #[case("POST", &[("origin", "null"), ("sec-fetch-site", "same-origin")], false)]
    #[case("DELETE", &[("sec-fetch-site", "same-site")], false)]
    #[case("DELETE", &[("sec-fetch-site", "cross-site")], false)]
    fn only_our_own_pages(
        #[case] method: Method,
        #[case] headers: &[(&'static str, &'static str)],
        #[case] accepted: bool,
    ) {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let public_url = Url::parse("https://ai.example.org/").unwrap();
        assert_eq!(check(&method, &headers, &public_url).is_ok(), accepted);
    }

    #[test]
    fn an_origin_that_is_no_text_is_not_left_out() {
        let public_url = Url::parse("https://ai.example.org/").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("sec-fetch-site", "same-origin".parse().unwrap());
        // The control.
        assert!(check(&Method::POST, &headers, &public_url).is_ok());
        headers.insert(ORIGIN, HeaderValue::from_bytes(b"https://\xf1").unwrap());
        assert!(check(&Method::POST, &headers, &public_url).is_err());
    }
}
