//! Requests that are understood.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;

use super::platform::{Proof, Things};
use crate::tests::model_server;

const BOUNDARY: &str = "a-boundary-that-no-file-holds";

/// A request that its route understands.
pub(super) fn request(method: &Method, path: &str, proof: &Proof) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    match proof {
        Proof::Nothing => {}
        Proof::Bearer(token) => {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        Proof::Cookie(cookie, origin) => {
            request = request.header("cookie", cookie);
            if let Some(origin) = origin {
                request = request.header("origin", *origin);
            }
        }
    }
    if path.starts_with("/api/uploads") {
        request = request
            .header("tus-resumable", "1.0.0")
            .header("upload-length", "1")
            .header("upload-metadata", "filename YS50eHQ=")
            .header("upload-offset", "0")
            .header("content-type", "application/offset+octet-stream");
    }
    let body = match (method, path) {
        (&Method::POST, "/api/admin/budgets") => json!({
            "name": "made", "scope": "User", "names": ["nobody"], "per": "Day", "requests": 1,
        })
        .to_string(),
        (&Method::PUT, _) => json!({ "names": ["nobody"], "requests": 2 }).to_string(),
        (&Method::PATCH, path) if path.starts_with("/api/uploads/") => "t".to_owned(),
        (&Method::PATCH, _) => json!({ "title": "another" }).to_string(),
        // The message has the id of its conversation.
        (&Method::POST, path) if path.ends_with("/branch") => {
            json!({ "message_id": path.split('/').nth(3) }).to_string()
        }
        (&Method::POST, path) if path.starts_with("/api/approvals/") => {
            json!({ "decision": "approve" }).to_string()
        }
        (&Method::POST, "/v1/chat/completions") => json!({
            "model": "lotoai", "store": false,
            "messages": [{ "role": "user", "content": "?" }],
        })
        .to_string(),
        (&Method::POST, "/v1/embeddings") => {
            json!({ "model": model_server::MODEL, "input": "?" }).to_string()
        }
        (&Method::POST, "/v1/responses") => {
            json!({ "model": "lotoai", "store": false, "input": "?" }).to_string()
        }
        (&Method::POST, "/api/keys") => json!({ "name": "another" }).to_string(),
        (&Method::POST, "/api/documents") => {
            request = request.header(
                "content-type",
                format!("multipart/form-data; boundary={BOUNDARY}"),
            );
            format!(
                "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; \
                 filename=\"a.txt\"\r\n\r\ntext\r\n--{BOUNDARY}--\r\n"
            )
        }
        _ => String::new(),
    };
    request.body(Body::from(body)).unwrap()
}

/// The path of a route, with one of Ana's things where it has a parameter.
pub(super) fn path_of(route: &str, things: &Things) -> String {
    let id = match route.split('/').nth(2) {
        Some("conversations") => things.conversation.as_str(),
        Some("documents") => &things.document,
        Some("approvals") => &things.approval,
        Some("uploads") => &things.upload,
        Some("keys") => &things.key,
        Some("sessions") => &things.session,
        Some("users") => "somebody who left",
        Some("admin") if route.starts_with("/api/admin/sessions") => &things.session,
        Some("admin") => &things.budget,
        Some("chat") => &things.stream,
        Some("responses") => &things.response,
        // A model.
        _ => "writer",
    };
    let path = route.replace("{id}", &id.replace(' ', "%20"));
    match route.rsplit('/').next() {
        Some("search") => path + "?q=hers",
        Some("data") => path + "?confirm=erase-everything",
        _ => path,
    }
}
