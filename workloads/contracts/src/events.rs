//! Events on the topic exchange `lotoai.events`. The routing key is the event's name,
//! `<noun>.<past-tense>`; the body is JSON of the struct named here.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The topic exchange that all events are published to.
pub const EXCHANGE: &str = "lotoai.events";
/// Where a queue's rejected messages go; one `<queue>.dead` queue per consumer is bound to it.
pub const DEAD_LETTER_EXCHANGE: &str = "lotoai.dead";

/// An event: its name is its routing key.
pub trait Event: Serialize + for<'de> Deserialize<'de> + Send + Sync + 'static {
    /// Routing key, for example `document.uploaded`.
    const NAME: &'static str;
    /// Identity of the event. Consumers that see it twice do the work once.
    fn id(&self) -> String;
}

/// The queues of the platform and what each is bound to. The provision job declares them; a
/// consumer only reads its own.
pub const QUEUES: &[Queue] = &[
    Queue {
        name: "rag-ingest",
        bindings: &[DocumentUploaded::NAME, DocumentDeleted::NAME],
    },
    Queue {
        name: "gateway",
        bindings: &[
            DocumentProgressed::NAME,
            DocumentIndexed::NAME,
            DocumentFailed::NAME,
        ],
    },
    Queue {
        name: "analytics",
        bindings: &[UsageRecorded::NAME, PersonErased::NAME],
    },
];

/// A durable quorum queue and the routing keys that feed it.
#[derive(Debug, Clone, Copy)]
pub struct Queue {
    /// Name of the queue; its consumer has the same name.
    pub name: &'static str,
    /// Routing keys on [`EXCHANGE`].
    pub bindings: &'static [&'static str],
}

/// A document is stored in the object store and waits to be indexed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentUploaded {
    /// Identity of the document: a UUID that the gateway gave it.
    pub document_id: String,
    /// Lower-case hex SHA-256 of the bytes.
    pub content_hash: String,
    /// Name as uploaded, for people.
    pub name: String,
    /// Key of the object in the documents bucket.
    pub object_key: String,
    /// Media type as decided by the gateway.
    pub media_type: String,
    /// Size in bytes.
    pub size: u64,
    /// Knowledge base that the document belongs to.
    pub knowledge_base: String,
    /// OIDC `sub` of the uploader.
    pub owner: String,
    /// Groups that may read it; `*` = everybody who is signed in.
    pub groups: Vec<String>,
}

impl Event for DocumentUploaded {
    const NAME: &'static str = "document.uploaded";
    fn id(&self) -> String {
        format!("{}:{}", self.document_id, self.content_hash)
    }
}

/// A document was deleted; its chunks must go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentDeleted {
    /// The document.
    pub document_id: String,
}

impl Event for DocumentDeleted {
    const NAME: &'static str = "document.deleted";
    fn id(&self) -> String {
        format!("{}:deleted", self.document_id)
    }
}

/// A step of ingestion began or moved on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentProgressed {
    /// The document.
    pub document_id: String,
    /// Hash of the bytes that this progress is about: progress of an older upload is ignored.
    pub content_hash: String,
    /// The step.
    pub step: IngestionStep,
    /// Units done in this step (chunks, for embedding).
    pub done: u32,
    /// Units in all; 0 = not known yet.
    pub total: u32,
}

impl Event for DocumentProgressed {
    const NAME: &'static str = "document.progressed";
    fn id(&self) -> String {
        format!(
            "{}:{}:{:?}:{}",
            self.document_id, self.content_hash, self.step, self.done
        )
    }
}

/// The steps of ingestion, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IngestionStep {
    /// Reading the object.
    Fetching,
    /// Bytes to text.
    Parsing,
    /// Text to chunks.
    Chunking,
    /// Chunks to vectors.
    Embedding,
    /// Vectors to the store.
    Storing,
}

/// A document can be found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentIndexed {
    /// The document.
    pub document_id: String,
    /// Hash of the bytes that were indexed.
    pub content_hash: String,
    /// Number of chunks.
    pub chunks: u32,
}

impl Event for DocumentIndexed {
    const NAME: &'static str = "document.indexed";
    fn id(&self) -> String {
        format!("{}:{}:indexed", self.document_id, self.content_hash)
    }
}

/// A document cannot be indexed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentFailed {
    /// The document.
    pub document_id: String,
    /// Hash of the bytes that failed.
    pub content_hash: String,
    /// The step that failed.
    pub step: IngestionStep,
    /// Stable code, for example `unsupported_media_type`.
    pub code: String,
    /// A sentence for the uploader, with the fix.
    pub message: String,
}

impl Event for DocumentFailed {
    const NAME: &'static str = "document.failed";
    fn id(&self) -> String {
        format!("{}:{}:failed", self.document_id, self.content_hash)
    }
}

/// One answered (or failed) request, for accounting. Holds no prompt and no answer. Its message holds
/// one of them, or a JSON array of several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UsageRecorded {
    /// The run; the identity of the record.
    pub run_id: String,
    /// RFC 3339 time at which the run ended.
    pub ended_at: String,
    /// OIDC `sub` of the caller.
    pub subject: String,
    /// The model that the caller named.
    pub requested_model: String,
    /// The model that answered; `extractive` when none did.
    pub model: String,
    /// The provider that answered.
    pub provider: String,
    /// `knowledge`, `agent` or `tool`; `embeddings` where only vectors were asked for.
    pub route: String,
    /// `ok` or the failure code.
    pub outcome: String,
    /// Tokens read; `None` = unknown.
    pub input_tokens: Option<u64>,
    /// Tokens written; `None` = unknown.
    pub output_tokens: Option<u64>,
    /// Milliseconds from request to first token; `None` when there was none.
    pub first_token_ms: Option<u64>,
    /// Milliseconds from request to end.
    pub duration_ms: u64,
}

impl Event for UsageRecorded {
    const NAME: &'static str = "usage.recorded";
    fn id(&self) -> String {
        self.run_id.clone()
    }
}

impl UsageRecorded {
    /// The body of one message with several records, from the JSON of each.
    #[must_use]
    pub fn together<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut body = Vec::new();
        for record in records {
            body.push(if body.is_empty() { b'[' } else { b',' });
            body.extend_from_slice(record);
        }
        body.push(b']');
        body
    }

    /// The records of a message's body.
    ///
    /// # Errors
    /// It is neither a record nor an array of records.
    pub fn of_message(body: &[u8]) -> serde_json::Result<Vec<Self>> {
        if body.first() == Some(&b'[') {
            serde_json::from_slice(body)
        } else {
            serde_json::from_slice(body).map(|record| vec![record])
        }
    }
}

/// Everything that was held of a person is erased: what others know of them goes, too. It does not
/// say who that was to anybody who does not know their `sub`, so that it may lie about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonErased {
    /// What [`PersonErased::digest`] gives for their `sub`.
    pub subject_digest: String,
    /// Unix milliseconds. What ended until then goes, however late it arrives; what they do
    /// afterwards stays.
    pub erased_at_ms: u64,
}

impl PersonErased {
    /// The end of a person with the OIDC `sub` `subject`.
    #[must_use]
    pub fn new(subject: &str, at: jiff::Timestamp) -> Self {
        Self {
            subject_digest: Self::digest(subject),
            erased_at_ms: at.as_millisecond().unsigned_abs(),
        }
    }

    /// Lower-case hex SHA-256 of a `sub`.
    #[must_use]
    pub fn digest(subject: &str) -> String {
        hex::encode(Sha256::digest(subject.as_bytes()))
    }

    /// Whether the digest has the form of one.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        self.subject_digest.len() == 64 && self.subject_digest.bytes().all(hex)
    }
}

impl Event for PersonErased {
    const NAME: &'static str = "person.erased";
    fn id(&self) -> String {
        format!("{}:{}", self.subject_digest, self.erased_at_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_binding_is_noun_dot_past_tense() {
        for queue in QUEUES {
            for binding in queue.bindings {
                let (noun, verb) = binding.split_once('.').unwrap();
                assert!(noun.chars().all(|c| c.is_ascii_lowercase()));
                assert!(verb.ends_with("ed"), "{binding}");
            }
        }
    }

    #[test]
    fn steps_are_ordered_as_they_happen() {
        assert!(IngestionStep::Fetching < IngestionStep::Storing);
    }

    #[test]
    fn an_event_survives_the_wire() {
        let event = DocumentIndexed {
            document_id: "d".into(),
            content_hash: "h".into(),
            chunks: 3,
        };
        let wire = serde_json::to_vec(&event).unwrap();
        assert_eq!(
            serde_json::from_slice::<DocumentIndexed>(&wire).unwrap(),
            event
        );
    }

    #[test]
    fn records_of_usage_come_alone_or_together() {
        let record = |run_id: &str| UsageRecorded {
            run_id: run_id.to_owned(),
            ended_at: "2026-11-02T10:00:00Z".into(),
            subject: "[1,2]".into(),
            requested_model: "lotoai".into(),
            model: "extractive".into(),
            provider: "lotoai".into(),
            route: "knowledge".into(),
            outcome: "ok".into(),
            input_tokens: None,
            output_tokens: Some(7),
            first_token_ms: None,
            duration_ms: 1,
        };
        let records = [record("a"), record("b"), record("c")];
        let bodies = records
            .each_ref()
            .map(|record| serde_json::to_vec(record).unwrap());
        let alone = UsageRecorded::of_message(&bodies[1]).unwrap();
        assert_eq!(alone, records[1..2]);
        let together = UsageRecorded::together(bodies.iter().map(Vec::as_slice));
        assert_eq!(UsageRecorded::of_message(&together).unwrap(), records);
        // The control: what is cut off, or something else, is refused as a whole.
        for body in [&together[..together.len() - 1], b"", b"[7]", b"{}"] {
            assert!(UsageRecorded::of_message(body).is_err());
        }
    }

    #[test]
    fn an_erased_person_is_a_digest() {
        let at = jiff::Timestamp::from_millisecond(1_764_201_600_123).unwrap();
        let event = PersonErased::new("abc", at);
        assert_eq!(
            serde_json::to_value(&event).unwrap(),
            serde_json::json!({
                "subject_digest":
                    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                "erased_at_ms": 1_764_201_600_123_u64,
            })
        );
        assert!(event.is_sound());
        for digest in ["", "abc", "' OR 1 --", &"A".repeat(64), &"0".repeat(65)] {
            let event = PersonErased {
                subject_digest: digest.to_owned(),
                ..event.clone()
            };
            assert!(!event.is_sound(), "{digest}");
        }
    }
}
