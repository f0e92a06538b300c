//! Texts and their vectors.

use utoipa::ToSchema;

/// Texts to turn into vectors.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingRequest {
    /// A model of type `embedding`.
    pub model: String,
    /// A text, or 1 to 2,048 of them, each of at most 8 KiB and none of them empty. Or a text as
    /// numbers of OpenAI's tokens (`cl100k_base`), or 1 to 2,048 of such lists, each of 1 to 8,192
    /// numbers and all of at most 300,000.
    pub input: Inputs,
    /// How vectors are written.
    pub encoding_format: Option<EncodingFormat>,
    /// The length of vectors that the model makes; any other is refused.
    #[schema(minimum = 1)]
    pub dimensions: Option<u32>,
    /// Taken, and without effect here.
    pub user: Option<String>,
}

/// One text or several, as they are or as numbers of tokens.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum Inputs {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
    /// One, as numbers of tokens.
    Tokens(Vec<u32>),
    /// Several, as numbers of tokens.
    TokenLists(Vec<Vec<u32>>),
}

/// How a vector is written: as numbers, or as little-endian 32-bit floats in base64.
#[derive(Debug, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EncodingFormat {
    /// Numbers; the default.
    Float,
    /// Bytes in base64.
    Base64,
}

/// Vectors.
#[derive(Debug, ToSchema)]
pub struct EmbeddingList {
    /// `list`.
    pub object: String,
    /// The model.
    pub model: String,
    /// One for each text, in order.
    pub data: Vec<Embedding>,
    /// Tokens that were read.
    pub usage: EmbeddingUsage,
    /// Places of the texts that were longer than the model reads, and of which only the beginning
    /// counts.
    pub truncated: Vec<u32>,
}

/// The vector of a text.
#[derive(Debug, ToSchema)]
pub struct Embedding {
    /// `embedding`.
    pub object: String,
    /// Place of the text.
    pub index: u32,
    /// The vector, of length 1.
    pub embedding: Vector,
}

/// A vector: numbers, or little-endian 32-bit floats in base64.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum Vector {
    /// Numbers.
    Float(Vec<f32>),
    /// Bytes in base64.
    Base64(String),
}

/// Tokens that were read.
#[derive(Debug, ToSchema)]
pub struct EmbeddingUsage {
    /// Read.
    pub prompt_tokens: u64,
    /// The same.
    pub total_tokens: u64,
}
