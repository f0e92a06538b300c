//! The client of the model server: vectors of texts.

use std::time::Duration;

use axum::http::StatusCode;
use bytes::Bytes;
use lotoai_kit::http_error::read_body_capped;
use lotoai_kit::tls::TlsArgs;
use lotoai_kit::upstream::{ModelServerArgs, UpstreamError, traced};
use serde::Deserialize;
use serde::de::IgnoredAny;
use url::Url;

use crate::domain::embedding_request::EmbeddingRequest;
use crate::failure::Failure;
use crate::orchestrator::too_slow;

/// 256 vectors of 384 numbers are 1.2 MB of JSON; such of 2,048 numbers would be 7 MB.
const MAX_ANSWER: usize = 8 * 1024 * 1024;
/// A refusal is a sentence.
const MAX_REFUSAL: usize = 64 * 1024;
/// Seconds after which a model with too much to do may have room again.
const RETRY_AFTER: u64 = 2;

/// The model server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ModelServer {
    client: reqwest::Client,
    embeddings: Url,
    model: String,
    longest: Duration,
}

/// Vectors as the model server wrote them.
#[derive(Debug)]
pub struct Vectors {
    /// JSON in OpenAI's shape.
    pub body: Bytes,
    /// Tokens that were read.
    pub tokens: u64,
}

/// Why there are no vectors.
#[derive(Debug)]
pub struct Unanswered {
    /// What the caller is told.
    pub failure: Box<Failure>,
    /// Whether the model may have read the texts all the same.
    pub may_have_read: bool,
}

impl Unanswered {
    /// The call broke off, and nobody knows how far it came.
    pub fn in_the_middle(failure: Failure) -> Self {
        Self {
            failure: Box::new(failure),
            may_have_read: true,
        }
    }

    fn refused(failure: Failure) -> Self {
        Self {
            failure: Box::new(failure),
            may_have_read: false,
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<IgnoredAny>,
    usage: Usage,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: u64,
}

#[derive(Deserialize)]
struct Refusal {
    error: Reason,
}

#[derive(Deserialize)]
struct Reason {
    message: String,
    param: Option<String>,
    code: Option<String>,
}

impl ModelServer {
    /// A client of `server`, whose embedding model is `model`; no call takes longer than `longest`.
    ///
    /// # Errors
    /// When the token cannot stand in a header, or the platform's authority cannot be used.
    pub fn new(
        server: &ModelServerArgs,
        tls: &TlsArgs,
        model: String,
        longest: Duration,
    ) -> Result<Self, UpstreamError> {
        let mut embeddings = server.url.clone();
        embeddings.set_path("/v1/embeddings");
        Ok(Self {
            client: server.http_client(tls)?,
            embeddings,
            model,
            longest,
        })
    }

    /// Name of the embedding model.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Asks for one vector for each text. Dropping the call cancels it.
    ///
    /// # Errors
    /// 400 for what the model cannot do, 429 when it has too much to do, 502 when it answers
    /// something else, 503 when it is away, 504 when it is too slow.
    pub async fn embed(&self, request: &EmbeddingRequest) -> Result<Vectors, Unanswered> {
        tokio::time::timeout(self.longest, self.call(request))
            .await
            .unwrap_or_else(|_| Err(Unanswered::in_the_middle(too_slow())))
    }

    async fn call(&self, request: &EmbeddingRequest) -> Result<Vectors, Unanswered> {
        let call = traced(self.client.post(self.embeddings.clone())).json(request);
        let response = call.send().await.map_err(|error| Unanswered {
            may_have_read: !error.is_connect(),
            failure: Box::new(away(&error)),
        })?;
        let status = response.status();
        if !status.is_success() {
            let reason = read_body_capped(response, MAX_REFUSAL).await;
            let reason = reason.unwrap_or_default();
            return Err(Unanswered::refused(refusal(status, &reason)));
        }
        let body = read_body_capped(response, MAX_ANSWER)
            .await
            .map_err(|error| Unanswered::in_the_middle(away(&error)))?;
        let tokens = counted(&body, request.inputs.len()).ok_or_else(|| {
            Unanswered::in_the_middle(Failure::new(
                StatusCode::BAD_GATEWAY,
                "answer_incomplete",
                "the model server did not answer with a vector for each text; try again",
            ))
        })?;
        Ok(Vectors { body, tokens })
    }
}

/// Tokens that an answer with `texts` vectors says were read; `None` when it is no such answer.
fn counted(body: &[u8], texts: usize) -> Option<u64> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    (answer.data.len() == texts).then_some(answer.usage.prompt_tokens)
}

/// What the model server's refusal means to the caller.
fn refusal(status: StatusCode, body: &[u8]) -> Failure {
    match status {
        StatusCode::BAD_REQUEST => {
            if let Ok(Refusal { error }) = serde_json::from_slice::<Refusal>(body) {
                let code = error.code.unwrap_or_else(|| "invalid_value".to_owned());
                let mut failure = Failure::new(status, code, error.message);
                failure.param = error.param;
                return failure;
            }
        }
        StatusCode::TOO_MANY_REQUESTS => {
            let message = "the embedding model has as many requests as it can hold; send it again \
                           in a moment";
            let mut failure = Failure::new(status, "overloaded", message);
            failure.retry_after = Some(RETRY_AFTER);
            return failure;
        }
        _ => {}
    }
    tracing::error!(%status, "the model server failed a call");
    unavailable()
}

/// The cause may tell of addresses inside the platform: it goes to the log only.
fn away(error: &dyn std::error::Error) -> Failure {
    let error = crate::error::chain(error);
    tracing::error!(error, "the model server was not reached");
    unavailable()
}

fn unavailable() -> Failure {
    Failure::unavailable(
        "model_server_unavailable",
        "the embedding model cannot be reached or failed; try again soon",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_vector_for_each_text_is_an_answer() {
        let answer = br#"{"data":[{"embedding":"AAA="},{}],"usage":{"prompt_tokens":7}}"#;
        assert_eq!(counted(answer, 2), Some(7));
        assert_eq!(counted(answer, 1), None);
        assert_eq!(counted(br#"{"data":[{}]}"#, 1), None);
        assert_eq!(counted(b"<html>", 1), None);
    }

    #[rstest::rstest]
    #[case(
        400,
        r#"{"error":{"message":"dimensions is 9","param":"dimensions","code":"invalid_value"}}"#,
        400,
        "invalid_value",
        Some("dimensions")
    )]
    #[case(400, "<html>", 503, "model_server_unavailable", None)]
    #[case(
        401,
        r#"{"error":{"message":"10.0.0.7"}}"#,
        503,
        "model_server_unavailable",
        None
    )]
    #[case(404, "", 503, "model_server_unavailable", None)]
    #[case(429, "", 429, "overloaded", None)]
    #[case(
        500,
        r#"{"error":{"message":"10.0.0.7"}}"#,
        503,
        "model_server_unavailable",
        None
    )]
    fn refusals_have_a_fitting_status(
        #[case] status: u16,
        #[case] body: &str,
        #[case] expected: u16,
        #[case] code: &str,
        #[case] param: Option<&str>,
    ) {
        let failure = refusal(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        assert_eq!(
            (failure.status.as_u16(), failure.code.as_ref()),
            (expected, code)
        );
        assert_eq!(failure.param.as_deref(), param);
        assert!(!failure.message.contains("10.0.0.7"));
    }
}
