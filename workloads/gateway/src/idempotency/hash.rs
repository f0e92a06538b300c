//! What makes two requests the same: method, path, query, media type, what they say of an upload, and
//! body.

use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use sha2::{Digest as _, Sha256};

use crate::domain::tus::{UPLOAD_LENGTH, UPLOAD_METADATA, UPLOAD_OFFSET};

/// The longest boundary, in bytes (RFC 2046). A longer one is none: every byte of a body may have to be
/// held against all of it.
const MAX_BOUNDARY: usize = 70;

/// The hash of a request, as its body arrives.
pub struct RequestHash {
    hash: Sha256,
    boundary: Vec<u8>,
    /// The end of what came, which may be the beginning of a boundary.
    tail: Vec<u8>,
}

impl RequestHash {
    /// Of a request whose body is still to come.
    pub fn begin(parts: &Parts) -> Self {
        let media_type = parts
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let target = parts
            .uri
            .path_and_query()
            .map_or("", |target| target.as_str());
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        let mut hash = Sha256::new();
        for part in [parts.method.as_str(), target, &essence.to_ascii_lowercase()] {
            hash.update(part.as_bytes());
            hash.update(b"\n");
        }
        // A request that begins an upload has no body: all of it is in these.
        for name in [UPLOAD_LENGTH, UPLOAD_METADATA, UPLOAD_OFFSET] {
            if let Some(value) = parts.headers.get(&name) {
                hash.update(name.as_str().as_bytes());
                hash.update(value.as_bytes());
                hash.update(b"\n");
            }
        }
        Self {
            hash,
            boundary: boundary(media_type).as_bytes().to_vec(),
            tail: Vec::new(),
        }
    }

    /// Takes more of the body. A client that sends a form again chooses a new boundary for it, so
    /// boundaries are left out.
    pub fn push(&mut self, bytes: &[u8]) {
        let Some(first) = self.boundary.first().copied() else {
            self.hash.update(bytes);
            return;
        };
        let mut text = std::mem::take(&mut self.tail);
        text.extend_from_slice(bytes);
        let length = self.boundary.len();
        let (mut from, mut at) = (0, 0);
        while at + length <= text.len() {
            if text[at] == first && text[at..at + length] == self.boundary {
                self.hash.update(&text[from..at]);
                at += length;
                from = at;
            } else {
                at += 1;
            }
        }
        self.hash.update(&text[from..at]);
        self.tail = text.split_off(at);
    }

    /// The hash of the whole.
    pub fn end(self) -> Vec<u8> {
        self.hash.chain_update(&self.tail).finalize().to_vec()
    }
}

/// The boundary of a form; empty where there is none.
fn boundary(media_type: &str) -> &str {
    if !media_type
        .trim_start()
        .to_ascii_lowercase()
        .starts_with("multipart/")
    {
        return "";
    }
    let parameters = media_type.split(';').skip(1);
    parameters
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))
        .map(|(_, value)| value.trim().trim_matches('"'))
        .filter(|boundary| boundary.len() <= MAX_BOUNDARY)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use proptest::prelude::*;

    use super::*;

    fn begin(method: &str, target: &str, media_type: &str) -> RequestHash {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(CONTENT_TYPE, media_type);
        RequestHash::begin(&request.body(()).unwrap().into_parts().0)
    }

    fn whole(method: &str, target: &str, media_type: &str, body: &str) -> Vec<u8> {
        let mut hash = begin(method, target, media_type);
        hash.push(body.as_bytes());
        hash.end()
    }

    #[test]
    fn every_part_counts() {
        let hash = whole("POST", "/a?b", "application/json", "{}");
        assert_eq!(
            whole("POST", "/a?b", "Application/JSON; charset=utf-8", "{}"),
            hash
        );
        for other in [
            whole("PUT", "/a?b", "application/json", "{}"),
            whole("POST", "/a", "application/json", "{}"),
            whole("POST", "/a?b", "text/plain", "{}"),
            whole("POST", "/a?b", "application/json", "{ }"),
        ] {
            assert_ne!(other, hash);
        }
    }

    #[test]
    fn what_is_said_of_an_upload_counts() {
        let begun = |name: &'static str, value: &str| {
            let request = Request::post("/api/uploads").header(name, value);
            RequestHash::begin(&request.body(()).unwrap().into_parts().0).end()
        };
        let hash = begun("upload-length", "1");
        assert_eq!(begun("upload-length", "1"), hash);
        assert_ne!(begun("upload-length", "2"), hash);
        assert_ne!(begun("upload-offset", "1"), hash);
        assert_eq!(
            begun("x-request-id", "1"),
            begun("x-request-id", "2"),
            "the control"
        );
    }

    #[test]
    fn a_form_is_the_same_with_another_boundary() {
        let form = |boundary: &str, text: &str| {
            let body = format!("--{boundary}\r\nname=\"file\"\r\n\r\n{text}\r\n--{boundary}--\r\n");
            let media_type = format!("multipart/form-data; boundary=\"{boundary}\"");
            whole("POST", "/", &media_type, &body)
        };
        assert_eq!(form("aab", "text"), form("----7MA4YWxkTrZu0gW", "text"));
        assert_ne!(form("aab", "text"), form("aab", "other"));
        let longest = "b".repeat(MAX_BOUNDARY);
        assert_eq!(form("aab", "text"), form(&longest, "text"));
        assert_ne!(form("aab", "text"), form(&format!("{longest}b"), "text"));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_in_which_pieces_a_body_comes(
            body in "[ab-]{0,60}", cuts in prop::collection::vec(0..60_usize, 0..8),
        ) {
            let media_type = "multipart/form-data; boundary=aab";
            let expected = whole("POST", "/", media_type, &body);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
            cuts.sort_unstable();
            cuts.push(body.len());
            let (mut hash, mut from) = (begin("POST", "/", media_type), 0);
            for cut in cuts {
                hash.push(&body.as_bytes()[from..cut]);
                from = cut;
            }
            prop_assert_eq!(hash.end(), expected);
        }
    }
}
