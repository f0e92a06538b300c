//! Vectors from the model server.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lotoai_kit::{http_error::read_body_capped, upstream::traced};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::failure::Failure;

const SERVICE: &str = "model-server";
/// Texts per call: bounds the time of one call on one CPU.
const BATCH: usize = 32;
/// One call of [`BATCH`] texts must be answered in this time.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// 32 vectors of 384 numbers are 160 KiB of JSON; 4,096 numbers each would be 2 MiB.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// Descriptions of tools and roles are kept, so that only the question costs time.
const MAX_CACHED: usize = 1_024;

#[derive(Deserialize)]
struct Answer {
    data: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    index: Option<usize>,
    embedding: Vec<f32>,
}

/// A client of `POST /v1/embeddings`.
#[derive(Clone)]
pub struct Embeddings {
    client: reqwest::Client,
    url: Url,
    model: String,
    cache: Arc<Mutex<HashMap<String, Vec<f32>>>>,
}

impl Embeddings {
    /// A client for the server at `base`.
    ///
    /// # Errors
    /// `base` cannot carry a path.
    pub fn new(
        client: reqwest::Client,
        base: &Url,
        model: String,
    ) -> Result<Self, url::ParseError> {
        let url = Url::parse(&format!(
            "{}/v1/embeddings",
            base.as_str().trim_end_matches('/')
        ))?;
        Ok(Self {
            client,
            url,
            model,
            cache: Arc::default(),
        })
    }

    /// One vector per text, in order.
    ///
    /// # Errors
    /// The model server is away, too slow, or answers something else than vectors.
    pub async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Failure> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            let call = tokio::time::timeout(CALL_TIMEOUT, self.call(batch)).await;
            vectors.extend(call.unwrap_or_else(|_| Err(Failure::dependency(SERVICE, "too slow")))?);
        }
        Ok(vectors)
    }

    /// Like [`Self::embed`], for texts that come again with every request.
    ///
    /// # Errors
    /// As for [`Self::embed`].
    pub async fn embed_cached(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Failure> {
        let known = |text: &str| {
            self.cache
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(text)
                .cloned()
        };
        let missing: Vec<&str> = texts
            .iter()
            .copied()
            .filter(|text| known(text).is_none())
            .collect();
        if !missing.is_empty() {
            let vectors = self.embed(&missing).await?;
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            if cache.len() + missing.len() > MAX_CACHED {
                cache.clear();
            }
            cache.extend(missing.iter().map(|text| (*text).to_owned()).zip(vectors));
        }
        let all: Option<Vec<_>> = texts.iter().map(|text| known(text)).collect();
        match all {
            Some(all) => Ok(all),
            // Another request cleared the cache in between.
            None => self.embed(texts).await,
        }
    }

    async fn call(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Failure> {
        let request = self.client.post(self.url.clone());
        let request = traced(request).json(&json!({"model": self.model, "input": texts}));
        let response = request.send().await.map_err(|error| {
            let why = if error.is_connect() {
                "not reachable"
            } else {
                "the connection broke"
            };
            Failure::dependency(SERVICE, why)
        })?;
        let status = response.status();
        if !status.is_success() {
            return Err(Failure::dependency(
                SERVICE,
                &format!("it answered {status}"),
            ));
        }
        let body = read_body_capped(response, MAX_BODY)
            .await
            .map_err(|error| Failure::dependency(SERVICE, &error.to_string()))?;
        let bad = || Failure::dependency(SERVICE, "its answer holds no vector for every text");
        let mut answer: Answer = serde_json::from_slice(&body).map_err(|_| bad())?;
        // The API gives an index; servers that leave it out answer in order.
        answer
            .data
            .sort_by_key(|entry| entry.index.unwrap_or_default());
        if answer.data.len() != texts.len() || answer.data.iter().any(|e| e.embedding.is_empty()) {
            return Err(bad());
        }
        Ok(answer
            .data
            .into_iter()
            .map(|entry| entry.embedding)
            .collect())
    }
}
