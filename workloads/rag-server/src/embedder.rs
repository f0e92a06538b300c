//! The vector of a question, from the model server.

use std::time::Duration;

use lotoai_kit::http_error::{BodyError, read_body_capped};
use lotoai_kit::tls::TlsArgs;
use lotoai_kit::upstream::{ModelServerArgs, UpstreamError, traced};
use serde::{Deserialize, Serialize};
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use url::Url;

use crate::validate::fault_of_vector;

/// How long the model server may take for one question.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of its answer: 384 numbers are about 5 kB.
const MAX_ANSWER: usize = 64 * 1024;

/// Why there is no vector.
#[derive(Debug, Snafu)]
pub enum EmbedError {
    /// The model server was not reached in time.
    #[snafu(display("failed to reach the model server"))]
    Reach {
        /// Why.
        source: reqwest::Error,
    },
    /// The model server refused or failed.
    #[snafu(display("the model server answered {status}"))]
    Refused {
        /// Its status.
        status: reqwest::StatusCode,
    },
    /// The answer broke off or is too large.
    #[snafu(display("failed to read the model server's answer"))]
    ReadAnswer {
        /// Why.
        source: BodyError,
    },
    /// The answer is not what the API promises.
    #[snafu(display("failed to understand the model server's answer"))]
    ParseAnswer {
        /// Why.
        source: serde_json::Error,
    },
    /// The answer has no vector.
    #[snafu(display("the model server answered without a vector"))]
    NoVector,
    /// The vector does not fit the store.
    #[snafu(display("the model server's vector {fault}"))]
    BadVector {
        /// What is wrong.
        fault: String,
    },
}

/// Asks the model server.
#[derive(Debug, Clone)]
pub struct Embedder {
    client: reqwest::Client,
    url: Url,
    model: String,
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    embedding: Vec<f32>,
}

impl Embedder {
    /// A client of `server` that asks for vectors of `model`.
    ///
    /// # Errors
    ///
    /// When the token cannot stand in a header, or the platform's authority cannot be used.
    pub fn new(
        server: &ModelServerArgs,
        model: String,
        tls: &TlsArgs,
    ) -> Result<Self, UpstreamError> {
        let mut url = server.url.clone();
        url.set_path("/v1/embeddings");
        Ok(Self {
            client: server.http_client(tls)?,
            url,
            model,
        })
    }

    /// Name of the model.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The vector of `question`.
    ///
    /// # Errors
    ///
    /// When the model server cannot be reached, refuses, or answers nonsense.
    pub async fn embed(&self, question: &str) -> Result<Vec<f32>, EmbedError> {
        let request = Request {
            model: &self.model,
            input: question,
        };
        let response = traced(self.client.post(self.url.clone()))
            .timeout(TIMEOUT)
            .json(&request)
            .send()
            .await
            .context(ReachSnafu)?;
        let status = response.status();
        ensure!(status.is_success(), RefusedSnafu { status });
        let body = read_body_capped(response, MAX_ANSWER)
            .await
            .context(ReadAnswerSnafu)?;
        let answer: Answer = serde_json::from_slice(&body).context(ParseAnswerSnafu)?;
        let vector = answer
            .data
            .into_iter()
            .next()
            .context(NoVectorSnafu)?
            .embedding;
        match fault_of_vector(&vector) {
            Some(fault) => BadVectorSnafu { fault }.fail(),
            None => Ok(vector),
        }
    }
}
