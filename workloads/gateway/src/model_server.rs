//! The client of the model server: vectors of texts.

use std::time::Duration;

use axum::http::StatusCode;
use bytes::Bytes;
use lotoai_kit::http_error::read_body_capped;
use lotoai_kit::tls::TlsArgs;
use lotoai_kit::upstream::{ModelServerArgs, UpstreamError, traced};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::Instant;
use url::Url;

use crate::budget::estimate::Read;
use crate::config::LimitArgs;
use crate::domain::embedding_request::{Batch, EmbeddingRequest};
use crate::failure::Failure;
use crate::orchestrator::too_slow;

/// To one batch: 256 vectors of 384 numbers are 1.2 MB of JSON; such of 2,048 numbers would be 7 MB.
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
    silence: Duration,
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
    /// What the model has read all the same.
    pub read: Read,
}

impl Unanswered {
    /// The call broke off, and nobody knows how far it came.
    pub fn in_the_middle(failure: Failure) -> Self {
        Self {
            failure: Box::new(failure),
            read: Read::Unknown,
        }
    }

    fn refused(failure: Failure) -> Self {
        Self {
            failure: Box::new(failure),
            read: Read::Nothing,
        }
    }

    /// The same, after other batches of which `tokens` were read.
    fn after(mut self, tokens: u64) -> Self {
        if self.read == Read::Nothing && tokens > 0 {
            self.read = Read::Counted(tokens);
        }
        self
    }
}

/// What the model server answers to a batch.
#[derive(Deserialize)]
pub struct Answer {
    data: Vec<Made>,
    usage: Usage,
    truncated: Vec<usize>,
}

#[derive(Deserialize)]
struct Made {
    embedding: Box<RawValue>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: u64,
}

/// The vectors of all batches.
#[derive(Serialize)]
struct List<'m> {
    object: &'static str,
    model: &'m str,
    data: Vec<Vector>,
    usage: Counted,
    truncated: Vec<usize>,
}

#[derive(Serialize)]
struct Vector {
    object: &'static str,
    index: usize,
    embedding: Box<RawValue>,
}

#[derive(Default, Serialize)]
struct Counted {
    prompt_tokens: u64,
    total_tokens: u64,
}

impl List<'_> {
    fn add(&mut self, answer: Answer) {
        let first = self.data.len();
        let vectors = answer.data.into_iter().enumerate();
        self.data.extend(vectors.map(|(place, made)| Vector {
            object: "embedding",
            index: first + place,
            embedding: made.embedding,
        }));
        let truncated = answer.truncated.into_iter();
        self.truncated.extend(truncated.map(|place| first + place));
        let tokens = self.usage.prompt_tokens;
        let tokens = tokens.saturating_add(answer.usage.prompt_tokens);
        self.usage = Counted {
            prompt_tokens: tokens,
            total_tokens: tokens,
        };
    }
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
    /// A client of `server`, whose embedding model is `model`. A batch may take as long as an answer
    /// may be silent, and all of a request as long as an answer.
    ///
    /// # Errors
    /// When the token cannot stand in a header, or the platform's authority cannot be used.
    pub fn new(
        server: &ModelServerArgs,
        tls: &TlsArgs,
        model: String,
        limits: &LimitArgs,
    ) -> Result<Self, UpstreamError> {
        let mut embeddings = server.url.clone();
        embeddings.set_path("/v1/embeddings");
        Ok(Self {
            client: server.http_client(tls)?,
            embeddings,
            model,
            longest: limits.answer_max(),
            silence: limits.answer_idle(),
        })
    }

    /// Name of the embedding model.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Asks for one vector for each input. Dropping the call cancels it.
    ///
    /// # Errors
    /// 400 for what the model cannot do, 429 when it has too much to do, 502 when it answers
    /// something else, 503 when it is away, 504 when it is too slow.
    pub async fn embed(&self, request: &EmbeddingRequest) -> Result<Vectors, Unanswered> {
        let end = Instant::now() + self.longest;
        let mut list = List {
            object: "list",
            model: &self.model,
            data: Vec::with_capacity(request.inputs.count()),
            usage: Counted::default(),
            truncated: Vec::new(),
        };
        for batch in request.batches() {
            let limit = end.min(Instant::now() + self.silence);
            let answer = tokio::time::timeout_at(limit, self.call(&batch))
                .await
                .unwrap_or_else(|_| Err(Unanswered::in_the_middle(too_slow())));
            match answer {
                Ok(answer) => list.add(answer),
                Err(mut unanswered) => {
                    placed(&mut unanswered.failure, request, batch.first);
                    return Err(unanswered.after(list.usage.prompt_tokens));
                }
            }
        }
        let body = serde_json::to_vec(&list)
            .map_err(|_| Unanswered::in_the_middle(Failure::internal()))?;
        Ok(Vectors {
            body: body.into(),
            tokens: list.usage.prompt_tokens,
        })
    }

    async fn call(&self, batch: &Batch<'_>) -> Result<Answer, Unanswered> {
        let call = traced(self.client.post(self.embeddings.clone())).json(batch);
        let response = call.send().await.map_err(|error| Unanswered {
            read: if error.is_connect() {
                Read::Nothing
            } else {
                Read::Unknown
            },
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
        answer(&body, batch.count()).ok_or_else(|| {
            Unanswered::in_the_middle(Failure::new(
                StatusCode::BAD_GATEWAY,
                "answer_incomplete",
                "the model server did not answer with a vector for each text; try again",
            ))
        })
    }
}

/// Reads an answer with `count` vectors; `None` when it is no such answer.
pub fn answer(body: &[u8], count: usize) -> Option<Answer> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let is_whole = answer.data.len() == count;
    let is_of_batch = answer.truncated.iter().all(|place| *place < count);
    (is_whole && is_of_batch).then_some(answer)
}

/// Names the field at fault as the caller sent it, in the sentence as well.
fn placed(failure: &mut Failure, request: &EmbeddingRequest, first: usize) {
    if let Some(param) = &mut failure.param {
        let field = request.field(param, first);
        failure.message = failure.message.replacen(param.as_str(), &field, 1);
        *param = field;
    }
}

/// What the model server's refusal means to the caller.
pub fn refusal(status: StatusCode, body: &[u8]) -> Failure {
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
        let vectors = br#"{"data":[{"embedding":"AAA="},{"embedding":[1.0]}],
            "usage":{"prompt_tokens":7},"truncated":[]}"#;
        assert_eq!(answer(vectors, 2).unwrap().usage.prompt_tokens, 7);
        assert!(answer(vectors, 1).is_none());
        assert!(answer(br#"{"data":[{"embedding":[]}]}"#, 1).is_none());
        assert!(answer(b"<html>", 1).is_none());
        let cut = |place: &str| {
            let body = format!(
                r#"{{"data":[{{"embedding":[]}}],"usage":{{"prompt_tokens":1}},"truncated":[{place}]}}"#
            );
            answer(body.as_bytes(), 1).is_some()
        };
        // The control, and places that no text has.
        assert!(cut("0"));
        assert!(!cut("1") && !cut("18446744073709551615"));
    }

    #[test]
    fn tokens_beyond_all_numbers_are_the_highest() {
        let body = br#"{"data":[{"embedding":[]}],"truncated":[0],
            "usage":{"prompt_tokens":18446744073709551615}}"#;
        let mut list = List {
            object: "list",
            model: "m",
            data: Vec::new(),
            usage: Counted::default(),
            truncated: Vec::new(),
        };
        for _ in 0..2 {
            list.add(answer(body, 1).unwrap());
        }
        assert_eq!(list.usage.total_tokens, u64::MAX);
        assert_eq!(list.truncated, [0, 1]);
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
