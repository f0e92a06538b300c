//! The rules of the gateway, apart from HTTP and storage.

pub mod annotations;
pub mod approval;
pub mod approval_request;
pub mod budget_request;
pub mod charge;
pub mod chat_request;
mod content;
pub mod conversation_request;
pub mod embedding;
pub mod embedding_request;
pub mod end;
pub mod fields;
pub mod format;
pub mod functions;
pub mod going_on;
pub mod key_request;
pub mod page;
pub mod parameters;
mod prepare;
pub mod responses_request;
pub mod run;
pub mod snippet;
pub mod text;
pub mod transcript;
pub mod tus;
pub mod upload;
pub mod usage_request;
