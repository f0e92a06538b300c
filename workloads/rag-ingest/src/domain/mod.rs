//! Pure steps of ingestion: bytes to text, text to chunks.

pub mod chunk;
mod headings;
pub mod parse;
