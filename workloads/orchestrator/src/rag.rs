//! Searches in the vector store.

use std::{
    error::Error as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lotoai_contracts::v1::{Caller, Citation, SearchRequest, rag_client::RagClient};
use lotoai_kit::{retry, upstream::GrpcChannel};
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::failure::Failure;

const SERVICE: &str = "rag-server";
/// The search embeds the question as well.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that a search is made again for: with the embedded store rag-server is a single pod,
/// which stops before the next one starts.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How long after that was in vain nobody waits, so that a rag-server which stays away makes not
/// every question do so.
const GIVEN_UP_FOR: Duration = Duration::from_secs(10);

/// A search that gave nothing.
#[derive(Debug)]
pub struct Missed {
    failure: Failure,
    /// Why another one may give something, for the log; `None` where rag-server has answered, or had
    /// its time.
    again: Option<String>,
}

impl Missed {
    /// Of a call that ended with this. A search changes nothing, so it may be made again where
    /// rag-server, or what it needs, says that it is away, and where the call broke off: then the
    /// status was made here, from an error that it holds.
    pub(crate) fn of(status: &Status) -> Self {
        let passes = status.code() == Code::Unavailable || status.source().is_some();
        Self {
            failure: Failure::from_status(SERVICE, status),
            again: passes.then(|| status.message().to_owned()),
        }
    }

    fn slow() -> Self {
        Self {
            failure: Failure::dependency(SERVICE, "too slow"),
            again: None,
        }
    }

    /// Whether the same search may give something in a moment.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.again.is_some()
    }
}

impl From<Missed> for Failure {
    fn from(missed: Missed) -> Self {
        missed.failure
    }
}

/// A client of `lotoai.v1.Rag`.
#[derive(Clone)]
pub struct Rag {
    client: RagClient<GrpcChannel>,
    /// When it was waited for in vain, if it was the last time.
    given_up: Arc<Mutex<Option<Instant>>>,
}

impl Rag {
    /// A client on a channel.
    #[must_use]
    pub fn new(channel: GrpcChannel) -> Self {
        Self {
            client: RagClient::new(channel),
            given_up: Arc::default(),
        }
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
    ) -> Result<Vec<Citation>, Missed> {
        let request = SearchRequest {
            run_id: run_id.to_owned(),
            caller: Some(caller.clone()),
            query: query.to_owned(),
            limit,
            knowledge_base: String::new(),
            min_score: None,
        };
        let mut client = self.client.clone();
        match tokio::time::timeout(TIMEOUT, client.search(request)).await {
            Ok(Ok(response)) => Ok(response.into_inner().hits),
            Ok(Err(status)) => Err(Missed::of(&status)),
            Err(_) => Err(Missed::slow()),
        }
    }

    /// Makes searches again for as long as `patience` while they may give something; once where that
    /// was in vain lately. Dropping it ends it.
    ///
    /// # Errors
    /// That of the last attempt.
    pub async fn patiently<T, F, Fut>(&self, patience: Duration, attempt: F) -> Result<T, Missed>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, Missed>>,
    {
        let given_up = *self.given_up();
        let patience = match given_up {
            Some(at) if at.elapsed() < GIVEN_UP_FOR => Duration::ZERO,
            _ => patience,
        };
        let why = |missed: &Missed| missed.again.clone();
        let found = retry::while_passing(SERVICE, patience, why, attempt).await;
        let is_in_vain = found.as_ref().is_err_and(Missed::passes);
        if !is_in_vain {
            *self.given_up() = None;
        } else if patience > Duration::ZERO {
            *self.given_up() = Some(Instant::now());
        }
        found
    }

    fn given_up(&self) -> MutexGuard<'_, Option<Instant>> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
