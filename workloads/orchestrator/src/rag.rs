//! Searches in the vector store.

use std::time::Duration;

use lotoai_contracts::v1::{Caller, Citation, SearchRequest, rag_client::RagClient};
use lotoai_kit::upstream::GrpcChannel;

use crate::failure::Failure;

const SERVICE: &str = "rag-server";
/// The search embeds the question as well.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client of `lotoai.v1.Rag`.
#[derive(Clone)]
pub struct Rag(RagClient<GrpcChannel>);

impl Rag {
    /// A client on a channel.
    #[must_use]
    pub fn new(channel: GrpcChannel) -> Self {
        Self(RagClient::new(channel))
    }

    /// The passages nearest to `query` that the caller may read, best first.
    ///
    /// # Errors
    /// The rag-server is away, too slow, or refuses.
    pub async fn search(
        &self,
        run_id: &str,
        caller: &Caller,
        query: &str,
        limit: u32,
    ) -> Result<Vec<Citation>, Failure> {
        let request = SearchRequest {
            run_id: run_id.to_owned(),
            caller: Some(caller.clone()),
            query: query.to_owned(),
            limit,
            knowledge_base: String::new(),
            min_score: None,
        };
        let mut client = self.0.clone();
        match tokio::time::timeout(TIMEOUT, client.search(request)).await {
            Ok(Ok(response)) => Ok(response.into_inner().hits),
            Ok(Err(status)) => Err(Failure::from_status(SERVICE, &status)),
            Err(_) => Err(Failure::dependency(SERVICE, "too slow")),
        }
    }
}
