//! Protobuf services, events and HTTP types: all that two workloads share.

pub mod arguments;
pub mod events;
pub mod failures;
mod format;
mod functions;
pub mod tools;

/// The paths of all methods of all services, as gRPC calls them.
pub const METHODS: &[&str] = include!(concat!(env!("OUT_DIR"), "/methods.rs"));

/// Generated from `proto/lotoai/v1/*.proto`; the comments there are the reference.
#[expect(
    missing_docs,
    clippy::allow_attributes,
    reason = "generated code; documented in the .proto files"
)]
pub mod v1 {
    tonic::include_proto!("lotoai.v1");
}
