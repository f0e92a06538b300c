//! Calls an HTTP API.

use std::time::Duration;

use lotoai_kit::authority::{self, AuthorityError};
use lotoai_kit::http_error::read_body_capped;
use lotoai_kit::tls::TlsArgs;
use lotoai_kit::upstream::{CONNECT_TIMEOUT, traced};
use serde_json::{Map, Value};
use snafu::{ResultExt, Snafu};

use super::ToolResult;
use crate::domain::declaration::{HttpTool, Method};
use crate::domain::request;

/// More than this of an answer is not read.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Why the client cannot be made.
#[derive(Debug, Snafu)]
pub enum ClientError {
    /// The platform's authority cannot be used.
    #[snafu(display("failed to use TLS_CA_FILE"))]
    Authority {
        /// The cause.
        source: AuthorityError,
    },
    /// The TLS library cannot be set up.
    #[snafu(display("failed to set up TLS"))]
    Build {
        /// The cause.
        source: reqwest::Error,
    },
}

/// A client that follows no redirect: a redirect would leave the declared host. Tools call anybody,
/// and the platform's own services: it trusts the platform's authority beside the well-known ones.
///
/// # Errors
/// The authority cannot be read, or the TLS library cannot be set up.
pub fn client(tls: &TlsArgs) -> Result<reqwest::Client, ClientError> {
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    authority::trust(builder, tls.tls_ca_file.as_deref())
        .context(AuthoritySnafu)?
        .build()
        .context(BuildSnafu)
}

/// Calls the tool's address. `token` is the value of its token variable. Dropping this ends the call.
pub async fn call(
    client: &reqwest::Client,
    tool: &HttpTool,
    token: Option<&str>,
    arguments: &Map<String, Value>,
) -> ToolResult {
    let built = match request::build(tool, arguments) {
        Ok(built) => built,
        Err(cause) => return ToolResult::error(cause),
    };
    let method = match tool.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    };
    let timeout = Duration::from_secs(u64::from(tool.timeout_seconds));
    let mut request = traced(client.request(method, built.url).timeout(timeout));
    for (name, value) in &tool.headers {
        request = request.header(name, value);
    }
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = built.body {
        request = request.json(&body);
    }
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return ToolResult::error(describe(&error, tool.timeout_seconds)),
    };
    let status = response.status();
    let body = match read_body_capped(response, MAX_ANSWER_BYTES).await {
        Ok(body) => body,
        Err(error) => return ToolResult::error(error.to_string()),
    };
    let text = String::from_utf8_lossy(&body);
    if status.is_success() {
        ToolResult::ok(&text)
    } else {
        ToolResult::error(format!("the API answered {status}: {text}"))
    }
}

/// What failed, without the address: it may hold arguments.
fn describe(error: &reqwest::Error, seconds: u32) -> String {
    if error.is_timeout() {
        format!("the API did not answer within {seconds} s")
    } else if error.is_connect() {
        "the API cannot be reached".to_owned()
    } else {
        "the call of the API failed".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;
    use wiremock::matchers::{bearer_token, method, path, query_param};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    fn tool(url: String) -> HttpTool {
        HttpTool {
            method: Method::Get,
            url,
            headers: [].into(),
            token_env: None,
            timeout_seconds: 1,
        }
    }

    #[test]
    fn an_authority_that_is_not_there_is_an_error() {
        let tls = TlsArgs {
            tls_ca_file: Some("/nowhere/ca.crt".into()),
            ..TlsArgs::default()
        };
        let error = client(&tls).unwrap_err().to_string();
        assert_eq!(error, "failed to use TLS_CA_FILE");
    }

    #[tokio::test]
    async fn the_answer_is_the_result_and_the_token_is_sent() {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .and(path("/usage"))
            .and(query_param("day", "today"))
            .and(bearer_token("secret"))
            .respond_with(ResponseTemplate::new(200).set_body_string("{\"requests\":3}"))
            .mount(&server)
            .await;
        let arguments = json!({"day": "today"});
        let tool = tool(format!("{}/usage", server.uri()));
        let client = client(&TlsArgs::default()).unwrap();
        let result = call(
            &client,
            &tool,
            Some("secret"),
            arguments.as_object().unwrap(),
        )
        .await;
        assert_eq!(
            result,
            ToolResult {
                text: "{\"requests\":3}".into(),
                is_error: false
            }
        );
        let result = call(&client, &tool, None, arguments.as_object().unwrap()).await;
        assert!(
            result.is_error,
            "without the token nothing matches: {result:?}"
        );
    }

    #[rstest]
    #[case(ResponseTemplate::new(500).set_body_string("broken"), "500")]
    #[case(ResponseTemplate::new(302).insert_header("location", "http://169.254.169.254/"), "302")]
    #[case(ResponseTemplate::new(200).set_delay(Duration::from_secs(5)), "within 1 s")]
    #[case(ResponseTemplate::new(200).set_body_bytes(vec![b'x'; MAX_ANSWER_BYTES + 1]), "bytes")]
    #[tokio::test]
    async fn a_failure_is_told_to_the_caller(#[case] answer: ResponseTemplate, #[case] says: &str) {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .respond_with(answer)
            .mount(&server)
            .await;
        let result = call(
            &client(&TlsArgs::default()).unwrap(),
            &tool(server.uri()),
            None,
            &Map::new(),
        )
        .await;
        assert!(result.is_error && result.text.contains(says), "{result:?}");
    }
}
