//! The client of the embedding model.

use std::time::Duration;

use lotoai_kit::http_error::{BodyError, read_body_capped};
use lotoai_kit::upstream::traced;
use serde::Deserialize;
use serde_json::json;
use snafu::{ResultExt, Snafu, ensure};
use url::Url;

/// Texts per call: enough to fill the model's batch, few enough to answer within the timeout.
pub const BATCH: usize = 16;
/// How long one call may take; a batch takes well under 2 s when the model is idle.
const TIMEOUT: Duration = Duration::from_secs(60);
/// 16 vectors of 384 numbers take about 100 KiB of JSON.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Why texts have no vectors.
#[derive(Debug, Snafu)]
pub enum EmbedError {
    /// No answer.
    #[snafu(display("failed to call the embedding model"))]
    Call {
        /// Cause.
        source: reqwest::Error,
    },
    /// The model refused.
    #[snafu(display("the embedding model answered {status}"))]
    Refused {
        /// HTTP status.
        status: u16,
    },
    /// The answer could not be read.
    #[snafu(display("failed to read the answer of the embedding model"))]
    Body {
        /// Cause.
        source: BodyError,
    },
    /// The answer is not what the API promises.
    #[snafu(display("failed to understand the answer of the embedding model"))]
    Decode {
        /// Cause.
        source: serde_json::Error,
    },
    /// Vectors are missing.
    #[snafu(display("the embedding model gave {got} vectors for {wanted} texts"))]
    Count {
        /// Vectors in the answer.
        got: usize,
        /// Texts in the call.
        wanted: usize,
    },
}

impl EmbedError {
    /// Whether the model refuses these texts, so that it will refuse them again.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 400 | 404 | 413 | 422
            }
        )
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: usize,
    embedding: Vec<f32>,
}

/// Calls `POST /v1/embeddings` of the model server.
#[derive(Debug, Clone)]
pub struct Embedder {
    http: reqwest::Client,
    url: Url,
    model: String,
}

impl Embedder {
    /// A client of the model at `base`.
    ///
    /// # Errors
    /// The address cannot carry a path.
    pub fn new(http: reqwest::Client, base: &Url, model: &str) -> Result<Self, url::ParseError> {
        Ok(Self {
            http,
            url: base.join("/v1/embeddings")?,
            model: model.to_owned(),
        })
    }

    /// One vector per text, in the same order. At most [`BATCH`] texts.
    ///
    /// # Errors
    /// The model is away, refuses, or answers something else.
    pub async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let body = json!({ "model": self.model, "input": texts });
        let request = traced(
            self.http
                .post(self.url.clone())
                .timeout(TIMEOUT)
                .json(&body),
        );
        let response = request.send().await.context(CallSnafu)?;
        let status = response.status();
        ensure!(
            status.is_success(),
            RefusedSnafu {
                status: status.as_u16()
            }
        );
        let bytes = read_body_capped(response, MAX_ANSWER_BYTES)
            .await
            .context(BodySnafu)?;
        let mut answer: Answer = serde_json::from_slice(&bytes).context(DecodeSnafu)?;
        let got = answer.data.len();
        ensure!(
            got == texts.len(),
            CountSnafu {
                got,
                wanted: texts.len()
            }
        );
        answer.data.sort_by_key(|item| item.index);
        Ok(answer.data.into_iter().map(|item| item.embedding).collect())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use wiremock::matchers::{method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    async fn embedder(answer: ResponseTemplate) -> (MockServer, Embedder) {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/v1/embeddings"))
            .respond_with(answer)
            .mount(&server)
            .await;
        let url = server.uri().parse().unwrap();
        let embedder = Embedder::new(reqwest::Client::new(), &url, "m").unwrap();
        (server, embedder)
    }

    #[tokio::test]
    async fn vectors_come_back_in_the_order_of_the_texts() {
        let body = json!({"data": [
            {"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]},
        ]});
        let (_server, embedder) = embedder(ResponseTemplate::new(200).set_body_json(body)).await;
        let vectors = embedder.embed(&["a".into(), "b".into()]).await.unwrap();
        assert_eq!(vectors, [[1.0], [2.0]]);
    }

    #[rstest]
    #[case(400, true)]
    #[case(404, true)]
    #[case(413, true)]
    #[case(422, true)]
    #[case(401, false)]
    #[case(408, false)]
    #[case(429, false)]
    #[case(500, false)]
    #[case(503, false)]
    #[tokio::test]
    async fn a_refusal_of_the_texts_is_told_from_an_absence(
        #[case] status: u16,
        #[case] refusal: bool,
    ) {
        let (_server, embedder) = embedder(ResponseTemplate::new(status)).await;
        let error = embedder.embed(&["a".into()]).await.unwrap_err();
        assert_eq!(error.is_refusal(), refusal, "{error}");
    }

    #[rstest]
    #[case(ResponseTemplate::new(503), "answered 503")]
    #[case(ResponseTemplate::new(200).set_body_string("{"), "understand")]
    #[case(ResponseTemplate::new(200).set_body_json(json!({"data": []})), "0 vectors for 1")]
    #[tokio::test]
    async fn another_answer_is_an_error(#[case] answer: ResponseTemplate, #[case] says: &str) {
        let (_server, embedder) = embedder(answer).await;
        let error = embedder.embed(&["a".into()]).await.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
