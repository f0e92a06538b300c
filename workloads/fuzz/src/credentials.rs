//! What says who a caller is.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderValue, Method, header};
use lotoai_gateway::identity::{api_key, authenticate, csrf, session, token};
use url::Url;

use crate::{promise, refusal};

/// The origin of the pages of [`PUBLIC_URL`].
const ORIGIN: &str = "https://ai.example.org";

static PUBLIC_URL: LazyLock<Option<Url>> = LazyLock::new(|| Url::parse(ORIGIN).ok());

/// The header `Authorization`.
pub(crate) fn authorization(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    if let Some(found) = authenticate::bearer(&value) {
        promise(!found.is_empty(), "a token is not empty");
        promise(found.trim() == found, "a token has no space around it");
        promise(
            bytes.len() > "bearer ".len() && bytes[..6].eq_ignore_ascii_case(b"bearer"),
            "nothing but a bearer token is taken",
        );
        access_token(found.as_bytes());
        api_key(found.as_bytes());
    }
}

/// What is read of an access token before its signature is checked.
pub(crate) fn access_token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match token::header_of(text) {
        Ok((header, key)) => {
            let name = format!("{:?}", header.alg);
            promise(
                name == "RS256" || name == "ES256",
                "two algorithms are taken",
            );
            promise(header.kid.as_deref() == Some(&*key), "a key is named");
            promise(text.split('.').count() == 3, "a token has three parts");
        }
        Err(failure) => {
            promise(failure.status == 401, "a bad token is a 401");
            refusal(&failure);
        }
    }
}

/// An API key.
pub(crate) fn api_key(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Some(key) = api_key::read(text) {
        promise(text.len() == 93, "a key has one length");
        promise(key.id == &text[5..21], "its id is in it");
    }
}

/// The header `Cookie`, given once for every line of the input.
pub(crate) fn cookie(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for value in bytes.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(header::COOKIE, value);
        }
    }
    if let Some(value) = session::cookie(&headers, session::SESSION_COOKIE) {
        promise(!value.contains(';'), "a value ends at its semicolon");
        let name = session::SESSION_COOKIE.as_bytes();
        let is_there = bytes.windows(name.len()).any(|window| window == name);
        promise(is_there, "nothing is found that was not sent");
    }
}

/// What says which site's page sends a request: its method, and on the lines after that the headers
/// `Origin` and `Sec-Fetch-Site`, where an empty line is none.
pub(crate) fn csrf(bytes: &[u8]) {
    let Some(public_url) = &*PUBLIC_URL else {
        return;
    };
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let Ok(method) = Method::from_bytes(lines.next().unwrap_or_default()) else {
        return;
    };
    let mut headers = HeaderMap::new();
    for (name, line) in ["origin", "sec-fetch-site"].into_iter().zip(lines) {
        match HeaderValue::from_bytes(line) {
            Ok(value) if !line.is_empty() => drop(headers.insert(name, value)),
            Ok(_) => {}
            Err(_) => return,
        }
    }
    match csrf::check(&method, &headers, public_url) {
        Ok(()) => {
            let is_ours = match headers.get(header::ORIGIN) {
                Some(origin) => origin == ORIGIN,
                None => headers
                    .get("sec-fetch-site")
                    .is_some_and(|site| site == "same-origin"),
            };
            promise(
                is_ours || method.is_safe(),
                "what changes something comes from our own pages",
            );
        }
        Err(failure) => {
            promise(failure.status == 403, "another site's page is a 403");
            refusal(&failure);
        }
    }
}
