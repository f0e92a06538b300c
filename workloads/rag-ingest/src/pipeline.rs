//! One document from the object store to the vector store.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use lotoai_contracts::events::{DocumentProgressed, DocumentUploaded, Event, IngestionStep};
use lotoai_contracts::v1::rag_client::RagClient;
use lotoai_contracts::v1::{self, DeleteDocumentRequest, ReplaceDocumentRequest};
use lotoai_kit::upstream::GrpcChannel;
use lotoai_kit::{MAX_GRPC_MESSAGE_BYTES, retry};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use prost::Message as _;
use snafu::{OptionExt, Report, ResultExt, Snafu, ensure};
use tonic::Code;

use crate::domain::chunk::{Chunk, Chunker};
use crate::domain::parse::{self, ParseError};
use crate::embed::{BATCH, EmbedError, Embedder};
use crate::events::Broker;

/// How long the vector store may take for one document.
const STORE_TIMEOUT: Duration = Duration::from_secs(60);
/// Chunks of one document: about 2.5 MB of text, a thousand pages. Embedding them takes minutes.
const MAX_CHUNKS: usize = 5_000;
/// A document goes to the store in one message; the margin is for the frame around it.
const MAX_STORED_BYTES: usize = MAX_GRPC_MESSAGE_BYTES - 64 * 1024;

/// Why a document is not indexed.
#[derive(Debug, Snafu)]
pub enum Error {
    /// The object store is away.
    #[snafu(display("failed to read the document from the object store"))]
    Fetch {
        /// Cause.
        source: object_store::Error,
    },
    /// The bytes are gone.
    #[snafu(display("the document's bytes are no longer in the object store; upload it again"))]
    Missing,
    /// More bytes than allowed.
    #[snafu(display("the document has more than {limit} bytes; split it and upload the parts"))]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// More chunks than allowed.
    #[snafu(display(
        "the document makes more than {limit} chunks, and no more can be indexed; \
         split it and upload the parts"
    ))]
    TooManyChunks {
        /// The limit.
        limit: usize,
    },
    /// More text and vectors than one message to the store holds.
    #[snafu(display(
        "the document's chunks take {bytes} bytes, and at most {limit} can be stored; \
         split it and upload the parts"
    ))]
    TooMuchToStore {
        /// Bytes of the message.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// No text.
    #[snafu(display("{source}"))]
    Parse {
        /// Cause, for the uploader.
        source: ParseError,
    },
    /// No vectors.
    #[snafu(display("failed to embed the document"))]
    Embed {
        /// Cause.
        source: EmbedError,
    },
    /// The vector store is away or refuses.
    #[snafu(display("failed to store the document's vectors"))]
    Store {
        /// Cause.
        #[snafu(source(from(tonic::Status, Box::new)))]
        source: Box<tonic::Status>,
    },
    /// The work itself broke.
    #[snafu(display("the document could not be parsed: the parser stopped"))]
    Stopped,
}

impl Error {
    /// A stable code for programs when trying again cannot help; `None` = try again.
    #[must_use]
    pub fn permanent_code(&self) -> Option<&'static str> {
        match self {
            Self::Fetch { .. } => None,
            Self::Missing => Some("missing_object"),
            Self::TooLarge { .. } | Self::TooManyChunks { .. } | Self::TooMuchToStore { .. } => {
                Some("document_too_large")
            }
            Self::Parse { source } => Some(source.code()),
            Self::Stopped => Some("parser_stopped"),
            Self::Embed { source } => source.is_refusal().then_some("refused_by_model"),
            Self::Store { source } => match source.code() {
                Code::InvalidArgument => Some("refused_by_store"),
                // The message passes a limit of the transport, and will at every try.
                Code::OutOfRange | Code::ResourceExhausted => Some("document_too_large"),
                _ => None,
            },
        }
    }

    /// Whether the vector store is away, or fails by itself.
    pub(crate) fn is_absence_of_store(&self) -> bool {
        matches!(self, Self::Store { .. }) && self.permanent_code().is_none()
    }

    /// Whether the vector store says that the request itself is wrong.
    pub(crate) fn is_refused_by_store(&self) -> bool {
        matches!(self, Self::Store { source } if source.code() == Code::InvalidArgument)
    }

    /// A sentence for the uploader. What the store or the model says of a document that it refuses
    /// belongs in it: it names the field and the limit.
    #[must_use]
    pub fn message(&self) -> String {
        match (self, self.permanent_code()) {
            (Self::Store { source }, Some(_)) => {
                format!(
                    "the search service refused the document: {}",
                    source.message()
                )
            }
            (Self::Embed { source }, Some(_)) => format!("{self}: {source}"),
            (_, Some(_)) => self.to_string(),
            (_, None) => format!("{self}; upload the document again later"),
        }
    }
}

/// What a document's way needs.
pub struct Pipeline {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) embedder: Embedder,
    pub(crate) embedding_model: String,
    pub(crate) rag: RagClient<GrpcChannel>,
    pub(crate) chunker: Arc<Chunker>,
    pub(crate) max_bytes: u64,
    pub(crate) events: Arc<dyn Broker>,
}

impl Pipeline {
    /// Indexes a document and returns its number of chunks. `step` says how far it came. Each call
    /// of a store or service that is away is made again for as long as `patience`, and what was done
    /// before it is kept.
    ///
    /// # Errors
    /// The document cannot be indexed, now or ever.
    pub async fn index(
        &self,
        patience: Duration,
        document: &DocumentUploaded,
        step: &mut IngestionStep,
    ) -> Result<u32, Error> {
        *step = IngestionStep::Fetching;
        self.tell(document, *step, 0, 0).await;
        let fetch = || self.fetch(document);
        let bytes = retry::while_passing("the object store", patience, passes, fetch).await?;

        *step = IngestionStep::Parsing;
        self.tell(document, *step, 0, 0).await;
        let chunks = self
            .parse_and_chunk(document.media_type.clone(), bytes, step)
            .await?;

        *step = IngestionStep::Embedding;
        let vectors = self.embed(patience, document, &chunks).await?;

        *step = IngestionStep::Storing;
        self.tell(document, *step, 0, 0).await;
        self.store(patience, document, chunks, vectors).await
    }

    /// Forgets a document's chunks.
    ///
    /// # Errors
    /// The vector store is away.
    pub async fn forget(&self, document_id: &str) -> Result<(), Error> {
        let mut request = tonic::Request::new(DeleteDocumentRequest {
            document_id: document_id.to_owned(),
        });
        request.set_timeout(STORE_TIMEOUT);
        self.rag
            .clone()
            .delete_document(request)
            .await
            .context(StoreSnafu)?;
        Ok(())
    }

    async fn fetch(&self, document: &DocumentUploaded) -> Result<Vec<u8>, Error> {
        let object = match self
            .objects
            .get(&Path::from(document.object_key.as_str()))
            .await
        {
            Ok(object) => object,
            Err(object_store::Error::NotFound { .. }) => return MissingSnafu.fail(),
            Err(source) => return Err(Error::Fetch { source }),
        };
        let limit = self.max_bytes;
        ensure!(object.meta.size <= limit, TooLargeSnafu { limit });
        let mut stream = object.into_stream();
        let mut bytes = Vec::new();
        while let Some(part) = stream.try_next().await.context(FetchSnafu)? {
            bytes.extend_from_slice(&part);
            ensure!(bytes.len() as u64 <= limit, TooLargeSnafu { limit });
        }
        Ok(bytes)
    }

    async fn parse_and_chunk(
        &self,
        media_type: String,
        bytes: Vec<u8>,
        step: &mut IngestionStep,
    ) -> Result<Vec<Chunk>, Error> {
        let chunker = Arc::clone(&self.chunker);
        let work = move || {
            let text = parse::parse(&media_type, &bytes)?;
            Ok(chunker.chunk(&text, MAX_CHUNKS))
        };
        // A parser that panics on a hostile document must not take the consumer with it.
        let chunks: Result<Option<Vec<Chunk>>, ParseError> = tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| Error::Stopped)?;
        let chunks = chunks.context(ParseSnafu)?;
        *step = IngestionStep::Chunking;
        // Known before anything is embedded, which is what takes long.
        let chunks = chunks.context(TooManyChunksSnafu { limit: MAX_CHUNKS })?;
        if chunks.is_empty() {
            return Err(Error::Parse {
                source: ParseError::Empty,
            });
        }
        ensure_storable(chunks.iter().map(|chunk| chunk.text.len()).sum())?;
        Ok(chunks)
    }

    async fn embed(
        &self,
        patience: Duration,
        document: &DocumentUploaded,
        chunks: &[Chunk],
    ) -> Result<Vec<Vec<f32>>, Error> {
        let total = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        let mut vectors = Vec::with_capacity(chunks.len());
        for batch in chunks.chunks(BATCH) {
            let done = u32::try_from(vectors.len()).unwrap_or(u32::MAX);
            self.tell(document, IngestionStep::Embedding, done, total)
                .await;
            let texts: Vec<String> = batch.iter().map(Chunk::embedding_text).collect();
            let embed = async || self.embedder.embed(&texts).await.context(EmbedSnafu);
            let what = "the embedding model";
            vectors.extend(retry::while_passing(what, patience, passes, embed).await?);
        }
        metrics::counter!("lotoai_rag_ingest_chunks_total").increment(u64::from(total));
        Ok(vectors)
    }

    async fn store(
        &self,
        patience: Duration,
        document: &DocumentUploaded,
        chunks: Vec<Chunk>,
        vectors: Vec<Vec<f32>>,
    ) -> Result<u32, Error> {
        let chunks = chunks
            .into_iter()
            .zip(vectors)
            .map(|(chunk, vector)| v1::Chunk {
                index: chunk.index,
                text: chunk.text,
                heading: chunk.heading,
                vector,
            })
            .collect();
        let replacement = ReplaceDocumentRequest {
            document_id: document.document_id.clone(),
            document_name: document.name.clone(),
            knowledge_base: document.knowledge_base.clone(),
            owner: document.owner.clone(),
            groups: document.groups.clone(),
            chunks,
            embedding_model: self.embedding_model.clone(),
        };
        ensure_storable(replacement.encoded_len())?;
        let store = async || {
            let mut request = tonic::Request::new(replacement.clone());
            request.set_timeout(STORE_TIMEOUT);
            let answer = self.rag.clone().replace_document(request).await;
            Ok(answer.context(StoreSnafu)?.into_inner().chunks)
        };
        retry::while_passing("the vector store", patience, passes, store).await
    }

    /// Progress is for people who watch; losing one line of it must not stop the work.
    async fn tell(&self, document: &DocumentUploaded, step: IngestionStep, done: u32, total: u32) {
        let event = DocumentProgressed {
            document_id: document.document_id.clone(),
            content_hash: document.content_hash.clone(),
            step,
            done,
            total,
        };
        if let Err(error) = crate::events::publish(&*self.events, &event).await {
            tracing::warn!(event = DocumentProgressed::NAME, error = %error, "progress was not published");
        }
    }
}

/// Why a call may be made again after this, if it may.
fn passes(error: &Error) -> Option<String> {
    let cause = || Report::from_error(error).to_string();
    error.permanent_code().is_none().then(cause)
}

/// Refuses what one message to the store cannot hold.
fn ensure_storable(bytes: usize) -> Result<(), Error> {
    ensure!(
        bytes <= MAX_STORED_BYTES,
        TooMuchToStoreSnafu {
            bytes,
            limit: MAX_STORED_BYTES
        }
    );
    Ok(())
}

#[cfg(test)]
mod tests;
