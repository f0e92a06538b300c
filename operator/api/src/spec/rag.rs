//! Knowledge from documents.

use kube_derive::KubeSchema;
use serde::{Deserialize, Serialize};

use super::data::Storage;

/// Knowledge from documents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(crates(kube_core = "::kube_core"))]
pub struct Rag {
    /// How documents are cut.
    #[serde(default)]
    pub chunk: Chunk,
    /// Volume of the vector store.
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
