//! Bad input to public endpoints: a typed error, nothing lost, no restart.

use lotoai_e2e::PublicClient;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{pods, ready, run};

/// A call that must be refused: method, path, content type, body, status.
type Case = (
    &'static str,
    Method,
    &'static str,
    &'static str,
    Vec<u8>,
    u16,
);

/// Content type of [`multipart`].
const MULTIPART: &str = "multipart/form-data; boundary=x";

/// A form: name, file name and bytes of each field.
fn multipart(fields: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, file, body) in fields {
        let file = file.map_or_else(String::new, |file| format!("; filename=\"{file}\""));
        let head = format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        bytes.extend(head.as_bytes());
        bytes.extend(*body);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"--x--\r\n");
    bytes
}

fn cases() -> Vec<Case> {
    let chat = "/v1/chat/completions";
    let json_type = "application/json";
    let ask = |value: Value| value.to_string().into_bytes();
    let user = json!([{"role": "user", "content": "hello"}]);
    let part = |name: &str, file: &str, body: &[u8]| multipart(&[(name, Some(file), body)]);
    vec![
        (
            "truncated JSON",
            Method::POST,
            chat,
            json_type,
            b"{\"model\":".to_vec(),
            400,
        ),
        (
            "bad UTF-8",
            Method::POST,
            chat,
            json_type,
            b"{\"model\":\"\xff\xfe\"}".to_vec(),
            400,
        ),
        (
            "an array",
            Method::POST,
            chat,
            json_type,
            b"[]".to_vec(),
            400,
        ),
        (
            "no messages",
            Method::POST,
            chat,
            json_type,
            ask(json!({"model": "lotoai"})),
            400,
        ),
        (
            "empty messages",
            Method::POST,
            chat,
            json_type,
            ask(json!({"model": "lotoai", "messages": []})),
            400,
        ),
        (
            "a wrong type",
            Method::POST,
            chat,
            json_type,
            ask(json!({"model": 7, "messages": user})),
            400,
        ),
        (
            "a wrong role",
            Method::POST,
            chat,
            json_type,
            ask(json!({"model": "lotoai", "messages": [{"role": "wizard", "content": "x"}]})),
            400,
        ),
        (
            "negative tokens",
            Method::POST,
            chat,
            json_type,
            ask(json!({"model": "lotoai", "messages": user, "max_tokens": -1})),
            400,
        ),
        (
            "more than one answer",
            Method::POST,
            chat,
            json_type,
            ask(json!({"model": "lotoai", "messages": user, "n": 2})),
            400,
        ),
        (
            "an unknown field",
            Method::POST,
            chat,
            json_type,
            ask(json!({"model": "lotoai", "messages": user, "colour": "blue"})),
            400,
        ),
        (
            "an unknown query parameter",
            Method::GET,
            "/api/documents?colour=blue",
            json_type,
            vec![],
            400,
        ),
        (
            "an unknown model",
            Method::POST,
            chat,
            json_type,
            ask(json!({"model": "gpt-nobody", "messages": user})),
            404,
        ),
        (
            "a body of 2 MiB",
            Method::POST,
            chat,
            json_type,
            ask(
                json!({"model": "lotoai", "messages": [{"role": "user", "content": "x".repeat(2 << 20)}]}),
            ),
            413,
        ),
        (
            "no multipart",
            Method::POST,
            "/api/documents",
            json_type,
            b"{}".to_vec(),
            400,
        ),
        (
            "no file field",
            Method::POST,
            "/api/documents",
            MULTIPART,
            part("other", "a.md", b"text"),
            400,
        ),
        (
            "an empty file",
            Method::POST,
            "/api/documents",
            MULTIPART,
            part("file", "a.md", b""),
            400,
        ),
        (
            "a program",
            Method::POST,
            "/api/documents",
            MULTIPART,
            part("file", "a.exe", b"MZ\x00\x01"),
            415,
        ),
        (
            "text that is not text",
            Method::POST,
            "/api/documents",
            MULTIPART,
            part("file", "a.md", b"\xff\xfe\x00"),
            415,
        ),
        (
            "a truncated upload",
            Method::POST,
            "/api/documents",
            MULTIPART,
            b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.md\"\r\n\r\nhalf"
                .to_vec(),
            400,
        ),
        (
            "an unknown document",
            Method::GET,
            "/api/documents/7b0a1c0e-0000-7000-8000-000000000000",
            json_type,
            vec![],
            404,
        ),
        (
            "an id that is none",
            Method::GET,
            "/api/documents/caf%C3%A9%20ol%C3%A9",
            json_type,
            vec![],
            404,
        ),
        (
            "an unknown conversation",
            Method::GET,
            "/api/conversations/7b0a1c0e-0000-7000-8000-000000000000",
            json_type,
            vec![],
            404,
        ),
        (
            "a bad cursor",
            Method::GET,
            "/api/documents?cursor=%00",
            json_type,
            vec![],
            400,
        ),
        (
            "an unknown API",
            Method::GET,
            "/api/nothing",
            json_type,
            vec![],
            404,
        ),
        (
            "a wrong method",
            Method::PUT,
            "/v1/models",
            json_type,
            vec![],
            405,
        ),
    ]
}

#[test]
fn bad_input_gets_a_typed_error_and_breaks_nothing() {
    run(|| async {
        let (platform, client) = ready().await;
        let restarts_before = restarts(&platform).await;
        let mut wrong = Vec::new();
        for (name, method, path, content_type, body, expected) in cases() {
            let request = client.request(method, path).await.unwrap();
            let response = request
                .header("content-type", content_type)
                .body(body)
                .send()
                .await
                .unwrap();
            let status = response.status().as_u16();
            let text = response.text().await.unwrap();
            let parsed: Value = serde_json::from_str(&text).unwrap_or_default();
            let is_typed = if path.starts_with("/v1") {
                parsed["error"]["code"].is_string() && parsed["error"]["message"].is_string()
            } else {
                parsed["code"].is_string() && parsed["detail"].is_string()
            };
            if status != expected || !is_typed {
                wrong.push(format!("{name}: {status} instead of {expected}: {text}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let models = client.get("/v1/models").await.unwrap();
        assert!(models["data"].is_array(), "the positive control");
        assert_eq!(
            restarts(&platform).await,
            restarts_before,
            "a pod restarted"
        );
    });
}

/// One call: its status and body, or why there was no answer.
async fn post(
    client: &PublicClient,
    path: &str,
    content_type: &str,
    body: Vec<u8>,
) -> Result<(u16, Value), String> {
    let request = client.request(Method::POST, path).await;
    let response = request
        .map_err(|error| error.to_string())?
        .header("content-type", content_type)
        .body(body)
        .send()
        .await
        .map_err(|error| format!("no answer: {error:?}"))?;
    let status = response.status().as_u16();
    let text = response.text().await.map_err(|error| error.to_string())?;
    Ok((status, serde_json::from_str(&text).unwrap_or(json!(text))))
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    run(|| async {
        let (_, client) = ready().await;
        let chat = json!({
            "model": "lotoai", "colour": "blue",
            "messages": [{"role": "user", "content": "hello"}],
        });
        let path = "/v1/chat/completions";
        let body = chat.to_string().into_bytes();
        let (status, body) = post(&client, path, "application/json", body).await.unwrap();
        assert_eq!(status, 400, "{body}");
        assert_eq!(body["error"]["code"], "unknown_parameter", "{body}");
        assert_eq!(body["error"]["param"], "colour", "{body}");

        let form = multipart(&[("colour", None, b"blue"), ("file", Some("a.md"), b"text")]);
        let (status, body) = post(&client, "/api/documents", MULTIPART, form)
            .await
            .unwrap();
        assert_eq!(status, 400, "{body}");
        assert_eq!(body["code"], "unknown_parameter", "{body}");

        let request = client
            .request(Method::GET, "/api/documents?colour=blue")
            .await;
        let response = request.unwrap().send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["code"], "unknown_parameter", "{body}");
    });
}

/// The refusal comes while the upload is still on its way: it must arrive every time.
#[test]
fn what_is_too_large_is_refused_every_time() {
    run(|| async {
        let (platform, client) = ready().await;
        let restarts_before = restarts(&platform).await;
        let text = vec![b'x'; 33 << 20];
        let program = vec![b'M'; 20 << 20];
        let mut wrong = Vec::new();
        for attempt in 1..=10 {
            for (name, bytes, expected) in
                [("large.md", &text, 413), ("program.exe", &program, 415)]
            {
                let form = multipart(&[("file", Some(name), bytes)]);
                match post(&client, "/api/documents", MULTIPART, form).await {
                    Ok((status, body)) if status == expected && body["code"].is_string() => {}
                    other => wrong.push(format!("{name}, attempt {attempt}: {other:?}")),
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let name = format!("small-{}.md", std::process::id());
        let form = multipart(&[("file", Some(&name), b"This one is small enough.")]);
        let (status, body) = post(&client, "/api/documents", MULTIPART, form)
            .await
            .unwrap();
        assert_eq!(status, 202, "the positive control: {body}");
        assert_eq!(
            restarts(&platform).await,
            restarts_before,
            "a pod restarted"
        );
    });
}

/// An encoded slash: to the gateway it would be part of an id.
#[test]
fn a_path_that_can_be_read_in_two_ways_stops_at_the_edge() {
    run(|| async {
        let (_, client) = ready().await;
        let status = async |path: &str| {
            let request = client.request(Method::GET, path).await;
            request.unwrap().send().await.unwrap().status()
        };
        let two_ways = status("/api/documents/..%2f..%2fetc").await;
        assert_eq!(two_ways, StatusCode::BAD_REQUEST);
        let one_way = status("/api/documents/..etc").await;
        assert_eq!(one_way, StatusCode::NOT_FOUND, "the control");
    });
}

#[test]
fn the_page_comes_with_security_headers() {
    run(|| async {
        let (_, client) = ready().await;
        let response = client
            .http()
            .get(format!("{}/", client.url()))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        for header in ["x-content-type-options", "content-security-policy"] {
            assert!(
                response.headers().contains_key(header),
                "{header} is missing"
            );
        }
    });
}

async fn restarts(platform: &lotoai_e2e::Platform) -> i32 {
    let statuses = pods(platform)
        .await
        .into_iter()
        .filter_map(|pod| pod.status);
    statuses
        .flat_map(|status| status.container_statuses.unwrap_or_default())
        .map(|c| c.restart_count)
        .sum()
}
