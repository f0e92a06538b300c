//! What says who a caller is.

use http::{HeaderMap, HeaderValue, header};
use lotoai_gateway::identity::{api_key, authenticate, session, token};

use crate::{promise, refusal};

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
