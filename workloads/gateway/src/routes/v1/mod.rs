//! The OpenAI-compatible API.

pub mod chat;
mod chunks;
pub mod models;
pub mod resume;
mod sse;
