//! What every LotoAI workload shares: configuration, telemetry, errors, readiness, drain, the
//! clients of the stores and services it talks to, and the stop sequences of models.
//!
//! A workload's `main.rs` is one line, `lotoai_kit::main("gateway", lotoai_gateway::run)`; see
//! [`main`] for what happens around `run`.

mod admin;
pub mod authority;
pub mod callers;
mod common;
pub mod config_error;
pub mod http_error;
pub mod json;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;
mod readiness;
mod request;
pub mod retry;
mod runtime;
#[cfg(feature = "s3")]
pub mod s3;
mod server;
mod service;
pub mod stops;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod tls;
mod told;
pub mod upstream;

pub use common::{CommonArgs, HasCommon};
pub use readiness::{Gate, Readiness};
pub use request::AnsweredBy;
pub use runtime::{chain, job, main};
pub use server::Limits;
#[cfg(feature = "grpc")]
pub use service::MAX_GRPC_MESSAGE_BYTES;
pub use service::{ServeError, Service};
pub use told::Told;
