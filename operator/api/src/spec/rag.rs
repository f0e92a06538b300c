//! Knowledge from documents.

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::data::{Storage, fixed_mode, fixed_volume};
use super::external::ExternalQdrant;

/// Knowledge from documents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = kube_core::Rule::new(
        "!has(self.storage) || !has(self.vectorStore) \
         || !(has(self.vectorStore.managed) || has(self.vectorStore.external))",
    ).message(
        "rag.storage is the volume of the embedded vector store: remove it, or remove \
         rag.vectorStore; the volumes of a managed Qdrant are rag.vectorStore.managed.storage",
    ),
    validation = fixed_volume(),
)]
pub struct Rag {
    /// How documents are cut.
    #[serde(default)]
    pub chunk: Chunk,
    /// Volume of the embedded vector store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// Where passages and their vectors are kept.
    #[serde(default)]
    pub vector_store: VectorStore,
}

impl Rag {
    /// The volume of the embedded vector store.
    #[must_use]
    pub fn volume(&self) -> Storage {
        self.storage.clone().unwrap_or_default()
    }
}

/// Where passages and their vectors are kept: inside rag-server, embedded, unless a field says who
/// runs Qdrant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = kube_core::Rule::new("!(has(self.managed) && has(self.external))").message(
        "rag.vectorStore is either managed (the operator runs Qdrant) or external (it is there \
         already): remove one of them",
    ),
    validation = fixed_mode(&["managed"]),
)]
pub struct VectorStore {
    /// Qdrant that the operator runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedQdrant>,
    /// Qdrant that somebody else runs. The operator then makes no workload and no volume for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalQdrant>,
}

impl VectorStore {
    /// Whether rag-server keeps the vectors itself, on a volume that one process opens.
    #[must_use]
    pub const fn is_embedded(&self) -> bool {
        self.managed.is_none() && self.external.is_none()
    }
}

/// Qdrant that the operator runs: one server, or three peers of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedQdrant {
    /// Volume of each server.
    #[serde(default)]
    pub storage: Storage,
}

/// How documents are cut into the pieces that answers cite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = kube_core::Rule::new("self.overlapCharacters * 2 <= self.maxCharacters").message(
        "rag.chunk.overlapCharacters may be at most half of rag.chunk.maxCharacters",
    ),
)]
pub struct Chunk {
    /// Longest piece, in characters.
    #[serde(default = "Chunk::default_max")]
    #[schemars(range(min = 200, max = 4000))]
    pub max_characters: i32,
    /// Characters that a piece repeats of the one before.
    #[serde(default = "Chunk::default_overlap")]
    #[schemars(range(min = 0, max = 1000))]
    pub overlap_characters: i32,
}

impl Chunk {
    /// 600 characters are about 150 tokens of English; the embedding model reads 256.
    const fn default_max() -> i32 {
        600
    }

    const fn default_overlap() -> i32 {
        80
    }
}

impl Default for Chunk {
    fn default() -> Self {
        Self {
            max_characters: Self::default_max(),
            overlap_characters: Self::default_overlap(),
        }
    }
}
