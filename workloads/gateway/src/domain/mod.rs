//! The rules of the gateway, apart from HTTP and storage.

pub mod charge;
pub mod chat_request;
pub mod conversation_request;
pub mod fields;
pub mod key_request;
pub mod page;
pub mod parameters;
mod prepare;
pub mod run;
pub mod snippet;
pub mod text;
pub mod transcript;
pub mod upload;
